from __future__ import annotations

import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.mime.quoted_printable import encode_quoted_printable

TEXT = st.lists(
    st.sampled_from([b"a", b"F", b"From ", b".", b"..", b"=", b" ", b"\t", b"\r\n", b"\xc3\xa9", b"\x00", b"x" * 75]),
    max_size=80,
).map(b"".join)


@given(text=TEXT)
def test_reads_back_and_keeps_to_its_limits(text: bytes) -> None:
    """Lines have at most 76 characters, none ends with white space, starts with a dot or with "From "."""
    encoded = encode_quoted_printable(text)
    assert quopri.decodestring(encoded) == text
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
        assert not set(line) - set(range(32, 127)) - {9}
    assert b"=_" not in encoded


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        (b"", b""),
        (b"a=b", b"a=3Db"),
        (b"end ", b"end=20"),
        (b".", b"=2E"),
        (b"..", b"=2E=2E"),
        (b".a", b"=2E=\r\na"),
        (b".From x", b"=2E=46=\r\nrom x"),
        (b"From x", b"=46=\r\nrom x"),
        (b"From", b"From"),
        (b"a\r\n..\r\nb", b"a\r\n=2E=2E\r\nb"),
        (b"a\r\n.", b"a\r\n=2E"),
        (b"x" * 77, b"x" * 75 + b"=\r\nxx"),
        (b"." * 30, b"=2E" * 24 + b"=\r\n" + b"=2E" * 6),
    ],
)
def test_writes(text: bytes, encoded: bytes) -> None:
    """A few lines, octet by octet."""
    assert encode_quoted_printable(text) == encoded
