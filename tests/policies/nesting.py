"""Every policy round another transport, as tables for the tests that nest them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.policies import (
    CircuitBreaker,
    Concurrency,
    Deduplicate,
    Failover,
    MemorySuppressionList,
    RateLimit,
    Redirect,
    Retry,
    RetryPolicy,
    RoundRobin,
    Route,
    Suppress,
    Weighted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.transport import Transport

__all__ = ["DEVELOPER", "GONE", "POLICIES", "STRANGER", "nested"]

GONE: Final = "gone@example.org"
"""Whom `Suppress` leaves out."""
STRANGER: Final = "customer@outside.test"
"""Whom `Redirect` does not write to."""
DEVELOPER: Final = "dev@example.com"
"""Who gets it instead."""

POLICIES: Final[Mapping[str, Callable[[Transport, Callable[[], Transport]], Transport]]] = {
    "retry": lambda inner, _: Retry(inner, RetryPolicy(attempts=2)),
    "failover": lambda inner, spare: Failover(inner, spare()),
    "roundrobin": lambda inner, spare: RoundRobin(inner, spare()),
    "weighted": lambda inner, spare: Weighted({inner: 2, spare(): 1}),
    "route": lambda inner, spare: Route({"example.net": spare()}, default=inner),
    "breaker": lambda inner, _: CircuitBreaker(inner),
    "ratelimit": lambda inner, _: RateLimit(inner, messages=10, burst=3),
    "concurrency": lambda inner, _: Concurrency(inner, 2),
    "redirect": lambda inner, _: Redirect(inner, DEVELOPER, allow=["example.com", "example.net", "example.org"]),
    "suppress": lambda inner, _: Suppress(inner, MemorySuppressionList({GONE: "it bounced"})),
    "deduplicate": lambda inner, _: Deduplicate(inner),
}
"""By name: how to put the policy round a transport, with another one beside it where it takes several."""


def nested(names: Sequence[str], innermost: Transport, spare: Callable[[], Transport]) -> Transport:
    """Return the policies round a transport, the first one outermost; what stands beside it has the inner ones too."""
    if not names:
        return innermost
    outer, *inner = names
    return POLICIES[outer](nested(inner, innermost, spare), lambda: nested(inner, spare(), spare))
