"""One connection's share of a stream of messages: written ahead of the answers, answered in order.

With CHUNKING a message needs no answer in its middle, so message follows message, up to a window
(``[MAIL RCPT* BDAT n LAST content] [RSET MAIL RCPT* BDAT n LAST content]`` …). With PIPELINING alone the content waits
for its 354, and then goes out together with the next envelope (RFC 2920 §3.1: ``[content . MAIL RCPT* DATA]``). With
neither, and for whatever needs a connection to itself (large content, more recipients than one transaction may have,
``recipients="all"``), one message at a time.

Every message keeps its own commit point. When a connection breaks, those beyond theirs without an answer are unknown,
those before it are written again on a fresh connection, and those answered stay as answered.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mailkit.errors import ConnectError, DeliveryError, MessageError, RejectedError
from mailkit.smtp import commands
from mailkit.smtp.content import recipient_limit, refuse_unsendable
from mailkit.smtp.data import data_pieces
from mailkit.smtp.delivery import ONE_WRITE, envelope_lines
from mailkit.smtp.engine import Awaited, Expected
from mailkit.smtp.line import Line
from mailkit.smtp.window import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.address import Address
    from mailkit.smtp.flight import Flight
    from mailkit.smtp.pool import Pool
    from mailkit.smtp.session import Session
    from mailkit.smtp.transaction import Transaction

__all__ = ["Lane"]

MAX_AWAITED: Final = 512
"""Replies in flight: a bound on what a server that answers late may have to say at once."""

MAX_OCTETS: Final = 256 * 1024
"""Octets of content in flight, beyond which the window counts as full."""

GROUP: Final = 16 * 1024
"""Octets that are collected before they are written, while messages come faster than answers."""

MAX_ATTEMPTS: Final = 2  # connections that may end under a message before they have answered anything

_TOO_EARLY: Final = "the server closed the connection before the content was written; try again later"


class Lane:
    """Messages on their way over one pooled connection at a time.

    Args:
        pool: Where the connection comes from.
        window: How many messages may be unanswered; None is the default.
    """

    def __init__(self, pool: Pool, window: int | None = None) -> None:
        self._pool = pool
        self._window = Window(window)
        self._waiting: deque[Flight] = deque()  # to be written, also once more
        self._written: deque[Flight] = deque()  # unanswered, oldest first
        self._octets = 0  # of content unanswered
        self._held: Flight | None = None  # the newest written one, where its content still waits for the next envelope
        self._line = Line(pool)
        self._progress = 0  # how often this connection has decided about a recipient
        self._in_step = False  # between two steps all is as it should be; what breaks off within one may leave a mess

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection now."""
        return self._line.session is not None

    @property
    def is_over(self) -> bool:
        """Whether it takes no more messages."""
        return self._line.is_over

    @property
    def may_go_on(self) -> bool:
        """Whether something may still be written, though it was closed: by a thread that nobody waits for any more."""
        return self._line.may_go_on

    async def connect(self) -> bool:
        """Take a connection ahead of the first message; return whether there is one."""
        if not self.is_connected:
            await self._reach()
        return self.is_connected

    async def lend(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something with it in another thread; until that ends, the connection is that thread's to give back."""
        await self._line.lend(work)

    async def submit(self, flight: Flight) -> None:
        """Take a message, and write it as soon as the rate and the window allow: waits for answers only until then."""
        await self._pool.rate.take_turn(len(flight.rest), push=self.push, drain=self.drain)
        self._in_step = True
        self._waiting.append(flight)
        while self._waiting:
            await self._advance()
        self._in_step = False

    async def push(self) -> None:
        """Write what was collected, and take note of the answers that are there."""
        self._in_step = True
        session = self._line.session
        if self._held is not None:
            await self._collect()
        elif session is not None:
            await self._attempt(session, session.conversation.push)
        self._in_step = False

    async def drain(self) -> None:
        """Wait for every answer."""
        self._in_step = True
        while self._waiting or self._written:
            await (self._advance() if self._waiting else self._collect())
        self._in_step = False

    async def close(self) -> None:
        """Give the connection back, for good.

        With messages in flight it is closed, once the answers that are there are noted. Where a step was broken off, an
        answer may have been read and not noted: what came then would be taken for the wrong message's.
        """
        session = self._line.session
        if session is not None and (self._in_step or self._written):
            if not self._in_step:
                self._in_step = True  # as far as who closes it once more is concerned, when this is interrupted
                with suppress(DeliveryError):
                    await session.conversation.read_waiting()
                self._enter_answered(session)
            session.conversation.is_usable = False
        await self._line.close()

    # -- one step ----------------------------------------------------------------------------------------------------

    async def _advance(self) -> None:
        """Write the next waiting message, or make room for it."""
        flight = self._waiting[0]
        session = await self._connected()
        if session is None:
            return
        if self._is_full(flight) or (self._written and not self._can_share(flight, session)):
            await self._collect()
            return
        self._waiting.popleft()
        try:
            flight.fit(session.options, session.extensions)
            refuse_unsendable(session.options, session.extensions, flight.envelope, flight.content)
            if not self._can_share(flight, session):
                await self._alone(flight, session)
            elif session.chunking:
                await self._write_ahead(flight, session)
            else:
                await self._write_grouped(flight, session)
        except (MessageError, RejectedError) as error:
            flight.fail(error)

    async def _connected(self) -> Session | None:
        """Return the connection for the next message, or None when things have changed and are to be looked at anew."""
        session = self._line.session
        if session is None:
            if (error := await self._reach()) is not None:
                self._waiting.popleft().settle(error)
            return self._line.session
        is_over = not session.conversation.is_usable or self._pool.is_spent(session, in_flight=len(self._written))
        if is_over and self._written:
            await self._collect()
        elif is_over or not (self._written or session.is_usable):
            await self._line.let_go()
        elif self._held is not None and not session.is_usable:
            # Nothing is awaited while content is held back: the server has spoken out of turn, or has gone.
            await self._lost(session, ConnectError(_TOO_EARLY))
        else:
            return session
        return None

    async def _reach(self) -> DeliveryError | None:
        error = await self._line.reach()
        self._progress = 0
        return error

    def _can_share(self, flight: Flight, session: Session) -> bool:
        return (
            session.pipelining
            and session.options.recipients == "any"
            and flight.content.size <= ONE_WRITE
            and len(flight.rest) <= recipient_limit(session.extensions)
            and (bool(self._written) or not session.is_doubtful)
        )

    def _is_full(self, flight: Flight) -> bool:
        # Grouped messages are one at a time: the one that is held does not stand in the way of the next.
        session = self._line.session
        if not self._written or self._held is not None or session is None:
            return False
        return (
            len(self._written) >= self._window.size
            or self._octets + flight.content.size > MAX_OCTETS
            or session.conversation.engine.awaiting + len(flight.rest) > MAX_AWAITED
        )

    # -- the three ways ----------------------------------------------------------------------------------------------

    async def _alone(self, flight: Flight, session: Session) -> None:
        conversation, asked = session.conversation, flight.rest
        if not await session.prepare():
            self._waiting.appendleft(flight)
            await self._line.let_go()
            return
        envelope = evolve(flight.envelope, rcpt_to=asked)
        delivered = await session.deliver(envelope, flight.content, begun=flight.entrust)
        flight.enter()
        rest: tuple[Address, ...] = ()
        if not conversation.is_usable:
            self._window.objected()
            rest = flight.untaken
        if rest != asked:
            self._progress += 1
            if session.options.recipients == "all":
                rest = ()  # somebody was refused, so nobody is to get it
        if rest and self._may_try_again(flight):
            flight.rest = rest
            self._waiting.appendleft(flight)
        else:
            flight.settle(delivered.error, delivered.reply)

    async def _write_ahead(self, flight: Flight, session: Session) -> None:
        engine = session.conversation.engine
        content = b"".join(flight.content.iter_bytes())
        transaction = self._begin(flight, session)
        command = commands.bdat(len(content), last=True)
        shown = command[:-2].decode("ascii")
        engine.expect(command + content, Expected(Awaited.CONTENT, transaction), shown=shown)
        transaction.commit_at = session.conversation.bytes_sent + engine.outgoing
        if engine.outgoing >= GROUP or len(self._written) >= self._window.size:
            await self._attempt(session, session.conversation.push)

    async def _write_grouped(self, flight: Flight, session: Session) -> None:
        conversation = session.conversation
        content = b"".join(data_pieces(flight.content.iter_bytes()))
        self._release_held(session)
        transaction = self._begin(flight, session)
        conversation.engine.expect(commands.data(), Expected(Awaited.DATA, transaction))
        if not await self._attempt(session, conversation.settle):
            return
        if transaction.is_refused or not transaction.accepted_recipients:
            # 354 although MAIL or every RCPT failed: whatever we wrote now would be taken for a message.
            conversation.is_usable = conversation.is_usable and not transaction.awaits_content
            self._conclude(session)
        else:
            flight.prepared = content
            self._held = flight

    def _begin(self, flight: Flight, session: Session) -> Transaction:
        """Queue the envelope, behind a RSET where the transaction before it may be left open.

        What is in flight may yet be refused, and a refusal may leave its transaction open (RFC 3030 §2, and Postfix
        even behind a dot): without the RSET, its envelope could become that of the next message.
        """
        engine = session.conversation.engine
        transaction = flight.begin(session)
        # All lines first: where one cannot be written, none may be.
        lines = list(envelope_lines(transaction, session.extensions, flight.envelope, flight.content))
        if session.needs_reset or self._written:
            engine.expect(commands.rset(), Expected(Awaited.RSET))
            session.needs_reset = False
        engine.expect_all(lines)
        self._written.append(flight)
        self._octets += flight.content.size
        return transaction

    def _release_held(self, session: Session) -> None:
        """Queue the content that was held back."""
        held, self._held = self._held, None
        if held is not None and held.transaction is not None:
            engine = session.conversation.engine
            engine.await_answer(Expected(Awaited.CONTENT, held.transaction))
            engine.content(held.prepared, shown=f"({held.content.size:,} octets of content)")
            held.transaction.commit_at = session.conversation.bytes_sent + engine.outgoing
            held.prepared = b""

    # -- answers -----------------------------------------------------------------------------------------------------

    async def _attempt(self, session: Session, step: Callable[[], Awaitable[object]]) -> bool:
        """Do something with the connection, and enter what was answered; return whether it is still there."""
        try:
            await step()
        except DeliveryError as error:
            await self._lost(session, error)
            return False
        self._enter_answered(session)
        return True

    async def _collect(self) -> None:
        """Read until the oldest message is answered."""
        session = self._line.session
        oldest = self._written[0].transaction
        if session is None or oldest is None:  # pragma: no cover - what is written has both
            return
        self._release_held(session)
        await self._attempt(session, lambda: session.conversation.complete(oldest))

    def _enter_answered(self, session: Session) -> None:
        while self._written:
            transaction = self._written[0].transaction
            if transaction is None or not transaction.is_complete:
                return
            self._conclude(session)

    def _conclude(self, session: Session) -> None:
        """Enter what became of the oldest message, which needs no further answer."""
        flight = self._written[0]
        transaction = flight.transaction
        if transaction is None:  # pragma: no cover - what was written has one
            return
        rest = transaction.overflow()
        results = flight.enter()
        self._written.popleft()
        self._octets -= flight.content.size
        session.note_message()
        session.needs_reset = transaction.is_open and not self._written
        if session.conversation.is_usable:
            self._window.answered(deferred=all(result.status == "deferred" for result in results))
        else:
            self._window.objected()
            rest += flight.untaken
        self._progress += len(rest) < len(results)
        if rest and self._may_try_again(flight):
            flight.rest = rest
            self._waiting.appendleft(flight)
        else:
            flight.settle(None, transaction.content_reply)

    async def _lost(self, session: Session, error: DeliveryError) -> None:
        """Sort what was in flight when the connection broke."""
        conversation = session.conversation
        conversation.is_usable = False
        with suppress(DeliveryError):
            await conversation.read_waiting()  # what the server said before it hung up still counts
        self._enter_answered(session)
        self._window.objected()
        self._held = None
        again: list[Flight] = []
        while self._written:
            flight = self._written[0]
            flight.enter()
            rest = flight.untaken
            if rest and self._may_try_again(flight):
                flight.rest = rest
                again.append(flight)
            else:
                flight.settle(error)
            self._written.popleft()
        self._octets = 0
        self._waiting.extendleft(reversed(again))
        await self._line.let_go()

    def _may_try_again(self, flight: Flight) -> bool:
        """Whether a message of which something was not taken goes out once more: once, unless there was progress."""
        if not self._progress:
            flight.attempts += 1
        return flight.attempts < MAX_ATTEMPTS
