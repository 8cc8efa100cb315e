"""How many messages may be unanswered on one connection."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_WINDOW", "Window"]

MAX_WINDOW: Final = 32
"""Messages in flight where the caller says nothing else. At a round trip of 20 ms this is 0.7 ms a message; each of
them is in doubt when the connection breaks."""

_BURST: Final = 3  # so many deferred messages in a row are no coincidence


class Window:
    """Opens by one with each answered message, so doubles in a round trip, and closes to one when the server objects.

    Args:
        most: How far it may open; 1 keeps it shut.
    """

    __slots__ = ("_deferred", "_most", "size")

    def __init__(self, most: int | None = None) -> None:
        self._most = most or MAX_WINDOW
        self._deferred = 0
        self.size: int = 1

    def answered(self, *, deferred: bool) -> None:
        """Take note of a message that the server has answered."""
        self._deferred = self._deferred + 1 if deferred else 0
        if self._deferred >= _BURST:
            self.size = 1
        else:
            self.size = min(self.size + 1, self._most)

    def objected(self) -> None:
        """Take note of a 421, or of a connection that broke: the server may dislike what is in flight."""
        self.size = 1
