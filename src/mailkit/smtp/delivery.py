"""A message over a conversation: which bytes go together, what is waited for, and where the commit point lies.

Three ways, by what the server offers (each line is one round trip; RFC 2920, RFC 3030):

=================  ====================================================
CHUNKING           ``[MAIL RCPT* BDAT n LAST content]``
PIPELINING         ``[MAIL RCPT* DATA]`` ``[content .]``
neither            ``[MAIL]`` ``[RCPT]``… ``[DATA]`` ``[content .]``
=================  ====================================================

Content of more than :data:`ONE_WRITE` bytes waits for the answers to its envelope.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mailkit.errors import DeliveryError, ProtocolError
from mailkit.receipt import RecipientResult
from mailkit.smtp import commands
from mailkit.smtp.content import recipient_limit, refuse_unsendable
from mailkit.smtp.data import bdat_pieces, data_pieces
from mailkit.smtp.engine import Answer, Awaited, Expected
from mailkit.smtp.transaction import NOT_HERE, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.envelope import Envelope
    from mailkit.mail_parameters import MailParameters
    from mailkit.reply import Reply
    from mailkit.smtp.content import Content
    from mailkit.smtp.conversation import Conversation
    from mailkit.smtp.extensions import Extensions

__all__ = ["Delivered", "Delivery", "envelope_lines"]

ONE_WRITE: Final = 64 * 1024
"""Octets of content that go out with their envelope. More waits until a recipient was accepted, so that a refusal costs
no upload and what is in flight stays below the socket buffers (RFC 2920 §3.1 warns of the deadlock)."""

MAX_CHUNKS_IN_FLIGHT: Final = 16
"""Unanswered BDATs. Their replies must fit into the socket buffers, or both sides would stand still writing."""


@frozen
class Delivered:
    """What became of each recipient, and what went wrong on the way.

    Args:
        results: One for each recipient, in the envelope's order.
        error: What ended the conversation before its end, where something did.
        reply: The server's answer to the content, where there was one.
    """

    results: tuple[RecipientResult, ...]
    error: DeliveryError | None = None
    reply: Reply | None = None

    @property
    def is_stale(self) -> bool:
        """Whether nobody got anything, and no reply but "not on this connection" says why."""
        return all(result.status == "not_sent" and result.code in NOT_HERE for result in self.results)

    @property
    def is_garbled(self) -> bool:
        """Whether the server has said what cannot be parsed, which ended the connection."""
        return isinstance(self.error, ProtocolError) and self.error.reply is None


def envelope_lines(
    transaction: Transaction, extensions: Extensions, envelope: Envelope, content: Content
) -> Iterator[tuple[bytes, Expected]]:
    """Yield MAIL and the RCPTs of a transaction, each with the reply to expect."""
    body = None if content.body_type == "7BIT" else content.body_type
    size = content.size if "SIZE" in extensions else None
    smtputf8 = envelope.needs_smtputf8 or content.needs_smtputf8
    asked = envelope.mail_parameters
    mail = commands.mail(
        envelope.mail_from,
        size=size,
        body=body,
        smtputf8=smtputf8,
        ret=asked.ret,
        envid=asked.envid,
        auth=asked.submitter,
        parameters=_other_parameters(asked) if asked.extensions else None,
    )
    yield mail, Expected(Awaited.MAIL, transaction)
    for index, recipient in enumerate(transaction.recipients):
        wanted = envelope.parameters_for(recipient)
        rcpt = commands.rcpt(recipient, smtputf8=smtputf8, notify=wanted.notify, orcpt=wanted.orcpt)
        yield rcpt, Expected(Awaited.RCPT, transaction, index)


def _other_parameters(asked: MailParameters) -> dict[str, str | None]:
    words: dict[str, str | None] = {}
    if asked.require_tls:
        words["REQUIRETLS"] = None
    if asked.priority is not None:
        words["MT-PRIORITY"] = str(asked.priority)
    if asked.deliver_by is not None:
        words["BY"] = f"{asked.deliver_by};{asked.deliver_by_mode}"
    if asked.hold_until is not None:
        words["HOLDUNTIL"] = asked.hold_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return words


class Delivery:
    """One message on its way over one conversation.

    Args:
        conversation: It has shaken hands and is quiet.
        extensions: What the server offers.
        envelope: Who gets the message.
        content: The message.
        cautious: The connection was idle for so long that it may be dead without our knowing: the content waits until
            MAIL was answered, so that a dead connection is noticed before the commit point.
    """

    def __init__(
        self,
        conversation: Conversation,
        extensions: Extensions,
        envelope: Envelope,
        content: Content,
        *,
        cautious: bool = False,
    ) -> None:
        self._conversation = conversation
        self._engine = conversation.engine
        self._options = conversation.options
        self._extensions = extensions
        self._envelope = envelope
        self._content = content
        self._cautious = cautious
        self._pipelining = extensions.pipelining and self._options.pipelining
        self._chunking = extensions.chunking and self._options.chunking
        self._results: dict[str, RecipientResult] = {}
        self._transaction: Transaction | None = None
        self.needs_reset: bool = False  # a transaction is left open that must not become part of the next one

    async def run(self) -> Delivered:
        """Deliver.

        Raises:
            UnsupportedFeatureError: The server lacks an extension that the message needs; nothing was written.
            RejectedError: The message is larger than the server takes; nothing was written.
        """
        refuse_unsendable(self._options, self._extensions, self._envelope, self._content)
        limit = recipient_limit(self._extensions)
        waiting = self._envelope.rcpt_to
        reply: Reply | None = None
        while waiting:
            transaction = self._transaction = Transaction(
                waiting[:limit], chunked=self._chunking, lmtp=self._options.protocol == "lmtp"
            )
            try:
                await self._transact(transaction)
            except DeliveryError as error:
                return Delivered(self.results(), error, reply)
            self._enter(transaction)
            self._transaction = None
            reply = transaction.content_reply or reply
            self.needs_reset = transaction.is_open
            if transaction.is_closing:
                self._conversation.is_usable = False
            if not self._conversation.is_usable:
                break
            # Each round decides at least one recipient (there is no overflow unless one was accepted), so this ends.
            waiting = transaction.overflow() + waiting[limit:]
            if waiting and self.needs_reset and not await self._conversation.reset():
                break
        return Delivered(self.results(), None, reply)

    def results(self) -> tuple[RecipientResult, ...]:
        """Return what became of each recipient so far: at any moment, also when everything was cancelled."""
        if self._transaction is not None:
            self._enter(self._transaction)
        return tuple(
            self._results.get(address.addr_spec) or RecipientResult(address.addr_spec, status="not_sent")
            for address in self._envelope.rcpt_to
        )

    def _enter(self, transaction: Transaction) -> None:
        for result in transaction.results(self._conversation.bytes_sent):
            self._results[result.address] = result

    # -- one transaction
    # -------------------------------------------------------------------------------------------------

    async def _transact(self, transaction: Transaction) -> None:
        small = self._content.size <= ONE_WRITE
        together = self._pipelining and self._options.recipients == "any"
        if together and self._chunking and small and not self._cautious:
            self._engine.expect_all(self._lines(transaction))
        elif together and not self._chunking:
            self._engine.expect_all(self._lines(transaction))
            self._engine.expect(commands.data(), Expected(Awaited.DATA, transaction))
            await self._conversation.settle()
        else:
            await self._ask_envelope(transaction)
            unwanted = transaction.refused_recipients and self._options.recipients == "all"
            if transaction.is_refused or not transaction.accepted_recipients or unwanted:
                return
            if not self._chunking:
                await self._conversation.ask(commands.data(), Expected(Awaited.DATA, transaction))
        self._cautious = False  # this connection is alive
        self._hear_hasty_refusal(transaction)
        if self._chunking:
            await self._write(transaction, bdat_pieces(self._content.iter_bytes(), self._content.size))
        elif not transaction.is_refused and transaction.accepted_recipients:
            self._engine.await_answer(Expected(Awaited.CONTENT, transaction))
            await self._write(transaction, data_pieces(self._content.iter_bytes()))
        elif transaction.awaits_content:
            # 354 although MAIL or every RCPT failed: whatever we wrote now would be taken for a message.
            self._conversation.is_usable = False

    def _hear_hasty_refusal(self, transaction: Transaction) -> None:
        """Take a refusal that came in one piece with the 354 for the content's: it is spared the writing."""
        broken = self._engine.broken
        reply = broken.reply if isinstance(broken, ProtocolError) and transaction.awaits_content else None
        if reply is not None and reply.code >= 400:
            transaction.record(Answer(Expected(Awaited.CONTENT, transaction), reply, "negative"))
            self._conversation.is_usable = False

    def _lines(self, transaction: Transaction) -> Iterator[tuple[bytes, Expected]]:
        return envelope_lines(transaction, self._extensions, self._envelope, self._content)

    async def _ask_envelope(self, transaction: Transaction) -> None:
        if self._pipelining:
            self._engine.expect_all(self._lines(transaction))
            await self._conversation.settle()
            return
        for line, expected in self._lines(transaction):
            await self._conversation.ask(line, expected)
            if transaction.is_refused:
                return

    # -- the content
    # -----------------------------------------------------------------------------------------------------

    async def _write(self, transaction: Transaction, pieces: Iterator[bytes]) -> None:
        piece = next(pieces)
        for following in pieces:
            self._queue(transaction, piece, last=False)
            if not await self._may_go_on(transaction):
                return
            piece = following
        if not self._engine.outgoing:
            # Whoever has refused or hung up by now is heard before the commit point.
            await self._conversation.read_waiting()
            if transaction.is_refused:
                self._conversation.is_usable = False
                return
        # Everything before this piece may be lost without harm. Its last byte is the commit point.
        self._queue(transaction, piece, last=True)
        try:
            await self._conversation.flush_committing(transaction)
            deadline = self._conversation.content_deadline()
            while not transaction.is_complete:
                await self._conversation.read(deadline)
        except DeliveryError as error:
            explained = await self._explained(error)
            if not transaction.is_complete:
                raise explained from error.__cause__

    def _queue(self, transaction: Transaction, piece: bytes, *, last: bool) -> None:
        if self._chunking:
            shown = None if self._options.transcript is None else piece[: piece.index(b"\r")].decode("ascii")
            what = Awaited.CONTENT if last else Awaited.CHUNK
            self._engine.expect(piece, Expected(what, transaction), shown=shown)
        else:
            self._engine.content(piece, shown=f"({self._content.size:,} octets of content)" if last else None)

    async def _may_go_on(self, transaction: Transaction) -> bool:
        """Write a block; return whether the server still wants the rest."""
        try:
            await self._conversation.flush(self._options.timeouts.data_block)
            await self._conversation.read_waiting()
            # A DATA's content awaits its one answer all the time; of BDATs only some may be unanswered.
            in_flight = MAX_CHUNKS_IN_FLIGHT if self._pipelining else 0
            while self._chunking and self._engine.awaiting > in_flight:
                await self._conversation.read(self._conversation.deadline(self._options.timeouts.command))
        except DeliveryError as error:
            explained = await self._explained(error)
            if not transaction.is_refused:
                raise explained from error.__cause__
        if transaction.is_refused:
            self._conversation.is_usable = False
            return False
        return True

    async def _explained(self, error: DeliveryError) -> DeliveryError:
        """Read on where writing failed: often the server has said why, which is worth more than a broken pipe."""
        self._conversation.is_usable = False
        with suppress(DeliveryError):
            await self._conversation.read_waiting()
        broken = self._engine.broken
        return broken if isinstance(broken, ProtocolError) else error
