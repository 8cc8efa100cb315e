"""A bound on how many may hold something at once, first come, first served, on both edges."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol
from weakref import ref

from mailkit.edge.failures import timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FairLock", "FairSlots", "Turn"]


class Turn(Protocol):
    """One who waits in the queue."""

    async def wait(self, deadline: float) -> object:
        """Wait for :meth:`call` until the deadline."""
        ...

    def call(self) -> None:
        """It is your turn; may be said twice."""
        ...


class FairSlots:
    """Slots that are handed on: who waits longest gets the one that becomes free, and nobody can overtake.

    Who holds one is a set of ours and the queue holds only those who wait right now, so slots that are held live on
    when one event loop ends and another begins.

    A signal handler may raise between any two steps. So holding a slot is one entry in one dictionary, made and removed
    in one step; and every other step can be taken once more, by whoever comes here next, without changing anything.
    A second one may come while what the first has broken off is given back. So a holder can be a weak reference: what
    it refers to gives back by being no more.

    Args:
        limit: How many slots there are.
        new_turn: Makes what a waiter waits on.
    """

    def __init__(self, limit: int, new_turn: Callable[[], Turn]) -> None:
        if limit < 1:
            raise ValueError(f"a bound of {limit} would let nobody in")
        self._limit = limit
        self._new_turn = new_turn
        self._holders: dict[object, None] = {}
        self._queue: dict[object, Turn] = {}  # by who waits, longest first
        self._mutex = threading.Lock()

    async def acquire(self, *, deadline: float, holder: object = None) -> None:
        """Take a slot.

        Args:
            deadline: Until when it is waited for, on the edge's clock.
            holder: Who takes it, or a weak reference to that; None is anybody.
        """
        anybody = _Anybody()
        claim = anybody if holder is None else holder
        try:
            await self._acquire(claim, deadline)
        except BaseException:
            self.release(claim)
            raise
        anybody.has_slot = True

    async def _acquire(self, holder: object, deadline: float) -> None:
        with self._mutex:
            self._hand_on()
            if len(self._holders) < self._limit:
                self._holders[holder] = None
                return
            turn = self._queue[holder] = self._new_turn()
        await turn.wait(deadline)
        # Whatever ended the wait: a slot may have been handed over at that moment.
        if holder not in self._holders:
            raise timed_out(f"none of the {self._limit} slots became free", "pool")

    def release(self, holder: object = None) -> None:
        """Give the slot back."""
        with self._mutex:
            if holder is None:
                holder = next((each for each in self._holders if isinstance(each, _Anybody) and each.has_slot), None)
                if holder is None:
                    raise RuntimeError("a slot was released that nobody had acquired")
            # Also where it still waits, or waits no more and has not left the queue yet.
            self._queue.pop(holder, None)
            self._holders.pop(holder, None)
            self._hand_on()

    def _hand_on(self) -> None:
        for gone in [each for each in (*self._holders, *self._queue) if _is_gone(each)]:
            self._holders.pop(gone, None)
            self._queue.pop(gone, None)
        while self._queue and len(self._holders) < self._limit:
            holder, turn = next(iter(self._queue.items()))
            self._holders[holder] = None
            turn.call()
            del self._queue[holder]


def _is_gone(holder: object) -> bool:
    return isinstance(holder, ref) and holder() is None


class _Anybody:
    """A holder without a name: what one gives back is as good as any other's that knows of its own."""

    has_slot = False


class FairLock:
    """One slot. It belongs to no event loop, as an ``anyio.Lock`` would, and whoever waits longest is next.

    Args:
        new_turn: Makes what a waiter waits on.
    """

    __slots__ = ("_slots",)

    def __init__(self, new_turn: Callable[[], Turn]) -> None:
        self._slots = FairSlots(1, new_turn)

    async def __aenter__(self) -> None:
        await self._slots.acquire(deadline=float("inf"))

    async def __aexit__(self, *exc_info: object) -> None:
        self._slots.release()
