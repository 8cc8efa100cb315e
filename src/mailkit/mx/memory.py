"""What was found out and may be kept for a while, in a bounded place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Memory"]

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

MOST: Final = 1024
"""Entries: whoever sends to more domains at once asks the name servers again."""


class Memory(Generic[K, V]):
    """Values with a time until which they hold.

    Threads and tasks share it without a lock: each step on the dictionary is atomic, and what gets lost between two of
    them is found out again.

    Example:
        >>> memory = Memory(lambda: 100.0)
        >>> memory.keep("example.com", "mx1.example.com", seconds=60.0)
        >>> memory.get("example.com")
        'mx1.example.com'

    Args:
        now: The edge's clock.
        most: How many values there may be; the oldest go first.
    """

    def __init__(self, now: Callable[[], float], most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._kept: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None where there is none that still holds."""
        until, value = self._kept.get(key, (float("-inf"), None))
        return value if self._now() < until else None

    def keep(self, key: K, value: V, *, seconds: float) -> None:
        """Keep a value."""
        self._kept.pop(key, None)
        self._kept[key] = (self._now() + seconds, value)
        while len(self._kept) > self._most:
            self._kept.pop(next(iter(self._kept.copy()), key), None)
