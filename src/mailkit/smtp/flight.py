"""One message of a stream on its way: what is sent, the transaction that carries it now, and its outcome at last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import MailkitError
from mailkit.receipt import Outcome, RecipientResult
from mailkit.smtp.content import suits
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.transaction import NOT_HERE, Transaction
from mailkit.smtp.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.reply import Reply
    from mailkit.smtp.content import Content
    from mailkit.smtp.conversation import Conversation
    from mailkit.smtp.delivery import Delivery
    from mailkit.smtp.extensions import Extensions
    from mailkit.smtp.options import SMTPOptions
    from mailkit.smtp.session import Session

__all__ = ["Flight"]


class Flight:
    """A message with its place in the stream.

    Args:
        message: The message.
        envelope: Who gets it.
        content: Its bytes, as the server may take them.
        render: Makes its bytes for a server that offers something else.
        transport: The transport's name, for the receipt.
    """

    __slots__ = (
        "_conversation",
        "_delivery",
        "_render",
        "_results",
        "attempts",
        "content",
        "envelope",
        "message",
        "outcome",
        "prepared",
        "rest",
        "transaction",
        "transport",
    )

    def __init__(
        self,
        message: Message,
        envelope: Envelope,
        content: Content,
        *,
        render: Callable[[Extensions], Content],
        transport: str,
    ) -> None:
        self.message: Message = message
        self.envelope: Envelope = envelope
        self.content: Content = content
        self.transport: str = transport
        self.rest: tuple[Address, ...] = envelope.rcpt_to  # those to whom it is still to be sent
        self.transaction: Transaction | None = None
        self.attempts: int = 0  # connections that ended with it before they had answered anything
        self.outcome: Outcome | None = None
        self.prepared: bytes = b""  # the content as DATA wants it, while it is held back
        self._conversation: Conversation | None = None
        self._delivery: Delivery | None = None
        self._render = render
        self._results: dict[str, RecipientResult] = {}

    def fit(self, options: SMTPOptions, extensions: Extensions) -> None:
        """Write the message anew where another machine behind the same name cannot take it as it is."""
        if not suits(self.content, options, extensions):
            self.content = self._render(extensions)

    def begin(self, session: Session) -> Transaction:
        """Return a new transaction over this connection, for those to whom it is still to be sent."""
        self._conversation = session.conversation
        transaction = Transaction(self.rest, chunked=session.chunking, lmtp=session.options.protocol == "lmtp")
        self.transaction = transaction
        return transaction

    @property
    def untaken(self) -> tuple[Address, ...]:
        """Those of `rest` for whom the server took nothing, and no reply but "not on this connection" says why."""
        return tuple(path for path in self.rest if self._is_untaken(self._results.get(path.addr_spec)))

    @staticmethod
    def _is_untaken(result: RecipientResult | None) -> bool:
        return result is None or (result.status == "not_sent" and result.code in NOT_HERE)

    def entrust(self, delivery: Delivery) -> None:
        """Let it go alone: this delivery knows from now on what becomes of it."""
        self._delivery = delivery

    def enter(self) -> tuple[RecipientResult, ...]:
        """Take note of what is known now of the recipients that are on their way, end that, and return it."""
        results = self._on_their_way()
        self.note(results)
        self.transaction = self._delivery = None
        return results

    def _on_their_way(self) -> tuple[RecipientResult, ...]:
        delivery, transaction, conversation = self._delivery, self.transaction, self._conversation
        if delivery is not None:
            return delivery.results()
        if transaction is not None and conversation is not None:
            return transaction.results(conversation.bytes_sent)
        return ()

    def note(self, results: Iterable[RecipientResult]) -> None:
        """Take note of what became of some recipients."""
        for result in results:
            self._results[result.address] = result

    def settle(self, error: DeliveryError | None = None, reply: Reply | None = None) -> Outcome:
        """Come to the outcome, from what is known of each recipient."""
        self.enter()
        return self._end(self._judged(self._results, error, reply))

    def told(self, error: DeliveryError) -> Outcome:
        """Return the outcome, as far as it is known at this moment, and change nothing: another thread may be at it."""
        # In this order: what is not on its way any more has been noted.
        results = self._on_their_way()
        return self.outcome or self._judged(self._results | {each.address: each for each in results}, error)

    def _judged(
        self, known: Mapping[str, RecipientResult], error: DeliveryError | None, reply: Reply | None = None
    ) -> Outcome:
        results = tuple(
            known.get(path.addr_spec) or RecipientResult(path.addr_spec, status="not_sent")
            for path in self.envelope.rcpt_to
        )
        delivered = Delivered(results, error, reply)
        concluded = verdict(delivered, transport=self.transport, message_id=self.message.message_id or "")
        if isinstance(concluded, MailkitError):
            return Outcome(message=self.message, error=concluded)
        return Outcome(message=self.message, receipt=concluded)

    def fail(self, error: MailkitError) -> Outcome:
        """Come to the outcome: what is left of it was refused here, before anything was written for it."""
        self.enter()
        if all(map(self._is_untaken, self._results.values())):
            return self._end(Outcome(message=self.message, error=error))
        return self.settle()  # an earlier transaction has decided about somebody, which the error does not know

    def _end(self, outcome: Outcome) -> Outcome:
        self.outcome = outcome
        return outcome
