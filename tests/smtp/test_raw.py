"""Prepared messages: what is refused, and that what is accepted stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import MessageError
from mailkit.smtp.raw import BLOCK, MAX_HEADER, RawContent

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = b"From: ada@example.com\r\nMessage-ID: <one@example.com>\r\n\r\nHi\r\n"


def test_a_plain_message() -> None:
    """Its size, its needs and its Message-ID are read in one pass."""
    content = RawContent.read(PLAIN)
    assert (content.size, content.body_type, content.needs_smtputf8) == (len(PLAIN), "7BIT", False)
    assert content.message_id == "one@example.com"
    assert b"".join(content.iter_bytes()) == PLAIN


def test_a_file(tmp_path: Path) -> None:
    """A path is read in blocks, twice: once to check, once to send."""
    data = PLAIN + b"0123456789abcdef\r\n" * 20_000
    path = tmp_path / "letter.eml"
    path.write_bytes(data)
    content = RawContent.read(path)
    blocks = list(content.iter_bytes())
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) == BLOCK
    assert content.size == len(data)


@pytest.mark.parametrize(
    ("data", "body_type", "smtputf8"),
    [
        (b"Subject: x\r\n\r\nna\xc3\xafve\r\n", "8BITMIME", False),
        (b"Subject: na\xc3\xafve\r\n\r\nx\r\n", "8BITMIME", True),
        (b"Subject: x\r\n\r\n", "7BIT", False),
        (b"Subject: x\r\n", "7BIT", False),
        (b"Subject: x\r\n\r\n" + b"a" * BLOCK + b"\xff\r\n", "8BITMIME", False),
    ],
)
def test_what_its_bytes_ask_for(data: bytes, body_type: str, smtputf8: bool) -> None:
    """8BITMIME for any octet above 127, SMTPUTF8 only where one stands in the header section."""
    content = RawContent.read(data)
    assert (content.body_type, content.needs_smtputf8) == (body_type, smtputf8)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", "a@b"),
        (b"MESSAGE-id:\t<a@b>\r\n\r\n", "a@b"),
        (b"Message-ID:\r\n <a@b>\r\n\r\n", "a@b"),
        (b"Subject: x\r\n\r\nMessage-ID: <body@b>\r\n", ""),
        (b"Subject: Message-ID: <a@b>\r\n\r\n", ""),
        (b"Message-ID: none\r\n\r\n", ""),
        (b"Message-ID: <a\x80@b>\r\n\r\n", ""),
    ],
)
def test_the_message_id(data: bytes, expected: str) -> None:
    """It is found in the header section only, folded or not; what is malformed is none."""
    assert RawContent.read(data).message_id == expected


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no RFC 5322 message"),
        (b"just text\r\n", "no RFC 5322 message"),
        (b"\r\nbody: x\r\n", "no RFC 5322 message"),
        (b"A: b\nC: d\r\n\r\n", "bare|CR or LF"),
        (b"A: b\r\n\r\nx\ry\r\n", "CR or LF"),
        (b"A: b\r\n\r\nx\r", "CR or LF"),
        (b"A: b\r\n\r\n\0\r\n", "NUL"),
        (b"Bcc: eve@example.net\r\n\r\n", "Bcc"),
        (b"A: b\r\nbCC : eve@example.net\r\n\r\n", "Bcc"),
        (b"A: b\r\nResent-Bcc: eve@example.net\r\n\r\n", "Bcc"),
        (b"A: " + b"x" * MAX_HEADER + b"\r\n\r\n", "no RFC 5322 message"),
        ("A: b\r\n\r\n", "bytes or a Path, not str"),
        (None, "bytes or a Path, not NoneType"),
        (bytearray(b"A: b\r\n\r\n"), "bytes or a Path, not bytearray"),
    ],
)
def test_what_is_refused(data: object, told: str) -> None:
    """Whatever two servers could read in two ways, whatever shows the blind recipients, and what is no message."""
    with pytest.raises(MessageError, match=told):
        RawContent.read(data)


def test_an_endless_header_is_not_read_to_its_end(tmp_path: Path) -> None:
    """What has no end of its header section within the limit is refused without looking at the rest."""
    path = tmp_path / "huge"
    path.write_bytes(b"A: b\r\n" * (MAX_HEADER // 6 + 20_000) + b"\0")
    with pytest.raises(MessageError, match="no RFC 5322 message"):  # and not: the NUL at its end
        RawContent.read(path)


def test_a_bcc_in_the_body_is_text() -> None:
    """Only header fields have recipients."""
    data = b"A: b\r\n\r\nBcc: eve@example.net\r\n"
    assert b"".join(RawContent.read(data).iter_bytes()) == data


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The error names the file and says why."""
    with pytest.raises(MessageError, match="cannot be read"):
        RawContent.read(tmp_path / "missing.eml")


@given(st.binary(max_size=200))
def test_what_is_accepted_is_unchanged(body: bytes) -> None:
    """Any bytes are either refused or come out again exactly."""
    data = b"Subject: x\r\n\r\n" + body
    try:
        content = RawContent.read(data)
    except MessageError:
        return
    assert b"".join(content.iter_bytes()) == data
    assert content.size == len(data)
    assert data.replace(b"\r\n", b"").translate(None, b"\r\n\0") == data.replace(b"\r\n", b"")
