"""The message on its way into DATA or BDAT: dots stuffed, chunks framed, nothing else changed.

No function here looks at single lines: a block is searched and replaced as a whole, so that the speed is that
of ``bytes``. What is remembered between two blocks is at most where in a line end the first one stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.errors import MessageError
from mailkit.smtp.commands import bdat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "CHUNK_SIZE",
    "END_OF_DATA",
    "CanonicalText",
    "bdat_pieces",
    "check_canonical",
    "data_pieces",
    "normalize_line_endings",
]

CHUNK_SIZE: Final = 256 * 1024
"""Bytes of one BDAT chunk: few enough to wait for in memory, many enough that commands and replies do not
count."""

END_OF_DATA: Final = b".\r\n"
"""What follows the last line end of the message (RFC 5321 §4.1.1.4). Its last byte is the commit point."""

_BARE: Final = (
    "the message has a CR or LF that is not part of a CRLF line end, which servers read in different ways: "
    "convert it with normalize_line_endings() first, and sign it afterwards"
)


class CanonicalText:
    r"""Checks blocks, in order, for what may not go through DATA or a textual BDAT: bare CR, bare LF and NUL.

    Servers disagree about what a bare CR or LF ends; that is how one message becomes two (SMTP smuggling).
    RFC 5321 §2.3.8 and §4.5.2 forbid both; RFC 5322 §4.5.1 forbids to generate NUL.

    Example:
        >>> text = CanonicalText()
        >>> text.check(b"Subject: a\r"), text.check(b"\n\r\nbody\r\n"), text.finish()
        (None, None, None)
    """

    __slots__ = ("_after_cr",)

    def __init__(self) -> None:
        self._after_cr = False

    def check(self, block: bytes) -> None:
        """Check the next block.

        Raises:
            MessageError: It holds a NUL, or a CR or LF that is not part of a CRLF.
        """
        if not block:
            return
        # Three counts that run at memory speed say the same as a search for each kind of bare line end: with
        # as many CRLFs as CRs and LFs none is left over. A CRLF cut in two by a block's border is counted by
        # hand.
        pairs = block.count(b"\r\n")
        opened = block[-1] == 0x0D
        closed = self._after_cr and block[0] == 0x0A
        alone = (block.count(b"\r") - pairs - opened, block.count(b"\n") - pairs - closed)
        if any(alone) or self._after_cr != closed:
            raise MessageError(_BARE)
        if b"\0" in block:
            raise MessageError("the message has a NUL byte, which mail cannot carry: encode that part as base64")
        self._after_cr = opened

    def finish(self) -> None:
        """Check that the message does not end within a line end.

        Raises:
            MessageError: The last byte is a CR.
        """
        if self._after_cr:
            raise MessageError(_BARE)


def check_canonical(blocks: bytes | Iterable[bytes]) -> None:
    """Check a whole message, before any I/O.

    Raises:
        MessageError: As :meth:`CanonicalText.check` and :meth:`CanonicalText.finish` do.
    """
    text = CanonicalText()
    for block in (blocks,) if isinstance(blocks, bytes) else blocks:
        text.check(block)
    text.finish()


def normalize_line_endings(data: bytes) -> bytes:
    r"""Return `data` with every CRLF, bare CR and bare LF as one CRLF. A signature over the old bytes breaks.

    Example:
        >>> normalize_line_endings(b"a\nb\rc\r\nd")
        b'a\r\nb\r\nc\r\nd'
    """
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def data_pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield a message as DATA wants it: dots stuffed (RFC 5321 §4.5.2) and ended by CRLF, dot, CRLF.

    A CRLF is added only where the message does not end with one. The last piece, and only that, holds bytes
    of the terminator: as long as it has not been written, the server must not deliver (RFC 5321 §4.1.1.10).

    Example:
        >>> list(data_pieces([b"Subject: dots\r\n\r\n", b".hidden\r\n..", b"end"]))
        [b'Subject: dots\r\n\r\n', b'..hidden\r\n...', b'end\r\n.\r\n']

    Raises:
        MessageError: As :class:`CanonicalText` does, before the piece that holds the fault.
    """
    text = CanonicalText()
    waiting = b""  # the piece before, held back because only the end of `blocks` shows that it was the last
    line_end = b"\r\n"  # how much of a CRLF the stream so far ends with; at the start a line begins as well
    for block in _sliced(blocks):
        text.check(block)
        piece = block.replace(b"\r\n.", b"\r\n..")
        if line_end == b"\r\n" and block[0] == 0x2E:
            piece = b"." + piece
        elif line_end == b"\r" and block.startswith(b"\n."):
            piece = b"\n." + piece[1:]
        if block.endswith(b"\r\n") or (line_end == b"\r" and block == b"\n"):
            line_end = b"\r\n"
        else:
            line_end = b"\r" if block.endswith(b"\r") else b""
        if waiting:
            yield waiting
        waiting = piece
    text.finish()
    yield waiting + (END_OF_DATA if line_end else b"\r\n" + END_OF_DATA)


def bdat_pieces(blocks: Iterable[bytes], total: int, *, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
    r"""Yield a message as BDAT commands, each with its chunk and answered by one reply (RFC 3030 §2).

    The last piece holds ``LAST`` and is made only after every byte of the message has been seen, so a source
    that breaks off can never become a complete message.

    Example:
        >>> list(bdat_pieces([b"ab", b"cde"], 5, chunk_size=3))
        [b'BDAT 3\r\nabc', b'BDAT 2 LAST\r\nde']

    Args:
        blocks: The message.
        total: How many bytes they have together.
        chunk_size: The largest chunk in bytes.

    Raises:
        MessageError: The blocks have more or fewer bytes than `total`.
    """
    chunk: list[bytes | memoryview] = []
    collected = 0  # bytes in `chunk`
    seen = 0
    for block in blocks:
        seen += len(block)
        if seen > total:
            raise _wrong_size(total, f"at least {seen:,}")
        rest = memoryview(block)
        while collected + len(rest) > chunk_size:
            head, rest = rest[: chunk_size - collected], rest[chunk_size - collected :]
            yield b"".join((bdat(chunk_size, last=False), *chunk, head))
            chunk, collected = [], 0
        if rest:
            chunk.append(rest)
            collected += len(rest)
    if seen != total:
        raise _wrong_size(total, f"{seen:,}")
    yield b"".join((bdat(collected, last=True), *chunk))


def _sliced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    # The last piece is the window in which a lost connection means an unknown outcome: it stays small.
    for block in blocks:
        for start in range(0, len(block), CHUNK_SIZE):
            yield block[start : start + CHUNK_SIZE]


def _wrong_size(total: int, seen: str) -> MessageError:
    return MessageError(
        f"the message was announced with {total:,} bytes and has {seen}: did an attachment change meanwhile?"
    )
