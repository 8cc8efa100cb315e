"""The simple SASL mechanisms, on the examples of their specifications."""

from __future__ import annotations

import hmac

import pytest

from mailkit.errors import ConfigurationError, ProtocolError
from mailkit.secret import Secret
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.mechanisms import CramMD5, Login, Mechanism, OAuthBearer, Plain, XOAuth2

TIM = Credentials("tim", password="tanstaaftanstaaf")
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def test_plain_is_the_example_of_rfc_4616() -> None:
    """PLAIN sends everything at once (RFC 4616 §4) and takes no challenge."""
    plain = Plain(TIM)
    assert plain.initial() == b"\0tim\0tanstaaftanstaaf"
    plain.finish()
    with pytest.raises(ProtocolError, match="asked again"):
        plain.respond(b"")


def test_plain_is_utf8() -> None:
    """User names and passwords travel as UTF-8, unprepared."""
    assert Plain(Credentials("jörg", password="pässwörd")).initial() == "\0jörg\0pässwörd".encode()


@pytest.mark.parametrize(
    "challenges",
    [(b"Username:", b"Password:"), (b"User Name\0", b"Password\0"), (b"", b""), (b"Password:", b"Username:")],
)
def test_login_counts_its_challenges(challenges: tuple[bytes, bytes]) -> None:
    """Whatever the challenges say, the first gets the user name, the second the password, a third nothing."""
    login = Login(TIM)
    assert login.initial() is None
    assert [login.respond(challenge) for challenge in challenges] == [b"tim", b"tanstaaftanstaaf"]
    login.finish()
    with pytest.raises(ProtocolError, match="asked again"):
        login.respond(b"Password:")


def test_cram_md5_is_the_example_of_rfc_2195() -> None:
    """CRAM-MD5 answers as RFC 2195 §2 shows."""
    cram = CramMD5(TIM)
    assert cram.initial() is None
    response = cram.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert response == b"tim b913a602c7eda7a495b4e6e7334d3890"
    with pytest.raises(ProtocolError, match="asked again"):
        cram.respond(b"<1@x>")


def test_cram_md5_without_md5_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no MD5, the error names the way out."""

    def without_md5(*arguments: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hmac, "new", without_md5)
    with pytest.raises(ConfigurationError, match="SCRAM-SHA-256"):
        CramMD5(TIM).respond(b"<1@x>")


def test_xoauth2_is_googles_example() -> None:
    """XOAUTH2 sends user and token at once, and acknowledges a failure with an empty response."""
    credentials = Credentials("someuser@example.com", token="ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    xoauth2 = XOAuth2(credentials)
    assert xoauth2.initial() == (
        b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
    )
    assert xoauth2.detail is None
    assert xoauth2.respond(b'{"status":"401","schemes":"bearer"}') == b""
    assert xoauth2.detail == '{"status":"401","schemes":"bearer"}'
    with pytest.raises(ProtocolError, match="asked again"):
        xoauth2.respond(b"{}")


def test_oauthbearer_is_the_example_of_rfc_7628() -> None:
    """OAUTHBEARER sends GS2 header, host, port and token (RFC 7628 §4.1), and acknowledges a failure with ^A."""
    bearer = OAuthBearer(Credentials("user@example.com", token=TOKEN), host="server.example.com", port=143)
    assert bearer.initial() == (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    )
    assert bearer.respond(b'{"status":"invalid_token\x1b"}') == b"\x01"
    assert bearer.detail == '{"status":"invalid_token\\x1b"}'
    bearer.finish()


def test_oauthbearer_without_host() -> None:
    """Host and port are left out where they are not told; commas and equal signs in the name are escaped."""
    bearer = OAuthBearer(Credentials("a,b=c", token=TOKEN))
    assert bearer.initial() == b"n,a=a=2Cb=3Dc,\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    with pytest.raises(ConfigurationError, match="surrogate"):
        OAuthBearer(Credentials("a", token=TOKEN), host="\ud800").initial()


@pytest.mark.parametrize("mechanism", [Plain, Login, CramMD5, XOAuth2, OAuthBearer])
def test_no_mechanism_shows_its_secret(mechanism: type[Plain]) -> None:
    """Neither repr nor str of credentials and mechanisms holds the password or the token."""
    credentials = Credentials("ann", password=Secret("hunter2"), token="eyJhbGciOi")
    made: Mechanism = mechanism(credentials)
    for text in (repr(credentials), str(credentials), repr(made), str(made)):
        assert "hunter2" not in text
        assert "eyJ" not in text
        assert "ann" in text
