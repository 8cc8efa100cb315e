"""Edges of all three colours on a clock that stands still until somebody sleeps on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel

from mailkit.edge.anyio import AnyioEdge
from mailkit.edge.blocking import BlockingEdge

if TYPE_CHECKING:
    from tests.colours import Colour

    from mailkit.events import Event

__all__ = ["Simulated", "SimulatedBlocking", "SimulatedTasks", "simulated"]


class Simulated:
    """What both kinds have: time that passes only by sleeping, or where a test says so, and the events."""

    def __init__(self) -> None:
        super().__init__(5.0)  # type: ignore[call-arg]  # the edge's timeout
        self.time = 1000.0
        self.slept: list[float] = []
        self.interrupt: BaseException | None = None
        """What the next sleep is interrupted with."""
        self.events: list[Event] = []
        self.listener = self.events.append

    def now(self) -> float:
        """The simulated time."""
        return self.time

    def _pass(self, seconds: float) -> None:
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt
        self.slept.append(seconds)
        self.time += max(0.0, seconds)


class SimulatedBlocking(Simulated, BlockingEdge):
    """Of the blocking colour."""

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self._pass(seconds)


class SimulatedTasks(Simulated, AnyioEdge):
    """Of asyncio and trio."""

    async def sleep(self, seconds: float) -> None:
        """Let the time pass, and others run."""
        self._pass(seconds)
        await anyio.lowlevel.checkpoint()


def simulated(colour: Colour) -> SimulatedBlocking | SimulatedTasks:
    """Return a new edge of a colour."""
    return SimulatedBlocking() if colour == "blocking" else SimulatedTasks()
