"""What a test server can do wrong, as values: each says, purely, what leaves it in place of a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CloseAfter",
    "Disconnect",
    "Drip",
    "Endless",
    "Fault",
    "Garbage",
    "InjectAfter",
    "Move",
    "Phase",
    "RawReply",
    "Refuse",
    "Stall",
    "StopReading",
    "TruncateTLS",
    "encode_reply",
    "plan",
]

Phase: TypeAlias = Literal[
    "greeting", "EHLO", "HELO", "LHLO", "STARTTLS", "TLS", "AUTH", "RESPONSE", "MAIL", "RCPT", "DATA", "body",
    "BDAT", "DOT", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT",
]  # fmt: skip
"""Where a reply is due. `TLS` is the handshake, `RESPONSE` the answer to a SASL challenge, `body` the time
while content arrives, `DOT` the reply to the final dot or to `BDAT … LAST`."""

Ending: TypeAlias = Literal["go on", "eof", "rst", "truncate"]
"""What becomes of the connection: it stays, or ends cleanly, by TCP reset, or inside TLS without
close_notify."""


@attrs.frozen(kw_only=True)
class Move:
    """What the server does where a plain reply would have gone.

    Args:
        hold: Say nothing first, until this many seconds have passed (`None`: until released); `False` for no
            hold.
        reading: Whether input is still read while it holds.
        data: The bytes that leave.
        whole: Whether `data` begins with one complete reply: only then can the client know the answer.
        interval: Seconds between single bytes, or 0 for one write.
        repeat: Send `data` again and again until the client goes away.
        ending: What becomes of the connection afterwards.
        record_bytes: With `ending="truncate"`: how many bytes of the encrypted reply leave.
    """

    hold: float | Literal[False] | None = False
    reading: bool = True
    data: bytes = b""
    whole: bool = False
    interval: float = 0.0
    repeat: bool = False
    ending: Ending = "go on"
    record_bytes: int = 0

    @property
    def accepts(self) -> bool:
        """Whether a client that reads this takes its command for accepted."""
        return self.whole and self.data[:1] == b"2"


def encode_reply(text: str) -> bytes:
    r"""Write a reply's wire form; a text with line feeds gives a multi-line reply (RFC 5321 §4.2.1).

    Args:
        text: `code SP text`; text after a line feed becomes a further line, which gets the same code.
    """
    code, rest = text[:3], text[4:].split("\n")
    if "\n" not in text:
        return text.encode() + b"\r\n"
    lines = [f"{code}-{line}" for line in rest[:-1]] + [f"{code} {rest[-1]}"]
    return "\r\n".join(lines).encode() + b"\r\n"


@attrs.frozen
class Refuse:
    """A reply with this code and text, in place of the server's own.

    Args:
        code: The reply code; a positive one lets the command take effect.
        text: What follows it, an enhanced status code included.
    """

    code: int
    text: str = "refused by the script"

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; a refused command is not carried out."""
        return RawReply(encode_reply(f"{self.code} {self.text}")).move(reply)


@attrs.frozen
class RawReply:
    """These bytes, exactly, in place of the reply; the connection goes on.

    Args:
        data: Any bytes. When they begin with 2 or 3 the command takes effect as usual.
    """

    data: bytes

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; the command is carried out only where the bytes say yes."""
        if self.data[:1] in {b"2", b"3"}:
            reply()
        return Move(data=self.data, whole=self.data.endswith(b"\n"))


@attrs.frozen
class Garbage:
    """Bytes that are no reply at all; the connection goes on.

    Args:
        data: What is sent.
    """

    data: bytes = b"\x00\xff\xfenot a reply\r\n\x80\r\n"

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; the command is not carried out."""
        del reply
        return Move(data=self.data)


@attrs.frozen
class CloseAfter:
    """A reply, and then the end of the connection, as with `421 4.3.2 shutting down` (RFC 5321 §3.8).

    Args:
        reply: The reply's text, `code SP text`.
    """

    reply: str = "421 4.3.2 Service shutting down"

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        return attrs.evolve(RawReply(encode_reply(self.reply)).move(reply), ending="eof")


@attrs.frozen(kw_only=True)
class Disconnect:
    """The command is carried out, some bytes of its reply leave, and the connection ends.

    Args:
        after_bytes: How many bytes of the reply the client still gets; all of them when it is no longer than
            this.
        rst: End with a TCP reset rather than with an end of file.
    """

    after_bytes: int = 0
    rst: bool = False

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        whole = reply()
        cut = whole[: self.after_bytes]
        return Move(data=cut, whole=bool(whole) and cut == whole, ending="rst" if self.rst else "eof")


@attrs.frozen
class Stall:
    """Silence: input is read, nothing is answered until `SMTPServer.release()`; then the reply comes.

    Args:
        seconds: End by itself after this long; `None` for never.
    """

    seconds: float | None = None

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        return Move(hold=self.seconds, data=(whole := reply()), whole=bool(whole))


@attrs.frozen
class StopReading:
    """A full window: nothing is read or answered until `SMTPServer.release()`; then it goes on as usual.

    Args:
        seconds: End by itself after this long; `None` for never.
    """

    seconds: float | None = None

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        return Move(hold=self.seconds, reading=False, data=(whole := reply()), whole=bool(whole))


@attrs.frozen
class Endless:
    """A reply that never ends: one line, over and over, until the client goes away.

    Args:
        line: The line with its CRLF.
    """

    line: bytes = b"250-and another thing\r\n"

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it; the command is not carried out."""
        del reply
        return Move(data=self.line, repeat=True)


@attrs.frozen
class Drip:
    """A reply that comes byte by byte.

    Args:
        data: The bytes, or `None` for the server's own reply.
        interval: Seconds between two of them.
    """

    data: bytes | None = None
    interval: float = 0.01

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        if self.data is not None:
            return attrs.evolve(RawReply(self.data).move(reply), interval=self.interval)
        return Move(data=(whole := reply()), whole=bool(whole), interval=self.interval)


@attrs.frozen
class InjectAfter:
    """The server's own reply and, in the same write, bytes that nobody asked for.

    At `STARTTLS` this is the plaintext injection of CVE-2011-0411: what follows the 220 must never be taken
    for the server's word.

    Args:
        data: What follows the reply.
    """

    data: bytes = b"250-mx.test\r\n250 AUTH PLAIN LOGIN\r\n"

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        whole = reply()
        return Move(data=whole + self.data, whole=bool(whole))


@attrs.frozen(kw_only=True)
class TruncateTLS:
    """The command is carried out; the connection ends inside TLS, without a close_notify (RFC 8446 §6.1).

    Args:
        record_bytes: How many bytes of the encrypted reply leave before.
    """

    record_bytes: int = 0

    def move(self, reply: Callable[[], bytes]) -> Move:
        """Plan it."""
        return Move(data=reply(), ending="truncate", record_bytes=self.record_bytes)


Fault: TypeAlias = (
    Refuse
    | RawReply
    | Garbage
    | CloseAfter
    | Disconnect
    | Stall
    | StopReading
    | Endless
    | Drip
    | InjectAfter
    | TruncateTLS
)
"""Everything that can be scripted besides a plain reply text."""


def plan(fault: Fault | str, reply: Callable[[], bytes]) -> Move:
    """Work out what leaves the server.

    Args:
        fault: A fault, or the text of a reply.
        reply: Carries the command out and returns the server's own reply; called at most once.
    """
    if isinstance(fault, str):
        return RawReply(encode_reply(fault)).move(reply)
    return fault.move(reply)
