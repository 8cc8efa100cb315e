"""The cost of an import is which modules it loads: counted, not timed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_HEAVY = frozenset({"anyio", "dns", "email_validator", "httpcore", "httpx", "ssl", "tenacity", "trio"})
_HEAVY_FOR_SMTP = _HEAVY - {"ssl"}  # what speaks SMTP needs TLS; smtplib pays for it as well


_MAILER = "from mailkit import Mailer\nMailer('smtp://ada:secret@mail.example.com')"
_FOR_ANY_MAILER = {
    *("_version", "errors", "hooks", "host", "mailer", "override", "passage", "post", "registry", "representation"),
    *("secret", "transport", "transport_url", "url"),
}
_EDGE = ("base", "blocking", "failures", "http_clients", "readiness", "slots")
_POLICIES = ("budget", "positive", "retry_policy")
_SMTP_CONVERSATION = (
    *("auth", "channel", "commands", "conversation", "delivery", "dialer", "engine", "extensions", "flight"),
    *("handshake", "lane", "mechanisms", "options", "replies", "session", "transaction", "verdict"),
)


def _modules_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and return the modules that it loaded."""
    # Coverage's own start-up hook would import modules into the child.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    code = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def _top_level_modules_after(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in _modules_after(statement)}


def test_importing_the_package_loads_nothing_else() -> None:
    """``import mailkit`` loads its own __init__ and no module that is heavy, its own included."""
    loaded = _top_level_modules_after("import mailkit")
    assert not loaded & _HEAVY
    assert "attr" not in loaded


@pytest.mark.parametrize("name", ["Message", "MessageBuilder", "Attachment", "Receipt", "MailkitError", "Envelope"])
def test_values_load_nothing_heavy(name: str) -> None:
    """Naming a value class loads neither an HTTP client nor TLS nor a retry library."""
    assert not _top_level_modules_after(f"from mailkit import {name}") & _HEAVY


def test_an_smtp_mailer_loads_no_http_client() -> None:
    """Building a Mailer for an SMTP URL leaves httpx, tenacity and email_validator for their first use."""
    loaded = _top_level_modules_after("from mailkit import Mailer\nMailer('smtp://mail.example.com')")
    assert not loaded & _HEAVY_FOR_SMTP


def test_an_smtp_mailer_loads_nothing_that_only_sending_needs() -> None:
    """Building a Mailer for an SMTP URL, credentials included, leaves sockets, TLS and hashes for the first message."""
    loaded = _modules_after(_MAILER)
    assert not loaded & {"base64", "datetime", "email", "hashlib", "hmac", "pathlib", "selectors", "socket", "ssl"}


def test_an_smtp_mailer_loads_no_more_of_the_package_than_says_where_mail_goes() -> None:
    """What a message is, what its answers mean, policies and other transports are imported with the first message."""
    loaded = {name.removeprefix("mailkit.") for name in _modules_after(_MAILER) if name.startswith("mailkit.")}
    kinds = {"edge", "policies", "smtp"}
    assert {name for name in loaded if name.partition(".")[0] not in kinds} <= _FOR_ANY_MAILER
    assert {name for name in loaded if name.startswith("edge.")} <= {f"edge.{name}" for name in _EDGE}
    assert {name for name in loaded if name.startswith("policies.")} <= {f"policies.{name}" for name in _POLICIES}
    assert not loaded & {f"smtp.{name}" for name in _SMTP_CONVERSATION}
