"""GSSAPI with tickets of a real key distribution centre, which the server's side checks with a real key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import spnego

from mailkit import AuthenticationError, Mailer, Message
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer
from mailkit.testing.mechanisms import MECHANISMS, Accounts, Denied, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .colours import Post
    from .kerberos import Kerberos

MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


def accept(accounts: Accounts, initial: bytes | None) -> Exchange:
    """RFC 4752 §3.2, the server's side."""
    assert initial is None
    context = spnego.server(hostname="localhost", service="smtp", protocol="kerberos")
    token = context.step((yield b""))
    while not context.complete:
        token = context.step((yield token or b""))
    if token:
        assert (yield token) == b""
    answer = context.unwrap((yield context.wrap(b"\x07\0\x10\0", encrypt=False).data)).data
    if answer != b"\x01\0\0\0":
        raise Denied
    return str(context.client_principal)


@pytest.fixture
def server(kerberos: Kerberos, monkeypatch: pytest.MonkeyPatch) -> Iterator[SMTPServer]:
    """A server that takes tickets and nothing else; its client's side has one."""
    for module in ("authentication", "server", "settings"):
        monkeypatch.setattr(f"mailkit.testing.{module}.MECHANISMS", {**MECHANISMS, "GSSAPI": accept})
    for name, value in kerberos.environment(tickets=True).items():
        monkeypatch.setenv(name, value)
    with SMTPServer(mechanisms=["GSSAPI"], require_auth=True) as running:
        yield running


def transport(server: SMTPServer, **options: str) -> SMTP:
    """Return a transport whose name in Kerberos is the one that the keytab holds."""
    return SMTP("localhost", port=server.port, mechanism="GSSAPI", **options)  # type: ignore[arg-type]


def test_a_ticket_logs_in(server: SMTPServer, kerberos: Kerberos, post: Post) -> None:
    """Without a user name or a password, the ticket's owner sends a message."""
    [receipt] = post.send(transport(server), MESSAGE)
    assert receipt.accepted
    assert server.connections[0].user == kerberos.principal


def test_the_owner_of_a_ticket_may_be_named(server: SMTPServer, kerberos: Kerberos) -> None:
    """With a user name, the ticket is looked for among those of the cache; nobody else's is taken for it."""
    with Mailer(transport(server, username=kerberos.principal)) as mailer:
        assert mailer.verify().authenticated == "GSSAPI"
    with Mailer(transport(server, username="eve@MAIL.TEST")) as mailer, pytest.raises(AuthenticationError, match="eve"):
        mailer.send(MESSAGE)


def test_a_password_gets_a_ticket(server: SMTPServer, kerberos: Kerberos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a ticket, the password gets one; a wrong one does not, and without either the error says what to do."""
    monkeypatch.setenv("KRB5CCNAME", kerberos.environment(tickets=False)["KRB5CCNAME"])
    with Mailer(transport(server, username=kerberos.user, password=kerberos.password)) as mailer:
        assert mailer.send(MESSAGE).accepted
    wrong = transport(server, username=kerberos.user, password="wr0ng")
    for unfit in (wrong, transport(server)):
        with Mailer(unfit) as mailer, pytest.raises(AuthenticationError, match="has no ticket for smtp@localhost") as e:
            mailer.send(MESSAGE)
        assert (e.value.outcome, e.value.cause) == ("not_sent", "configuration")
        assert "wr0ng" not in str(e.value)
