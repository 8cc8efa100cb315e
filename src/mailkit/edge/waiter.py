"""What a socket needs of an edge: to wait, to let others run, and to run something slow elsewhere.

:class:`mailkit.edge.stream.SocketStream` and the connecting code are written once against this protocol.
Sockets are non-blocking and tried first; only what would block waits here. So byte counts are exact in every
colour, and a pooled socket belongs to no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Waiter"]

T = TypeVar("T")


class Waiter(Protocol):
    """Waiting, by a blocked thread or by a suspended task. Deadlines are on the clock of :meth:`now`."""

    def now(self) -> float:
        """Seconds on the edge's clock."""
        ...

    async def readable(self, fd: int, deadline: float) -> bool:
        """Wait until a read would not block; False when the deadline passes first."""
        ...

    async def writable(self, fd: int, deadline: float) -> bool:
        """Wait until a write would not block; False when the deadline passes first."""
        ...

    async def any_ready(self, readers: Collection[int], writers: Collection[int], deadline: float) -> set[int]:
        """Wait until a descriptor is ready and return all that are; none when the deadline passes first."""
        ...

    async def pause(self) -> None:
        """Let other tasks run, and cancellation come in."""
        ...

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run what blocks for a moment without holding up an event loop."""
        ...

    async def in_abandoned_thread(self, function: Callable[[], T], deadline: float) -> T | None:
        """Run what may block for ever; None, the thread left to itself, when the deadline passes first."""
        ...

    def closing(self, fd: int) -> None:
        """Wake whoever waits for a descriptor that is about to be closed."""
        ...
