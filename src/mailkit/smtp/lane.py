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
from mailkit.smtp.transaction import Transaction
from mailkit.smtp.window import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.smtp.flight import Flight
    from mailkit.smtp.pool import Pool
    from mailkit.smtp.session import Session

__all__ = ["Lane"]

MAX_AWAITED: Final = 512
"""Replies in flight: a bound on what a server that answers late may have to say at once."""

MAX_OCTETS: Final = 256 * 1024
"""Octets of content in flight, beyond which the window counts as full."""

GROUP: Final = 16 * 1024
"""Octets that are collected before they are written, while messages come faster than answers."""

MAX_ATTEMPTS: Final = 2  # connections that may break under a message before they have answered anything


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
        self._session: Session | None = None
        self._progress = 0  # messages that this connection has answered
        self._retired = False  # this connection takes no more messages
        self._hopeless: DeliveryError | None = None  # why no connection can be made, and will not by asking again

    async def connect(self) -> bool:
        """Take a connection ahead of the first message; return whether there is one."""
        if self._session is None and self._hopeless is None:
            with suppress(DeliveryError):
                await self._take_session()
        return self._session is not None

    async def submit(self, flight: Flight) -> None:
        """Take a message, and write it as soon as the window allows: waits for answers only while it does not."""
        self._waiting.append(flight)
        while self._waiting:
            await self._advance()

    async def push(self) -> None:
        """Write what was collected, and take note of the answers that are there."""
        if self._held is not None:
            await self._collect()
        elif self._session is not None:
            await self._attempt(self._session, self._poll)

    async def drain(self) -> None:
        """Wait for every answer."""
        while self._waiting or self._written:
            await (self._advance() if self._waiting else self._collect())

    async def close(self) -> None:
        """Give the connection back. If messages are in flight it is closed, and what is known of their fate entered."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._written:
            session.conversation.is_usable = False
        while self._written:
            flight = self._written.popleft()
            flight.enter(session)
            flight.settle(ConnectError("the stream of messages was interrupted"))
        await self._pool.release(session)

    # -- one step ----------------------------------------------------------------------------------------------------

    async def _advance(self) -> None:
        """Write the next waiting message, or make room for it."""
        flight = self._waiting[0]
        session = await self._connected(flight)
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
        except MessageError as error:
            flight.fail(error)
        except RejectedError as error:
            flight.fail(error)

    async def _connected(self, flight: Flight) -> Session | None:
        """Return the connection for the next message, or None when things have changed and are to be looked at anew."""
        session = self._session
        if session is None:
            return await self._connect(flight)
        if self._retired or self._pool.is_spent(session, in_flight=len(self._written)):
            if self._written:
                await self._collect()
            else:
                await self._let_go(session)
            return None
        if not self._written and not session.is_usable:
            await self._let_go(session)
            return None
        return session

    async def _connect(self, flight: Flight) -> Session | None:
        error = self._hopeless
        if error is None:
            try:
                return await self._take_session()
            except DeliveryError as refused:
                error = refused
        # Somebody has to change a setting first; and a login that fails a thousand times locks an account.
        self._hopeless = error if error.cause in {"configuration", "security"} else None
        self._waiting.popleft()
        flight.settle(error)
        return None

    async def _take_session(self) -> Session:
        session = self._session = await self._pool.acquire()
        self._progress, self._retired = 0, False
        return session

    async def _let_go(self, session: Session) -> None:
        self._session = None
        await self._pool.release(session)

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
        if not self._written or self._held is not None or self._session is None:
            return False
        return (
            len(self._written) >= self._window.size
            or self._octets + flight.content.size > MAX_OCTETS
            or self._session.conversation.engine.awaiting + len(flight.rest) > MAX_AWAITED
        )

    # -- the three ways ----------------------------------------------------------------------------------------------

    async def _alone(self, flight: Flight, session: Session) -> None:
        delivered = await session.deliver(evolve(flight.envelope, rcpt_to=flight.rest), flight.content)
        if delivered.is_stale and self._may_try_again(flight):
            self._waiting.appendleft(flight)
        else:
            flight.note(delivered.results)
            flight.settle(delivered.error, delivered.reply)
            self._progress += 1
        if not await session.prepare():
            await self._let_go(session)

    async def _write_ahead(self, flight: Flight, session: Session) -> None:
        conversation = session.conversation
        content = b"".join(flight.content.iter_bytes())
        transaction = self._begin(flight, session)
        command = commands.bdat(len(content), last=True)
        shown = command[:-2].decode("ascii")
        conversation.engine.expect(command + content, Expected(Awaited.CONTENT, transaction), shown=shown)
        transaction.commit_at = conversation.bytes_sent + conversation.engine.outgoing
        if conversation.engine.outgoing >= GROUP or len(self._written) >= self._window.size:
            await self._attempt(session, conversation.flush)

    async def _write_grouped(self, flight: Flight, session: Session) -> None:
        conversation = session.conversation
        content = b"".join(data_pieces(flight.content.iter_bytes()))
        self._release_held(session)
        transaction = self._begin(flight, session)
        conversation.engine.expect(commands.data(), Expected(Awaited.DATA, transaction))
        if not await self._attempt(session, conversation.settle):
            return
        if transaction.is_refused or not transaction.accepted_recipients:
            # 354 although every RCPT failed: whatever we wrote now could be taken for a message, even an empty one.
            conversation.is_usable = conversation.is_usable and transaction.is_refused
            self._written.remove(flight)
            self._conclude(flight, session)
        else:
            flight.prepared = content
            self._held = flight

    def _begin(self, flight: Flight, session: Session) -> Transaction:
        """Queue the envelope, behind a RSET where the transaction before it may be left open.

        A refused BDAT leaves an indeterminate state (RFC 3030 §2), and what is in flight may yet be refused: without
        the RSET, its envelope could become that of the next message.
        """
        engine = session.conversation.engine
        if session.needs_reset or (self._written and session.chunking):
            engine.expect(commands.rset(), Expected(Awaited.RSET))
            session.needs_reset = False
        transaction = flight.transaction = Transaction(
            flight.rest, chunked=session.chunking, lmtp=session.options.protocol == "lmtp"
        )
        engine.expect_all(envelope_lines(transaction, session.extensions, flight.envelope, flight.content))
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

    async def _collect(self) -> None:
        """Read until the oldest message is answered."""
        session = self._session
        oldest = self._written[0].transaction
        if session is None or oldest is None:  # pragma: no cover - what is written has both
            return
        self._release_held(session)
        await self._attempt(session, lambda: session.conversation.complete(oldest))

    async def _poll(self) -> None:
        if self._session is not None:
            await self._session.conversation.flush()
            await self._session.conversation.read_waiting()

    async def _attempt(self, session: Session, step: Callable[[], Awaitable[object]]) -> bool:
        """Do something with the connection, and enter what was answered; return whether it is still there."""
        try:
            await step()
        except DeliveryError as error:
            await self._lost(session, error)
            return False
        self._enter_answered(session)
        return True

    def _enter_answered(self, session: Session) -> None:
        while self._written:
            transaction = self._written[0].transaction
            if transaction is None or not transaction.is_complete:
                return
            self._conclude(self._written.popleft(), session)

    def _conclude(self, flight: Flight, session: Session) -> None:
        """Enter what became of a message that needs no further answer."""
        transaction = flight.transaction
        if transaction is None:  # pragma: no cover - what is concluded was written
            return
        self._octets -= flight.content.size
        self._progress += 1
        session.note_message()
        session.needs_reset = transaction.is_open and not self._written
        results = transaction.results(session.conversation.bytes_sent)
        if transaction.is_closing:
            self._retired = True
            self._window.objected()
        else:
            self._window.answered(deferred=all(result.status == "deferred" for result in results))
        flight.note(results)
        flight.rest = transaction.overflow()
        if flight.rest:
            self._waiting.appendleft(flight)
        else:
            flight.settle(None, transaction.content_reply)

    async def _lost(self, session: Session, error: DeliveryError) -> None:
        """Sort what was in flight when the connection broke."""
        conversation = session.conversation
        with suppress(DeliveryError):
            await conversation.read_waiting()  # what the server said before it hung up still counts
        self._enter_answered(session)
        conversation.is_usable = False
        self._window.objected()
        self._held = None
        again: list[Flight] = []
        while self._written:
            flight = self._written.popleft()
            if flight.is_stale(conversation.bytes_sent) and self._may_try_again(flight):
                again.append(flight)
            else:
                flight.enter(session)
                flight.settle(error)
        self._octets = 0
        self._waiting.extendleft(reversed(again))
        await self._let_go(session)

    def _may_try_again(self, flight: Flight) -> bool:
        """Whether a message of which nothing was taken goes out once more: once, unless there was progress."""
        if not self._progress:
            flight.attempts += 1
        return flight.attempts < MAX_ATTEMPTS
