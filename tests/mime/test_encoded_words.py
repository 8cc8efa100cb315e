from __future__ import annotations

import re
from email.header import decode_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.encoded_words import MIN_ROOM, encoded_words

_WORD = re.compile(r"=\?utf-8\?[bq]\?[!->@-~]+\?=")


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), room=st.integers(MIN_ROOM, 80))
def test_words_keep_their_limits_and_split_no_character(text: str, room: int) -> None:
    """Each word has at most 75 characters, the first no more than its room, and each is whole text by itself."""
    words = encoded_words(text, room=room)
    assert len(words[0]) <= min(room, 75)
    assert all(len(word) <= 75 and _WORD.fullmatch(word) for word in words)
    decoded = [b"".join(piece for piece, _ in decode_header(word)).decode() for word in words]
    assert "".join(decoded) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("é", ["=?utf-8?b?w6k=?="]),
        ("Grüße", ["=?utf-8?b?R3LDvMOfZQ==?="]),
        ("Ada Lövelace", ["=?utf-8?q?Ada_L=C3=B6velace?="]),
        ("日本語", ["=?utf-8?b?5pel5pys6Kqe?="]),
        ("a=?b", ["=?utf-8?q?a=3D=3Fb?="]),
        ("a_b c=?", ["=?utf-8?b?YV9iIGM9Pw==?="]),
        ("x" * 64, ["=?utf-8?q?" + "x" * 63 + "?=", "=?utf-8?q?x?="]),
        ("x" * 61 + "é", ["=?utf-8?q?" + "x" * 61 + "?=", "=?utf-8?q?=C3=A9?="]),
        ("x" * 62 + "é", ["=?utf-8?q?" + "x" * 62 + "?=", "=?utf-8?q?=C3=A9?="]),
        ("x" * 58 + "é", ["=?utf-8?q?" + "x" * 58 + "?=", "=?utf-8?q?=C3=A9?="]),
    ],
)
def test_takes_the_shorter_encoding(text: str, words: list[str]) -> None:
    """Q for text that is mostly ASCII, B for the rest; where a character does not fit, the next word has it."""
    assert encoded_words(text) == words


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is an error that says where, not a UnicodeEncodeError."""
    with pytest.raises(MessageError, match="index 1"):
        encoded_words("a\ud800")
