"""The SMTP client's protocol without sockets and clocks: commands in, bytes out; bytes in, answers out.

SMTP replies carry no name: the n-th reply answers the n-th thing that asked for one (RFC 2920 §3.1). So the engine
keeps a queue of what is awaited, and any number of commands may be in flight. What a reply means depends only on what
it answers and on its code; :data:`_POSITIVE` is the whole table.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from attrs import evolve, frozen

from mailkit.errors import DeliveryError, ProtocolError, TLSError, TransientError
from mailkit.smtp.replies import ReplyParser, ReplyViolation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.reply import Reply
    from mailkit.smtp.transaction import Transaction

__all__ = ["Answer", "Awaited", "Engine", "Expected", "TranscriptLine"]


class Awaited(StrEnum):  # whose members, unlike an Enum's, are hashed without running Python
    """What a reply can be the answer to."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CHUNK = "bdat"  # a BDAT that is not the last
    CONTENT = "content"  # the final dot, or the last BDAT
    RSET = "rset"
    QUIT = "quit"


_ANY_2XX = frozenset(range(200, 300))

# A code in the set is a yes, any 4xx and 5xx a no; anything else means that client and server no longer talk about the
# same thing. Any 2xx is a yes where RFC 5321 §4.3.2 lists one, because servers take liberties there; but not where the
# next byte on the wire would be read differently (220 to STARTTLS, 354 to DATA).
_POSITIVE = {
    Awaited.GREETING: frozenset({220}),
    Awaited.EHLO: _ANY_2XX,
    Awaited.STARTTLS: frozenset({220}),
    Awaited.AUTH: frozenset({235, 334}),
    Awaited.MAIL: _ANY_2XX,
    Awaited.RCPT: _ANY_2XX,
    Awaited.DATA: frozenset({354}),
    Awaited.CHUNK: _ANY_2XX,
    Awaited.CONTENT: _ANY_2XX,
    Awaited.RSET: _ANY_2XX,
    Awaited.QUIT: _ANY_2XX,
}

CHALLENGE = 334  # RFC 4954 §4
SERVICE_CLOSING: Final = 421  # RFC 5321 §3.8: may come at any time, and the server hangs up after it
TOO_MANY: Final = 452  # RFC 5321 §4.5.3.1.10
TOO_MANY_ENHANCED: Final = "4.5.3"  # RFC 3463 §3.6: too many recipients


def ends_connection(what: Awaited, reply: Reply) -> bool:
    """Whether a server that answers so takes nothing more on this connection, whatever comes.

    It says 421; or that there are too many recipients before there is one, which is how OpenSMTPD counts messages.
    """
    too_many = reply.code == TOO_MANY and reply.enhanced_code == TOO_MANY_ENHANCED
    return reply.code == SERVICE_CLOSING or (what is Awaited.MAIL and too_many)


@frozen
class Expected:
    """One thing that a reply is awaited for.

    Args:
        what: The kind of command.
        transaction: The mail transaction that it belongs to.
        index: Which of the transaction's recipients it is about.
    """

    what: Awaited
    transaction: Transaction | None = None
    index: int = 0


@frozen
class Answer:
    """A reply, with what it answers and what it means there."""

    expected: Expected
    reply: Reply
    verdict: Literal["positive", "negative"]

    @property
    def is_positive(self) -> bool:
        """Whether the server said yes."""
        return self.verdict == "positive"

    @property
    def ends_connection(self) -> bool:
        """Whether the server takes nothing more on this connection."""
        return ends_connection(self.expected.what, self.reply)


@frozen
class TranscriptLine:
    """One line of a conversation, fit to be shown: secrets are masked, the message's content is only counted.

    Example:
        >>> print(TranscriptLine("C", "RCPT TO:<bob@example.org>"))
        C: RCPT TO:<bob@example.org>

    Args:
        sender: ``"C"`` for us, ``"S"`` for the server.
        text: The line, without its line end.
    """

    sender: Literal["C", "S"]
    text: str

    def __str__(self) -> str:
        return f"{self.sender}: {self.text}"


