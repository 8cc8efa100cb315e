"""What the attempts at one message add up to: for whom to try again, when, and how it ended in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from tenacity.wait import wait_base

    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.errors import MailkitError
    from mailkit.policies.retry import RetryPolicy

__all__ = ["Attempts"]


class Attempts:
    """What the attempts at one message have brought so far.

    Args:
        envelope: Who gets the message.
        policy: How often to try.
        started: When the first attempt began, on the edge's clock.
        all_or_nothing: Whether the message goes to all of its recipients or to none.
    """

    def __init__(
        self, envelope: Envelope, policy: RetryPolicy, started: float, *, all_or_nothing: bool = False
    ) -> None:
        self._all_or_nothing = all_or_nothing
        self._envelope = envelope
        self._policy = policy
        self._started = started
        self._asked = envelope.rcpt_to
        self._results: dict[str, RecipientResult] = {}
        self._doubtful: set[str] = set()
        self._may_duplicate = False
        self._receipt: Receipt | None = None
        self._error: DeliveryError | None = None
        self._number = 0
        self._waited = 0.0
        self.pause: float = 0.0

    def enter(self, latest: Receipt | DeliveryError, now: float) -> Envelope | None:
        """Enter how an attempt ended; return for whom to try again after `pause` seconds, or None to end it here."""
        self._number += 1
        self._merge(latest)
        undecided = tuple(path for path in self._asked if self._is_undecided(path))
        if not undecided or self._number >= self._policy.attempts:
            return None
        if self._error is not None and not self._policy.allows(self._error):
            return None
        return self._next(undecided, now)

    def _merge(self, latest: Receipt | DeliveryError) -> None:
        asked = {path.addr_spec for path in self._asked}
        results = [result for result in latest.recipients if result.address in asked]
        if isinstance(latest, Receipt):
            # The first receipt names the message; a later one only adds recipients to it.
            self._receipt, self._error = self._receipt or latest, None
        else:
            self._error = latest
            named = {result.address for result in results}
            results += [
                RecipientResult(address, status=latest.outcome, phase=latest.phase) for address in asked - named
            ]
        for result in results:
            self._results[result.address] = result
            if result.status == "unknown":
                self._doubtful.add(result.address)
                self._may_duplicate |= not (isinstance(latest, DeliveryError) and latest.idempotent)

    def _is_undecided(self, path: Address) -> bool:
        result = self._results.get(path.addr_spec)
        if result is None:
            return False
        # Where an idempotency key went along, the other side itself sees to it that there is no second copy.
        safe = self._error is not None and self._error.idempotent and result.status == "unknown"
        return safe or result.status in self._policy.undecided

    def _next(self, undecided: tuple[Address, ...], now: float) -> Envelope | None:
        state = self._as_tenacity(now)
        deadline = self._policy.deadline
        remaining = float("inf") if deadline is None else deadline - (now - self._started)
        # Whoever asked to be left alone for longer than there is time is left alone.
        floors = {path: self._results[path.addr_spec].retry_after or 0.0 for path in undecided}
        paths = tuple(path for path in undecided if floors[path] <= remaining)
        if self._all_or_nothing and self._leaves_out_somebody(paths):
            return None
        wait = self._policy.wait or _full_jitter()
        pause = max(float(wait(state)), self._floor(), *(floors[path] for path in paths))
        state.upcoming_sleep = pause
        if not paths or pause > remaining or (self._policy.stop is not None and self._policy.stop(state)):
            return None
        self.pause = pause
        self._waited += pause
        self._asked = paths
        return evolve(self._envelope, rcpt_to=paths)

    def _leaves_out_somebody(self, paths: tuple[Address, ...]) -> bool:
        others = (path for path in self._envelope.rcpt_to if path not in paths)
        return any(self._results[path.addr_spec].status != "accepted" for path in others)

    def _floor(self) -> float:
        """Return how long the server wants to be left alone by everybody, not only by some recipients."""
        error = self._error
        if error is None or any(result.retry_after is not None for result in error.recipients):
            return 0.0
        return error.retry_after or 0.0

    def _as_tenacity(self, now: float) -> Any:
        """Return what tenacity's wait and stop objects look at, on the edge's clock."""
        from tenacity import AsyncRetrying, Future, RetryCallState  # only when something went wrong

        state: Any = RetryCallState(AsyncRetrying(), None, (), {})
        state.start_time = self._started
        state.attempt_number = self._number
        state.idle_for = self._waited
        state.outcome = Future(self._number)
        state.outcome.set_result(None) if self._error is None else state.outcome.set_exception(self._error)
        state.outcome_timestamp = now
        return state

    def conclude(self) -> Receipt:
        """Merge what the attempts brought: a receipt if anybody was accepted, else the error that says the worst.

        Raises:
            DeliveryError: Nobody was accepted.
        """
        verdict = self._verdict()
        if isinstance(verdict, DeliveryError):
            raise verdict
        return verdict

    def broken_off(self, error: MailkitError) -> Receipt:
        """Conclude without the last attempt, which was none: the message could not be sent as it is any more.

        Raises:
            DeliveryError: An earlier attempt may have been accepted, and nobody knows.
            MailkitError: Nobody was accepted: `error`.
        """
        if self._receipt is None and not self._doubtful:
            raise error
        return self.conclude()

    def annotate(self, interruption: BaseException) -> None:
        """Let an interruption say what became of the message in all attempts, not only in the one that it ended."""
        below = getattr(interruption, "delivery", None)
        if isinstance(below, Receipt | DeliveryError):
            self._number += 1
            self._merge(below)
        interruption.__dict__["delivery"] = self._verdict()

    def _verdict(self) -> Receipt | DeliveryError:
        if self._receipt is not None:
            if self._number == 1:
                return self._receipt
            return evolve(self._receipt, recipients=self._merged_results(), attempts=self._number)
        assert self._error is not None  # noqa: S101 - each attempt ends in one of the two
        return self._merged_error(self._error)

    def _merged_error(self, latest: DeliveryError) -> DeliveryError:
        merged = self._merged_results()
        statuses = {result.status for result in merged}
        if statuses in ({latest.outcome}, {result.status for result in latest.recipients}):
            latest.recipients = merged
            latest.attempts = self._number
            return latest
        # Earlier attempts decided some recipients, or left some in doubt, which the last error does not know of.
        worst = error_for_recipients(
            merged,
            str(latest),
            transport=latest.transport or "",
            attempts=self._number,
            message_id=latest.message_id,
        )
        worst.idempotent = bool(self._doubtful) and not self._may_duplicate
        worst.__cause__ = latest
        return worst

    def _merged_results(self) -> tuple[RecipientResult, ...]:
        paths = (path.addr_spec for path in self._envelope.rcpt_to)
        return tuple(self._settled(self._results[path]) for path in paths if path in self._results)

    def _settled(self, result: RecipientResult) -> RecipientResult:
        # What may have been accepted once stays in doubt, whatever became of the copies that were sent after it.
        if result.address in self._doubtful and result.status != "accepted":
            return evolve(result, status="unknown")
        return result


def _full_jitter() -> wait_base:
    from tenacity import wait_random_exponential

    return wait_random_exponential(multiplier=0.5, max=10)
