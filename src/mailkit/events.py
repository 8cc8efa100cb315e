"""What happens to a message on its way, as values for whoever listens: hooks, logs, traces.

Policies and mailers tell their edge, and the edge tells its listener: see :meth:`mailkit.edge.Edge.notify`. What an
event shows of itself, and so all that a log line can say, holds no personal data: counts instead of addresses, and the
Message-ID. The message, its envelope and the error are attributes that stay out of its repr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import Factory, field, frozen

from mailkit.errors import Cause, ConfigurationError, DeliveryError, DeliveryOutcome, MailkitError

if TYPE_CHECKING:
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt, Status

__all__ = [
    "AfterAttempt",
    "AfterSend",
    "BeforeAttempt",
    "BeforeSend",
    "BreakerChanged",
    "BreakerState",
    "Deduplicated",
    "Event",
    "FailedOver",
    "PassedOver",
    "Redirected",
    "RetryWithheld",
    "Retrying",
    "Suppressed",
    "Throttled",
]

BreakerState = Literal["closed", "open", "half-open"]
"""Whether a circuit breaker lets messages through: all, none, or one to find out."""


@frozen(kw_only=True)
class Event:
    """Something that happened, as all events have it.

    Args:
        message_id: The Message-ID, without angle brackets; None where prepared bytes are on their way, or no message.
        transport: The name of the transport that it happened at: never a secret.
        recipients: How many recipients it is about.
    """

    name: ClassVar[str] = "mailkit"
    """What it is called in logs and traces."""

    message_id: str | None = None
    transport: str
    recipients: int = 0

    @property
    def title(self) -> str:
        """The name, and how it ended where that is part of what happened: ``"mailkit.send.accepted"``."""
        return self.name


@frozen(kw_only=True)
class BeforeSend(Event):
    """A message is about to be sent; nothing of it was written.

    Args:
        message: The message, complete; None for prepared bytes.
        envelope: Who it is from and to. :class:`AfterSend` has the same object.
        in_stream: Whether it is one of ``send_many``'s, several of which are on their way at once.
    """

    name: ClassVar[str] = "mailkit.send.begun"

    message: Message | None = field(repr=False, eq=False)
    envelope: Envelope = field(repr=False, eq=False)
    in_stream: bool = field(default=False, repr=False)


def _delivery(event: AfterSend | AfterAttempt) -> Receipt | BaseException | None:
    """Return the receipt, the error, or what an interruption says that it has left."""
    error = event.error
    if error is None or isinstance(error, MailkitError):
        return event.receipt or error
    left: Receipt | DeliveryError | None = getattr(error, "delivery", None)
    return left


def _accepted(event: AfterSend | AfterAttempt) -> int:
    delivery = _delivery(event)
    return 0 if delivery is None or isinstance(delivery, BaseException) else len(delivery.accepted)


def _outcome(event: AfterSend | AfterAttempt) -> Status:
    delivery = _delivery(event)
    if isinstance(delivery, DeliveryError):
        return delivery.outcome
    if isinstance(delivery, ConfigurationError):
        return "not_sent"
    if isinstance(delivery, MailkitError):
        return "rejected"  # refused here, for good
    return "unknown" if delivery is None else "accepted"  # an interruption that says nothing leaves a doubt


def _attempts(event: AfterSend) -> int:
    delivery = _delivery(event)
    if isinstance(delivery, MailkitError):
        return delivery.attempts if isinstance(delivery, DeliveryError) else 0
    return getattr(delivery, "attempts", 1)


def _cause(event: AfterSend | AfterAttempt) -> Cause | None:
    delivery = _delivery(event)
    return delivery.cause if isinstance(delivery, DeliveryError) else None


def _phase(event: AfterSend | AfterAttempt) -> str | None:
    delivery = _delivery(event)
    return delivery.phase if isinstance(delivery, DeliveryError) else None


@frozen(kw_only=True)
class AfterSend(Event):
    """A message was sent, or was not: the last that is heard of it.

    Args:
        message: The message, complete; None for prepared bytes.
        envelope: Who it was from and to.
        receipt: The receipt, where at least one recipient was accepted.
        error: The error, where none was, or the interruption (a cancellation, KeyboardInterrupt).
        duration: Seconds from :class:`BeforeSend`, all attempts and waits included; in a stream, the queueing too.
        outcome: What became of it; ``"accepted"`` where at least one recipient was.
        accepted: How many recipients were accepted.
        attempts: How many times delivery was tried; 0 for a message that was refused before.
        cause: Why it was not sent or deferred.
        phase: Where in the delivery it ended.
    """

    name: ClassVar[str] = "mailkit.send"

    message: Message | None = field(repr=False, eq=False)
    envelope: Envelope | None = field(repr=False, eq=False)
    receipt: Receipt | None = field(default=None, repr=False, eq=False)
    error: BaseException | None = field(default=None, repr=False, eq=False)
    duration: float
    outcome: Status = field(init=False, default=Factory(_outcome, takes_self=True))
    accepted: int = field(init=False, default=Factory(_accepted, takes_self=True))
    attempts: int = field(init=False, default=Factory(_attempts, takes_self=True))
    cause: Cause | None = field(init=False, default=Factory(_cause, takes_self=True))
    phase: str | None = field(init=False, default=Factory(_phase, takes_self=True))

    @property
    def title(self) -> str:
        """The name and the outcome."""
        return f"{self.name}.{self.outcome}"


@frozen(kw_only=True)
class BeforeAttempt(Event):
    """Delivery is about to be tried, for the recipients that are still undecided.

    Args:
        attempt: Which attempt it is; the first is 1.
        message: The message, complete; None for prepared bytes.
        envelope: Who it goes to this time.
    """

    name: ClassVar[str] = "mailkit.attempt.begun"

    attempt: int
    message: Message | None = field(repr=False, eq=False)
    envelope: Envelope = field(repr=False, eq=False)


@frozen(kw_only=True)
class AfterAttempt(Event):
    """Delivery was tried once.

    Args:
        attempt: Which attempt it was.
        receipt: The attempt's own receipt, where it was accepted by anybody.
        error: The error, where it was not.
        duration: Seconds that it took.
        outcome: What became of it this time.
        accepted: How many recipients were accepted this time.
        cause: Why it was not sent or deferred.
        phase: Where in the delivery it ended.
    """

    name: ClassVar[str] = "mailkit.attempt"

    attempt: int
    receipt: Receipt | None = field(default=None, repr=False, eq=False)
    error: BaseException | None = field(default=None, repr=False, eq=False)
    duration: float
    outcome: Status = field(init=False, default=Factory(_outcome, takes_self=True))
    accepted: int = field(init=False, default=Factory(_accepted, takes_self=True))
    cause: Cause | None = field(init=False, default=Factory(_cause, takes_self=True))
    phase: str | None = field(init=False, default=Factory(_phase, takes_self=True))

    @property
    def title(self) -> str:
        """The name and the outcome."""
        return f"{self.name}.{self.outcome}"


@frozen(kw_only=True)
class Retrying(Event):
    """Delivery is tried again after a wait, for `recipients` that are still undecided.

    Args:
        attempt: How many attempts there have been.
        wait: Seconds until the next one.
        outcome: What became of the latest attempt; ``"accepted"`` where others were.
        cause: Why it was not sent or deferred.
        error: The error that the latest attempt ended in, if it ended in one.
    """

    name: ClassVar[str] = "mailkit.retry"

    attempt: int
    wait: float
    outcome: Status
    cause: Cause | None = None
    error: DeliveryError | None = field(default=None, repr=False, eq=False)


@frozen(kw_only=True)
class RetryWithheld(Event):
    """Another attempt would have been made, but the retry budget of the mailer is used up.

    Args:
        attempt: How many attempts there have been.
        outcome: What became of the latest one.
        cause: Why it was not sent or deferred.
        error: The error that it ended in, if it ended in one.
    """

    name: ClassVar[str] = "mailkit.retry.withheld"

    attempt: int
    outcome: Status
    cause: Cause | None = None
    error: DeliveryError | None = field(default=None, repr=False, eq=False)


@frozen(kw_only=True)
class FailedOver(Event):
    """One transport did not send a message, and the next one is asked to, for `recipients` of it.

    Args:
        to: The name of the next transport; `transport` is the one that failed.
        outcome: What became of it there.
        cause: Why.
        error: The error.
    """

    name: ClassVar[str] = "mailkit.failover"

    to: str
    outcome: DeliveryOutcome = "not_sent"
    cause: Cause | None = None
    error: MailkitError | None = field(default=None, repr=False, eq=False)


@frozen(kw_only=True)
class PassedOver(Event):
    """A transport was not asked to send a message at all.

    Args:
        reason: ``"unsupported"``: it cannot express the message. ``"breaker"``: its circuit breaker is open.
            ``"throttled"``: it has asked to be left alone for a while.
        feature: What it cannot express, as :class:`mailkit.Capabilities` spells it.
        error: What was raised instead of asking.
    """

    name: ClassVar[str] = "mailkit.passed_over"

    reason: Literal["unsupported", "breaker", "throttled"]
    feature: str | None = None
    error: MailkitError | None = field(default=None, repr=False, eq=False)


@frozen(kw_only=True)
class BreakerChanged(Event):
    """A circuit breaker opened, closed, or lets one message through to find out.

    Args:
        before: Its state until now.
        after: Its state from now on.
        failures: How many transport-level failures in a row there have been.
        wait: Seconds until it lets one message through, where it opened.
        cause: Why it opened.
        error: The failure that opened it.
    """

    name: ClassVar[str] = "mailkit.breaker"

    before: BreakerState
    after: BreakerState
    failures: int = 0
    wait: float | None = None
    cause: Cause | None = None
    error: MailkitError | None = field(default=None, repr=False, eq=False)

    @property
    def title(self) -> str:
        """The name and the new state."""
        return f"{self.name}.{self.after}"


@frozen(kw_only=True)
class Throttled(Event):
    """A message waits, because a limit of ours is reached.

    Args:
        limit: Which one, such as ``"10 messages/s"`` or ``"5 at a time"``.
        wait: Seconds, where they are known beforehand.
    """

    name: ClassVar[str] = "mailkit.throttled"

    limit: str
    wait: float | None = None


@frozen(kw_only=True)
class Suppressed(Event):
    """`recipients` of a message are on a suppression list, and it is not sent to them.

    Args:
        remaining: How many other recipients it has.
    """

    name: ClassVar[str] = "mailkit.suppressed"

    remaining: int = 0


@frozen(kw_only=True)
class Redirected(Event):
    """A message goes to somebody else than its `recipients`.

    Args:
        to: How many recipients it has instead.
    """

    name: ClassVar[str] = "mailkit.redirected"

    to: int = 0


@frozen(kw_only=True)
class Deduplicated(Event):
    """A message is not sent, because one with its idempotency key was, within the window.

    Args:
        original_message_id: The Message-ID of the one that was.
    """

    name: ClassVar[str] = "mailkit.deduplicated"

    original_message_id: str | None = None
