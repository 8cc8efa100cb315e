"""Trying again, when what is known of the outcome allows it.

The errors say what may be repeated: a recipient whose copy was certainly not accepted (``"not_sent"``, ``"deferred"``)
and whose cause may pass. An unknown outcome is repeated only where that was asked for. Transports never retry by
themselves, so the numbers here are the numbers on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from attrs import evolve, field, frozen

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError, MailkitError
from mailkit.receipt import Outcome, Receipt, error_for_recipients
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tenacity import RetryCallState
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

    from mailkit.address import Address
    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.receipt import RecipientResult, Status
    from mailkit.transport import ServerInfo

__all__ = ["RetryChannel", "RetryPolicy"]


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
        if self.on_unknown == "retry":
            return frozenset(("not_sent", "deferred", "unknown"))
        return frozenset(("not_sent", "deferred"))

    def allows(self, error: DeliveryError) -> bool:
        """Whether the error by itself allows another attempt, for the recipients that are still undecided."""
        if error.outcome == "unknown":
            return self.on_unknown == "retry"
        return error.retryable or (error.outcome == "rejected" and bool(error.recipients))


class RetryChannel(Channel):
    """A channel that tries again.

    Args:
        channel: What is tried.
        policy: How often.
        edge: Whose clock and sleep are used.
    """

    def __init__(self, channel: Channel, policy: RetryPolicy, edge: Edge) -> None:
        super().__init__(channel.transport)
        self._channel = channel
        self._policy = policy
        self._edge = edge

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message, trying again for the recipients that are still undecided."""
        return await self._persist(envelope, lambda rest: self._channel.send(message, rest))

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; those still undecided are tried again, one by one, in their places."""
        outcomes = self._channel.send_many(messages, connections=connections, window=window)
        try:
            async for outcome in outcomes:
                yield await self._reconsider(outcome)
        finally:
            await outcomes.aclose()

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes, trying again for the recipients that are still undecided."""
        return await self._persist(envelope, lambda rest: self._channel.send_raw(data, rest))

    async def verify(self) -> ServerInfo:
        """Verify once: whoever asks wants to know how things are now."""
        return await self._channel.verify()

    async def close(self) -> None:
        """Give up every connection."""
        await self._channel.close()

    async def _reconsider(self, outcome: Outcome) -> Outcome:
        message, first = outcome.message, outcome.receipt or outcome.error
        if isinstance(first, Receipt) and not first.refused and not first.unknown:
            return outcome
        if not isinstance(first, Receipt | DeliveryError):
            return outcome
        envelope = Envelope.from_message(message)
        try:
            receipt = await self._persist(envelope, lambda rest: self._channel.send(message, rest), first)
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
        attempts = _Attempts(envelope, self._policy, self._edge.now())
        latest = first or await _attempt(deliver, envelope)
        while (rest := attempts.enter(latest, self._edge.now())) is not None:
            await self._edge.sleep(attempts.pause)
            latest = await _attempt(deliver, rest)
        return attempts.conclude(latest)


async def _attempt(deliver: Callable[[Envelope], Awaitable[Receipt]], envelope: Envelope) -> Receipt | DeliveryError:
    try:
        return await deliver(envelope)
    except DeliveryError as error:
        return error


class _Attempts:
    """What the attempts at one message have brought so far.

    Args:
        envelope: Who gets the message.
        policy: How often to try.
        started: When the first attempt began, on the edge's clock.
    """

    def __init__(self, envelope: Envelope, policy: RetryPolicy, started: float) -> None:
        self._envelope = envelope
        self._policy = policy
        self._started = started
        self._results: dict[str, RecipientResult] = {}
        self._receipt: Receipt | None = None
        self._number = 0
        self._waited = 0.0
        self.pause: float = 0.0

    def enter(self, latest: Receipt | DeliveryError, now: float) -> Envelope | None:
        """Enter how an attempt ended; return for whom to try again after `pause` seconds, or None to end it here."""
        self._number += 1
        self._results |= {result.address: result for result in latest.recipients}
        error: DeliveryError | None = None
        if isinstance(latest, Receipt):
            # The first receipt names the message; a later one only adds recipients to it.
            self._receipt = self._receipt or latest
        else:
            error = latest
        undecided = self._undecided()
        if not undecided or self._number >= self._policy.attempts or not (error is None or self._policy.allows(error)):
            return None
        return self._next(undecided, error, now)

    def _undecided(self) -> tuple[Address, ...]:
        return tuple(
            path
            for path in self._envelope.rcpt_to
            if path.addr_spec not in self._results or self._results[path.addr_spec].status in self._policy.undecided
        )

    def _next(self, undecided: tuple[Address, ...], error: DeliveryError | None, now: float) -> Envelope | None:
        state = self._as_tenacity(error, now)
        pause = max(float((self._policy.wait or _full_jitter())(state)), (error and error.retry_after) or 0.0)
        deadline = self._policy.deadline
        remaining = float("inf") if deadline is None else deadline - (now - self._started)
        # Whoever asked to be left alone for longer than there is time is left alone.
        floors = {path: self._floor(path) for path in undecided}
        paths = tuple(path for path in undecided if floors[path] <= remaining)
        pause = max([pause, *(floors[path] for path in paths)])
        state.upcoming_sleep = pause
        if not paths or pause > remaining or (self._policy.stop is not None and self._policy.stop(state)):
            return None
        self.pause = pause
        self._waited += pause
        return evolve(self._envelope, rcpt_to=paths)

    def _floor(self, path: Address) -> float:
        result = self._results.get(path.addr_spec)
        return (result and result.retry_after) or 0.0

    def _as_tenacity(self, error: DeliveryError | None, now: float) -> Any:
        """Return what tenacity's wait and stop objects look at, on the edge's clock."""
        from tenacity import AsyncRetrying, Future, RetryCallState  # only when something went wrong

        state: Any = RetryCallState(AsyncRetrying(), None, (), {})
        state.start_time = self._started
        state.attempt_number = self._number
        state.idle_for = self._waited
        state.outcome = Future(self._number)
        state.outcome.set_result(None) if error is None else state.outcome.set_exception(error)
        state.outcome_timestamp = now
        return state

    def conclude(self, latest: Receipt | DeliveryError) -> Receipt:
        """Merge what the attempts brought: a receipt if anybody was accepted, else the error that says the worst.

        Raises:
            DeliveryError: Nobody was accepted.
        """
        if self._number == 1 and isinstance(latest, Receipt):
            return latest
        paths = (path.addr_spec for path in self._envelope.rcpt_to)
        merged = tuple(self._results[path] for path in paths if path in self._results)
        if self._receipt is not None:
            return evolve(self._receipt, recipients=merged, attempts=self._number)
        if isinstance(latest, Receipt):  # pragma: no cover - it would be the receipt above
            return latest
        if {result.status for result in merged} == {result.status for result in latest.recipients}:
            latest.recipients = merged
            latest.attempts = self._number
            raise latest
        # An earlier attempt decided some recipients for good, which the last error does not know of.
        name = latest.transport or "the transport"
        worst = error_for_recipients(
            merged, str(latest), transport=name, attempts=self._number, message_id=latest.message_id
        )
        raise worst from latest


def _full_jitter() -> wait_base:
    from tenacity import wait_random_exponential

    return wait_random_exponential(multiplier=0.5, max=10)
