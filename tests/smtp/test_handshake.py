"""Greeting, EHLO, TLS and AUTH: what is settled on, and what is refused before anything of a message is written."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.smtp.letters import Post, letter

from mailkit import (
    AuthenticationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    ProtocolError,
    RejectedError,
    TLSError,
    TransientError,
)
from mailkit.edge.anyio import AnyioEdge
from mailkit.smtp.auth import Exchange
from mailkit.smtp.channel import SMTPChannel
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transport import SMTP
from mailkit.testing import CloseAfter, InjectAfter, RawReply, SMTPServer, Stall, TruncateTLS

if TYPE_CHECKING:
    from tests.colours import Colour

    from mailkit.testing.certificates import CertificateKind

USERS = {"ada": "pencil-and-paper"}


def verified_tls(server: SMTPServer, **more: Any) -> dict[str, Any]:
    """Return options that demand STARTTLS with the server's own authority."""
    return {"tls": "starttls", "ca_file": server.ca_file} | more


def with_login(**more: Any) -> dict[str, Any]:
    """Return options with ada's password."""
    return {"username": "ada", "password": USERS["ada"]} | more


def failed(post: Post) -> DeliveryError:
    """Send, and return the error; nothing of a message, and no credential in clear, has reached the server."""
    error = post.attempt()
    assert isinstance(error, DeliveryError)
    assert error.outcome == "not_sent"
    assert {result.status for result in error.recipients} == {"not_sent"}
    assert error.message_id == "letter-1@example.com"
    assert error.transport == str(post.channel.transport)
    for record in post.server.connections:
        assert {"MAIL", "RCPT", "DATA", "BDAT"}.isdisjoint(record.verbs)
        if record.tls is None:
            assert "AUTH" not in record.verbs
    return error


# -- what is settled on ------------------------------------------------------------------------------------------------


def test_starttls_with_a_login(colour: Colour) -> None:
    """STARTTLS, then EHLO again, then AUTH with channel binding; the server's name was asked for in the handshake."""
    with (
        SMTPServer(tls="starttls", users=USERS, require_auth=True) as server,
        Post.to(server, colour, **verified_tls(server, **with_login())) as post,
    ):
        info = post.verify()
        assert info.host == "mx.test"
        assert info.tls_version == "TLSv1.3"
        assert info.tls_cipher is not None
        assert info.authenticated == "SCRAM-SHA-256-PLUS"
        assert "PLAIN" in info.mechanisms
        assert "PIPELINING" in info.extensions
        assert "STARTTLS" not in info.extensions
        assert info.certificate is not None
        assert info.certificate.names
        assert list(info.timings) == ["connect", "greeting", "ehlo", "starttls", "auth"]
        assert all(seconds >= 0 for seconds in info.timings.values())
        post.send()
        (record,) = server.connections
        assert record.verbs[:4] == ("EHLO", "STARTTLS", "EHLO", "AUTH")
        assert record.user == "ada"


def test_implicit_tls(colour: Colour) -> None:
    """TLS comes first, and STARTTLS is not said inside it."""
    with (
        SMTPServer(tls="implicit", users=USERS) as server,
        Post.to(server, colour, tls="implicit", ca_file=server.ca_file, **with_login()) as post,
    ):
        post.send()
        assert server.connections[0].verbs[:2] == ("EHLO", "AUTH")
        assert server.messages[0].tls == "TLSv1.3"
        assert str(post.channel.transport) == f"smtps://127.0.0.1:{server.port}"


def test_what_the_server_said_before_tls_is_forgotten() -> None:
    """An extension that was offered only in clear is not used inside TLS."""
    with SMTPServer(tls="starttls") as server, Post.to(server, **verified_tls(server)) as post:
        server.script("EHLO", RawReply(b"250-mx.test\r\n250-SIZE 10\r\n250 STARTTLS\r\n"))
        assert post.send().accepted
        assert server.connections[0].verbs.count("EHLO") == 2


