"""How many messages and recipients a second may go out, over all connections together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mailkit.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge, Lock

__all__ = ["RateLimit"]

LONG_PAUSE: Final = 0.25
"""Seconds until a turn, in which everything that was written can as well be answered."""


class RateLimit:
    """Turns at an even pace, given in the order in which they are asked for.

    A token bucket that holds one token: there are no bursts, so in no second more messages begin than the rate says,
    wherever that second starts. A message with more recipients than the rate allows goes out whole, and a pause follows
    that makes up for it. A forked process keeps a pace of its own.

    Args:
        edge: Where the clock and the lock come from.
        messages: Messages a second; None is no bound.
        recipients: Recipients a second; None is no bound.
    """

    def __init__(self, edge: Edge, *, messages: float | None, recipients: float | None) -> None:
        self._edge = edge
        self._message = 0.0 if messages is None else 1 / messages  # seconds
        self._recipient = 0.0 if recipients is None else 1 / recipients
        self._bounds = ", ".join(
            f"{rate:g} {what} a second"
            for rate, what in ((messages, "messages"), (recipients, "recipients"))
            if rate is not None
        )
        self._queues: dict[int, _Queue] = {}

    async def reserve(self, recipients: int, *, within: float = float("inf")) -> float:
        """Take the next turn; return when it is, on the edge's clock.

        Args:
            recipients: How many recipients the message has.
            within: Seconds that the wait may take.

        Raises:
            RateLimitedError: The next turn is later than that: none was taken.
        """
        if not self._bounds:
            return self._edge.now()
        # A lock that another thread of the parent held at a fork would never be released here.
        queue = self._queues.setdefault(os.getpid(), _Queue(self._edge.lock()))
        async with queue.lock:
            now = self._edge.now()
            turn = max(now, queue.next_message, queue.next_recipient)
            if turn - now > within:
                raise RateLimitedError(
                    f"{turn - now:.1f} s would pass before the pool's limit of {self._bounds} lets this message go; "
                    "send fewer, raise the limit, or allow a longer wait with acquire_timeout",
                    phase="pool",
                    retry_after=turn - now,
                )
            queue.next_message = turn + self._message
            queue.next_recipient = turn + self._recipient * recipients
            return turn

    async def wait(self, recipients: int, *, within: float) -> None:
        """Take the next turn, and wait for it.

        Raises:
            RateLimitedError: It is more than `within` seconds away: none was taken.
        """
        await self._wait_until(await self.reserve(recipients, within=within))

    async def take_turn(
        self, recipients: int, *, push: Callable[[], Awaitable[object]], drain: Callable[[], Awaitable[object]]
    ) -> None:
        """Take the next turn of a stream, and wait for it however long it takes.

        Args:
            recipients: How many recipients the message has.
            push: Writes what was collected: it need not wait as well.
            drain: Waits until that is answered too, where there is time.
        """
        if not self._bounds:
            return
        turn = await self.reserve(recipients)
        pause = turn - self._edge.now()
        if pause > 0:
            await (drain() if pause >= LONG_PAUSE else push())
            await self._wait_until(turn)

    async def _wait_until(self, turn: float) -> None:
        seconds = turn - self._edge.now()
        if seconds > 0:
            await self._edge.sleep(seconds)


class _Queue:
    """When the next turns of one process are."""

    __slots__ = ("lock", "next_message", "next_recipient")

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.next_message = 0.0
        self.next_recipient = 0.0
