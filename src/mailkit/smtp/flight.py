"""One message of a stream on its way: what is sent, the transaction that carries it now, and its outcome at last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import MailkitError
from mailkit.receipt import Outcome, RecipientResult
from mailkit.smtp.content import suits
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.reply import Reply
    from mailkit.smtp.content import Content
    from mailkit.smtp.extensions import Extensions
    from mailkit.smtp.options import SMTPOptions
    from mailkit.smtp.session import Session
    from mailkit.smtp.transaction import Transaction

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
        self.message = message
        self.envelope = envelope
        self.content = content
        self.transport = transport
        self.rest: tuple[Address, ...] = envelope.rcpt_to  # those to whom it is still to be sent
        self.transaction: Transaction | None = None
        self.attempts: int = 0  # connections that broke with it before they had answered anything
        self.outcome: Outcome | None = None
        self.prepared: bytes = b""  # the content as DATA wants it, while it is held back
        self._render = render
        self._results: dict[str, RecipientResult] = {}

    def fit(self, options: SMTPOptions, extensions: Extensions) -> None:
        """Write the message anew where another machine behind the same name cannot take it as it is."""
        if not suits(self.content, options, extensions):
            self.content = self._render(extensions)

    def is_stale(self, bytes_sent: int) -> bool:
        """Whether the connection broke before anything of the message was taken, and no reply says why."""
        results = () if self.transaction is None else self.transaction.results(bytes_sent)
        return Delivered(results).is_stale

    def enter(self, session: Session) -> None:
        """Take note of what is known now of the recipients that the transaction at hand was about."""
        if self.transaction is not None:
            self.note(self.transaction.results(session.conversation.bytes_sent))

    def note(self, results: Iterable[RecipientResult]) -> None:
        """Take note of what became of some recipients."""
        for result in results:
            self._results[result.address] = result

    def settle(self, error: DeliveryError | None = None, reply: Reply | None = None) -> None:
        """Come to the outcome, from what is known of each recipient."""
        results = tuple(
            self._results.get(path.addr_spec, RecipientResult(path.addr_spec, status="not_sent"))
            for path in self.envelope.rcpt_to
        )
        delivered = Delivered(results, error, reply)
        concluded = verdict(delivered, transport=self.transport, message_id=self.message.message_id or "")
        if isinstance(concluded, MailkitError):
            self.outcome = Outcome(message=self.message, error=concluded)
        else:
            self.outcome = Outcome(message=self.message, receipt=concluded)

    def fail(self, error: MailkitError) -> None:
        """Come to the outcome: it was refused here, before anything of it was written."""
        self.outcome = Outcome(message=self.message, error=error)
