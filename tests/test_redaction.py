"""Servers that repeat secrets, and what is left of them."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailkit.redaction import Redactor, printable, redact
from mailkit.secret import Secret
from mailkit.smtp.credentials import Credentials
from mailkit.smtp.mechanisms import OAuthBearer, Plain, XOAuth2

PASSWORD = "p/ss wörd+1%"


def test_an_echoed_password_is_masked() -> None:
    """The text around it stays."""
    text = "bad credentials for user=alice pass=hunter2"
    assert redact(text, [Secret("hunter2")]) == "bad credentials for user=alice pass=***"


@pytest.mark.parametrize(
    "echo",
    [
        PASSWORD,
        repr(PASSWORD),
        repr("\x1b" + PASSWORD),
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote_plus(PASSWORD),
        quote(PASSWORD).lower(),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(Plain(Credentials("ann", password=PASSWORD)).initial()).decode(),
        "AUTH PLAIN " + base64.b64encode(Plain(Credentials("anna", password=PASSWORD)).initial()).decode(),
        base64.b64encode(f"ann:{PASSWORD}:x".encode()).decode(),
    ],
)
def test_every_form_is_masked(echo: str) -> None:
    """Plain, escaped, percent-encoded, base64 alone and within a SASL message: nothing to read it from is left."""
    masked = redact(f"535 5.7.8 no: <{echo}> try again", [Secret(PASSWORD)])
    assert masked.startswith("535 5.7.8 no: <")
    assert masked.endswith("> try again")
    assert "***" in masked
    for part in ("wörd", "rd+1%", "ss%20w", "w%C3%B6rd", "w%c3%b6rd", base64.b64encode(b"ss w").decode()[:4]):
        assert part not in masked


def test_the_form_in_a_reply_is_masked() -> None:
    """A secret with control characters is found as the reply parser shows it."""
    secret = "tab\there\x1b"
    assert redact(f"pass={printable(secret.encode())}", [Secret(secret)]) == "pass=***"


def test_oauth_messages_are_masked() -> None:
    """The messages of XOAUTH2 and OAUTHBEARER, repeated in base64, disappear as a whole."""
    credentials = Credentials("ann@example.com", token="ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    assert credentials.token
    for message in (XOAuth2(credentials).initial(), OAuthBearer(credentials, host="mx", port=587).initial()):
        echo = base64.b64encode(message).decode()
        assert redact(f"cannot parse {echo}, sorry", [credentials.token]) == "cannot parse ***, sorry"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("bad password", "bad password"),
        ("pass=p, p", "pass=***, ***"),
        ("up, hip, p1", "up, hip, p1"),
        ("cA== cAx", "*** cAx"),
    ],
)
def test_a_short_secret_is_masked_where_it_stands_alone(text: str, masked: str) -> None:
    """A secret of a few letters is masked as a word of its own, not inside other words."""
    assert redact(text, [Secret("p")]) == masked


def test_without_secrets_nothing_changes() -> None:
    """No secret, or an empty one, masks nothing."""
    assert redact("535 no", []) == "535 no"
    assert redact("535 no", [Secret("")]) == "535 no"


def test_ordinary_words_stay() -> None:
    """Long words that are base64 characters but do not hold the secret are left."""
    text = "queued as 4Zk3jB1vQpz9, Authentication-Results dGhpcyBpcyBub3RoaW5n"
    assert redact(text, [Secret("hunter2")]) == text


def test_several_secrets_are_masked() -> None:
    """The longer of two overlapping secrets goes as a whole."""
    assert redact("a hunter2000 b hunter2", [Secret("hunter2"), Secret("hunter2000")]) == "a *** b ***"


def test_a_redactor_does_not_show_its_secrets() -> None:
    """Its repr holds nothing."""
    assert repr(Redactor([Secret("hunter2")])) == "Redactor(***)"


@given(
    secret=st.text(min_size=4, max_size=30),
    before=st.binary(max_size=5),
    after=st.binary(max_size=5),
)
def test_no_base64_gives_it_away(secret: str, before: bytes, after: bytes) -> None:
    """Wherever base64 carries the secret, what is left does not decode to it."""
    data = secret.encode()
    echo = base64.b64encode(before + data + after).decode()
    assume("*" not in secret)
    assert redact(f"line {echo} end", [Secret(secret)]) == "line *** end"


def test_a_server_that_answers_in_latin_1_is_understood() -> None:
    """A secret whose letters come back in another encoding, and are shown escaped for it, is masked all the same."""
    reply = printable("535 no wörd-pass".encode("latin-1"))
    assert reply == "535 no w\\xf6rd-pass"
    assert Redactor([Secret("wörd-pass")])(reply) == "535 no ***"
