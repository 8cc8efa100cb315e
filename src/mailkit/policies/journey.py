"""One message on its way from transport to transport: what each said, for whom to ask the next, how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    OutcomeUnknownError,
    RateLimitedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.policies.tally import Tally
from mailkit.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.envelope import Envelope
    from mailkit.errors import Cause
    from mailkit.message import Message
    from mailkit.policies.members import Member
    from mailkit.receipt import Status

__all__ = ["Journey", "confined", "is_settled", "joint_error", "outcome_of", "receipt_of"]

_NOT_SENT: Final[frozenset[Status]] = frozenset(("not_sent",))
_BEST_FIRST: Final[tuple[Cause, ...]] = ("transient", "throttled", "configuration", "security")
_ERRORS: Final[Mapping[Cause | None, type[DeliveryError]]] = {
    "transient": TransientError,
    "throttled": RateLimitedError,
}


def is_settled(ended: Receipt | MailkitError) -> TypeGuard[Receipt]:
    """Whether a delivery leaves nothing to do for another transport."""
    return isinstance(ended, Receipt) and all(result.status != "not_sent" for result in ended.recipients)


class Journey:
    """A message on its way.

    Only a recipient to whom nothing was sent is taken to the next transport. Who was accepted, deferred, rejected or
    left in doubt stays with the transport that said so.

    Args:
        message: The message; None for prepared bytes.
        envelope: Who gets it.
        order: Whom to ask, one after the other.
        name: What the policy that asks them is called.
        all_or_nothing: Whether the message goes to all of its recipients or to none.
        is_part: Whether the envelope has only some of those whom the message names.
    """

    __slots__ = (
        "_broken",
        "_is_part",
        "_name",
        "_receipt",
        "_rest",
        "_said",
        "_tally",
        "envelope",
        "message",
        "order",
        "place",
    )

    def __init__(
        self,
        message: Message | None,
        envelope: Envelope,
        order: Sequence[Member],
        name: str,
        *,
        all_or_nothing: bool = False,
        is_part: bool = False,
    ) -> None:
        self.message: Message | None = message
        self.envelope: Envelope = envelope
        self.order: Sequence[Member] = order
        self._name = name
        self._is_part = is_part
        self.place: int = 0
        self._tally = Tally(envelope, all_or_nothing=all_or_nothing)
        self._said: list[tuple[str, MailkitError]] = []
        self._receipt: Receipt | None = None
        self._broken: MailkitError | None = None
        self._rest: Envelope | None = envelope

    @property
    def next(self) -> Member | None:
        """Who is to be asked now; None at the journey's end."""
        return None if self._rest is None or self.place >= len(self.order) else self.order[self.place]

    @property
    def rest(self) -> Envelope:
        """The envelope for whoever is asked next."""
        return self._rest or self.envelope

    @property
    def is_whole(self) -> bool:
        """Whether it is still for everybody whom the message names, so that a stream can take it."""
        return self._rest is self.envelope and not self._is_part

    @property
    def in_stream(self) -> Message:
        """The message, which a journey in a stream has: prepared bytes are sent by themselves."""
        assert self.message is not None  # noqa: S101
        return self.message

    def note(self, ended: Receipt | MailkitError | None) -> None:
        """Enter how it ended with the one who was asked."""
        member = self.order[self.place]
        self.place += 1
        if isinstance(ended, MailkitError):
            self._said.append((member.name, ended))
        if isinstance(ended, Receipt | DeliveryError):
            self._enter(ended)
        elif not isinstance(ended, UnsupportedFeatureError | ConfigurationError):
            self._broken, self._rest = ended, None  # no transport could send it

    def left_in_doubt(self) -> None:
        """Enter that the one who was asked was interrupted, and has not said what it left."""
        self.note(
            OutcomeUnknownError(
                f"sending through {self.order[self.place].name} was interrupted: the message may or may not have been "
                "accepted. Look for the Message-ID at the receiving side before sending again",
                transport=self.order[self.place].name,
                message_id=None if self.message is None else self.message.message_id,
            )
        )

    def _enter(self, ended: Receipt | DeliveryError) -> None:
        if not self._tally.deliveries and is_settled(ended):
            self._receipt, self._rest = ended, None
            return
        self._tally.enter(ended)
        left = self._tally.left_in(_NOT_SENT)
        self._rest = self._tally.ask(left) if left and not self._tally.splits(left) else None

    def interrupted(self, interruption: BaseException) -> None:
        """Enter what an interruption left of it, and let it say what became of the message everywhere."""
        below = getattr(interruption, "delivery", None)
        if isinstance(below, Receipt | DeliveryError):
            self.note(below)
        else:
            self.left_in_doubt()
        interruption.__dict__["delivery"] = self.ended()

    def outcome(self) -> Outcome:
        """Return what became of a message, whether or not it is at its end."""
        return outcome_of(self.in_stream, self.ended())

    def conclude(self) -> Receipt:
        """Return the receipt.

        Raises:
            MailkitError: Nobody was accepted.
        """
        return receipt_of(self.ended())

    def ended(self) -> Receipt | MailkitError:
        """Return the receipt, or the error that says what happened with each transport."""
        if self._receipt is not None:
            return self._receipt
        tally = self._tally
        if self._broken is not None and tally.is_nowhere:
            return self._broken
        if self._rest is not None and not tally.is_received:
            return self._nowhere(self._rest)
        ended = tally.verdict()
        return confined(ended) if len(self.order) > 1 else ended

    def _nowhere(self, rest: Envelope) -> MailkitError:
        """Return the error for a message that is left with nobody to ask."""
        tally, errors = self._tally, [error for _, error in self._said]
        deliveries = [error for error in errors if isinstance(error, DeliveryError)]
        if not errors:
            interrupted = "the message was not sent: the stream of messages was interrupted before it"
            return ConnectError(interrupted, transport=self._name, attempts=0)
        if len(errors) == 1:
            return tally.telling(deliveries[0]) if deliveries else errors[0]
        told = "; ".join(f"{name}: {error}" for name, error in self._said)
        what = f"none of {len(errors)} transports sent the message: {told}"
        error: MailkitError
        if not deliveries:
            error = self._refusal(what, errors)
        else:
            tally.postpone(rest.rcpt_to, _soonest(deliveries))
            error = confined_error(joint_error(tally, self._name, what, deliveries))
        error.__cause__ = ExceptionGroup("what each transport said", errors)
        return error

    def _refusal(self, what: str, errors: Sequence[MailkitError]) -> MailkitError:
        if any(isinstance(error, ConfigurationError) for error in errors):
            return ConfigurationError(what)
        features = {error.feature: True for error in errors if isinstance(error, UnsupportedFeatureError)}
        return UnsupportedFeatureError(what, feature=next(iter(features)), transport=self._name)


