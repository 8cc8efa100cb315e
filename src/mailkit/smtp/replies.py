"""Bytes in, replies out: the parser of what an SMTP server says (RFC 5321 §4.2).

The parser knows neither commands nor sockets, so it cannot say what a violation means for the message: it
raises :class:`ReplyViolation`, and whoever knows the phase turns that into a :class:`mailkit.ProtocolError`.

Every decision is taken at a fixed position of the byte stream (the fourth byte of a line, its 2,048th, its
line end), so the same bytes give the same replies and the same violation however they are cut. A wrong code
is seen at its first wrong byte: a server that speaks TLS on a plaintext port and then waits costs no timeout.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mailkit.redaction import printable
from mailkit.reply import Reply

__all__ = ["MAX_LINE", "MAX_LINES", "MAX_REPLY", "ReplyParser", "ReplyViolation", "printable"]

MAX_LINE: Final = 2_048
"""Bytes of one line with its line end. RFC 5321 §4.5.3.1.5 says 512; real servers exceed it, Postfix reads up
to 2,048."""

MAX_LINES: Final = 128
"""Lines of one reply. The longest EHLO replies of real servers have about 30."""

MAX_REPLY: Final = 32 * 1024
"""Bytes of one reply, so that 128 long lines do not cost 256 KiB for each connection."""

_EXCERPT: Final = 80  # bytes of a foreign line that an error shows: enough to know HTTP, SSH or IMAP by

_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")  # RFC 2034 §4, RFC 3463 §2

# Nearly every reply is one line of ASCII. The longest ones are left to the general way, which knows the limit.
_PLAIN = re.compile(rb"([2-5][0-9]{2} [ -~]{0,%d})\r\n" % (MAX_LINE - 8))

# TLS records begin with their content type (RFC 8446 §5.1): an alert or a handshake.
_TLS_RECORD: Final = frozenset(b"\x15\x16")


class ReplyViolation(Exception):
    """What the server sent is not a reply; the connection cannot be used any more.

    Args:
        reason: Which rule was broken. It depends on the bytes alone, not on how they were cut.
        excerpt: The beginning of the offending line as far as it had arrived, printable.
    """

    def __init__(self, reason: str, excerpt: str) -> None:
        super().__init__(f"{reason}: {excerpt!r}" if excerpt else reason)
        self.reason = reason
        self.excerpt = excerpt


class ReplyParser:
    r"""An incremental parser: :meth:`feed` bytes, take replies with :meth:`next_reply` until it returns None.

    Example:
        >>> parser = ReplyParser()
        >>> parser.feed(b"550-5.1.1 no such user\r\n550 5.1.1 ask the postmaster\r\n25")
        >>> parser.next_reply()
        Reply(code=550, text='no such user\nask the postmaster', enhanced_code='5.1.1')
        >>> parser.next_reply() is None, parser.buffered
        (True, True)
    """

    __slots__ = ("_buffer", "_code", "_lines", "_scanned", "_size", "_violation")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # how much of the buffer is known to hold no line end
        self._code = b""  # of the reply that is being collected
        self._lines: list[str] = []
        self._size = 0
        self._violation: ReplyViolation | None = None

    @property
    def buffered(self) -> bool:
        """Whether bytes wait that no reply was made of, be it a part of a line or of a reply."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Take `data` as it came from the server."""
        self._buffer += data

    def clear(self) -> None:
        """Forget everything that was fed, as a new connection does."""
        self.__init__()  # type: ignore[misc]

    def next_reply(self) -> Reply | None:
        """Return the next complete reply, or None when more bytes are needed.

        Raises:
            ReplyViolation: The bytes are not a reply, or one beyond the limits; so does every later call.
        """
        if self._violation is not None:
            raise self._violation
        # Not a line that was looked at before: it would be read from its start again for each of its bytes.
        if not self._lines and not self._scanned and (plain := _PLAIN.match(self._buffer)) is not None:
            line, end = plain[1], plain.end()
            del self._buffer[:end]
            return _one_line(line)
        while (line := self._next_line()) is not None:
            self._lines.append(printable(line[4:]))
            if line[3:4] != b"-":
                return self._finish()
        return None

    def _next_line(self) -> bytes | None:
        buffer = self._buffer
        self._check_prefix()
        end = buffer.find(b"\n", self._scanned, MAX_LINE)
        if end < 0:
            if len(buffer) >= MAX_LINE:
                raise self._violated(f"a reply line is longer than {MAX_LINE:,} bytes")
            self._scanned = len(buffer)
            return None
        self._size += end + 1
        if len(self._lines) == MAX_LINES:
            raise self._violated(f"a reply has more than {MAX_LINES} lines")
        if self._size > MAX_REPLY:
            raise self._violated(f"a reply is longer than {MAX_REPLY:,} bytes")
        # A bare LF ends a line too: some servers send it, and nothing can be smuggled towards a client that
        # only reads.
        line = bytes(buffer[: end - 1 if buffer[end - 1] == 0x0D else end])
        if len(line) > 3 and line[3] not in b" -":  # "250\rx": the CR was no line end
            raise self._violated("a reply code is followed by neither a space nor a hyphen")
        del buffer[: end + 1]
        self._scanned = 0
        return line

    def _check_prefix(self) -> None:
        prefix = bytes(self._buffer[:4])
        if not prefix:
            return
        code = prefix[:3]
        if prefix[0] in _TLS_RECORD:
            raise self._violated("the server speaks TLS where SMTP was expected (a port for implicit TLS, smtps://?)")
        if code[0] not in b"2345" or not code.isdigit():  # bytes.isdigit() knows ASCII digits only
            raise self._violated("a reply does not begin with a code from 200 to 599")
        if len(code) < 3:
            return
        if self._lines and code != self._code:
            raise self._violated(f"the code changes within a reply that began with {self._code.decode()}")
        self._code = code
        if len(prefix) > 3 and prefix[3] not in b" -\r\n":
            raise self._violated("a reply code is followed by neither a space nor a hyphen")

    def _finish(self) -> Reply:
        lines, self._lines, self._size = self._lines, [], 0
        return _reply(int(self._code), lines)

    def _violated(self, reason: str) -> ReplyViolation:
        line = self._buffer[:_EXCERPT].partition(b"\n")[0].rstrip(b"\r")
        self._violation = ReplyViolation(reason, printable(bytes(line)))
        self._buffer.clear()
        return self._violation


# Servers say the same to each command of a kind, all day.
@lru_cache(maxsize=256)
def _one_line(line: bytes) -> Reply:
    return _reply(int(line[:3]), [line[4:].decode("ascii")])


def _reply(code: int, lines: list[str]) -> Reply:
    found = _ENHANCED.match(lines[0])
    if found is None:
        return Reply(code, "\n".join(lines))
    enhanced = found[1]
    # Every line of a multi-line reply repeats the code (RFC 2034 §4); only what differs is text.
    text = "\n".join([line[len(enhanced) + 1 :] if f"{line} ".startswith(f"{enhanced} ") else line for line in lines])
    return Reply(code, text, enhanced_code=enhanced)
