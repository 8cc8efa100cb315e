"""Writes ``docs/providers/``: a page for each HTTP API, and what each can express, from the code itself.

Run ``python docs/provider_pages.py`` after a provider has changed; a test says when the pages are not up to date.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import fields

from mailkit.providers.base import ApiTransport
from mailkit.registry import schemes, transport_class
from mailkit.relays import RELAYS
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.relays import Relay

__all__ = ["FOLDER", "pages", "providers"]

FOLDER: Final = Path(__file__).parent / "providers"
_MANY: Final = 1_000_000
_FEATURES: Final = tuple(attribute.name for attribute in fields(Capabilities))
# Where a relay has another name than the API.
_RELAYS_OF: Final = {"graph": ("microsoft365", "outlook"), "jmap": ("fastmail",)}
_NOTE: Final = "<!-- Written by docs/provider_pages.py: change the provider's docstring instead. -->\n"


def providers() -> list[type[ApiTransport]]:
    """Return every provider that the registry knows, by name."""
    found: dict[str, type[ApiTransport]] = {}
    for scheme in schemes():
        served = transport_class(scheme)
        if isinstance(served, type) and issubclass(served, ApiTransport):
            found[served.name] = served
    return [found[name] for name in sorted(found)]


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    found = providers()
    return {"README.md": _overview(found), **{f"{each.name}.md": _page(each) for each in found}}


def _overview(found: list[type[ApiTransport]]) -> str:
    names = [f"[{each.__name__}]({each.name}.md)" for each in found]
    lines = [
        _NOTE,
        "# HTTP APIs\n",
        "What each provider's API can express. Anything else is refused before a request is made, with the feature's",
        "name: nothing is dropped in silence. A number is the most that one message may have. An `idempotency_key` is",
        "only a hint, which nobody refuses: where its row says nothing, the key is not sent, and an unknown outcome",
        "[stays unknown](../explanation/outcomes.md#idempotency-keys).\n",
        f"| | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for feature in _FEATURES:
        cells = [_cell(_capabilities(each), feature) for each in found]
        lines.append(f"| `{feature}` | {' | '.join(cells)} |")
    rows = {
        "`idempotency_key`": lambda each: "honoured" if each.idempotency_header else "",
        "messages in a request": lambda each: str(each.batch_size),
        "recipients of a message": lambda each: str(each.max_recipients or ""),
        "sandbox": lambda each: "yes" if each.has_sandbox else "",
        "regions": lambda each: ", ".join(filter(None, each.endpoints)),
    }
    lines += [f"| {name} | {' | '.join(cell(each) for each in found)} |" for name, cell in rows.items()]
    return "\n".join(lines) + "\n"


def _capabilities(provider: type[ApiTransport]) -> Capabilities:
    declared = provider.capabilities
    # A provider whose features depend on its fields shows those of its defaults.
    return declared if isinstance(declared, Capabilities) else provider("KEY").capabilities


def _cell(capabilities: Capabilities, feature: str) -> str:
    value = getattr(capabilities, feature)
    if isinstance(value, bool):
        return "yes" if value else ""
    return "any number" if value >= _MANY else str(value or "")


def _page(provider: type[ApiTransport]) -> str:
    module = inspect.getdoc(sys.modules[provider.__module__]) or ""
    link = re.search(r"https://\S+[^\s.]", module)
    lines = [_NOTE, f"# {provider.__name__}\n", *_prose(provider)]
    if link:
        lines.append(f"The provider's own page: <{link[0]}>\n")
    lines += ["## Settings\n", *_settings(provider), "## What it can express\n", *_features(provider)]
    relays = [RELAYS[name] for name in _RELAYS_OF.get(provider.name, (provider.name,)) if name in RELAYS]
    if relays:
        lines += ["## By SMTP\n", *(line for each in relays for line in _relay(each))]
    return "\n".join(lines)


def _prose(provider: type[ApiTransport]) -> Iterator[str]:
    text = inspect.getdoc(provider) or ""
    text = re.split(r"^(?:Example|Args|Raises):$", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    yield text.strip() + "\n"


def _settings(provider: type[ApiTransport]) -> Iterator[str]:
    secret = ":SECRET" if provider.takes_secret else ""
    host = "HOST" if provider.needs_host else "default"
    yield f"```text\n{provider.name}://KEY{secret}@{host}\n```\n"
    known = ["timeout", "tls", "ca-file", "proxy", *(name.replace("_", "-") for name in provider.parameters)]
    known += ["region"] * (len(provider.endpoints) > 1) + ["sandbox"] * provider.has_sandbox
    parameters = f"Parameters of the URL: {', '.join(f'`{name}`' for name in sorted(known))}."
    if provider.needs_host:
        yield f"{parameters} The host is yours to name."
        yield "In Python the same settings are keyword arguments:\n"
    else:
        yield f"{parameters} Another host than `default`"
        yield "overrides the provider's own. In Python the same settings are keyword arguments:\n"
    yield f"```text\nfrom mailkit.providers import {provider.__name__}\n```\n"
    regions = [f"- `{region}`: `{endpoint}`" for region, endpoint in provider.endpoints.items() if region]
    if regions:
        yield "Regions, the first one by default:\n"
        yield "\n".join(regions) + "\n"


def _features(provider: type[ApiTransport]) -> Iterator[str]:
    capabilities = _capabilities(provider)
    able = [
        f"`{feature}`" + (f" (at most {cell})" if cell.isdigit() else "")
        for feature in _FEATURES
        if (cell := _cell(capabilities, feature))
    ]
    unable = [f"`{feature}`" for feature in _FEATURES if not _cell(capabilities, feature)]
    yield f"Yes: {', '.join(able)}.\n"
    yield f"No: {', '.join(unable)}.\n"
    if provider.idempotency_header:
        yield f"Each message carries an idempotency key (`{provider.idempotency_header}`), so an unknown outcome is"
        yield "tried again without the risk of a second copy.\n"
    else:
        yield "There is no idempotency key: an outcome that is unknown stays unknown.\n"
    if provider.batch_size > 1:
        yield f"`send_many` puts up to {provider.batch_size} messages into one request, where they"
        yield "[can share one](../how-to/personalised-mail.md#what-becomes-of-a-thousand).\n"
    else:
        yield "`send_many` makes one request for each message, as many at once as `connections` says.\n"


def _relay(relay: Relay) -> Iterator[str]:
    yield f"```text\n{relay.form}\n```\n"
    (own, *_) = relay.hosts.values()
    regions = [f"`{region}`: `{host}`" for region, host in relay.hosts.items() if region and "{" not in region]
    others = f", or {', '.join(map(str, relay.ports[1:]))}" if relay.ports[1:] else ""
    yield f"Whole messages through {', '.join(regions) or f'`{own}`'}, on port {relay.ports[0]}{others}."
    yield {
        "given": "Who logs in is a user name with its password.",
        "fixed": f"Everybody logs in as `{relay.username}`, the key is the password.",
        "any": "The key is the password, the user name may be anything.",
        "key": "The key is user name and password; `ACCESS:SECRET` is possible, too.",
    }[relay.names] + (" Of SES it may be the secret access key." if relay.name == "ses" else "")
    yield f"Parameters are [those of SMTP](../reference/urls.md#smtp-relays). The provider's page: <{relay.source}>\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {len(pages())} pages to {FOLDER}")
