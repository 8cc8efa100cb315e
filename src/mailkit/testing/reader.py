"""Cutting bytes into command lines and content, strictly: only CRLF ends a line (RFC 5321 §2.3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BareLineFeed", "Content", "LineTooLong", "Reader"]

TERMINATOR = b"\r\n.\r\n"


class BadLine(Exception):
    """A command line that cannot be read.

    Args:
        line: It, or its beginning.
    """

    def __init__(self, line: bytes) -> None:
        super().__init__(line)
        self.line = line


class BareLineFeed(BadLine):
    """A command line that ends in a LF without its CR."""


class LineTooLong(BadLine):
    """A command line beyond its limit."""


class Content(NamedTuple):
    """The octets of a message, or of a chunk of one.

    Args:
        data: What arrived, dots unstuffed; empty where it was too large to keep.
        size: How many octets there were.
        unstuffed_dot: Whether a line began with a single dot that no client may send.
    """

    data: bytes
    size: int
    unstuffed_dot: bool = False


class Reader:
    """A buffer that knows where commands and content end.

    Args:
        fill: Returns the next bytes from the client; told whether the server stands between two commands.
        progress: Told after each read inside content how many octets of it have arrived.
    """

    def __init__(self, fill: Callable[[bool], bytes], progress: Callable[[int], None]) -> None:
        self._fill = fill
        self._progress = progress
        self._buffer = bytearray()
        self._position = 0

    @property
    def pending(self) -> bool:
        """Whether bytes have arrived that nothing has read yet."""
        return self._position < len(self._buffer)

    def wait(self) -> None:
        """Wait for input as between two commands, and keep it."""
        self._buffer += self._fill(True)  # noqa: FBT003 (a private signature)

    def discard(self) -> bytes:
        """Forget what is buffered, and return it."""
        rest = bytes(self._buffer[self._position :])
        self._buffer.clear()
        self._position = 0
        return rest

    def line(self, limit: int) -> bytes:
        """Read one command line, without its CRLF.

        Raises:
            BareLineFeed: It ended in a bare LF.
            LineTooLong: It is longer than `limit` octets.
        """
        buffer = self._buffer
        scan = self._position
        while True:
            end = buffer.find(b"\n", scan)
            if end >= 0:
                break
            if len(buffer) - self._position > limit:
                raise LineTooLong(self.discard()[:limit])
            if self._position:
                del buffer[: self._position]
                self._position = 0
            scan = len(buffer)
            buffer += self._fill(True)  # noqa: FBT003 (a private signature)
        start, self._position = self._position, end + 1
        if end == start or buffer[end - 1] != 0x0D:
            raise BareLineFeed(bytes(buffer[start : end + 1]))
        if end - 1 - start > limit:
            raise LineTooLong(bytes(buffer[start : start + limit]))
        return bytes(buffer[start : end - 1])

    def until_dot(self, limit: int) -> Content:
        """Read content up to the line that holds a single dot (RFC 5321 §4.5.2).

        Args:
            limit: Beyond this many octets the content is read and not kept.
        """
        # The CRLF of the DATA line counts as the one before a first line that is the dot alone.
        held = bytearray(b"\r\n")
        held += self.discard()
        dropped = 0
        scan = 0
        while True:
            end = held.find(TERMINATOR, scan)
            self._progress(dropped + len(held) - 2)
            if end >= 0:
                break
            scan = max(0, len(held) - len(TERMINATOR) + 1)
            if len(held) - 2 > limit + len(TERMINATOR):
                dropped += scan
                del held[:scan]
                scan = 0
            held += self._fill(False)  # noqa: FBT003
        self._buffer += held[end + len(TERMINATOR) :]
        size = dropped + end
        if dropped or size > limit:
            return Content(b"", size)
        del held[end + 2 :]
        dots = held.count(b"\r\n.")
        if not dots:
            return Content(bytes(held[2:]), size)
        return Content(bytes(held.replace(b"\r\n.", b"\r\n")[2:]), size, dots != held.count(b"\r\n.."))

    def exactly(self, count: int, limit: int) -> Content:
        """Read the octets of a chunk (RFC 3030 §2).

        Args:
            count: How many.
            limit: Beyond this many octets the chunk is read and not kept.
        """
        buffer = self._buffer
        taken = 0
        kept = bytearray()
        while True:
            block = buffer[self._position : self._position + count - taken]
            self._position += len(block)
            taken += len(block)
            if count <= limit:
                kept += block
            self._progress(taken)
            if taken == count:
                return Content(bytes(kept), count)
            buffer.clear()
            self._position = 0
            buffer += self._fill(False)  # noqa: FBT003
