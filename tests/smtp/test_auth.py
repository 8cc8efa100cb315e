"""Which mechanism is chosen, and whole AUTH conversations as they stand on the wire."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import AuthenticationError, DeliveryError, ProtocolError
from mailkit.reply import Reply
from mailkit.smtp.auth import MAX_CHALLENGES, Credentials, Exchange, choose
from mailkit.smtp.mechanism_names import MECHANISM_NAMES, NEEDS_TLS, WITH_TOKEN, MechanismName
from mailkit.smtp.mechanisms import CramMD5, Login, OAuthBearer, Plain, XOAuth2
from mailkit.smtp.ntlm import NTLM
from mailkit.smtp.scram import Scram

ALL = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "GSSAPI")
PASSWORD = Credentials("ann", password="hunter2")
TOKEN = Credentials("ann", password="hunter2", token="ya29.token")


def challenge(text: bytes) -> Reply:
    """Return a 334 with a challenge."""
    return Reply(334, base64.b64encode(text).decode())


def chosen(offered: tuple[str, ...], credentials: Credentials, **conditions: Any) -> str:
    """Return the name of the chosen mechanism."""
    return choose(offered, credentials=credentials, **{"tls": True, **conditions}).name


def test_the_strongest_mechanism_is_chosen() -> None:
    """With a password: SCRAM with and without binding, CRAM-MD5, PLAIN, LOGIN, in whatever order they are offered."""
    order = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]
    for index, name in enumerate(order):
        offered = tuple(mechanism for mechanism in ALL if mechanism not in order[:index])
        assert chosen(offered, PASSWORD, channel_binding=b"hash") == name
        assert (
            chosen(tuple(mechanism.lower() for mechanism in reversed(offered)), PASSWORD, channel_binding=b"hash")
            == name
        )


def test_a_token_comes_first() -> None:
    """With a token only the OAuth mechanisms are used, the standard one first."""
    assert chosen(ALL, TOKEN) == "OAUTHBEARER"
    assert chosen(("XOAUTH2", "PLAIN"), TOKEN) == "XOAUTH2"
    with pytest.raises(AuthenticationError, match="with a token mailkit can use OAUTHBEARER, XOAUTH2"):
        chosen(("PLAIN", "SCRAM-SHA-256"), TOKEN)


def test_the_mechanisms_are_what_they_are_called() -> None:
    """Each name gives its own class."""
    kinds: dict[str, type[object]] = {
        "SCRAM-SHA-256": Scram,
        "CRAM-MD5": CramMD5,
        "PLAIN": Plain,
        "LOGIN": Login,
        "XOAUTH2": XOAuth2,
        "OAUTHBEARER": OAuthBearer,
        "NTLM": NTLM,
    }
    for name, kind in kinds.items():
        credentials = TOKEN if "OAUTH" in name else PASSWORD
        assert type(choose([name], credentials=credentials, tls=True)) is kind


def test_binding_is_used_and_its_absence_told() -> None:
    """-PLUS needs the binding data; with them but without -PLUS on offer the flag says y, without them n."""
    assert chosen(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), PASSWORD) == "SCRAM-SHA-256"
    for offered, binding, flag in (
        (["SCRAM-SHA-256"], b"hash", b"y,,"),
        (["SCRAM-SHA-256"], None, b"n,,"),
        (["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], None, b"n,,"),
        (["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], b"hash", b"p=tls-server-end-point,,"),
    ):
        initial = choose(offered, credentials=PASSWORD, tls=True, channel_binding=binding).initial()
        assert initial is not None
        assert initial.startswith(flag)
    with pytest.raises(AuthenticationError):
        chosen(("SCRAM-SHA-256-PLUS",), PASSWORD)


@pytest.mark.parametrize(
    ("offered", "credentials"), [(("PLAIN", "LOGIN"), PASSWORD), (("OAUTHBEARER", "XOAUTH2", "PLAIN"), TOKEN)]
)
def test_no_secret_is_shown_without_tls(offered: tuple[str, ...], credentials: Credentials) -> None:
    """PLAIN, LOGIN and tokens are refused on a readable connection, unless that was asked for."""
    with pytest.raises(AuthenticationError, match="without TLS") as caught:
        chosen(offered, credentials, tls=False)
    assert caught.value.cause == "security"
    assert caught.value.phase == "auth"
    assert 'tls="insecure"' in str(caught.value)
    assert chosen(offered, credentials, tls=False, allow_cleartext=True) == offered[0]


def test_without_tls_a_hash_may_still_go() -> None:
    """SCRAM and CRAM-MD5 do not show the password."""
    assert chosen(("PLAIN", "CRAM-MD5"), PASSWORD, tls=False) == "CRAM-MD5"
    assert chosen(("PLAIN", "SCRAM-SHA-256"), PASSWORD, tls=False) == "SCRAM-SHA-256"


@pytest.mark.parametrize(("offered", "said"), [((), "no mechanism"), (("GSSAPI", "DIGEST-MD5"), "DIGEST-MD5, GSSAPI")])
def test_what_does_not_fit_is_explained(offered: tuple[str, ...], said: str) -> None:
    """The error lists what is offered and what would be possible, and is not retried."""
    with pytest.raises(AuthenticationError, match=f"offers {said}; with a password mailkit can use SCRAM") as caught:
        chosen(offered, PASSWORD)
    assert caught.value.cause == "configuration"
    assert not caught.value.retryable


def test_ntlm_comes_last() -> None:
    """NTLM is used where nothing else is offered, and never without TLS."""
    assert chosen(("NTLM", "LOGIN"), PASSWORD) == "LOGIN"
    assert chosen(("NTLM", "GSSAPI"), PASSWORD) == "NTLM"
    with pytest.raises(AuthenticationError, match="NTLM would show a password, or let it be guessed") as caught:
        chosen(("NTLM",), PASSWORD, tls=False)
    assert caught.value.cause == "security"


@pytest.mark.parametrize("name", MECHANISM_NAMES)
def test_a_mechanism_that_is_asked_for_is_the_only_one(name: MechanismName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is offered, it is used; without it, and where it would show a secret, nothing is."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # also where Kerberos is not
    credentials = TOKEN if name in WITH_TOKEN else PASSWORD
    conditions: dict[str, Any] = {"mechanism": name, "channel_binding": b"hash"}
    others = tuple(each for each in (*ALL, "NTLM") if each != name)
    assert chosen((*others, name), credentials, **conditions) == name
    with pytest.raises(AuthenticationError, match=f"mechanism='{name}' was asked for, for which there is no such") as e:
        chosen(others, credentials, **conditions)
    assert e.value.cause == "configuration"
    if name in NEEDS_TLS:
        with pytest.raises(AuthenticationError, match="use TLS") as caught:
            chosen((*others, name), credentials, tls=False, **conditions)
        assert caught.value.cause == "security"


def test_scram_asked_for_with_and_without_binding() -> None:
    """Unbound although -PLUS is offered, the flag is n, as the server would take y for an attack; bound needs TLS."""
    both = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
    for offered, flag in ((both, b"n,,"), (both[:1], b"y,,")):
        scram = choose(offered, credentials=PASSWORD, tls=True, channel_binding=b"hash", mechanism="SCRAM-SHA-256")
        assert scram.name == "SCRAM-SHA-256"
        assert (scram.initial() or b"").startswith(flag)
    with pytest.raises(AuthenticationError, match="nothing to bind it to: it needs TLS"):
        chosen(tuple(both), PASSWORD, mechanism="SCRAM-SHA-256-PLUS")


def test_plain_takes_no_round_trip_more() -> None:
    """AUTH PLAIN carries its initial response."""
    exchange = Exchange(Plain(Credentials("tim", password="tanstaaftanstaaf")))
    assert exchange.begin() == b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"
    exchange.finish()


def test_login_takes_two_challenges() -> None:
    """A LOGIN conversation with aiosmtpd's odd prompts."""
    exchange = Exchange(Login(PASSWORD))
    assert exchange.begin() == b"AUTH LOGIN\r\n"
    assert exchange.respond(challenge(b"User Name\0")) == b"YW5u\r\n"
    assert exchange.respond(challenge(b"Password\0")) == b"aHVudGVyMg==\r\n"


