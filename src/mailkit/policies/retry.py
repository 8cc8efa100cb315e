"""Trying again, when what is known of the outcome allows it.

The errors say what may be repeated: a recipient whose copy was certainly not accepted (``"not_sent"``, ``"deferred"``)
and whose cause may pass. An unknown outcome is repeated only where that was asked for. Transports never retry by
themselves, so the numbers here are the numbers on the wire.
"""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, Self, TypeGuard

from attrs import field, frozen

from mailkit.errors import ConfigurationError, DeliveryError, MailkitError
from mailkit.policies.segments import Segments
from mailkit.policies.wrapper import Wrapper
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tenacity import RetryCallState
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.attempts import Attempts
    from mailkit.receipt import Outcome, Receipt, Status
    from mailkit.transport import Channel

__all__ = ["RetryChannel", "RetryPolicy"]

_CERTAINLY_NOT: Final[frozenset[Status]] = frozenset(("not_sent", "deferred"))
_PERHAPS_NOT: Final[frozenset[Status]] = frozenset(("not_sent", "deferred", "unknown"))


@frozen(kw_only=True)
class RetryPolicy:
    """How often, how long and how soon a delivery is tried again.

    Example:
        >>> RetryPolicy(attempts=5, deadline=60.0).attempts
        5

    Args:
        attempts: The most deliveries tried, the first one included.
        deadline: Seconds from the first attempt's begin after which no further one begins; None is no deadline.
        wait: A tenacity wait object; None is ``tenacity.wait_random_exponential(multiplier=0.5, max=10)``: full jitter.
        stop: A tenacity stop object that ends the attempts earlier.
        on_unknown: ``"raise"``: at most once, an unknown outcome is left to the caller. ``"retry"``: at least once, a
            second copy (with the same Message-ID) is preferred to none.

    Raises:
        ConfigurationError: `attempts` or `deadline` is not positive, or `on_unknown` not known.
    """

    attempts: int = 3
    deadline: float | None = 30.0
    wait: wait_base | Callable[[RetryCallState], float] | None = field(default=None, repr=False)
    stop: stop_base | Callable[[RetryCallState], bool] | None = field(default=None, repr=False)
    on_unknown: Literal["raise", "retry"] = "raise"

    def __attrs_post_init__(self) -> None:
        if self.attempts < 1 or (self.deadline is not None and not self.deadline > 0):
            msg = (
                "a retry policy has at least one attempt and a positive deadline or None; RetryPolicy.none() tries once"
            )
            raise ConfigurationError(msg)
        if self.on_unknown not in {"raise", "retry"}:
            msg = f'on_unknown={self.on_unknown!r} is not known: use "raise" (at most once) or "retry" (at least once)'
            raise ConfigurationError(msg)

    @classmethod
    def none(cls) -> Self:
        """Return the policy that tries once."""
        return cls(attempts=1)

    @property
    def undecided(self) -> frozenset[Status]:
        """What must have become of a recipient for another attempt."""
        return _PERHAPS_NOT if self.on_unknown == "retry" else _CERTAINLY_NOT

    def allows(self, error: DeliveryError) -> bool:
        """Whether the error leaves another attempt open, for the recipients that are still undecided."""
        # A rejection or a doubt stands for its own recipients; beside them others may only have been deferred.
        return error.retryable or error.outcome in {"rejected", "unknown"}


