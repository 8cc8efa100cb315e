"""How many messages, recipients and octets a second may go out: one bucket, whoever it is that counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mailkit.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge, Lock

__all__ = ["LONG_PAUSE", "Pace"]

LONG_PAUSE: Final = 0.25
"""Seconds until a turn, in which everything that was written can as well be answered."""

_UNITS: Final = ("messages", "recipients", "octets")


class Pace:
    """Turns at an even pace, given in the order in which they are asked for.

    A token bucket, kept as the time at which it would be empty again (the generic cell rate algorithm of ITU-T I.371).
    With a burst of one, no second has more messages begin in it than the rate says, wherever that second starts. A
    message with more recipients or octets than the rate allows goes out whole, and a pause follows that makes up for
    it. A forked process keeps a pace of its own.

    Args:
        edge: Where the clock and the lock come from.
        messages: Messages a second; None is no bound.
        recipients: Recipients a second; None is no bound.
        octets: Octets a second; None is no bound.
        burst: How many may go at once after a silence, counted by the first of the bounds that is set; the others may
            run ahead for as long.
        whose: Whose limit it is, for errors.
        advice: What could be changed about it, for errors.
        phase: What errors call it.
    """

    def __init__(
        self,
        edge: Edge,
        *,
        messages: float | None = None,
        recipients: float | None = None,
        octets: float | None = None,
        burst: float = 1,
        whose: str = "the pool's limit",
        advice: str = "allow a longer wait with acquire_timeout",
        phase: str = "pool",
    ) -> None:
        self._edge = edge
        rates = (messages, recipients, octets)
        self._seconds = tuple([0.0 if rate is None else 1 / rate for rate in rates])  # that one of each takes
        self._ahead = (burst - 1) * next(filter(None, self._seconds), 0.0)
        self.bounds: str = ", ".join(
            [f"{rate:g} {unit} a second" for rate, unit in zip(rates, _UNITS, strict=True) if rate is not None]
        )
        """What the rates are, for people; empty where there is none."""
        self._whose = whose
        self._advice = advice
        self._phase = phase
        self._queues: dict[int, _Queue] = {}

    async def reserve(self, recipients: int, octets: int = 0, *, within: float = float("inf")) -> float:
        """Take the next turn; return when it is, on the edge's clock.

        Args:
            recipients: How many recipients the message has.
            octets: How long it is.
            within: Seconds that the wait may take.

        Raises:
            RateLimitedError: The next turn is later than that: none was taken.
        """
        if not self.bounds:
            return self._edge.now()
        queue = self._queue()
        async with queue.lock:
            now = self._edge.now()
            turn = max(now, max(queue.empty) - self._ahead)
            if turn - now > within:
                raise RateLimitedError(
                    f"{turn - now:.1f} s would pass before {self._whose} of {self.bounds} lets this message go; "
                    f"send fewer, raise the limit, or {self._advice}",
                    phase=self._phase,
                    retry_after=turn - now,
                )
            costs = zip(queue.empty, (1, recipients, octets), self._seconds, strict=True)
            queue.empty = [max(turn, empty) + count * seconds for empty, count, seconds in costs]
            return turn

    async def wait(self, recipients: int, *, within: float) -> None:
        """Take the next turn, and wait for it.

        Raises:
            RateLimitedError: It is more than `within` seconds away: none was taken.
        """
        await self.wait_until(await self.reserve(recipients, within=within))

    async def take_turn(
        self, recipients: int, *, push: Callable[[], Awaitable[object]], drain: Callable[[], Awaitable[object]]
    ) -> None:
        """Take the next turn of a stream, and wait for it however long it takes.

        Args:
            recipients: How many recipients the message has.
            push: Writes what was collected: it need not wait as well.
            drain: Waits until that is answered too, where there is time.
        """
        if not self.bounds:
            return
        turn = await self.reserve(recipients)
        pause = turn - self._edge.now()
        if pause > 0:
            await (drain() if pause >= LONG_PAUSE else push())
            await self.keep(turn, recipients)

    async def keep(self, turn: float, recipients: int, octets: int = 0) -> None:
        """Wait for a turn that was taken and then not waited for at once.

        If it has passed meanwhile, the message begins now, and its costs count from now on: whoever comes next would
        else begin at the same time, to make up for it.

        Args:
            turn: When it is.
            recipients: How many recipients the message has.
            octets: How long it is.
        """
        if self._edge.now() <= turn:
            await self.wait_until(turn)
            return
        queue = self._queue()
        async with queue.lock:
            now = self._edge.now()
            costs = zip(queue.empty, (1, recipients, octets), self._seconds, strict=True)
            queue.empty = [max(empty, now + count * seconds) for empty, count, seconds in costs]

    async def wait_until(self, turn: float) -> None:
        """Wait for a turn that was taken."""
        seconds = turn - self._edge.now()
        if seconds > 0:
            await self._edge.sleep(seconds)

    def _queue(self) -> _Queue:
        # A lock that another thread of the parent held at a fork would never be released here.
        return self._queues.setdefault(os.getpid(), _Queue(self._edge.lock()))


class _Queue:
    """When the buckets of one process are empty again: of messages, recipients and octets."""

    __slots__ = ("empty", "lock")

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.empty = [0.0, 0.0, 0.0]
