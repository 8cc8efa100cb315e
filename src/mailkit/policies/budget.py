"""A retry budget: while everything fails, most failures are not tried again, so that an outage is not amplified.

Retrying helps against failures that are few. Where all requests fail, three attempts each are three times the load on
whoever is down already. So retries are paid for with tokens, which successes give back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import fields, frozen

from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.policies.positive import is_whole
from mailkit.representation import shown

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.receipt import Receipt

__all__ = ["Bucket", "RetryBudget"]


@frozen(kw_only=True)
class RetryBudget:
    """How many retries a mailer may spend before successes have to pay for more.

    The numbers are those of the AWS SDKs' standard mode: a full bucket pays for 35 retries of a transient failure, or
    for 100 where we were told to slow down. Each mailer (each :class:`mailkit.Retry`) has a bucket of its own.

    Example:
        >>> RetryBudget(tokens=100).tokens
        100

    Args:
        tokens: How many there are at the beginning, and at most.
        transient: What a retry costs where the other side failed. It comes back when that retry succeeds.
        throttled: What a retry costs where it said that we are too fast.
        success: What a success at the first attempt adds.

    Raises:
        ConfigurationError: One of them is not a whole number of at least 1.
    """

    tokens: int = 500
    transient: int = 14
    throttled: int = 5
    success: int = 1

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        for each in fields(RetryBudget):
            if not is_whole(value := getattr(self, each.name)):
                msg = f"{each.name}={value!r} is not a whole number of at least 1"
                raise ConfigurationError(msg)

    def cost_after(self, ended: Receipt | DeliveryError) -> int:
        """Return what the retry of a delivery costs that ended like this."""
        throttled = isinstance(ended, DeliveryError) and ended.cause == "throttled"
        return self.throttled if throttled else self.transient


class Bucket:
    """The tokens of one mailer.

    Args:
        budget: How many there are.
        edge: Whose lock keeps threads apart.
    """

    def __init__(self, budget: RetryBudget, edge: Edge) -> None:
        self._budget = budget
        self._lock = edge.lock()
        self.tokens: float = budget.tokens
        """How many are left."""

    @property
    def is_full(self) -> bool:
        """Whether a success adds nothing."""
        return self.tokens >= self._budget.tokens

    def affords(self, ended: Receipt | DeliveryError) -> bool:
        """Whether another attempt could be paid for at this moment."""
        return self.tokens >= self._budget.cost_after(ended)

    async def take(self, ended: Receipt | DeliveryError) -> int | None:
        """Pay for another attempt; return what it cost, or None where there is not enough."""
        cost = self._budget.cost_after(ended)
        async with self._lock:
            if self.tokens < cost:
                return None
            self.tokens -= cost
        return cost

    async def give(self, tokens: int | None = None) -> None:
        """Give back what a successful retry has cost; without `tokens`, what a success at once adds."""
        async with self._lock:
            self.tokens = min(self._budget.tokens, self.tokens + (tokens or self._budget.success))
