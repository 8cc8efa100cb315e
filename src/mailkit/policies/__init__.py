"""What is done around a delivery, by transports that wrap others: trying again, slowing down, and the like.

Each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.policies.breaker import CircuitBreaker
    from mailkit.policies.budget import RetryBudget
    from mailkit.policies.circuit import Breaker
    from mailkit.policies.concurrency import Concurrency
    from mailkit.policies.deduplicate import Deduplicate
    from mailkit.policies.deduplication_database import SQLiteDeduplicationStore
    from mailkit.policies.deduplication_store import DeduplicationStore, MemoryDeduplicationStore
    from mailkit.policies.doubt import Doubt
    from mailkit.policies.failover import Failover
    from mailkit.policies.jitter import FullJitter
    from mailkit.policies.rate_limit import RateLimit
    from mailkit.policies.redirect import Redirect
    from mailkit.policies.retry import Retry
    from mailkit.policies.retry_policy import RetryPolicy
    from mailkit.policies.round_robin import RoundRobin
    from mailkit.policies.route import Route
    from mailkit.policies.suppress import Suppress
    from mailkit.policies.suppression_database import SQLiteSuppressionList
    from mailkit.policies.suppression_file import FileSuppressionList
    from mailkit.policies.suppression_list import MemorySuppressionList, SuppressionList
    from mailkit.policies.weighted import Weighted

__all__ = [
    "Breaker",
    "CircuitBreaker",
    "Concurrency",
    "Deduplicate",
    "DeduplicationStore",
    "Doubt",
    "Failover",
    "FileSuppressionList",
    "FullJitter",
    "MemoryDeduplicationStore",
    "MemorySuppressionList",
    "RateLimit",
    "Redirect",
    "Retry",
    "RetryBudget",
    "RetryPolicy",
    "RoundRobin",
    "Route",
    "SQLiteDeduplicationStore",
    "SQLiteSuppressionList",
    "Suppress",
    "SuppressionList",
    "Weighted",
]

_HOMES = {
    "Breaker": "circuit",
    "CircuitBreaker": "breaker",
    "Concurrency": "concurrency",
    "Deduplicate": "deduplicate",
    "DeduplicationStore": "deduplication_store",
    "Doubt": "doubt",
    "Failover": "failover",
    "FileSuppressionList": "suppression_file",
    "FullJitter": "jitter",
    "MemoryDeduplicationStore": "deduplication_store",
    "MemorySuppressionList": "suppression_list",
    "RateLimit": "rate_limit",
    "Redirect": "redirect",
    "Retry": "retry",
    "RetryBudget": "budget",
    "RetryPolicy": "retry_policy",
    "RoundRobin": "round_robin",
    "Route": "route",
    "SQLiteDeduplicationStore": "deduplication_database",
    "SQLiteSuppressionList": "suppression_database",
    "Suppress": "suppress",
    "SuppressionList": "suppression_list",
    "Weighted": "weighted",
}


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import a policy when it is first asked for, then keep it (PEP 562)."""
        from importlib import import_module

        try:
            home = _HOMES[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the policies, whether or not they were imported yet."""
    return sorted({*globals(), *__all__})