class RetryChannel(Wrapper):
    """A channel that tries again.

    Args:
        channel: What is tried.
        policy: How often.
        edge: Whose clock and sleep are used.
    """

    def __init__(self, channel: Channel, policy: RetryPolicy, edge: Edge) -> None:
        super().__init__(channel, edge)
        self._policy = policy

    def _attempts(self, envelope: Envelope, started: float) -> Attempts:
        from mailkit.policies.attempts import Attempts

        return Attempts(envelope, self._policy, started, all_or_nothing=self.is_all_or_nothing)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message, trying again for the recipients that are still undecided."""
        return await self._persist(envelope, lambda rest: self._channel.send(message, rest))

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; those still undecided are tried again, one by one, in their places.

        Whatever interrupts it carries what became of the messages that were taken and not yet yielded, as ``outcomes``.
        """
        source = Segments(messages)
        waiting: deque[Outcome] = deque()
        try:
            while source.goes_on:
                async with (
                    aclosing(source.next_segment()) as segment,
                    carrying_on(self._channel.send_many(segment, connections=connections, window=window)) as outcomes,
                ):
                    async for outcome in outcomes:
                        if waiting or self._unfinished(outcome) is not None:
                            # The stream below ends here: its connections may be all there are for another attempt.
                            source.pause()
                            waiting.append(outcome)
                        else:
                            yield outcome
                while waiting:
                    try:
                        reconsidered = await self._reconsider(waiting[0])
                    except BaseException as interruption:
                        waiting[0] = _left_by(interruption, waiting[0])
                        raise
                    waiting.popleft()
                    yield reconsidered
        except BaseException as interruption:
            interruption.__dict__["outcomes"] = (*waiting, *getattr(interruption, "outcomes", ()))
            raise

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes, trying again for the recipients that are still undecided."""
        return await self._persist(envelope, lambda rest: self._channel.send_raw(data, rest))

    def _unfinished(self, outcome: Outcome) -> Receipt | DeliveryError | None:
        """Return how a message ended, if the policy would try again for somebody."""
        error = outcome.error if isinstance(outcome.error, DeliveryError) else None
        ended = outcome.receipt or error
        if ended is None or _is_complete(ended):
            return None
        from mailkit.envelope import Envelope

        now = self._edge.now()
        attempts = self._attempts(Envelope.from_message(outcome.message), now)
        return None if attempts.next_after(ended, now) is None else ended

    async def _reconsider(self, outcome: Outcome) -> Outcome:
        from mailkit.envelope import Envelope
        from mailkit.receipt import Outcome

        message, ended = outcome.message, self._unfinished(outcome)
        if ended is None:
            return outcome
        envelope = Envelope.from_message(message)
        try:
            receipt = await self._persist(envelope, lambda rest: self._channel.send(message, rest), ended)
        except MailkitError as error:
            return Outcome(message=message, error=error)
        return Outcome(message=message, receipt=receipt)

    async def _persist(
        self,
        envelope: Envelope,
        deliver: Callable[[Envelope], Awaitable[Receipt]],
        first: Receipt | DeliveryError | None = None,
    ) -> Receipt:
        """Try until nobody is undecided or the policy is exhausted.

        Args:
            envelope: Who gets the message.
            deliver: Tries once.
            first: How the first attempt ended, where it has been made already.

        Raises:
            DeliveryError: Nobody was accepted.
        """
        started = self._edge.now()
        latest = first or await _attempt(deliver, envelope)
        if _is_complete(latest):  # by far the most common end, which costs nothing beyond this
            return latest
        attempts = self._attempts(envelope, started)
        while (rest := attempts.next_after(latest, self._edge.now())) is not None:
            try:
                await self._edge.sleep(attempts.pause)
                latest = await _attempt(deliver, rest)
            except MailkitError as error:
                # The message has become unfit meanwhile, a file of it has gone: what was reached before still stands.
                return attempts.broken_off(error)
            except BaseException as interruption:
                attempts.annotate(interruption)
                raise
        return attempts.conclude()


async def _attempt(deliver: Callable[[Envelope], Awaitable[Receipt]], envelope: Envelope) -> Receipt | DeliveryError:
    try:
        return await deliver(envelope)
    except DeliveryError as error:
        return error


def _is_complete(ended: Receipt | DeliveryError) -> TypeGuard[Receipt]:
    if isinstance(ended, DeliveryError):
        return False
    return all(result.status == "accepted" for result in ended.recipients)


def _left_by(interruption: BaseException, outcome: Outcome) -> Outcome:
    """Return what an interruption has left of a message that was being tried again."""
    from mailkit.receipt import Outcome, Receipt

    delivery = getattr(interruption, "delivery", None)
    if isinstance(delivery, Receipt):
        return Outcome(message=outcome.message, receipt=delivery)
    return outcome if delivery is None else Outcome(message=outcome.message, error=delivery)