def test_an_old_server_is_greeted_with_helo(colour: Colour) -> None:
    """Where EHLO is not known, HELO is said, and nothing is offered."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("EHLO", "502 5.5.1 what?", times=None)
        assert post.send().accepted
        assert server.connections[0].verbs == ("EHLO", "HELO", "MAIL", "RCPT", "RCPT", "DATA")
        assert server.violations == ()


def test_an_old_server_that_refuses_helo_too() -> None:
    """Then there is nothing left to say."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("EHLO", "502 5.5.1 what?").script("HELO", "550 5.7.1 not you")
        error = failed(post)
        assert isinstance(error, RejectedError)
        assert (error.cause, error.phase) == ("configuration", "ehlo")


@pytest.mark.parametrize("options", [{"tls": "starttls"}, with_login()])
def test_helo_is_no_way_around_tls_or_a_login(options: dict[str, Any]) -> None:
    """Where TLS or AUTH is needed, a refused EHLO is the end."""
    with SMTPServer() as server, Post.to(server, **options) as post:
        server.script("EHLO", "502 5.5.1 what?")
        assert isinstance(failed(post), RejectedError)
        assert "HELO" not in server.connections[0].verbs


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("554 5.7.1 no SMTP service here", RejectedError, "configuration"),
        ("521 5.3.2 never", RejectedError, "configuration"),
        ("421 4.3.2 busy", TransientError, "transient"),
        ("450 4.3.2 busy", TransientError, "transient"),
    ],
)
def test_a_server_that_does_not_want_us(code: str, kind: type[DeliveryError], cause: str) -> None:
    """A refusal instead of a greeting says whether it is for now or for good."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("greeting", code)
        error = failed(post)
        assert type(error) is kind
        assert (error.cause, error.phase) == (cause, "greeting")
        assert error.reply is not None
        assert error.reply.code == int(code[:3])


def test_a_greeting_without_text() -> None:
    """A bare 220 is a greeting; the host is then the one that was dialled."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("greeting", RawReply(b"220\r\n"))
        assert post.verify().host == "127.0.0.1"


def test_nobody_listens() -> None:
    """A port on which nobody listens is a connection that cannot be made, with the recipients and the Message-ID."""
    with SMTPServer() as server:
        post = Post.to(server)
    error = failed(post)
    assert isinstance(error, ConnectError)
    assert (error.cause, error.phase) == ("transient", "connect")


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_a_stripped_starttls_is_noticed(colour: Colour) -> None:
    """A server (or someone between) that does not offer STARTTLS gets neither credentials nor mail."""
    with (
        SMTPServer(tls="starttls", users=USERS, without=["STARTTLS"]) as server,
        Post.to(server, colour, **verified_tls(server, **with_login())) as post,
    ):
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase, error.retryable) == ("security", "starttls", False)
        assert "smtps://" in str(error)


@pytest.mark.parametrize(
    ("code", "cause"),
    [("454 4.7.0 not now", "transient"), ("501 5.5.2 bad", "security"), ("502 5.5.1 no", "security")],
)
def test_a_refused_starttls_is_no_reason_to_go_on_in_clear(code: str, cause: str, colour: Colour) -> None:
    """A 454 may pass, anything else is suspicious; in clear nothing is said after it."""
    with SMTPServer(tls="starttls") as server, Post.to(server, colour, **verified_tls(server)) as post:
        server.script("STARTTLS", code)
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase) == (cause, "starttls")


def test_a_refused_starttls_is_no_reason_to_go_on_in_clear_even_if_tls_was_optional() -> None:
    """Opportunistic means that TLS may be missing, not that it may fail."""
    with SMTPServer(tls="starttls") as server, Post.to(server, tls="opportunistic") as post:
        server.script("STARTTLS", "454 4.7.0 not now")
        assert isinstance(failed(post), TLSError)


@pytest.mark.parametrize(
    "injected", [b"250-mx.test\r\n250 AUTH PLAIN LOGIN\r\n", b"250 ok\r\n", b"2", b"\x16\x03\x01", b"junk\r\n", b"\r\n"]
)
def test_bytes_after_the_220_to_starttls_are_an_attack(injected: bytes, colour: Colour) -> None:
    """Whatever came in clear behind the 220 is never taken for the server's word (CVE-2011-0411)."""
    with (
        SMTPServer(tls="starttls", users=USERS) as server,
        Post.to(server, colour, **verified_tls(server, **with_login())) as post,
    ):
        server.script("STARTTLS", InjectAfter(injected))
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase) == ("security", "starttls")
        assert server.connections[0].tls is None


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("self-signed", "self-signed"),
        ("untrusted", "authority"),
        ("expired", "expired"),
        ("not-yet-valid", "not valid yet"),
        ("wrong-host", "not for this"),
    ],
)
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_bad_certificate_ends_it(kind: CertificateKind, told: str, tls: Any, colour: Colour) -> None:
    """Only a valid certificate for this host gets credentials or mail, and the error says what is wrong with others."""
    with (
        SMTPServer(tls=tls, certificate=kind, users=USERS) as server,
        Post.to(server, colour, tls=tls, ca_file=server.ca_file, **with_login()) as post,
    ):
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase, error.retryable) == ("security", "tls", False)
        assert told in str(error)


