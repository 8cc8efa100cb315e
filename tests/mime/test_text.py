from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.text import encode_text, has_long_line


@pytest.mark.parametrize(
    ("text", "encoding", "data"),
    [
        ("", "7bit", b""),
        ("Hi", "7bit", b"Hi"),
        ("a\nb\rc\r\nd\n\r", "7bit", b"a\r\nb\r\nc\r\nd\r\n\r\n"),
        ("\tindent\n", "7bit", b"\tindent\r\n"),
        ("..\n", "7bit", b"..\r\n"),
        ("x" * 998, "7bit", b"x" * 998),
        ("a\n.\nb", "quoted-printable", b"a\r\n=2E\r\nb"),
        (".", "quoted-printable", b"=2E"),
        (".\nx", "quoted-printable", b"=2E\r\nx"),
        ("x\n.", "quoted-printable", b"x\r\n=2E"),
        ("From me", "quoted-printable", b"=46=\r\nrom me"),
        ("x\nFrom me", "quoted-printable", b"x\r\n=46=\r\nrom me"),
        ("-- \nsignature", "quoted-printable", b"--=20\r\nsignature"),
        ("tab\t\nx", "quoted-printable", b"tab=09\r\nx"),
        ("bell\x07", "quoted-printable", b"bell=07"),
        ("schön, gut", "quoted-printable", b"sch=C3=B6n, gut"),
        ("日本", "base64", b"5pel5pys"),
        ("long enough for\x00", "base64", b"bG9uZyBlbm91Z2ggZm9yAA=="),
    ],
)
def test_chooses_what_is_safe_and_short(text: str, encoding: str, data: bytes) -> None:
    """7bit if nothing on the way could change it, else the shorter of the two encodings, and base64 for NUL."""
    assert encode_text(text, eight_bit=False) == (encoding, data)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("schön", "8bit"),
        ("日本", "8bit"),
        ("ASCII", "7bit"),
        ("schön gut ", "quoted-printable"),
        ("é\x1b[0m" + "a" * 30, "quoted-printable"),
        ("é" + "x" * 998, "quoted-printable"),
        ("é" * 500, "base64"),
    ],
)
def test_sends_eight_bits_only_in_lines_that_arrive(text: str, encoding: str) -> None:
    """With 8BITMIME, UTF-8 goes out as it is, unless a line is too long or something in it would not arrive."""
    assert encode_text(text, eight_bit=True).encoding == encoding


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is an error that says where, not a UnicodeEncodeError."""
    with pytest.raises(MessageError, match="index 3"):
        encode_text("abc\ud800", eight_bit=True)


@given(text=st.text(st.characters(exclude_categories=["Cs"])), eight_bit=st.booleans())
def test_every_text_reads_back(text: str, eight_bit: bool) -> None:
    """What is decoded is the text with CRLF; no bare CR, bare LF or NUL is ever written."""
    encoding, data = encode_text(text, eight_bit=eight_bit)
    decode = {"base64": base64.b64decode, "quoted-printable": quopri.decodestring}.get(encoding, bytes)
    wanted = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    assert decode(data) == wanted.encode()
    assert b"\x00" not in data
    assert not set(data.replace(b"\r\n", b"")) & set(b"\r\n")
    assert eight_bit or data.isascii()


@given(lengths=st.lists(st.sampled_from([0, 1, 499, 500, 996, 997, 998, 999, 1000, 2000]), max_size=8))
def test_finds_lines_that_are_too_long(lengths: list[int]) -> None:
    """998 octets and CRLF are the most that SMTP allows."""
    assert has_long_line(b"\r\n".join([b"x" * length for length in lengths])) == any(length > 998 for length in lengths)
