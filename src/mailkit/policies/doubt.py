"""An unknown outcome, for whoever can find out: a provider's list of messages, a mailbox, a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import evolve, field, frozen

from mailkit.errors import DeliveryError, OutcomeUnknownError
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["Doubt", "Finding", "FindsOut"]

Finding: TypeAlias = "Receipt | Literal['not_sent', 'unknown'] | None"
"""What was found: the receipt of a message that was accepted after all, ``"not_sent"`` where it surely was not, and
``"unknown"`` or None where it cannot be told."""

FindsOut: TypeAlias = "Callable[[Doubt], Finding]"


@frozen(kw_only=True)
class Doubt:
    """A delivery whose answer was lost after the commit point, so that the message may have been accepted or not.

    Args:
        message_id: The Message-ID, without angle brackets, where it is known.
        transport: The name of the transport.
        message: The message; None for prepared bytes.
        envelope: For whom it is unknown.
        ended: What the delivery ended in: an error, or a receipt where some recipients were answered for.
    """

    message_id: str | None
    transport: str
    message: Message | None = field(repr=False)
    envelope: Envelope = field(repr=False)
    ended: Receipt | DeliveryError = field(repr=False)

    @classmethod
    def about(cls, ended: Receipt | DeliveryError, message: Message | None, envelope: Envelope) -> Doubt | None:
        """Return the doubt that a delivery leaves, if it leaves one that another attempt would not be safe from."""
        if isinstance(ended, DeliveryError) and (ended.idempotent or ended.outcome != "unknown"):
            return None
        unknown = {result.address for result in _results(ended, envelope) if result.status == "unknown"}
        paths = tuple(path for path in envelope.rcpt_to if path.addr_spec in unknown)
        if not paths:
            return None
        return cls(
            message_id=ended.message_id or (None if message is None else message.message_id),
            transport=ended.transport or "",
            message=message,
            envelope=evolve(envelope, rcpt_to=paths),
            ended=ended,
        )

    def resolved(self, finding: object, envelope: Envelope) -> Receipt | DeliveryError:
        """Return how the delivery ended, given what was found.

        Args:
            finding: What was found out about the recipients in doubt: a :data:`Finding`.
            envelope: Who the delivery was for.

        Raises:
            TypeError: That is no finding.
        """
        if finding is None or finding == "unknown":
            return self.ended
        if isinstance(finding, Receipt):
            found = {result.address: result for result in finding.recipients}
        elif finding == "not_sent":
            found = {
                path.addr_spec: RecipientResult(path.addr_spec, status="not_sent") for path in self.envelope.rcpt_to
            }
        else:
            msg = f"on_unknown returned {finding!r}: return a Receipt, 'not_sent', 'unknown' or None"
            raise TypeError(msg)
        results = [
            found.get(result.address, result) if result.status == "unknown" else result
            for result in _results(self.ended, envelope)
        ]
        receipt = self.ended if isinstance(self.ended, Receipt) else finding
        if isinstance(receipt, Receipt) and any(result.status == "accepted" for result in results):
            return evolve(receipt, recipients=results, attempts=self.ended.attempts)
        return error_for_recipients(
            results,
            "it was found out what became of the message",
            transport=self.transport,
            attempts=self.ended.attempts,
            message_id=self.message_id,
        )


def _results(ended: Receipt | DeliveryError, envelope: Envelope) -> list[RecipientResult]:
    """Return what became of each recipient; an error that names nobody is about all of them."""
    named = {result.address: result for result in ended.recipients}
    if isinstance(ended, OutcomeUnknownError):
        for path in envelope.rcpt_to:
            named.setdefault(path.addr_spec, RecipientResult(path.addr_spec, status="unknown", phase=ended.phase))
    return [named[path.addr_spec] for path in envelope.rcpt_to if path.addr_spec in named]
