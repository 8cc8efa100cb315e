"""Processor time and wall time of a stretch of code."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Sample", "Stopwatch"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one message cost, in seconds.

    Args:
        cpu: Of this process, all its threads together.
        wall: On the clock.
    """

    cpu: float
    wall: float


class Stopwatch:
    """Runs from its making."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def sample(self, messages: int) -> Sample:
        """Return what each of so many messages has cost up to now."""
        return Sample((time.process_time() - self._cpu) / messages, (time.perf_counter() - self._wall) / messages)
