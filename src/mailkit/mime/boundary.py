"""Boundaries: what separates the parts of a multipart, and occurs in none of them (RFC 2046 §5.1.1)."""

from __future__ import annotations

import re
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.mime.content import Content
    from mailkit.mime.text import TransferEncoding

__all__ = ["Boundaries", "check_boundary"]

_KEY: Final = token_bytes(32)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


def check_boundary(value: object) -> str:
    """Return a boundary that the caller has chosen.

    Raises:
        MessageError: It is not 1 to 70 of the characters that RFC 2046 §5.1.1 allows, or ends with a space.
    """
    if not isinstance(value, str) or _BOUNDARY.fullmatch(value) is None:
        shown = repr(value[:80]) if isinstance(value, str) else f"of type {type(value).__name__}"
        raise MessageError(
            f"the boundary {shown} cannot be used: return 1 to 70 ASCII letters, digits or '()+_,-./:=? that do not"
            " end with a space"
        )
    return value


class Boundaries:
    """The boundaries of one message, drawn one after the other.

    Ours hold 128 bits and start with ``=_``, which neither base64 nor quoted-printable ever writes: only parts that go
    out as they are can hold one, and only by somebody who knew the bits beforehand. They come from the Message-ID under
    a key that never leaves the process, so that a message that is tried again is the same to the last octet.

    Args:
        message_id: Whose boundaries they are.
        draw: What gives a boundary instead.
    """

    __slots__ = ("_delimiters", "_draw", "_drawn", "_message_id")

    def __init__(self, message_id: str, draw: Callable[[], str] | None = None) -> None:
        self._message_id = message_id
        self._draw = draw
        self._drawn: list[str] = []
        self._delimiters: list[bytes] = []

    def next(self) -> str:
        """Return the next one.

        Raises:
            MessageError: The caller's own is not valid, or one begins with another, so that a reader could take one
                for the other.
        """
        if self._draw is None:
            digest = blake2b(self._message_id.encode(), key=_KEY, digest_size=16).hexdigest()
            boundary = f"=_{len(self._drawn)}_{digest}"
        else:
            boundary = check_boundary(self._draw())
            if any(boundary.startswith(other) or other.startswith(boundary) for other in self._drawn):
                raise MessageError(
                    f"the boundary {boundary!r} was given twice, or begins another one: return a new one each time"
                )
        self._drawn.append(boundary)
        self._delimiters.append(f"--{boundary}".encode())
        return boundary

    def are_absent_from(self, encoding: TransferEncoding, content: bytes | Content) -> bool:
        """Return whether none of them begins a line of a part.

        No delimiter can stand in base64, which has no "-". Ours cannot stand in quoted-printable either. A file that
        goes out as it is is not read just to look for 128 bits that did not exist when it was written.
        """
        if encoding == "base64" or (self._draw is None and encoding == "quoted-printable"):
            return True
        if isinstance(content, bytes):
            return not any(delimiter in content for delimiter in self._delimiters)
        return self._draw is None or not _occurs(self._delimiters, content)


def _occurs(delimiters: list[bytes], content: Content) -> bool:
    overlap = max(map(len, delimiters)) - 1
    rest = b""
    for block in content.iter_blocks():
        data = rest + block
        if any(delimiter in data for delimiter in delimiters):
            return True
        rest = data[-overlap:]
    return False
