"""When a message is tried again, and for whom: the timing of a retry policy over what the attempts add up to."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, Final

from mailkit.policies.jitter import FullJitter
from mailkit.policies.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.policies.retry_policy import RetryPolicy
    from mailkit.receipt import Receipt

__all__ = ["Attempts"]

# What RetryPolicy promises in tenacity's terms: wait_random_exponential(multiplier=0.5, max=10).
_DEFAULT_WAIT: Final = FullJitter(transient=(0.5, 10.0), throttled=(0.5, 10.0))


def _checked(seconds: Any) -> float:
    if isnan(seconds):
        raise ValueError("NaN is no number of seconds")
    return float(seconds)


def _log_failure(function: object) -> None:
    from mailkit.event_log import log_failed_hook

    log_failed_hook(function, "mailkit.retry")


class Attempts(Tally):
    """What the attempts at one message have brought so far, and whether there is to be another.

    Args:
        envelope: Who gets the message.
        policy: How often to try.
        started: When the first attempt began, on the edge's clock.
        random: Gives a number from 0 up to, but not including, 1.
        all_or_nothing: Whether the message goes to all of its recipients or to none.
    """

    def __init__(
        self,
        envelope: Envelope,
        policy: RetryPolicy,
        started: float,
        random: Callable[[], float],
        *,
        all_or_nothing: bool = False,
    ) -> None:
        super().__init__(envelope, all_or_nothing=all_or_nothing)
        self._policy = policy
        self._started = started
        self._random = random
        self._waited = 0.0
        self.pause: float = 0.0

    def next_after(self, latest: Receipt | DeliveryError, now: float) -> Envelope | None:
        """Enter how an attempt ended; return for whom to try again after `pause` seconds, or None to end it here."""
        self.enter(latest)
        undecided = self._undecided()
        if not undecided or self.deliveries >= self._policy.attempts:
            return None
        if self.error is not None and not self._policy.allows(self.error):
            return None
        return self._next(undecided, now)

    def _undecided(self) -> tuple[Address, ...]:
        statuses = self._policy.undecided
        if self.error is not None and self.error.idempotent:
            # Where an idempotency key went along, the other side itself sees to it that there is no second copy.
            statuses |= {"unknown"}
        return self.left_in(statuses)

    def _next(self, undecided: tuple[Address, ...], now: float) -> Envelope | None:
        deadline = self._policy.deadline
        remaining = float("inf") if deadline is None else deadline - (now - self._started)
        # Whoever asked to be left alone for longer than there is time is left alone.
        floors = {path: self.result_of(path).retry_after or 0.0 for path in undecided}
        paths = tuple(path for path in undecided if floors[path] <= remaining)
        if self.splits(paths):
            return None
        pause = max(self._wait(now), self._floor(), *(floors[path] for path in paths))
        if not paths or pause > remaining or self._is_stopped(now, pause):
            return None
        self.pause = pause
        self._waited += pause
        return self.ask(paths)

    def _wait(self, now: float) -> float:
        wait = self._policy.wait
        if callable(wait):
            try:
                return _checked(wait(self._as_tenacity(now)))
            except Exception:  # noqa: BLE001 - the caller has to hear what became of the message, and not this instead
                _log_failure(wait)
        jitter = wait if isinstance(wait, FullJitter) else _DEFAULT_WAIT
        return jitter.seconds(self.deliveries, None if self.error is None else self.error.cause, self._random)

    def _is_stopped(self, now: float, pause: float) -> bool:
        stop = self._policy.stop
        if stop is None:
            return False
        state = self._as_tenacity(now)
        state.upcoming_sleep = pause
        try:
            return bool(stop(state))
        except Exception:  # noqa: BLE001 - as above; the number of attempts and the deadline still end them
            _log_failure(stop)
            return False

    def _floor(self) -> float:
        """Return how long the server wants to be left alone by everybody, not only by some recipients."""
        error = self.error
        if error is None or any(result.retry_after is not None for result in error.recipients):
            return 0.0
        return error.retry_after or 0.0

    def _as_tenacity(self, now: float) -> Any:
        """Return what tenacity's wait and stop objects look at, on the edge's clock."""
        from tenacity import AsyncRetrying, Future, RetryCallState  # only when something went wrong

        state: Any = RetryCallState(AsyncRetrying(), None, (), {})
        state.start_time = self._started
        state.attempt_number = self.deliveries
        state.idle_for = self._waited
        state.outcome = Future(self.deliveries)
        state.outcome.set_result(None) if self.error is None else state.outcome.set_exception(self.error)
        state.outcome_timestamp = now
        return state
