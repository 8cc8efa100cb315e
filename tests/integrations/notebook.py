"""A journal of mail jobs in memory, for tests that have no Redis."""

from __future__ import annotations

import threading

from mailkit.errors import ConnectError

__all__ = ["BEGUN", "Notebook"]

BEGUN = '{"begun": 0}'
"""The note of an attempt that was begun long ago, and whose end nobody has seen."""


class Notebook:
    """Notes by key; `lost` says that it cannot be reached for so many times."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.lost = 0
        self._lock = threading.Lock()

    def _reach(self) -> None:
        if self.lost:
            self.lost -= 1
            raise ConnectError("the notebook is not here")

    def claim(self, key: str, note: str) -> str | None:
        """Write a note if there is none; return the one that there is."""
        self._reach()
        with self._lock:
            found = self.notes.get(key)
            if found is None:
                self.notes[key] = note
            return found

    def read(self, key: str) -> str | None:
        """Return the note."""
        self._reach()
        return self.notes.get(key)

    def write(self, key: str, note: str) -> None:
        """Replace the note."""
        self._reach()
        self.notes[key] = note

    def forget(self, key: str) -> None:
        """Remove the note."""
        self._reach()
        self.notes.pop(key, None)