def test_cram_md5_on_the_wire() -> None:
    """The conversation of RFC 2195 §2, in base64."""
    exchange = Exchange(CramMD5(Credentials("tim", password="tanstaaftanstaaf")))
    assert exchange.begin() == b"AUTH CRAM-MD5\r\n"
    line = exchange.respond(Reply(334, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"))
    assert line == b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"


def test_oauthbearer_on_the_wire() -> None:
    """The failing SMTP conversation of RFC 7628 §4.3, up to the acknowledgement."""
    credentials = Credentials("user@example.com", token="vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    exchange = Exchange(choose(["OAUTHBEARER"], credentials=credentials, tls=True, host="server.example.com", port=587))
    assert exchange.begin() == (
        b"AUTH OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyI"
        b"HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB\r\n"
    )
    assert exchange.respond(challenge(b'{"status":"invalid_token"}')) == b"AQ==\r\n"
    assert exchange.mechanism.detail == '{"status":"invalid_token"}'


def test_xoauth2_acknowledges_with_an_empty_line() -> None:
    """An empty response is an empty line; only an initial one is written as = (RFC 4954 §4)."""
    exchange = Exchange(XOAuth2(TOKEN))
    assert exchange.begin().startswith(b"AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIg")
    assert exchange.respond(challenge(b'{"status":"401"}')) == b"\r\n"


def test_an_empty_initial_response_is_an_equal_sign() -> None:
    """A mechanism may begin with nothing, which is not the same as not beginning."""

    class Anonymous(Plain):
        name = "ANONYMOUS"

        def initial(self) -> bytes:
            return b""

    assert Exchange(Anonymous(PASSWORD)).begin() == b"AUTH ANONYMOUS =\r\n"


def test_scram_on_the_wire() -> None:
    """The conversation of RFC 7677 §3, in base64, ends only when the server has proved itself."""
    exchange = Exchange(Scram(Credentials("user", password="pencil"), nonce="rOprNGfwEbeRWgbNEkqO"))
    assert exchange.begin() == b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") + b"\r\n"
    first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert base64.b64decode(exchange.respond(challenge(first))).startswith(b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hv")
    with pytest.raises(AuthenticationError, match="without proving"):
        exchange.finish()
    assert exchange.respond(challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) == b"\r\n"
    exchange.finish()


@pytest.mark.parametrize("text", ["!!!notbase64", "YQ", "Y", "=", "====", "YQ==YQ==", "YW\nYW", "é", "Y Q=", "\\x00"])
def test_a_challenge_is_base64(text: str) -> None:
    """A 334 that is not strictly base64 breaks the protocol; the message was not sent, and the text not repeated."""
    exchange = Exchange(Login(PASSWORD))
    exchange.begin()
    with pytest.raises(ProtocolError, match="is not base64") as caught:
        exchange.respond(Reply(334, text))
    assert caught.value.outcome == "not_sent"
    assert caught.value.phase == "auth"
    assert str(caught.value) == "the server's LOGIN challenge is not base64"
    assert caught.value.reply is None


def test_challenges_are_bounded() -> None:
    """The eleventh challenge ends the exchange, whatever the mechanism says."""

    class Endless(Login):
        def respond(self, challenge: bytes) -> bytes:
            return b"again"

    exchange = Exchange(Endless(PASSWORD))
    for _ in range(MAX_CHALLENGES):
        assert exchange.respond(challenge(b"and?")) == b"YWdhaW4=\r\n"
    with pytest.raises(ProtocolError, match="more than 10 challenges"):
        exchange.respond(challenge(b"and?"))


@given(name=st.sampled_from(ALL[:-2]), texts=st.lists(st.text(), max_size=4))
def test_no_challenge_breaks_an_exchange(name: str, texts: list[str]) -> None:
    """Whatever the server says, the answer is one line or an error of ours."""
    exchange = Exchange(choose([name], credentials=TOKEN if "OAUTH" in name else PASSWORD, tls=True))
    exchange.begin()
    for text in texts:
        for reply in (Reply(334, text), challenge(text.encode())):
            try:
                line = exchange.respond(reply)
            except DeliveryError:
                return
            assert line.endswith(b"\r\n")
            assert line.count(b"\n") == 1
