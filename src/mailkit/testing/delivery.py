"""Content on the server's side: DATA, BDAT, and the answer for each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from mailkit.testing import replies
from mailkit.testing.content import broken_rules
from mailkit.testing.faults import encode_reply, plan
from mailkit.testing.grammar import BadArgument, parse_bdat
from mailkit.testing.reader import Content
from mailkit.testing.received import ReceivedMessage

if TYPE_CHECKING:
    from mailkit.testing.conversation import Conversation
    from mailkit.testing.transaction import Transaction, Transactions

__all__ = ["Delivery", "OnMessage"]

OnMessage: TypeAlias = Callable[[ReceivedMessage], str | None]
"""Called with each complete message; may return the text of the reply."""


class Delivery:
    """What receives content in one session.

    Args:
        conversation: The session's conversation.
        transactions: Its mail transactions.
        on_message: Called with each complete message before it is answered.
    """

    def __init__(self, conversation: Conversation, transactions: Transactions, on_message: OnMessage | None) -> None:
        self._conversation = conversation
        self._transactions = transactions
        self._on_message = on_message

    def data(self, argument: bytes) -> None:
        """Receive content that a dot ends (RFC 5321 §4.1.1.4)."""
        transaction = self._transactions.current
        if argument:
            self._conversation.say(replies.NO_ARGUMENT)
        elif transaction is None:
            self._conversation.say(replies.MAIL_FIRST)
        elif transaction.chunks or transaction.broken:
            self._conversation.say(replies.BDAT_OPEN)
        elif transaction.body == "BINARYMIME":
            self._conversation.say(replies.BINARY_NEEDS_BDAT)
        else:
            self._receive(transaction)

    def _receive(self, transaction: Transaction) -> None:
        refusal = replies.NO_RECIPIENTS_LMTP if self._conversation.settings.lmtp else replies.NO_RECIPIENTS
        answer = self._conversation.reply("DATA", lambda: replies.START_INPUT if transaction.rcpt_to else refusal)
        # A scripted 354 opens the input whatever the recipients were: servers do that under pipelining.
        if not answer.startswith(b"3"):
            return
        if not self._conversation.reader.pending:
            self._conversation.reader.wait()
        self._conversation.muted = False
        content = self._conversation.reader.until_dot(self._conversation.settings.max_size)
        self._transactions.current = None
        if content.unstuffed_dot:
            self._conversation.violate("unstuffed-dot")
        self._finish(transaction, content, "DATA")

    def bdat(self, argument: bytes) -> None:
        """Receive a chunk (RFC 3030 §2)."""
        try:
            size, last = parse_bdat(argument)
        except BadArgument as error:
            self._conversation.refuse_argument(error, argument)
            self._conversation.hang_up()  # where the chunk ends cannot be known
        if "CHUNKING" not in self._conversation.offered:
            self._conversation.violate("bdat-not-offered", argument)
        transaction = self._transactions.current
        room = self._conversation.settings.max_size - transaction.size if transaction else 0
        self._conversation.muted = False
        content = self._conversation.reader.exactly(size, room)
        refusal = self._refusal(transaction)
        if last:
            self._transactions.current = None
        if transaction is None or refusal:
            if not self._conversation.muted:
                self._conversation.reply("DOT" if last else "BDAT", lambda: refusal)
            if transaction is not None:
                transaction.broken = True
                self._reopen(transaction, after=last)
            return
        transaction.chunks.append(content.data)
        transaction.size += size
        if last:
            joined = transaction.chunks[0] if len(transaction.chunks) == 1 else b"".join(transaction.chunks)
            accepted = self._finish(transaction, Content(joined, transaction.size), "BDAT")
            self._reopen(transaction, after=not accepted)
        elif self._conversation.muted or not self._conversation.reply(
            "BDAT", lambda: self._chunk_reply(transaction, size)
        ).startswith(b"2"):
            transaction.broken = True

    def _reopen(self, transaction: Transaction, *, after: bool) -> None:
        """Go on with a transaction after its last chunk was refused, where the server is one of that kind."""
        if after and self._conversation.settings.keeps_refused_bdat:
            transaction.chunks.clear()
            transaction.size = 0
            transaction.broken = False
            self._transactions.current = transaction

    def _refusal(self, transaction: Transaction | None) -> bytes:
        if "CHUNKING" not in self._conversation.offered:
            return replies.NOT_IMPLEMENTED
        if transaction is None:
            return replies.MAIL_FIRST
        if transaction.broken:
            return replies.BDAT_BROKEN
        return b"" if transaction.rcpt_to else replies.NO_RECIPIENTS

    def _chunk_reply(self, transaction: Transaction, size: int) -> bytes:
        if transaction.size > self._conversation.settings.max_size:
            return replies.TOO_LARGE
        return b"250 2.0.0 %d octets received\r\n" % size

    def _finish(self, transaction: Transaction, content: Content, via: Literal["DATA", "BDAT"]) -> bool:
        """Take a complete message and answer for it: once, or for each recipient (LMTP, RFC 2033 §4.2).

        Returns:
            Whether somebody was told that it is accepted.
        """
        conversation = self._conversation
        recipients = transaction.rcpt_to
        if content.size > conversation.settings.max_size:
            if not conversation.muted:
                for recipient in recipients if conversation.settings.lmtp else ("",):
                    conversation.reply("DOT", lambda: replies.TOO_LARGE, recipient)
            return False
        if not recipients:  # RFC 2920 §3.1: a 354 was wrong, so the failure comes here; LMTP owes nobody a reply
            if not conversation.muted and not conversation.settings.lmtp:
                conversation.reply("DOT", lambda: replies.NO_RECIPIENTS)
            return False
        binary = transaction.body == "BINARYMIME"
        eight_bit = transaction.body != "7BIT" or transaction.utf8
        for rule, detail in broken_rules(content.data, eight_bit=eight_bit, binary=binary):
            conversation.violate(rule, detail)
        message = conversation.ledger.commit(
            lambda number: ReceivedMessage(
                number=number,
                mail_from=transaction.mail_from,
                rcpt_to=tuple(recipients),
                data=content.data,
                mail_parameters=transaction.parameters,
                rcpt_parameters=tuple(transaction.rcpt_parameters),
                via=via,
                helo=conversation.helo,
                user=conversation.record.user,
                tls=conversation.record.tls,
                peer=conversation.record.peer,
                connection=conversation.record.number,
            )
        )
        if conversation.muted:
            return False
        verdict = self._on_message(message) if self._on_message else None
        reply = encode_reply(verdict) if verdict else b"250 2.0.0 OK: queued as %08X\r\n" % message.number
        if conversation.settings.lmtp:
            return self._settle_each(message, reply)
        return self._settle(message, reply, recipients)

    def _settle_each(self, message: ReceivedMessage, reply: bytes) -> bool:
        accepted: list[int] = []
        for position, recipient in enumerate(message.rcpt_to):
            chosen = [*accepted, position]
            part = attrs.evolve(
                message,
                rcpt_to=tuple(message.rcpt_to[index] for index in chosen),
                rcpt_parameters=tuple(message.rcpt_parameters[index] for index in chosen),
            )
            if self._settle(part, reply, [recipient]):
                accepted = chosen
        return bool(accepted)

    def _settle(self, message: ReceivedMessage, reply: bytes, subjects: list[str]) -> bool:
        """Answer for a message; it counts as accepted before a positive reply can be seen, and only then."""
        action = self._conversation.cue("DOT", subjects)
        if action is None:
            if accepted := reply[:1] == b"2":
                self._conversation.ledger.accept(message)
            self._conversation.say(reply)
            return accepted
        move = plan(action, lambda: reply)
        self._conversation.hold(move)
        if move.accepts:
            self._conversation.ledger.accept(message)
        self._conversation.carry_out(move)
        return move.accepts
