"""NTLM, against pyspnego's own server side behind the test server."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError
from tests.smtp.letters import Post

from mailkit import AuthenticationError, ConfigurationError, ProtocolError
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.ntlm import NTLM
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer
from mailkit.testing.mechanisms import MECHANISMS, Accounts, Denied, Exchange

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

USERS = {"ada": "hunter2"}


@pytest.fixture
def ntlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teach the test server NTLM, with one user without a domain and one with."""
    users = tmp_path / "users"
    users.write_text(":ada:hunter2\nEXAMPLE:bob:pässwörd\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    for module in ("authentication", "server", "settings"):
        monkeypatch.setattr(f"mailkit.testing.{module}.MECHANISMS", {**MECHANISMS, "NTLM": accept})


def accept(accounts: Accounts, initial: bytes | None) -> Exchange:
    """MS-SMTPNTLM §1.3: negotiate, challenge, authenticate; with TLS, bound to the certificate."""
    assert initial is not None
    context = acceptor(accounts.channel_binding)
    answer = yield context.step(initial) or b""
    try:
        context.step(answer)
    except SpnegoError:
        raise Denied from None
    assert context.complete
    return str(context.client_principal)


def acceptor(channel_binding: bytes | None = None) -> spnego.ContextProxy:
    """Return the server's side of one login."""
    binding = channel_binding and GssChannelBindings(application_data=b"tls-server-end-point:" + channel_binding)
    return spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm, channel_bindings=binding or None)


@pytest.mark.usefixtures("ntlm")
@pytest.mark.parametrize(
    ("username", "password"), [("ada", "hunter2"), (r"EXAMPLE\bob", "pässwörd")], ids=["local", "domain"]
)
def test_a_login_by_ntlm(username: str, password: str, colour: Colour) -> None:
    """Where nothing else is offered, NTLM logs in, in one round trip more than PLAIN, and mail is sent."""
    with (
        SMTPServer(users=USERS, mechanisms=["NTLM"], require_auth=True) as server,
        Post.to(server, colour, username=username, password=password) as post,
    ):
        assert post.send().accepted
        assert server.connections[0].user == username
        assert post.verify().authenticated == "NTLM"


@pytest.mark.usefixtures("ntlm")
def test_ntlm_is_bound_to_the_certificate(colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """In TLS the login carries the server's certificate: a server with another one, an impostor's victim, refuses."""
    with SMTPServer(users=USERS, tls="starttls") as server:
        options: dict[str, Any] = {"tls": "starttls", "ca_file": server.ca_file, "mechanism": "NTLM"}
        with Post.to(server, colour, username="ada", password="hunter2", **options) as post:
            assert post.verify().authenticated == "NTLM"
            assert "PLAIN" in post.verify().mechanisms
        monkeypatch.setattr("mailkit.smtp.handshake.tls_server_end_point", lambda certificate: b"another")
        with Post.to(server, colour, username="ada", password="hunter2", **options) as post:
            error = post.attempt()
            assert isinstance(error, AuthenticationError)
            assert error.reply is not None
            assert error.reply.code == 535


@pytest.mark.usefixtures("ntlm")
def test_a_wrong_password(colour: Colour) -> None:
    """A wrong password is refused once, and shown nowhere."""
    with (
        SMTPServer(users=USERS, mechanisms=["NTLM"]) as server,
        Post.to(server, colour, username="ada", password="wr0ng-passw0rd") as post,
    ):
        error = post.attempt()
        assert isinstance(error, AuthenticationError)
        assert "'ada'" in str(error)
        assert "wr0ng" not in str(error)
        assert server.connections[0].verbs.count("AUTH") == 1


@pytest.mark.usefixtures("ntlm")
def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """pyspnego, which logs messages at DEBUG, is kept from logging ours; no repr shows the password."""
    caplog.set_level(logging.DEBUG)
    login = NTLM(Credentials("ada", password="hunter2"))
    server = acceptor()
    server._is_wrapped = True
    server.step(login.respond(server.step(login.initial()) or b""))
    login.finish()
    assert server.complete
    assert not [record for record in caplog.records if record.name.startswith("spnego")]
    assert repr(login) == "NTLM(Credentials(username='ada', password=Secret('***'), token=None))"


@pytest.mark.usefixtures("ntlm")
def test_no_third_step() -> None:
    """After the last message there is nothing to answer."""
    login = NTLM(Credentials("ada", password="hunter2"))
    login.respond(acceptor().step(login.initial()) or b"")
    with pytest.raises(ProtocolError, match="asked again after the last step of NTLM") as caught:
        login.respond(b"")
    assert caught.value.outcome == "not_sent"


@given(challenge=st.binary(max_size=200) | st.binary(max_size=200).map(b"NTLMSSP\0\2\0\0\0".__add__))
def test_no_challenge_breaks_it(challenge: bytes) -> None:
    """Whatever the server's challenge is, it is answered or it is a violation of the protocol."""
    login = NTLM(Credentials("ada", password="hunter2"))
    assert login.initial().startswith(b"NTLMSSP\0\1\0\0\0")
    with suppress(ProtocolError):
        assert login.respond(challenge).startswith(b"NTLMSSP\0\3\0\0\0")


def test_a_malformed_challenge() -> None:
    """The error names the mechanism, and not what the server sent."""
    login = NTLM(Credentials("ada", password="hunter2"))
    login.initial()
    with pytest.raises(ProtocolError, match=r"^the server's NTLM challenge cannot be answered \(\w+\)$"):
        login.respond(b"hunter2")


def test_a_system_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyspnego cannot begin, the setting is wrong, and the error says which to look at."""
    monkeypatch.setenv("LM_COMPAT_LEVEL", "9")
    with pytest.raises(ConfigurationError, match="check LM_COMPAT_LEVEL") as caught:
        NTLM(Credentials("ada", password="hunter2")).initial()
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("ntlm")
def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch, colour: Colour) -> None:
    """Without pyspnego the error says what to install: at once where NTLM is asked for, else where nothing else is."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mailkit-sdk\[ntlm\]'"):
        SMTP("mail.example.com", username="ada", password="hunter2", mechanism="NTLM")
    with (
        SMTPServer(users=USERS, mechanisms=["NTLM"]) as server,
        Post.to(server, colour, username="ada", password="hunter2") as post,
        pytest.raises(ConfigurationError, match=r"pip install 'mailkit-sdk\[ntlm\]'"),
    ):
        post.send()
    assert server.connections[0].verbs == ("EHLO",)
