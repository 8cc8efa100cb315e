from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.decoding import decode_charset, decode_transfer, decode_words, is_encoded
from mailkit.mime.encoded_words import encoded_words


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("", ""),
        ("plain", "plain"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1?Q?a_=E9?=", "a é"),
        ("=?utf-8*de?q?x?=", "x"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=   =?utf-8?q?b?= c", "ab c"),
        ("a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?b?w4M=?= =?utf-8?b?wqk=?=", "Ã©"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        ("=?utf-8?b?!!?=", "=?utf-8?b?!!?="),
        ("=?utf-8?q?=zz?=", "=?utf-8?q?=zz?="),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("=?utf-8?q??=", ""),
        ("=?utf-8?q?a?= =?utf-8?b?!?= b", "a =?utf-8?b?!?= b"),
    ],
)
def test_words_are_decoded(text: str, decoded: str) -> None:
    """Adjacent ones without the space between them; what is ill-formed stays as it is (RFC 2047 §6.3)."""
    assert decode_words(text, "Subject") == decoded


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_our_own_words_decode(text: str) -> None:
    """Whatever the writer encodes."""
    assert decode_words(" ".join(encoded_words(text)), "Subject") == text


@pytest.mark.parametrize("charset", ["nope", "utf-7", "idna", "punycode", "rot13", "hex", "unicode-escape", "x" * 99])
def test_a_charset_that_is_none_is_refused(charset: str) -> None:
    """Neither unknown ones nor those that hide something."""
    with pytest.raises(MessageError, match="charset"):
        decode_words(f"=?{charset}?q?a?=", "Subject")
    with pytest.raises(MessageError, match="charset"):
        decode_charset(b"a", charset, "the message")


def test_octets_in_another_charset_are_refused() -> None:
    """Rather than replaced."""
    with pytest.raises(MessageError, match="not in the charset"):
        decode_charset(b"\xe9", "utf-8", "the message")


@pytest.mark.parametrize(
    ("data", "encoding", "decoded"),
    [
        (b"a=41", "", b"a=41"),
        (b"a=41", "7bit", b"a=41"),
        (b"a=41", "quoted-printable", b"aA"),
        (b"QQ==\r\n", "base64", b"A"),
        (b"Q Q = =", "base64", b"A"),
    ],
)
def test_transfer_encodings_are_decoded(data: bytes, encoding: str, decoded: bytes) -> None:
    """All five."""
    assert decode_transfer(data, encoding, "part 1") == decoded


@pytest.mark.parametrize(("data", "encoding"), [(b"Q", "base64"), (b"x", "x-uuencode"), (b"x", "gzip")])
def test_what_cannot_be_decoded_is_refused(data: bytes, encoding: str) -> None:
    """Base64 that is cut off, and encodings that nobody knows."""
    with pytest.raises(MessageError, match="part 1"):
        decode_transfer(data, encoding, "part 1")


@pytest.mark.parametrize(
    ("text", "expected"), [("=?utf-8?q?a?=", True), ("=?a?q?b?= =?c?b?d?=", True), ("x =?a?q?b?=", False), ("x", False)]
)
def test_tells_whether_a_text_is_encoded_throughout(text: str, expected: bool) -> None:
    """Only then is a file name of another program decoded."""
    assert is_encoded(text) is expected
