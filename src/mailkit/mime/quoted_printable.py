"""Quoted-printable for text (RFC 2045 §6.7)."""

from __future__ import annotations

import re
from binascii import b2a_qp

__all__ = ["encode_quoted_printable"]

# A line that begins with "From " gets a ">" in front of it in mbox files, and a "." is what SMTP itself
# doubles. An escaped character there is safe from both.
_UNSAFE_START = re.compile(rb"^(?:\.+(?:F(?=rom ))?|F(?=rom ))", re.MULTILINE)
_ROOM = 72  # whole escapes in a line of 76, its soft line break included


def encode_quoted_printable(text: bytes) -> bytes:
    """Return a text in lines of at most 76 characters.

    Args:
        text: Lines that end with CRLF, without any other CR or LF. The last one need not end.
    """
    encoded = b2a_qp(text, istext=True)
    if b"\r\n" not in text:
        # Without a line end in the text to go by, b2a_qp writes its soft line breaks with a bare LF.
        encoded = encoded.replace(b"\n", b"\r\n")
    if b"\n." in encoded or b"\nFrom " in encoded or encoded.startswith((b".", b"From ")):
        encoded = _UNSAFE_START.sub(_escape, encoded)
    return encoded


def _escape(found: re.Match[bytes]) -> bytes:
    start = found[0].replace(b".", b"=2E").replace(b"F", b"=46")
    pieces = [start[index : index + _ROOM] for index in range(0, len(start), _ROOM)]
    # The rest of the line may have all of its 76 characters already. A soft line break with nothing after it
    # would be read as a line end by some.
    if found.string[found.end() : found.end() + 1] not in {b"", b"\r"}:
        pieces.append(b"")
    return b"=\r\n".join(pieces)
