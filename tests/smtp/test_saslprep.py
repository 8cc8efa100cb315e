"""SASLprep on the examples of RFC 4013 §3 and on what real passwords hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import ConfigurationError
from mailkit.smtp.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),
        ("pass word ~!", "pass word ~!"),
        ("u\u0308", "ü"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u06271\u0628", "\u06271\u0628"),
        ("🔑", "🔑"),
        ("ǆ", "dž"),
    ],
)
def test_text_is_prepared(text: str, prepared: str) -> None:
    """Spaces are spaces, invisible characters go, and one spelling is left of several; Unicode 3.2 decides."""
    assert saslprep(text, "the password") == prepared


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\u00ad",
        "\u0007",
        "a\x7f",
        "a\r\nb",
        "\u06271",
        "1\u0627",
        "\u0627a\u0628",
        "\ue000",
        "\ufffd",
        "\u200e",
        "a\ud800",
    ],
)
def test_prohibited_text_is_refused_without_showing_it(text: str) -> None:
    """Controls, private and direction-changing characters, mixed directions and nothing at all are refused."""
    with pytest.raises(ConfigurationError) as caught:
        saslprep(text, "the password")
    assert str(caught.value).startswith("the password ")
    assert not text or text not in str(caught.value)


@given(st.text())
def test_preparing_twice_changes_nothing(text: str) -> None:
    """What was prepared is prepared, and no other error than ours comes."""
    try:
        prepared = saslprep(text, "the password")
    except ConfigurationError:
        return
    assert saslprep(prepared, "the password") == prepared
