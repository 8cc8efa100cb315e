"""What stands in a part: an attachment's bytes, in the encoding that fits them, read while they are sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.mime.base64 import BLOCK_SIZE, encoded_size, iter_base64
from mailkit.mime.text import has_long_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.attachment import Attachment
    from mailkit.mime.text import TransferEncoding

__all__ = ["Content", "as_base64", "as_binary", "as_message"]


@frozen
class Content:
    """Octets whose number is known before they are read, and that can be read again.

    Args:
        encoding: Their Content-Transfer-Encoding.
        size: How many there are.
        blocks: Gives them anew, in blocks of at most 64 KiB.
        is_raw: Whether a boundary could stand in them.
    """

    encoding: TransferEncoding
    size: int
    blocks: Callable[[], Iterator[bytes]] = field(repr=False)
    is_raw: bool = False

    def iter_blocks(self) -> Iterator[bytes]:
        """Yield the octets.

        Raises:
            MessageError: There are more or fewer of them than when they were counted, or they cannot be read.
        """
        left = self.size
        for block in self.blocks():
            left -= len(block)
            if left < 0:
                break
            yield block
        if left:
            raise MessageError(
                "an attachment has changed its size while the message was being sent: build the message again"
            )


def as_base64(attachment: Attachment) -> Content:
    """Return an attachment's bytes in base64."""
    return Content("base64", encoded_size(attachment.size), lambda: iter_base64(attachment.iter_blocks(BLOCK_SIZE)))


def as_binary(attachment: Attachment) -> Content:
    """Return an attachment's bytes as they are, for BINARYMIME (RFC 3030)."""
    return Content("binary", attachment.size, lambda: attachment.iter_blocks(BLOCK_SIZE), is_raw=True)


def as_message(attachment: Attachment, *, eight_bit: bool) -> Content | None:
    """Return an attached message as it has to go out: with CRLF, and not encoded (RFC 2046 §5.2.1).

    Its bytes are read once for this, to count them.

    Returns:
        None, if it cannot go out so: it has octets beyond ASCII that the server does not take, NUL, or lines that are
        too long.

    Raises:
        MessageError: Its bytes cannot be read.
    """
    size = 0
    encoding: TransferEncoding = "7bit"
    for block in _lines(attachment):
        if not _fits(block):
            return None
        if not block.isascii():
            encoding = "8bit"
        size += len(block)
    if encoding == "8bit" and not eight_bit:
        return None
    return Content(encoding, size, partial(_checked_lines, attachment, encoding), is_raw=True)


def _checked_lines(attachment: Attachment, encoding: TransferEncoding) -> Iterator[bytes]:
    for block in _lines(attachment):
        if not _fits(block) or (encoding == "7bit" and not block.isascii()):
            raise MessageError("an attached message has changed while it was being sent: build the message again")
        yield block


def _fits(block: bytes) -> bool:
    return b"\x00" not in block and not has_long_line(block)


def _lines(attachment: Attachment) -> Iterator[bytes]:
    """Yield whole lines that end with CRLF, whatever they ended with; a line that is too long comes in pieces."""
    rest = b""
    for block in attachment.iter_blocks(BLOCK_SIZE // 2):
        data = rest + block
        # A CR at the end may have its LF in the next block.
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
        if not end and len(data) >= BLOCK_SIZE // 2:
            end = len(data) - data.endswith(b"\r")
        rest = data[end:]
        if end:
            yield _with_crlf(data[:end])
    if rest:
        yield _with_crlf(rest)


def _with_crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