def joint_error(tally: Tally, name: str, what: str, deliveries: Sequence[DeliveryError]) -> DeliveryError:
    """Return the error that says the worst of several, and of what may be done about it the best.

    Args:
        tally: What became of each recipient.
        name: What the policy that raises it is called.
        what: What happened.
        deliveries: What was raised.
    """
    message_id = next((error.message_id for error in deliveries if error.message_id), None)
    if not tally.is_all_unsent:
        return tally.worst(what, name, message_id=message_id)
    causes = [error.cause for error in deliveries]
    cause: Cause | None = next((cause for cause in _BEST_FIRST if cause in causes), None)
    error = _ERRORS.get(cause, DeliveryError)(
        what,
        outcome="not_sent",
        cause=cause,
        phase=deliveries[-1].phase,
        retry_after=_soonest(deliveries),
        transport=name,
        message_id=message_id,
    )
    return tally.telling(error)


def receipt_of(ended: Receipt | MailkitError) -> Receipt:
    """Return a receipt.

    Raises:
        MailkitError: It is one.
    """
    if isinstance(ended, Receipt):
        return ended
    raise ended


def outcome_of(message: Message, ended: Receipt | MailkitError) -> Outcome:
    """Return what became of a message of a stream."""
    if isinstance(ended, Receipt):
        return Outcome(message=message, receipt=ended)
    return Outcome(message=message, error=ended)


def confined(ended: Receipt | MailkitError) -> Receipt | MailkitError:
    """Return how a delivery ended; a doubt is not safe to repeat where another transport may be asked the next time.

    An idempotency key is known only where it was sent.
    """
    return confined_error(ended) if isinstance(ended, DeliveryError) else ended


def confined_error(error: DeliveryError) -> DeliveryError:
    """Return an error without the promise that repeating is safe."""
    error.idempotent = False
    return error


def _soonest(errors: Sequence[DeliveryError]) -> float | None:
    """Return in how many seconds one of the transports may do better; None where that may be now, or never."""
    return min((error.retry_after or 0.0 for error in errors if error.retryable), default=0.0) or None
