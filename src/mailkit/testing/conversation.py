"""The talking part of a session of the test server: input, replies, and the script's say in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn

from mailkit.testing import replies
from mailkit.testing.faults import encode_reply, plan
from mailkit.testing.grammar import UnsupportedParameter
from mailkit.testing.reader import Reader
from mailkit.testing.received import Violation
from mailkit.testing.wire import PeerGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.testing.faults import Fault, Move, Phase
    from mailkit.testing.grammar import BadArgument
    from mailkit.testing.received import ConnectionRecord, Ledger, Rule
    from mailkit.testing.script import Script
    from mailkit.testing.settings import Settings
    from mailkit.testing.wire import Wire

__all__ = ["Conversation"]


class Conversation:
    """What the parts of a session share: the client's bytes, our replies, and what EHLO has offered.

    Replies are grouped: they leave in one write when the server needs input that has not arrived (RFC 2920
    §3.2).

    Args:
        wire: The connection.
        record: Where it is recorded.
        settings: What the server offers and demands.
        ledger: Where messages and violations go.
        script: What goes wrong where.
    """

    def __init__(
        self, wire: Wire, record: ConnectionRecord, *, settings: Settings, ledger: Ledger, script: Script
    ) -> None:
        self.wire = wire
        self.record = record
        self.settings = settings
        self.ledger = ledger
        self.reader: Reader = Reader(self._fill, self._watch_content)
        self.helo: str = ""
        self.offered: frozenset[str] = frozenset()
        self.muted: bool = False
        """Whether a reply in the middle of content has taken the place of the one at its end."""
        self._script = script
        self._out = bytearray()
        self._answered = False

    def forget(self) -> None:
        """Forget the client's name and what it was offered, as after STARTTLS (RFC 3207 §4.2)."""
        self.helo, self.offered = "", frozenset()

    def heard(self, line: bytes, shown: bytes) -> None:
        """Record a line of the client, and how the transcript shows it."""
        if self.ledger.keeps:
            self.record.commands.append(line)
            self.note("C", shown)

    def note(self, who: Literal["C", "S"], block: bytes) -> None:
        """Add to the transcript."""
        if self.ledger.keeps:
            self.record.exchange.append((who, block))

    def violate(self, rule: Rule, detail: bytes = b"") -> None:
        """Record that the client broke a rule."""
        self.ledger.violate(Violation(rule, detail=detail[:200], connection=self.record.number))

    def say(self, reply: bytes) -> None:
        """Queue one of the server's own replies."""
        if "ENHANCEDSTATUSCODES" not in self.offered:
            reply = replies.without_enhanced_code(reply)
        self._out += reply

    def refuse_argument(self, error: BadArgument, argument: bytes) -> None:
        """Answer an argument that the grammar forbids."""
        self.violate(
            "parameter-not-offered" if isinstance(error, UnsupportedParameter) else "bad-command-syntax",
            argument,
        )
        self.say(encode_reply(str(error)))

    def cue(self, phase: Phase, subjects: Iterable[str] = ()) -> Fault | str | None:
        """Ask the script what to do here instead of the usual."""
        return self._script.take(phase, subjects) if self._script.active else None

    def reply(self, phase: Phase, perform: Callable[[], bytes], *subjects: str) -> bytes:
        """Answer, as the server or as the script wants.

        Args:
            phase: What is answered.
            perform: Carries the command out and returns the server's own reply.
            subjects: What the script may match.

        Returns:
            The answer if the client can read it whole, else nothing.
        """
        action = self.cue(phase, subjects)
        if action is None:
            reply = perform()
            self.say(reply)
            return reply
        move = plan(action, perform)
        self.hold(move)
        self.carry_out(move)
        return move.data if move.whole else b""

    def hold(self, move: Move) -> None:
        """Be silent for as long as the move wants."""
        if move.hold is not False:
            self.flush()
            self.wire.hold(move.hold, reading=move.reading)

    def carry_out(self, move: Move) -> None:
        """Do the rest of a move."""
        if move.interval or move.repeat or move.ending != "go on":
            self.flush()
            self.note("S", move.data)
            self._answered = True
            self.wire.perform(move)
        else:
            self._out += move.data

    def flush(self) -> None:
        """Send the queued replies."""
        if not self._out:
            return
        out = bytes(self._out)
        self._out.clear()
        self._answered = True
        self.note("S", out)
        self.wire.send(out)

    def hang_up(self, last_words: bytes = b"") -> NoReturn:
        """Send what is queued, and end the connection.

        Raises:
            PeerGone: Always.
        """
        self.say(last_words)
        self.flush()
        self.wire.finish()
        raise PeerGone

    def _fill(self, between_commands: bool) -> bytes:  # noqa: FBT001 (the reader's callback)
        self.flush()
        block = self.wire.receive()
        if between_commands and self._answered:
            self.record.round_trips += 1
            self._answered = False
        return block

    def _watch_content(self, received: int) -> None:
        """Play what the script wants while content arrives."""
        if not self._script.active:
            return
        action = self._script.take("body", received=received)
        if action is not None:
            move = plan(action, lambda: b"")
            # A reply in the middle of content is the only one: none follows its end.
            self.muted = self.muted or move.whole
            self.hold(move)
            self.carry_out(move)
            self.flush()
