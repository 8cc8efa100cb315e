"""The exchange of RFC 4752 with a security context of the tests' own; Kerberos itself is in the integration tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st

from mailkit import AuthenticationError, ConfigurationError, ProtocolError
from mailkit.smtp.auth import choose
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.gssapi import GSSAPI
from mailkit.smtp.login import Login
from mailkit.smtp.transport import SMTP

TICKET = Credentials("", ticket=True)


class Context:
    """A context that sends "hello", is convinced by "prove" and wraps in brackets.

    Args:
        last: What it still has to say when it is convinced.
    """

    def __init__(self, last: bytes | None = None) -> None:
        self.complete = False
        self._last = last

    def step(self, token: bytes | None = None) -> bytes | None:
        """Take a token, give a token."""
        if token is None:
            return b"hello"
        if token != b"prove":
            raise ValueError("an impostor's token")
        self.complete = True
        return self._last

    def unwrap(self, data: bytes) -> SimpleNamespace:
        """Take the brackets off."""
        if data[:1] + data[-1:] != b"[]":
            raise ValueError("not wrapped by whom we know")
        return SimpleNamespace(data=data[1:-1])

    def wrap(self, data: bytes, *, encrypt: bool) -> SimpleNamespace:
        """Put the brackets on."""
        assert not encrypt
        return SimpleNamespace(data=b"[" + data + b"]")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Kerberos count as installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def login_with(context: Context | Exception, monkeypatch: pytest.MonkeyPatch, asked: list[Any] | None = None) -> GSSAPI:
    """Return a login that uses the given context, or finds none."""

    def client(*arguments: Any, **options: Any) -> Context:
        if asked is not None:
            asked.append((arguments, options))
        if isinstance(context, Exception):
            raise context
        return context

    monkeypatch.setattr(spnego, "client", client)
    return GSSAPI(TICKET, host="mail.example.com")


@pytest.mark.parametrize("last", [b"bye", None])
def test_the_exchange(last: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty challenge, tokens until both are convinced, then no security layer and no authorization identity."""
    asked: list[Any] = []
    login = login_with(Context(last), monkeypatch, asked)
    assert login.initial() is None  # type: ignore[func-returns-value]
    assert login.respond(b"") == b"hello"
    assert login.respond(b"prove") == (last or b"")
    assert login.respond(b"[\x07\x00\x10\x00]") == b"[\x01\0\0\0]"
    login.finish()
    with pytest.raises(ProtocolError, match="asked again after the last step"):
        login.respond(b"")
    [(who, options)] = asked
    assert who == (None, None)
    assert (options["hostname"], options["service"], options["protocol"]) == ("mail.example.com", "smtp", "kerberos")
    assert options["context_req"] & spnego.ContextReq.mutual_auth
    assert "channel_bindings" not in options


@pytest.mark.parametrize("challenges", [[b""], [b"", b"prove"], []])
def test_a_235_too_early_is_no_proof(challenges: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says yes before the last step has not proved who it is."""
    login = login_with(Context(), monkeypatch)
    for challenge in challenges:
        login.respond(challenge)
    with pytest.raises(AuthenticationError, match="without proving to be smtp@mail") as caught:
        login.finish()
    assert (caught.value.cause, caught.value.outcome) == ("security", "not_sent")


@pytest.mark.parametrize("challenges", [[b"", b"fake"], [b"", b""], [b"", b"prove", b"\x01\0\0\0"]])
def test_an_impostor(challenges: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A token or a wrapping that is not the server's ends the login."""
    login = login_with(Context(), monkeypatch)
    for challenge in challenges[:-1]:
        login.respond(challenge)
    with pytest.raises(AuthenticationError, match="did not prove to be smtp@mail") as caught:
        login.respond(challenges[-1])
    assert caught.value.cause == "security"


@pytest.mark.parametrize(
    ("offer", "kind", "told"),
    [
        (b"", ProtocolError, "malformed"),
        (b"\x01\0\0", ProtocolError, "malformed"),
        (b"\x01\0\0\0\0", ProtocolError, "malformed"),
        (b"\x01\0\x10\0", ProtocolError, "malformed"),
        (b"\x06\0\x10\0", AuthenticationError, "without a security layer"),
    ],
)
def test_security_layers(offer: bytes, kind: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 4752 §3.1: four octets, no buffer without a layer; and where a layer is demanded, there is no login."""
    login = login_with(Context(), monkeypatch)
    login.respond(b"")
    login.respond(b"prove")
    with pytest.raises(kind, match=told):
        login.respond(b"[" + offer + b"]")
    with pytest.raises(AuthenticationError):
        login.finish()


@given(challenges=st.lists(st.binary(max_size=9) | st.sampled_from([b"prove", b"[\x01\0\0\0]"]), max_size=5))
def test_no_challenge_breaks_it(challenges: list[bytes]) -> None:
    """Whatever the server says, it is answered or it is an error of ours; only one way leads to a login."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        login = login_with(Context(), monkeypatch)
        try:
            for challenge in challenges:
                login.respond(challenge)
            login.finish()
        except (AuthenticationError, ProtocolError):
            return
        assert len(challenges) == 3
        assert challenges[1] == b"prove"


def test_no_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kerberos says is in the error, printable, and what to do next."""
    login = login_with(ValueError("no\x1bcredentials"), monkeypatch)
    with pytest.raises(
        AuthenticationError, match=r"no ticket for smtp@mail.example.com: no\\x1bcredentials.*kinit"
    ) as e:
        login.respond(b"")
    assert e.value.cause == "configuration"
    assert repr(login).startswith("GSSAPI(Credentials(username=''")


def test_only_a_ticket_needs_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """With GSSAPI, a user name and a password are each optional, but not a password for nobody; it is never a guess."""
    for given_ in ({}, {"username": "ada"}, {"username": "ada", "password": "x"}):
        transport = SMTP("mail.example.com", mechanism="GSSAPI", **given_)  # type: ignore[arg-type]
        assert transport.login() == Login(
            username=given_.get("username", ""), password=transport.password, mechanism="GSSAPI"
        )
    for wrong in ({"password": "x"}, {"token": "x"}):
        with pytest.raises(ConfigurationError, match="needs a username"):
            SMTP("mail.example.com", mechanism="GSSAPI", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="GSSAPI takes a password, not a token"):
        SMTP("mail.example.com", mechanism="GSSAPI", username="ada", token="x")
    with pytest.raises(AuthenticationError):
        choose(["GSSAPI"], credentials=Credentials("ada", password="x"), tls=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "krb5" else name)
    with pytest.raises(ConfigurationError, match=r"pip install 'mailkit-sdk\[gssapi\]'"):
        SMTP("mail.example.com", mechanism="GSSAPI")
