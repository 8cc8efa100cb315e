"""Trying again, when what is known of the outcome allows it.

The errors say what may be repeated: a recipient whose copy was certainly not accepted (``"not_sent"``, ``"deferred"``)
and whose cause may pass. An unknown outcome is repeated only where that was asked for. Transports never retry by
themselves, so the numbers here are the numbers on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NoReturn, Self

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.budget import RetryBudget
from mailkit.policies.positive import is_positive, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

    from mailkit.errors import DeliveryError
    from mailkit.policies.doubt import FindsOut
    from mailkit.policies.jitter import FullJitter
    from mailkit.receipt import Status

__all__ = ["DEFAULT_RETRY", "RetryPolicy"]

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
        deadline: Seconds from the first attempt's begin after which no further one begins; None is no deadline. In
            ``send_many`` they count from when a message's own first attempt has ended, because others are in its way.
        wait: A tenacity wait object, a function of tenacity's ``RetryCallState``, or a
            :class:`mailkit.policies.FullJitter`. None is full jitter, the same for all causes:
            ``tenacity.wait_random_exponential(multiplier=0.5, max=10)``. Where the other side says how long to wait,
            that is the least.
        stop: A tenacity stop object, or a function of ``RetryCallState``, that ends the attempts earlier. What `wait`
            or `stop` raises is logged to ``mailkit.hooks``, and is as if nothing had been given.
        on_unknown: ``"raise"``: at most once, an unknown outcome is left to the caller. ``"retry"``: at least once, a
            second copy (with the same Message-ID) is preferred to none. A function is asked what became of the message:
            it is given a :class:`mailkit.policies.Doubt` and returns a receipt, ``"not_sent"`` (it is tried again), or
            ``"unknown"``. It may block: an ``AsyncMailer`` calls it in a thread. What it raises leaves the doubt.
        budget: What retries are paid with, so that an outage is not amplified; None pays for all of them.

    Raises:
        ConfigurationError: `attempts` or `deadline` is not positive, `on_unknown` not known, or one of the others not
            what it has to be.
    """

    attempts: int = 3
    deadline: float | None = 30.0
    wait: wait_base | FullJitter | Callable[[RetryCallState], float] | None = field(default=None, repr=False)
    stop: stop_base | Callable[[RetryCallState], bool] | None = field(default=None, repr=False)
    on_unknown: Literal["raise", "retry"] | FindsOut = "raise"
    budget: RetryBudget | None = field(default=RetryBudget(), repr=False)

    def __attrs_post_init__(self) -> None:
        if not (is_whole(self.attempts) and (self.deadline is None or is_positive(self.deadline))):
            msg = (
                "a retry policy has at least one attempt and a positive deadline or None; RetryPolicy.none() tries once"
            )
            raise ConfigurationError(msg)
        if not callable(self.on_unknown) and self.on_unknown not in ("raise", "retry"):
            msg = (
                f'on_unknown={self.on_unknown!r} is not known: use "raise" (at most once), "retry" (at least once), or '
                "a function that finds out"
            )
            raise ConfigurationError(msg)
        # An error in them would come up at the first failure, and in its place.
        if not _is_wait(self.wait):
            self._refuse("wait", "tenacity.wait_fixed(1), FullJitter(), a function or None")
        if not (self.stop is None or callable(self.stop)):
            self._refuse("stop", "tenacity.stop_after_delay(10), a function or None")
        if not _is_budget(self.budget):
            self._refuse("budget", "RetryBudget(…) or None")

    def _refuse(self, name: str, wanted: str) -> NoReturn:
        raise ConfigurationError(f"RetryPolicy({name}={getattr(self, name)!r}) is of a wrong type: give {wanted}")

    @classmethod
    def none(cls) -> Self:
        """Return the policy that tries once."""
        return cls(attempts=1)

    @property
    def is_needed(self) -> bool:
        """Whether there may be a second attempt, or a doubt to look into."""
        return self.attempts > 1 or callable(self.on_unknown)

    @property
    def undecided(self) -> frozenset[Status]:
        """What must have become of a recipient for another attempt."""
        return _PERHAPS_NOT if self.on_unknown == "retry" else _CERTAINLY_NOT

    def allows(self, error: DeliveryError) -> bool:
        """Whether the error leaves another attempt open, for the recipients that are still undecided."""
        # A rejection or a doubt stands for its own recipients; beside them others may only have been deferred.
        return error.retryable or error.outcome in {"rejected", "unknown"}


def _is_wait(given: object) -> bool:
    if given is None or callable(given):
        return True
    from mailkit.policies.jitter import FullJitter

    return isinstance(given, FullJitter)


def _is_budget(given: object) -> bool:
    return given is None or isinstance(given, RetryBudget)


DEFAULT_RETRY: Final = RetryPolicy()
"""The policy of a mailer that is given none."""
