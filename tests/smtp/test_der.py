"""Elements of DER, whole, cut off, and of another kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.smtp.der import OBJECT_IDENTIFIER, SEQUENCE, Element, read


def test_an_element_is_read_and_what_follows_it() -> None:
    """Content, the whole element, and the rest."""
    assert read(b"\x30\x03abcdef", SEQUENCE) == Element(0x30, b"abc", b"\x30\x03abc", b"def")
    assert read(b"\x06\x00").tag == OBJECT_IDENTIFIER


@given(st.integers(0, 70_000), st.binary(max_size=5))
def test_every_length_is_read(size: int, rest: bytes) -> None:
    """Short and long forms of the length say the same."""
    forms = [b"\x83" + size.to_bytes(3)] + ([bytes([size])] if size < 128 else [])
    for form in forms:
        element = read(b"\x30" + form + bytes(size) + rest)
        assert (len(element.content), element.rest) == (size, rest)


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x31\x00", b"\x30\x02a", b"\x30\x82\x01", b"\x30\x84\xff\xff\xff\xff"]
)
def test_what_is_not_there_cannot_be_read(data: bytes) -> None:
    """Nothing, another element or one that is cut off is a ValueError."""
    with pytest.raises(ValueError, match="element"):
        read(data, SEQUENCE)
