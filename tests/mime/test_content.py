from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.attachment import Attachment
from mailkit.attachment_source import MemorySource
from mailkit.errors import MessageError
from mailkit.mime.base64 import BLOCK_SIZE
from mailkit.mime.content import Content, as_base64, as_binary, as_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Cut(MemorySource):
    """Bytes that come in the blocks that a test wants."""

    def iter_blocks(self, size: int) -> Iterator[bytes]:
        """Yield blocks of three."""
        return super().iter_blocks(3)


def message(data: bytes) -> Attachment:
    """Return an attached message that is read three bytes at a time."""
    return Attachment(Cut(data), media_type="message/rfc822")


def canonical(data: bytes) -> bytes:
    """Return the same with CRLF everywhere."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def test_octets_are_counted_before_and_while_they_are_read() -> None:
    """More or fewer than announced is an error, so that a size that was sent is never wrong."""
    assert b"".join(Content("binary", 3, lambda: iter([b"a", b"bc"])).iter_blocks()) == b"abc"
    for size in (2, 4):
        with pytest.raises(MessageError, match="changed its size"):
            list(Content("binary", size, lambda: iter([b"a", b"bc"])).iter_blocks())


@pytest.mark.parametrize("size", [0, 1, 57, BLOCK_SIZE, BLOCK_SIZE + 1])
def test_an_attachment_is_read_anew_each_time(size: int) -> None:
    """In base64 or as it is, with the size that was announced."""
    attachment = Attachment.from_bytes(bytes(size))
    for content in (as_base64(attachment), as_binary(attachment)):
        first, second = b"".join(content.iter_blocks()), b"".join(content.iter_blocks())
        assert first == second
        assert len(first) == content.size


@given(data=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bcd", b"\xc3\xa9"]), max_size=40).map(b"".join))
def test_a_message_goes_out_in_lines_wherever_its_blocks_are_cut(data: bytes) -> None:
    """Every CR, LF and CRLF becomes one CRLF, and eight bits are seen."""
    content = as_message(message(data), eight_bit=True)
    assert content is not None
    assert b"".join(content.iter_blocks()) == canonical(data)
    assert content.size == len(canonical(data))
    assert content.encoding == ("7bit" if data.isascii() else "8bit")


@pytest.mark.parametrize(
    ("data", "eight_bit"), [(b"a\0b", True), (b"x" * 999, True), (b"x" * 100_000, True), (b"\xe9", False)]
)
def test_a_message_that_cannot_go_out_so_is_none(data: bytes, eight_bit: bool) -> None:
    """NUL, long lines, or eight bits for a server that takes seven."""
    assert as_message(message(data), eight_bit=eight_bit) is None
    assert as_message(Attachment.from_bytes(data), eight_bit=eight_bit) is None


@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n"])
def test_a_message_without_lines_for_a_whole_block_is_read(end: bytes) -> None:
    """A block without a line end is passed on, but for a CR that may have its LF in the next one."""
    data = b"x" * (BLOCK_SIZE // 2 - len(end)) + end + b"\nend"
    assert as_message(Attachment.from_bytes(data), eight_bit=True) is None


def test_a_message_that_changes_while_it_is_sent_is_an_error(tmp_path: Path) -> None:
    """A file of the same size with other bytes would break what was announced."""
    path = tmp_path / "a.eml"
    path.write_bytes(b"Subject: x\r\n\r\nhello\r\n")
    content = as_message(Attachment.from_path(path), eight_bit=False)
    assert content is not None
    assert content.encoding == "7bit"
    for changed in (b"\xe9", b"\0"):
        path.write_bytes(b"Subject: x\r\n\r\nhell" + changed + b"\r\n")
        with pytest.raises(MessageError, match="has changed"):
            list(content.iter_blocks())
