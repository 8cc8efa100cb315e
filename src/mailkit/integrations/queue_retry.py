"""How a task queue tries again: how often, how soon, and what of an outcome that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.jitter import FullJitter
from mailkit.policies.retry import RetryPolicy

if TYPE_CHECKING:
    from mailkit.errors import Cause
    from mailkit.policies.doubt import FindsOut

__all__ = ["QueueRetry"]


@frozen(kw_only=True)
class QueueRetry:
    """When the queue runs a job again. It is the only layer that does: within one run, delivery is tried once.

    Example:
        >>> QueueRetry(attempts=5).attempts
        5

    Args:
        attempts: The most deliveries tried, the first one included; one during which a worker was killed counts.
        wait: Full jitter; its seconds pass in the queue, where no worker waits. What the other side asks for is the
            least.
        on_unknown: What is done where a recipient may have been accepted or not: because the answer was lost, or the
            worker was, in the middle of it. ``"raise"``: the job fails, visibly, and nobody gets a second copy.
            ``"retry"``: a second copy, with the same Message-ID, is preferred to none. A function finds out after a
            lost answer, as for :class:`mailkit.RetryPolicy`; after a lost worker, and where it cannot tell, the job
            fails.
        lost_after: Seconds after which a worker that has begun an attempt, and has noted no end of it, is taken for
            lost: longer than a send can take. A queue may deliver a job again while its worker is still at it.

    Raises:
        ConfigurationError: `attempts` is not positive, `lost_after` negative, or `on_unknown` not known.
    """

    attempts: int = 10
    wait: FullJitter = field(default=FullJitter(transient=(15.0, 3600.0), throttled=(60.0, 3600.0)), repr=False)
    on_unknown: Literal["raise", "retry"] | FindsOut = "raise"
    lost_after: float = 600.0

    def __attrs_post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigurationError("a job has at least one attempt: attempts=1 never tries again")
        if not 0 <= self.lost_after < float("inf"):
            raise ConfigurationError(f"lost_after={self.lost_after!r} is no number of seconds: use 600 or so")
        self.in_process()  # which checks on_unknown

    @property
    def repeats_unknown(self) -> bool:
        """Whether a second copy is preferred to none."""
        return self.on_unknown == "retry"

    def in_process(self) -> RetryPolicy:
        """Return the policy within one run: to try once, and to find out about doubts where somebody can."""
        return RetryPolicy(attempts=1, deadline=None, on_unknown=self.on_unknown)

    def seconds(self, attempt: int, cause: Cause | None, random: float) -> float:
        """Return how long to wait after an attempt.

        Args:
            attempt: Which one has failed; the first is 1.
            cause: Why.
            random: A number from 0 up to, but not including, 1.
        """
        return self.wait.seconds(attempt, cause, lambda: random)
