"""The script of a test server: which reply or fault is due where, how often, and for whom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.testing.faults import Fault, Phase

__all__ = ["Cue", "Script"]


@attrs.define(kw_only=True)
class Cue:
    """One scripted departure from the server's usual behaviour.

    Args:
        phase: Where it applies.
        action: The reply text or the fault.
        times: How often it still applies; `None` for always.
        match: The address, mechanism or argument that it is for; `None` for all.
        skip: How many occasions pass by first.
        after: In phase `body`: how many bytes of content arrive first.
    """

    phase: Phase
    action: Fault | str
    times: int | None = 1
    match: str | None = None
    skip: int = 0
    after: int = 0

    def applies_to(self, subjects: Iterable[str]) -> bool:
        """Whether this cue is for one of the subjects; the comparison ignores case."""
        return self.match is None or self.match.casefold() in {subject.casefold() for subject in subjects}


class Script:
    """Cues in the order in which they were given; the first that applies is played."""

    def __init__(self) -> None:
        """Start with an empty script."""
        self._lock = threading.Lock()
        self._cues: list[Cue] = []
        self.active: bool = False

    def add(self, cue: Cue) -> None:
        """Append a cue."""
        with self._lock:
            self._cues.append(cue)
            self.active = True

    def clear(self) -> None:
        """Forget what has not been played yet."""
        with self._lock:
            self._cues.clear()
            self.active = False

    @property
    def unplayed(self) -> tuple[Cue, ...]:
        """The cues that a bounded number of times promised and that have not been used up."""
        with self._lock:
            return tuple(cue for cue in self._cues if cue.times is not None)

    def take(self, phase: Phase, subjects: Iterable[str] = (), *, received: int = 0) -> Fault | str | None:
        """Play the first cue that applies here.

        Args:
            phase: Where the conversation is.
            subjects: Whom or what it is about.
            received: In phase `body`: how many bytes of content have arrived.
        """
        subjects = tuple(subjects)
        with self._lock:
            for position, cue in enumerate(self._cues):
                if cue.phase != phase or received < cue.after or not cue.applies_to(subjects):
                    continue
                if cue.skip:
                    cue.skip -= 1
                    continue
                if cue.times is not None:
                    cue.times -= 1
                    if cue.times == 0:
                        del self._cues[position]
                        self.active = bool(self._cues)
                return cue.action
        return None
