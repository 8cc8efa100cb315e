"""Writes the table in ``docs/how-to/personalised-mail.md``: how many requests a stream becomes, from the code itself.

Run ``python docs/batch_table.py`` after a provider has changed; a test says when the table is not up to date.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mailkit import Envelope, MailkitError, Message, Template
from mailkit.providers.base import ApiTransport
from mailkit.registry import schemes, transport_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["COUNT", "PAGE", "STREAMS", "page", "requests", "transports"]

PAGE: Final = Path(__file__).parent / "how-to" / "personalised-mail.md"
COUNT: Final = 1000
_BEGIN: Final = "<!-- table: written by docs/batch_table.py -->\n"
_END: Final = "<!-- end of the table -->\n"
_ALL: Final[Mapping[str, Any]] = {"from_": "ada@example.com"}
# What a provider wants besides a key.
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "mailgun": {"recipient_variables": True},
    "ses": {"region": "eu-west-1"},
}

STREAMS: Final[Mapping[str, Callable[[int], Message]]] = {
    "own text each": lambda number: Message(
        **_ALL, to=f"user{number}@example.org", subject=f"Your order {number}", text=f"Dear {number}"
    ),
    "one text for all": lambda number: Message(**_ALL, to=f"user{number}@example.org", subject="News", text="Hello"),
    "one template, own data": lambda number: Message(
        **_ALL, to=f"user{number}@example.org", template=Template(7, {"name": f"User {number}"})
    ),
}
"""What the columns are about: the message of each number."""


def transports() -> dict[str, ApiTransport]:
    """Return every provider that takes several messages in a request, by its name."""
    found: dict[str, ApiTransport] = {}
    for scheme in schemes():
        served: Any = transport_class(scheme)
        if not (isinstance(served, type) and issubclass(served, ApiTransport)) or served.batch_size == 1:
            continue
        settings = dict(_SETTINGS.get(served.name, {}))
        if served.takes_secret:
            settings["secret"] = "SECRET"
        if served.needs_host:
            settings["host"] = "mail.example.com"
        found[served.name] = served("KEY", **settings)
    return dict(sorted(found.items()))


def requests(transport: ApiTransport, message: Callable[[int], Message]) -> int | None:
    """Return how many requests :data:`COUNT` messages to one recipient each become; None if it takes none of them."""
    pair = [message(number).completed() for number in range(2)]
    groups: list[object] = []
    try:
        for each in pair:
            envelope = Envelope.from_message(each)
            transport.capabilities.check(each, envelope, transport=str(transport))
            transport.build_request(each, envelope)
            groups.append(transport.batch_group(each, envelope))
    except MailkitError:
        return None
    if groups[0] is None or groups[0] != groups[1]:
        return COUNT
    return ceil(COUNT / min(transport.batch_size, transport.batch_recipients or COUNT))


def table() -> str:
    """Return the table."""
    lines = [f"| | {' | '.join(STREAMS)} |", f"|---|{'---:|' * len(STREAMS)}"]
    for name, transport in transports().items():
        link = f"[{type(transport).__name__}](../providers/{name}.md)"
        counts = [requests(transport, message) for message in STREAMS.values()]
        shown = ["" if count is None else f"{count:,}" for count in counts]
        lines.append(f"| {link} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with the table as it is now."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote the table in {PAGE}")
