"""The client's side of the ledger: every byte that went over each connection, and what it says of each message.

The bytes are read here by a reader of their own, which knows the protocol and nothing of mailkit.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.edge import Edge, Stream

__all__ = ["Fate", "Line", "RecordingEdge", "Transaction"]

Fate = Literal["accepted", "refused", "put off", "doubtful", "untouched"]
"""What the client can know of a recipient: the content was answered with yes; something was answered with no, or with
"closing" or "too many recipients"; all of the content may have left and no answer came; anything else."""

_REPLY = re.compile(rb"(?:(\d{3})-[^\n]*\n)*(\d{3})(?: [^\n]*)?\n")


@define
class Transaction:
    """One MAIL with what followed it, in the bytes of one connection."""

    sender: str
    mail: int | None
    moment: int  # of all the writes over all connections, the one that it began in
    rcpt: dict[str, int | None] = field(factory=dict)
    data: int | None = None
    content: bytes = b""
    is_committed: bool = False
    answers: dict[str, int] = field(factory=dict)  # to the content, for each recipient that it is about

    def fate(self, address: str) -> Fate:
        """Return what the client can know of this recipient."""
        answer = self.answers.get(address)
        replies = [self.mail, self.rcpt[address], self.data, answer]
        no = next((reply for reply in replies if reply is not None and reply >= 400), None)
        if no is not None:
            return "put off" if no in {421, 452, 552} else "refused"
        if answer is not None:
            return "accepted"
        return "doubtful" if self.is_committed else "untouched"


class Line:
    """The bytes of one connection, in both directions.

    Args:
        stream: The stream that they go over.
        clock: Tells the order of all writes.
    """

    def __init__(self, stream: Stream, clock: Iterator[int]) -> None:
        self._stream = stream
        self._clock = clock
        self._writes: list[tuple[int, int]] = []  # from which byte on, and when
        self.written = bytearray()
        self.received = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def send(self, data: bytes, **options: Any) -> None:
        """Note and write."""
        self._writes.append((len(self.written), next(self._clock)))
        self.written += data
        if (meanwhile := options.get("meanwhile")) is not None:
            options["meanwhile"] = lambda block: (self.received.extend(block), meanwhile(block))
        await self._stream.send(data, **options)

    async def receive(self, *, deadline: float) -> bytes:
        """Read and note."""
        data = await self._stream.receive(deadline=deadline)
        self.received += data
        return data

    def transactions(self, *, lmtp: bool = False) -> Iterator[Transaction]:
        """Yield the transactions, each with the complete replies that came to it."""
        replies = self._codes()
        next(replies, None)  # the greeting
        written, sent = bytes(self.written), self._stream.bytes_sent
        position = 0
        current: Transaction | None = None
        while (end := written.find(b"\r\n", position)) >= 0:
            begin, line, position = position, written[position:end].decode(), end + 2
            verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
            if verb == "BDAT":
                size = int(line.split()[1])
                block, position = written[position : position + size], position + size
                if current is not None:
                    current.content += block
                    if line.endswith(" LAST"):
                        current.is_committed = position <= sent
                        self._answer(current, replies, lmtp=lmtp)
                        continue
            reply = next(replies, None)
            if verb == "MAIL":
                moment = max(when for first, when in self._writes if first <= begin)
                current = Transaction(re.findall("<(.*?)>", line)[0], reply, moment)
                yield current
            elif verb == "RCPT" and current is not None:
                current.rcpt[re.findall("<(.*?)>", line)[0]] = reply
            elif verb == "DATA" and current is not None:
                current.data = reply
                if reply == 354 and position < len(written):
                    dot = written.find(b"\r\n.\r\n", position)
                    if dot < 0:
                        return
                    current.content, position = written[position : dot + 2], dot + 5
                    current.is_committed = position <= sent
                    self._answer(current, replies, lmtp=lmtp)

    def _codes(self) -> Iterator[int]:
        """Yield the code of each complete reply, up to the first thing that is none."""
        received, position = bytes(self.received), 0
        while (match := _REPLY.match(received, position)) is not None:
            yield int(match[2])
            position = match.end()

    @staticmethod
    def _answer(transaction: Transaction, replies: Iterator[int], *, lmtp: bool) -> None:
        """Read the answer to the content, or those for each accepted recipient (RFC 2033 §4.2)."""
        accepted = [address for address, reply in transaction.rcpt.items() if reply is not None and reply < 300]
        if lmtp and accepted:
            transaction.answers = dict(zip(accepted, replies, strict=False))
        elif (reply := next(replies, None)) is not None:
            transaction.answers = dict.fromkeys(accepted or transaction.rcpt, reply)


class RecordingEdge:
    """An edge that notes what goes over its connections.

    Args:
        edge: The edge that does the work.
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._clock = count()
        self.lines: list[Line] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._edge, name)

    async def connect_tcp(self, *args: Any, **options: Any) -> Line:
        """Connect, and note from now on."""
        line = Line(await self._edge.connect_tcp(*args, **options), self._clock)
        self.lines.append(line)
        return line
