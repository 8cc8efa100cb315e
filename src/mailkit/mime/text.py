"""Text bodies: one kind of line end, and the encoding that the content and the server allow."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailkit.errors import MessageError
from mailkit.mime.base64 import encode_base64, encoded_size
from mailkit.mime.quoted_printable import encode_quoted_printable

__all__ = ["MAX_LINE", "EncodedText", "TransferEncoding", "encode_text", "has_long_line"]

TransferEncoding = Literal["7bit", "8bit", "quoted-printable", "base64", "binary"]

MAX_LINE = 998
"""Octets in a line, its CRLF aside (RFC 5322 §2.1.1)."""

_PRINTABLE = bytes((*range(32, 127), 9, 10, 13))
_EIGHT_BIT = bytes(range(128, 256))


class EncodedText(NamedTuple):
    """A text body as it goes over the wire.

    Attributes:
        encoding: Its Content-Transfer-Encoding.
        data: Lines that end with CRLF; the last one as the text itself ends.
    """

    encoding: TransferEncoding
    data: bytes


def encode_text(text: str, *, eight_bit: bool) -> EncodedText:
    """Return a text with CRLF for each of its line ends (CRLF, LF or CR), in the shortest encoding that is safe.

    Args:
        text: The body.
        eight_bit: Whether the server takes UTF-8 as it is (8BITMIME).

    Raises:
        MessageError: The text holds a lone surrogate.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        data = text.replace("\n", "\r\n").encode()
    except UnicodeEncodeError as error:
        raise MessageError(
            f"the text holds half a character at index {error.start}: decode it with the right encoding first"
        ) from None
    special = data.translate(None, _PRINTABLE)  # control characters and UTF-8's own octets
    has_controls = bool(special) and bool(special.translate(None, _EIGHT_BIT))
    if not has_controls and not _is_fragile(text) and not has_long_line(data):
        if not special:
            return EncodedText("7bit", data)
        if eight_bit:
            return EncodedText("8bit", data)
    # NUL would survive quoted-printable, but not the programs that decode it into C strings.
    escaped = len(special) + data.count(b"=")
    if "\x00" in text or len(data) + 2 * escaped > encoded_size(len(data)):
        return EncodedText("base64", encode_base64(data))
    return EncodedText("quoted-printable", encode_quoted_printable(data))


def has_long_line(data: bytes) -> bool:
    """Return whether a line has more octets than SMTP allows."""
    start = 0
    while len(data) - start > MAX_LINE:
        # The last line end within reach; lines before it are shorter still.
        end = data.rfind(b"\n", start, start + MAX_LINE + 2)
        if end < 0:
            return True
        start = end + 1
    return False


def _is_fragile(text: str) -> bool:
    # What some agent on the way changes or misreads, although RFC 5322 allows it: white space at the end of a
    # line, a line that begins with "From " (mbox), a lone dot (SMTP's own end of data).
    return (
        " \n" in text
        or "\t\n" in text
        or "\nFrom " in text
        or "\n.\n" in text
        or text.endswith((" ", "\t", "\n."))
        or text.startswith(("From ", ".\n"))
        or text == "."
    )