class Engine:
    """One connection's protocol state.

    Args:
        transcript: Is called with each line of the conversation.
    """

    def __init__(self, *, transcript: Callable[[TranscriptLine], object] | None = None) -> None:
        self._parser = ReplyParser()
        self._transcript = transcript
        self._awaited: deque[Expected] = deque([Expected(Awaited.GREETING)])
        self._outgoing: list[bytes] = []
        self._queued = 0  # octets in it
        self.broken: DeliveryError | None = None
        self.redact: Callable[[str], str] | None = None  # removes secrets from what the server says: some echo them

    @property
    def awaiting(self) -> int:
        """How many replies are in flight."""
        return len(self._awaited)

    @property
    def awaits_content(self) -> bool:
        """Whether the next reply is the one to a whole message, for which a server may take its time."""
        return bool(self._awaited) and self._awaited[0].what is Awaited.CONTENT

    def expect(self, line: bytes, expected: Expected, *, shown: str | None = None) -> None:
        """Queue a command line, and the reply that it will have.

        Args:
            line: The whole line, CRLF included.
            expected: What the reply will answer.
            shown: What the transcript shows instead of the line: anything that carries a secret must give it.
        """
        self._outgoing.append(line)
        self._queued += len(line)
        self._awaited.append(expected)
        if self._transcript is not None:
            self._transcript(TranscriptLine("C", line[:-2].decode("utf-8") if shown is None else shown))

    def expect_all(self, lines: Iterable[tuple[bytes, Expected]]) -> None:
        """Queue command lines, each with the reply that it will have."""
        for line, expected in lines:
            self.expect(line, expected)

    def content(self, data: bytes, *, shown: str | None = None) -> None:
        """Queue message content, which has no reply of its own."""
        self._outgoing.append(data)
        self._queued += len(data)
        if shown is not None and self._transcript is not None:
            self._transcript(TranscriptLine("C", shown))

    def await_answer(self, expected: Expected) -> None:
        """Await a reply to something that is written as content (the final dot)."""
        self._awaited.append(expected)

    @property
    def outgoing(self) -> int:
        """How many bytes are queued."""
        return self._queued

    def take_outgoing(self) -> bytes:
        """Return what is to be written, in one piece, and forget it."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self._queued = 0
        return data

    def feed(self, data: bytes) -> list[Answer]:
        """Take bytes from the server, return the answers that they complete, and enter them into their transactions.

        What the server said before it broke the protocol still counts: those answers are returned, and `broken` says
        what came after them. Nothing that arrives then is looked at.
        """
        answers: list[Answer] = []
        if self.broken is not None:
            return answers
        try:
            self._parser.feed(data)
            while (reply := self._parser.next_reply()) is not None:
                if self.redact is not None:
                    reply = self._redacted(reply, self.redact)
                if self._transcript is not None:
                    self._show(reply, self._transcript)
                answer = self._match(reply)
                if answer is None:
                    break
                if answer.expected.transaction is not None:
                    # At once: how many answers LMTP gives to content depends on those before it.
                    answer.expected.transaction.record(answer)
                answers.append(answer)
        except ReplyViolation as violation:
            # An excerpt is cut off somewhere, perhaps in the middle of a secret, where no mask would find it.
            told = violation if self.redact is None else violation.reason
            greeted = not self._awaited or self._awaited[0].what is not Awaited.GREETING
            advice = "" if greeted else ": check that host and port are those of a mail server"
            self.broken = ProtocolError(f"the server broke the protocol: {told}; the connection was dropped{advice}")
        return answers

    def _redacted(self, reply: Reply, redact: Callable[[str], str]) -> Reply:
        """Mask secrets in what a server says; but a mechanism needs its challenge as it is."""
        if reply.code == CHALLENGE and self._awaited and self._awaited[0].what is Awaited.AUTH:
            return reply
        text = redact(reply.text)
        return reply if text == reply.text else evolve(reply, text=text)

    @staticmethod
    def _show(reply: Reply, transcript: Callable[[TranscriptLine], object]) -> None:
        # A challenge is no secret, but with the answer masked it would let a weak password be guessed at leisure.
        *earlier, last = ["***"] if reply.code == CHALLENGE else reply.text.split("\n")
        for text in earlier:
            transcript(TranscriptLine("S", f"{reply.code}-{text}"))
        enhanced = f"{reply.enhanced_code} " if reply.enhanced_code else ""
        transcript(TranscriptLine("S", f"{reply.code} {enhanced}{last}"))

    def _match(self, reply: Reply) -> Answer | None:
        if not self._awaited:
            self.broken = (
                TransientError("the server is closing the connection", outcome="not_sent", reply=reply)
                if reply.code == SERVICE_CLOSING
                else ProtocolError(f"the server sent a reply that nothing asked for: {reply}", reply=reply)
            )
            return None
        expected = self._awaited[0]
        verdict: Literal["positive", "negative"]
        if reply.code in _POSITIVE[expected.what] and not self._is_early(expected):
            verdict = "positive"
        elif reply.code >= 400:
            verdict = "negative"
        else:
            self.broken = ProtocolError(f"the server answered {expected.what.value} with {reply}", reply=reply)
            return None
        # LMTP answers the final dot once for each accepted recipient (RFC 2033 §4.2), and every RCPT is answered by
        # then.
        if (
            expected.what is Awaited.CONTENT
            and expected.transaction is not None
            and expected.transaction.more_answers()
        ):
            return Answer(expected, reply, verdict)
        self._awaited.popleft()
        return Answer(expected, reply, verdict)

    @staticmethod
    def _is_early(expected: Expected) -> bool:
        """Whether the content that a reply would say yes to has not been written to its end."""
        transaction = expected.transaction
        return expected.what is Awaited.CONTENT and transaction is not None and transaction.commit_at is None

    def tls_started(self) -> None:
        """Begin anew inside TLS (RFC 3207 §4.2).

        Raises:
            TLSError: Bytes came with the 220, in clear: an attacker put them there to be read as the answer to what we
                will say inside TLS (CVE-2011-0411).
        """
        if self._parser.buffered or self.broken is not None:
            self.broken = TLSError(
                "the server (or someone between) sent bytes in clear after its reply to STARTTLS: a command injection; "
                "the connection was dropped before any credentials or mail",
                phase="starttls",
            )
            raise self.broken
