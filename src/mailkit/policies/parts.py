"""A message whose recipients go different ways: each part on a journey of its own, and one receipt for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, RejectedError
from mailkit.policies.journey import joint_error, outcome_of, receipt_of
from mailkit.policies.tally import Tally
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.envelope import Envelope
    from mailkit.policies.journey import Journey
    from mailkit.receipt import Outcome

__all__ = ["Parts"]


class Parts:
    """The parts of a message. Together they have each of its recipients once.

    Args:
        envelope: Everybody.
        journeys: One for each way.
        name: What the policy that parted them is called.
    """

    def __init__(self, envelope: Envelope, journeys: Sequence[Journey], name: str) -> None:
        self._envelope = envelope
        self._name = name
        self.journeys: tuple[Journey, ...] = tuple(journeys)

    def outcome(self) -> Outcome:
        """Return what became of the message, whether or not each part is at its end."""
        return outcome_of(self.journeys[0].in_stream, self.ended())

    def conclude(self) -> Receipt:
        """Return the receipt.

        Raises:
            MailkitError: Nobody was accepted.
        """
        return receipt_of(self.ended())

    def ended(self) -> Receipt | MailkitError:
        """Return the receipt, or the error that says what happened on each way."""
        ends = [journey.ended() for journey in self.journeys]
        refusals = [end for end in ends if isinstance(end, MailkitError) and not isinstance(end, DeliveryError)]
        if len(refusals) == len(ends):
            return refusals[0]
        tally = Tally(self._envelope)
        deliveries: list[DeliveryError] = []
        for journey, end in zip(self.journeys, ends, strict=True):
            tally.ask(journey.envelope.rcpt_to)
            entry = end if isinstance(end, Receipt | DeliveryError) else _delivery(end, journey)
            tally.enter(entry)
            if isinstance(entry, DeliveryError):
                deliveries.append(entry)
        if tally.is_received:
            return tally.verdict()
        what = f"no recipient was accepted: {'; '.join(map(str, deliveries))}"
        error = joint_error(tally, self._name, what, deliveries)
        error.__cause__ = ExceptionGroup("what was said on each way", deliveries)
        return error


def _delivery(refusal: MailkitError, journey: Journey) -> DeliveryError:
    """Return an error that says of one part what was wrong with it, beside others that were delivered."""
    where, message_id = journey.order[0].name, journey.in_stream.message_id if journey.message else None
    kind = DeliveryError if isinstance(refusal, ConfigurationError) else RejectedError
    error = kind(str(refusal), phase="route", transport=where, attempts=0, message_id=message_id)
    if isinstance(refusal, ConfigurationError):
        error.cause = "configuration"
    error.__cause__ = refusal
    return error
