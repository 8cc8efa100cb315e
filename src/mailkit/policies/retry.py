"""Trying again, when what is known of the outcome allows it.

The errors say what may be repeated: a recipient whose copy was certainly not accepted (``"not_sent"``, ``"deferred"``)
and whose cause may pass. An unknown outcome is repeated only where that was asked for. Transports never retry by
themselves, so the numbers here are the numbers on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from attrs import evolve, field, frozen

from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.receipt import Receipt, error_for_recipients
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tenacity import RetryCallState
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
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
            msg = "a retry policy has at least one attempt and a positive deadline (or None); RetryPolicy.none() tries once"
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

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes, trying again for the recipients that are still undecided."""
        return await self._persist(envelope, lambda rest: self._channel.send_raw(data, rest))

    async def verify(self) -> ServerInfo:
        """Verify once: whoever asks wants to know how things are now."""
        return await self._channel.verify()

    async def close(self) -> None:
        """Give up every connection."""
        await self._channel.close()

    async def _persist(self, envelope: Envelope, deliver: Callable[[Envelope], Awaitable[Receipt]]) -> Receipt:
        undecided = self._policy.undecided
        attempt = _Attempt(self._edge.now())
        results: dict[str, RecipientResult] = {}
        receipt: Receipt | None = None
        rest = envelope
        while True:
            attempt.number += 1
            error: DeliveryError | None = None
            try:
                latest = await deliver(rest)
            except DeliveryError as caught:
                error = caught
                results |= {result.address: result for result in caught.recipients}
            else:
                if attempt.number == 1 and not any(result.status in undecided for result in latest.recipients):
                    return latest
                # The first receipt names the message; a later one only adds recipients to it.
                receipt = receipt or latest
                results |= {result.address: result for result in latest.recipients}
            paths = _still(rest, results, undecided)
            if not paths or not (error is None or self._policy.allows(error)):
                break
            pause = self._pause(attempt, error)
            if pause is None:
                break
            await self._edge.sleep(pause)
            rest = evolve(rest, rcpt_to=paths)
        return _conclude(envelope, results, receipt, error, attempt.number)

    def _pause(self, attempt: _Attempt, error: DeliveryError | None) -> float | None:
        """Return how long to wait before the next attempt, or None if there is none."""
        policy = self._policy
        if attempt.number >= policy.attempts:
            return None
        state = attempt.as_tenacity(self._edge.now(), error)
        pause = float((policy.wait or _full_jitter())(state))
        if error is not None and error.retry_after is not None:
            pause = max(pause, error.retry_after)
        state.upcoming_sleep = pause
        if policy.deadline is not None and state.outcome_timestamp - attempt.started + pause > policy.deadline:
            return None
        if policy.stop is not None and policy.stop(state):
            return None
        attempt.idle += pause
        return pause


class _Attempt:
    """How often and since when one message has been tried, on the edge's clock."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.number = 0
        self.idle = 0.0

    def as_tenacity(self, now: float, error: DeliveryError | None) -> Any:
        """Return what tenacity's wait and stop objects look at."""
        from tenacity import AsyncRetrying, Future, RetryCallState

        state: Any = RetryCallState(AsyncRetrying(), None, (), {})
        state.start_time = self.started
        state.attempt_number = self.number
        state.idle_for = self.idle
        state.outcome = Future(self.number)
        state.outcome.set_result(None) if error is None else state.outcome.set_exception(error)
        state.outcome_timestamp = now
        return state


def _full_jitter() -> wait_base:
    from tenacity import wait_random_exponential

    return wait_random_exponential(multiplier=0.5, max=10)


def _still(envelope: Envelope, results: dict[str, RecipientResult], undecided: frozenset[Status]) -> tuple[Any, ...]:
    return tuple(
        path
        for path in envelope.rcpt_to
        if path.addr_spec not in results or results[path.addr_spec].status in undecided
    )


def _conclude(
    envelope: Envelope,
    results: dict[str, RecipientResult],
    receipt: Receipt | None,
    error: DeliveryError | None,
    attempts: int,
) -> Receipt:
    """Merge what the attempts brought: a receipt if anybody was accepted, else the last error.

    Raises:
        DeliveryError: Nobody was accepted.
    """
    merged = tuple(results[path.addr_spec] for path in envelope.rcpt_to if path.addr_spec in results)
    if receipt is not None:
        return evolve(receipt, recipients=merged, attempts=attempts)
    assert error is not None  # noqa: S101 - without a receipt the last attempt raised
    if {result.status for result in merged} != {result.status for result in error.recipients}:
        # An earlier attempt decided some recipients for good, which the last error does not know of.
        worst = error_for_recipients(
            merged, str(error), transport=error.transport or "", attempts=attempts, message_id=error.message_id
        )
        raise worst from error
    error.recipients = merged
    error.attempts = attempts
    raise error
