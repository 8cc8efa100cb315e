"""A bound on how many may hold something at once, first come, first served, on both edges."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from mailkit.edge.failures import timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FairSlots", "Turn"]


class Turn(Protocol):
    """One who waits in the queue."""

    async def wait(self, deadline: float) -> bool:
        """Wait for :meth:`call`; False when the deadline passes first."""
        ...

    def call(self) -> None:
        """It is your turn."""
        ...


class FairSlots:
    """Slots that are handed on: who waits longest gets the one that becomes free, and nobody can overtake.

    The count is a number of ours and the queue holds only those who wait right now, so slots that are held
    live on when one event loop ends and another begins.

    Args:
        limit: How many slots there are.
        new_turn: Makes what a waiter waits on.
    """

    def __init__(self, limit: int, new_turn: Callable[[], Turn]) -> None:
        if limit < 1:
            raise ValueError(f"a bound of {limit} would let nobody in")
        self._limit = limit
        self._free = limit
        self._new_turn = new_turn
        self._queue: deque[Turn] = deque()
        self._mutex = threading.Lock()

    async def acquire(self, *, deadline: float) -> None:
        """Take a slot."""
        with self._mutex:
            if self._free:
                self._free -= 1
                return
            turn = self._new_turn()
            self._queue.append(turn)
        try:
            called = await turn.wait(deadline)
        except BaseException:
            if not self._leave_queue(turn):
                self.release()  # called at the moment of giving up: the slot goes to the next
            raise
        if not called and self._leave_queue(turn):
            raise timed_out(f"none of the {self._limit} slots became free", "pool")

    def release(self) -> None:
        """Give the slot back."""
        with self._mutex:
            if self._queue:
                self._queue.popleft().call()
                return
            if self._free == self._limit:
                raise RuntimeError("a slot was released that nobody had acquired")
            self._free += 1

    def _leave_queue(self, turn: Turn) -> bool:
        """Whether `turn` was still waiting."""
        with self._mutex:
            if turn not in self._queue:
                return False
            self._queue.remove(turn)
            return True