def test_the_name_may_differ_from_the_address_dialled() -> None:
    """server_hostname is what the certificate must be for, and what the server is asked for."""
    with (
        SMTPServer(tls="starttls", hostname="mail.example.com") as server,
        Post.to(server, **verified_tls(server, server_hostname="mail.example.com")) as post,
    ):
        assert post.send().accepted
        assert server.connections[0].server_name == "mail.example.com"
    with (
        SMTPServer(tls="starttls") as server,
        Post.to(server, **verified_tls(server, server_hostname="other.example.com")) as post,
    ):
        assert isinstance(failed(post), TLSError)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
def test_tls_1_0_is_too_old(colour: Colour) -> None:
    """A server that speaks nothing newer than TLS 1.0 gets nothing."""
    with (
        SMTPServer(tls="starttls", maximum_tls=ssl.TLSVersion.TLSv1) as server,
        Post.to(server, colour, **verified_tls(server)) as post,
    ):
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase) == ("security", "tls")
        assert "1.2" in str(error)


def test_plain_text_on_a_port_for_implicit_tls(colour: Colour) -> None:
    """A server that greets in clear where TLS was expected is found out at once, and the error says what to change."""
    with SMTPServer(users=USERS) as server, Post.to(server, colour, tls="implicit", timeout=60, **with_login()) as post:
        begin = time.monotonic()
        error = failed(post)
        assert isinstance(error, TLSError)
        assert (error.cause, error.phase) == ("security", "tls")
        assert "starttls" in str(error)
        assert time.monotonic() - begin < 30


def test_tls_on_a_port_for_plain_text(colour: Colour) -> None:
    """A server that waits for TLS says nothing, so the greeting times out; the error names the other kind of port."""
    with (
        SMTPServer(tls="implicit") as server,
        Post.to(server, colour, timeouts=Timeouts(greeting=0.1), **verified_tls(server)) as post,
    ):
        error = failed(post)
        assert isinstance(error, DeliveryTimeout)
        assert error.phase == "greeting"
        assert "smtps://" in str(error)


@pytest.mark.parametrize("tls", ["implicit", "insecure"])
def test_a_greeting_that_does_not_come(tls: str) -> None:
    """Where TLS is there already, or not wanted, nothing is said of another port."""
    with (
        SMTPServer(tls="implicit" if tls == "implicit" else None) as server,
        Post.to(
            server, tls=tls, ca_file=server.ca_file if tls == "implicit" else None, timeouts=Timeouts(greeting=0.1)
        ) as post,
    ):
        server.script("greeting", Stall())
        error = failed(post)
        assert isinstance(error, DeliveryTimeout)
        assert (error.outcome, error.phase) == ("not_sent", "greeting")
        assert "smtps://" not in str(error)


