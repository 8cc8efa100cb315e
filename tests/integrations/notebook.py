"""A journal of mail jobs in memory, for tests that have no Redis."""

from __future__ import annotations

import threading

from mailkit.errors import ConnectError
from mailkit.integrations.queue_journal import BEGUN

__all__ = ["Notebook"]


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

    def claim(self, key: str) -> str | None:
        """Write that it is begun; return the note that there was."""
        self._reach()
        with self._lock:
            note = self.notes.get(key)
            if note is None:
                self.notes[key] = BEGUN
            return note

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
