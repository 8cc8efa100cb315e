"""Prepared RFC 5322 bytes, checked before any of them is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Prepared"]

_BLOCK: Final = 1 << 16
_MAX_HEADER: Final = 1 << 20  # far beyond what any server takes: somebody passes what is no message

# RFC 5321 §2.3.8: CR and LF only as CRLF. RFC 5322 §4.5.1: no NUL.
_NOT_CANONICAL = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_BLIND = re.compile(rb"(?:^|\r\n)(?:resent-)?bcc[ \t]*:", re.IGNORECASE)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_MESSAGE_ID = re.compile(rb"(?:^|\r\n)message-id[ \t]*:(?:[ \t]|\r\n[ \t])*<([!-;=?-~]+)>", re.IGNORECASE)


@frozen(kw_only=True)
class Prepared:
    """A message that is already written, perhaps signed: not one byte of it changes.

    Args:
        source: The bytes, or the file that holds them.
        size: How many octets it has.
        message_id: Its Message-ID without angle brackets, ``""`` where it has none.
    """

    source: bytes | Path = field(repr=False)
    size: int
    message_id: str

    @classmethod
    def read(cls, source: object) -> Prepared:
        """Look through a message once, in blocks.

        Raises:
            MessageError: It cannot be read, is no message, has a Bcc field, or has line ends that are not CRLF.
        """
        if not isinstance(source, bytes | Path):
            kind = type(source).__name__
            raise MessageError(f"send_raw takes bytes or a Path, not {kind}: encode a str, read a stream first")
        size, header, end, carried = 0, b"", -1, b""
        for block in _blocks(source):
            size += len(block)
            if end < 0:
                header += block
                end = header.find(b"\r\n\r\n")
                if end < 0 and len(header) > _MAX_HEADER:
                    break
            text = carried + block
            carried = b"\r" if text.endswith(b"\r") else b""
            _check_canonical(text[: len(text) - len(carried)])
        _check_canonical(carried)
        fields = header[:end] if end >= 0 else header
        if len(fields) > _MAX_HEADER or _FIELD.match(fields) is None:
            raise MessageError(
                "these bytes are no RFC 5322 message: they have to start with header fields, each line ended by CRLF"
            )
        if _BLIND.search(fields) is not None:
            raise MessageError(
                "the message has a Bcc field, which every recipient would read: remove it, and name those recipients"
                " in the envelope only"
            )
        found = _MESSAGE_ID.search(fields)
        return cls(source=source, size=size, message_id="" if found is None else found[1].decode("ascii"))

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the bytes in blocks.

        Raises:
            MessageError: The file cannot be read any more.
        """
        return _blocks(self.source)


def _check_canonical(text: bytes) -> None:
    if _NOT_CANONICAL.search(text) is not None:
        raise MessageError(
            "the message holds a NUL, or a CR or LF that is not part of a CRLF line end, which servers read in"
            " different ways: convert its line ends first, and sign it afterwards"
        )


def _blocks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), _BLOCK):
            yield source[start : start + _BLOCK]
        return
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MessageError(f"the message file {str(source)!r} cannot be read: {reason}. Check the path") from error