def test_a_tls_alert_instead_of_a_greeting() -> None:
    """A server that answers with TLS where SMTP was expected is named as such, without waiting."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("greeting", RawReply(b"\x15\x03\x01\x00\x02\x02\x46"))
        assert "smtps://" in str(failed(post))


def test_a_handshake_that_stalls(colour: Colour) -> None:
    """The TLS handshake has a deadline of its own."""
    with (
        SMTPServer(tls="starttls") as server,
        Post.to(server, colour, timeouts=Timeouts(tls=0.1), **verified_tls(server)) as post,
    ):
        server.script("TLS", Stall())
        error = failed(post)
        assert isinstance(error, DeliveryTimeout)
        assert error.phase == "tls"


@pytest.mark.parametrize("record_bytes", [0, 5, 1000])
def test_tls_that_is_cut_off_after_the_message(record_bytes: int, colour: Colour) -> None:
    """An end of the TCP stream without close_notify behind the final dot leaves the outcome unknown, never accepted."""
    with SMTPServer(tls="starttls") as server, Post.to(server, colour, **verified_tls(server)) as post:
        server.script("DOT", TruncateTLS(record_bytes=record_bytes))
        heard = post.attempt()
        if record_bytes < 1000:
            assert isinstance(heard, DeliveryError)
            assert heard.outcome == "unknown"
        else:
            assert {result.status for result in heard.recipients} == {"accepted"}


def test_opportunistic_tls_is_the_default_on_loopback() -> None:
    """A server on this machine is encrypted to where it can be, with any certificate, and in clear where it cannot."""
    with SMTPServer(tls="starttls", certificate="self-signed") as server, Post.to(server) as post:
        assert post.verify().tls_version == "TLSv1.3"
    with SMTPServer() as server, Post.to(server) as post:
        assert post.verify().tls_version is None


def test_insecure_means_clear_text() -> None:
    """tls="insecure" does not even ask for TLS."""
    with SMTPServer(tls="starttls", users=USERS, auth_before_tls=True) as server:
        with Post.to(server, tls="insecure", **with_login()) as post:
            assert post.verify().authenticated == "SCRAM-SHA-256"
        assert "STARTTLS" not in server.connections[0].verbs


# -- AUTH --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"])
def test_each_mechanism_logs_in(mechanism: str, colour: Colour) -> None:
    """Every mechanism with a password comes to its 235."""
    with (
        SMTPServer(users=USERS, mechanisms=[mechanism], require_auth=True) as server,
        Post.to(server, colour, **with_login()) as post,
    ):
        assert post.send().accepted
        assert post.verify().authenticated == mechanism


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_each_mechanism_with_a_token(mechanism: str, colour: Colour) -> None:
    """Every mechanism with a token comes to its 235."""
    with (
        SMTPServer(tokens={"ada": "tok3n"}, mechanisms=[mechanism], require_auth=True) as server,
        Post.to(server, colour, username="ada", token="tok3n") as post,
    ):
        assert post.send().accepted


def test_a_password_never_goes_in_clear_off_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TLS was not to be had, PLAIN and LOGIN are not used, and the error says why."""
    monkeypatch.setattr("mailkit.smtp.transport.is_loopback", lambda host: False)
    with (
        SMTPServer(users=USERS, mechanisms=["PLAIN", "LOGIN"]) as server,
        Post.to(server, tls="opportunistic", **with_login()) as post,
    ):
        error = failed(post)
        assert isinstance(error, AuthenticationError)
        assert (error.cause, error.phase) == ("security", "auth")


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("535 5.7.8 bad credentials", AuthenticationError, "configuration"),
        ("534 5.7.9 too weak", AuthenticationError, "configuration"),
        ("538 5.7.11 encryption required", AuthenticationError, "configuration"),
        ("550 5.7.1 disabled", AuthenticationError, "configuration"),
        ("454 4.7.0 temporary", TransientError, "transient"),
        ("432 4.7.12 password transition", TransientError, "transient"),
        ("421 4.7.0 bye", TransientError, "transient"),
    ],
)
@pytest.mark.parametrize("phase", ["AUTH", "RESPONSE"])
def test_refused_credentials(phase: Any, code: str, kind: type[DeliveryError], cause: str) -> None:
    """A 5xx is for somebody who changes a setting, a 4xx passes; in the first step of an exchange as in the last."""
    mechanisms = ["PLAIN" if phase == "AUTH" else "CRAM-MD5"]
    with SMTPServer(users=USERS, mechanisms=mechanisms) as server, Post.to(server, **with_login()) as post:
        server.script(phase, code)
        error = post.attempt()
        assert type(error) is kind
        assert isinstance(error, DeliveryError)
        assert (error.outcome, error.cause, error.phase) == ("not_sent", cause, "auth")
        assert error.reply is not None
        assert error.reply.code == int(code[:3])
        assert ("'ada'" in str(error)) is (cause == "configuration")


def test_wrong_password() -> None:
    """A wrong password is refused once, and not tried again."""
    with SMTPServer(users=USERS) as server, Post.to(server, username="ada", password="wrong") as post:
        assert isinstance(post.attempt(), AuthenticationError)
        assert server.connections[0].verbs.count("AUTH") == 1


