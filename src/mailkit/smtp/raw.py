"""Prepared RFC 5322 bytes, checked in one pass and then sent as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.smtp.data import CanonicalText

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RawContent"]

BLOCK: Final = 64 * 1024
MAX_HEADER: Final = 1024 * 1024
"""Octets of a header section. Postfix cuts at 102,400; far beyond it somebody passes something that is no message."""

_BLIND = re.compile(rb"(?:^|\r\n)(?:resent-)?bcc[ \t]*:", re.IGNORECASE)
_MESSAGE_ID = re.compile(
    rb"(?:^|\r\n)message-id[ \t]*:[ \t]*(?:\r\n[ \t]+)?<([\x21-\x3b\x3d\x3f-\x7e]+)>", re.IGNORECASE
)


@frozen(kw_only=True)
class RawContent:
    """A message that is already written, perhaps signed: not one byte of it changes.

    Args:
        source: The bytes, or the file that holds them.
        size: Octets.
        body_type: What its bytes ask of the server.
        needs_smtputf8: Whether the header section holds raw UTF-8.
        message_id: Its Message-ID without angle brackets, ``""`` where it has none.
    """

    source: bytes | Path = field(repr=False)
    size: int
    body_type: Literal["7BIT", "8BITMIME"]
    needs_smtputf8: bool
    message_id: str

    @classmethod
    def read(cls, source: object) -> RawContent:
        """Look through a message once, in blocks.

        Raises:
            MessageError: It has a bare CR or LF, a NUL, a Bcc field, no header section, or cannot be read.
        """
        if not isinstance(source, bytes | Path):
            msg = f"send_raw takes bytes or a Path, not {type(source).__name__}: encode a str, read a stream"
            raise MessageError(msg)
        text = CanonicalText()
        size, ascii_only, header = 0, True, bytearray()
        end = -1
        for block in _blocks(source):
            text.check(block)
            size += len(block)
            ascii_only = ascii_only and block.isascii()
            if end < 0:
                header += block
                end = bytes(header).find(b"\r\n\r\n")
                if end < 0 and len(header) > MAX_HEADER:
                    break
        text.finish()
        fields = bytes(header[: end if end >= 0 else len(header)])
        if b":" not in fields.partition(b"\r\n")[0] or len(fields) > MAX_HEADER:
            msg = "these bytes are no RFC 5322 message: it begins with a header section, and each line ends with CRLF"
            raise MessageError(msg)
        if _BLIND.search(fields):
            msg = "the message has a Bcc field, which every recipient would see: name those in the envelope only"
            raise MessageError(msg)
        match = _MESSAGE_ID.search(fields)
        return cls(
            source=source,
            size=size,
            body_type="7BIT" if ascii_only else "8BITMIME",
            needs_smtputf8=not fields.isascii(),
            message_id=match[1].decode("ascii") if match else "",
        )

    def iter_bytes(self) -> Iterator[bytes]:
        """The bytes in blocks."""
        return _blocks(self.source)


def _blocks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        view = memoryview(source)
        for start in range(0, len(view), BLOCK):
            yield bytes(view[start : start + BLOCK])
        return
    try:
        with source.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        msg = f"the message file {str(source)!r} cannot be read: {error.strerror}"
        raise MessageError(msg) from error
