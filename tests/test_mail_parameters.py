from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.envelope import Envelope
from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.mail_parameters import MailParameters, RcptParameters, parameters_of
from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable

TONIGHT = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
OFFERED = ("REQUIRETLS", "MT-PRIORITY", "DELIVERBY 60", "FUTURERELEASE 604800 2030-01-01T00:00:00Z")


def letter(options: dict[str, Any] | None = None, **fields: Any) -> Message:
    """A message to two with what is asked of servers that speak SMTP."""
    given = {} if options is None else {"options": {"smtp": options}}
    return Message(from_="ada@example.com", to=["bob@example.org", "eve@example.net"], text="Hi", **given, **fields)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: RcptParameters(notify=["sometimes"]), "notify"),
        (lambda: RcptParameters(notify=[]), "notify"),
        (lambda: RcptParameters(notify=["NEVER", "DELAY"]), "NEVER alone"),
        (lambda: MailParameters(ret="HALF"), "FULL or HDRS"),
        (lambda: MailParameters(priority=10), "-9"),
        (lambda: MailParameters(deliver_by=0), "deliver_by"),
        (lambda: MailParameters(deliver_by=60, deliver_by_mode="X"), "deliver_by_mode"),
        (lambda: MailParameters(hold_until=datetime(2026, 11, 23, 22, 0)), "time zone"),  # noqa: DTZ001
        (lambda: parameters_of({"notfy": "DELAY"}, None), "has no notfy; it knows: "),
        (lambda: parameters_of({"recipients": {"bob@example.org": {"ret": "FULL"}}}, None), "has no ret"),
    ],
)
def test_what_no_server_could_be_asked_is_refused(make: Callable[[], object], told: str) -> None:
    """A value out of its range, or an option that nobody knows, is refused when the parameters are made."""
    with pytest.raises(MessageError, match=told):
        make()


def test_options_become_parameters() -> None:
    """``options["smtp"]`` is read into what is asked for the message, for everybody, and for some instead."""
    options = {
        "ret": "hdrs",
        "envid": "q3",
        "notify": "failure",
        "recipients": {"eve@EXAMPLE.net": {"notify": "NEVER"}},
    }
    envelope = Envelope.from_message(letter(options, send_at=TONIGHT))
    assert envelope.mail_parameters == MailParameters(ret="HDRS", envid="q3", hold_until=TONIGHT)
    bob, eve = envelope.rcpt_to
    assert envelope.parameters_for(bob).notify == ("FAILURE",)
    assert envelope.parameters_for(eve).notify == ("NEVER",)
    assert envelope.needs_dsn


def test_a_message_that_asks_for_nothing_needs_nothing() -> None:
    """Without options the envelope carries no parameters, and needs no extension."""
    envelope = Envelope.from_message(letter())
    assert envelope.mail_parameters == MailParameters()
    assert not envelope.needs_dsn


def test_who_does_not_get_the_message_cannot_be_excepted() -> None:
    """An exception for an address that is no recipient is a misspelling, and refused."""
    with pytest.raises(MessageError, match=r"mallory@example\.org, to whom the message does not go"):
        Envelope.from_message(letter({"recipients": {"mallory@example.org": {"notify": "NEVER"}}}))


def test_everything_reaches_the_server() -> None:
    """Each parameter goes into MAIL and RCPT in the form of its RFC."""
    options = {
        "ret": "FULL",
        "envid": "a b",
        "require_tls": True,
        "priority": 3,
        "deliver_by": 3600,
        "deliver_by_mode": "R",
        "submitter": "ada@example.com",
        "notify": ["DELAY", "FAILURE"],
        "recipients": {"eve@example.net": {"notify": "NEVER", "orcpt": "rfc822;eva@example.net"}},
    }
    with SMTPServer(extensions=OFFERED, tls="starttls", users={"ada": "secret"}) as server:
        smtp = SMTP(
            server.host, port=server.port, tls="starttls", ca_file=server.ca_file, username="ada", password="secret"
        )
        with Mailer(smtp) as mailer:
            mailer.send(letter(options, send_at=TONIGHT))
        (received,) = server.messages
        assert dict(received.mail_parameters) | {"SIZE": ""} == {
            "SIZE": "",
            "RET": "FULL",
            "ENVID": "a+20b",
            "AUTH": "ada@example.com",
            "REQUIRETLS": None,
            "MT-PRIORITY": "3",
            "BY": "3600;R",
            "HOLDUNTIL": "2026-11-23T22:00:00Z",
        }
        bob, eve = map(dict, received.rcpt_parameters)
        assert bob == {"NOTIFY": "FAILURE,DELAY"}
        assert eve == {"NOTIFY": "NEVER", "ORCPT": "rfc822;eva@example.net"}


@pytest.mark.parametrize(
    ("options", "fields", "feature"),
    [
        ({"ret": "FULL"}, {}, "dsn"),
        ({"notify": "NEVER"}, {}, "dsn"),
        ({"require_tls": True}, {}, "require_tls"),
        ({"priority": 1}, {}, "priority"),
        ({"deliver_by": 60}, {}, "deliver_by"),
        ({"submitter": "<>"}, {}, "submitter"),
        (None, {"send_at": TONIGHT}, "send_at"),
    ],
)
def test_a_server_without_the_extension_is_sent_nothing(
    options: dict[str, Any] | None, fields: dict[str, Any], feature: str
) -> None:
    """What the server does not offer is refused before MAIL; the message does not go out without it."""
    with SMTPServer(without=("DSN",)) as server, Mailer(server.url, retry=RetryPolicy.none()) as mailer:
        with pytest.raises(UnsupportedFeatureError) as raised:
            mailer.send(letter(options, **fields))
        assert raised.value.feature == feature
        assert not server.committed
        assert "MAIL" not in server.connections[0].verbs


def test_requiretls_wants_a_verified_connection() -> None:
    """A server that offers REQUIRETLS over TLS that nobody verified is not enough (RFC 8689 §2)."""
    with SMTPServer(extensions=OFFERED, tls="starttls") as server:
        smtp = SMTP(server.host, port=server.port, tls="opportunistic")
        with Mailer(smtp) as mailer, pytest.raises(UnsupportedFeatureError, match="verified TLS"):
            mailer.send(letter({"require_tls": True}))
        assert not server.committed