def test_a_token_is_asked_for_again_after_a_535(colour: Colour) -> None:
    """A refused token is fetched once more, on the same connection, and each new connection gets its own."""
    tokens = iter(["stale", "fresh", "fresh"])
    with (
        SMTPServer(tokens={"ada": "fresh"}, mechanisms=["XOAUTH2"]) as server,
        Post.to(server, colour, username="ada", token=lambda: next(tokens)) as post,
    ):
        assert post.send().accepted
        assert server.connections[0].verbs.count("AUTH") == 2
        post.verify()
        assert next(tokens, "all were used") == "all were used"


def test_a_token_that_stays_bad_is_refused_with_the_servers_explanation(colour: Colour) -> None:
    """What the server says before it refuses an OAuth login (RFC 7628 §3.2.2) is in the error; the token is not."""
    with (
        SMTPServer(tokens={"ada": "good"}, mechanisms=["OAUTHBEARER"]) as server,
        Post.to(server, colour, username="ada", token=lambda: "b4d-t0ken") as post,
    ):
        error = post.attempt()
        assert isinstance(error, AuthenticationError)
        assert '"status"' in str(error)
        assert "b4d-t0ken" not in str(error)
        assert server.connections[0].verbs.count("AUTH") == 2


def test_another_refusal_is_no_reason_to_fetch_a_token() -> None:
    """Only a 535 says that the token was bad."""
    asked: list[int] = []

    def fetch() -> str:
        asked.append(1)
        return "good"

    with (
        SMTPServer(tokens={"ada": "good"}, mechanisms=["XOAUTH2"]) as server,
        Post.to(server, username="ada", token=fetch) as post,
    ):
        server.script("AUTH", "454 4.7.0 not now")
        assert isinstance(post.attempt(), TransientError)
        assert len(asked) == 1


@pytest.mark.parametrize(
    "reply", [b"334 !!!not base64\r\n", b"235 ok\r\n250 injected\r\n", b"250 ok\r\n", b"354 go\r\n", b"334 \xff\r\n"]
)
def test_a_server_that_breaks_the_exchange(reply: bytes, colour: Colour) -> None:
    """Nonsense in the middle of AUTH is a violation: not sent, and the connection dropped."""
    with (
        SMTPServer(users=USERS, mechanisms=["PLAIN"]) as server,
        Post.to(server, colour, **with_login()) as post,
    ):
        server.script("AUTH", RawReply(reply))
        error = post.attempt()
        assert isinstance(error, ProtocolError)
        assert (error.outcome, error.phase) == ("not_sent", "auth")
        assert server.committed == ()
        assert server.wait_until(lambda s: s.connections[0].closed)


def test_an_endless_exchange_ends() -> None:
    """A server that asks on and on is left after ten challenges at most."""
    with SMTPServer(users=USERS, mechanisms=["LOGIN"]) as server, Post.to(server, **with_login()) as post:
        server.script("AUTH", "334 VXNlcm5hbWU6").script("RESPONSE", "334 UGFzc3dvcmQ6", times=None)
        error = post.attempt()
        assert isinstance(error, DeliveryError)
        assert (error.outcome, error.phase) == ("not_sent", "auth")


def test_hashing_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """While SCRAM hashes, other tasks run: on the event loop's thread it does not happen."""
    threads: set[int] = set()

    respond = Exchange.respond

    def spy(self: Exchange, reply: Any) -> bytes:
        threads.add(threading.get_ident())
        return respond(self, reply)

    monkeypatch.setattr(Exchange, "respond", spy)

    async def main(server: SMTPServer) -> None:
        channel = SMTPChannel(SMTP(server.host, port=server.port, **with_login()), AnyioEdge())
        await channel.verify()
        await channel.close()

    with SMTPServer(users=USERS, mechanisms=["SCRAM-SHA-256"]) as server:
        asyncio.run(main(server))
    assert threads
    assert threading.get_ident() not in threads


def test_a_failed_handshake_leaves_no_connection_behind(colour: Colour) -> None:
    """Whatever fails before a message, the connection is closed and the next attempt makes a new one."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("EHLO", CloseAfter("421 4.3.2 no"))
        failed(post)
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert post.send(letter(2)).accepted
        assert len(server.connections) == 2
