"""What a stream through a provider has taken and not yet given an outcome for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mailkit.providers.batch import Caps, Item, Wave, not_sent
from mailkit.receipt import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Iterable

    from mailkit.message import Message

__all__ = ["Unanswered"]


class Unanswered:
    """The messages of a stream that are under way, in order.

    Args:
        messages: The messages, or what has already become of them.
        caps: What fits into the requests of a wave.
        now: Tells the time.
    """

    def __init__(self, messages: AsyncIterator[Message | Outcome], caps: Caps, now: Callable[[], float]) -> None:
        self._messages = messages
        self._caps = caps
        self._now = now
        self._taken: Message | Outcome | None = None  # and in no wave yet
        self._answered: deque[Outcome] = deque()
        self.wave: Wave = Wave(caps, now())
        self.failure: Exception | None = None
        """With which the source has ended, where not well."""

    async def take(self) -> Message | Outcome | None:
        """Ask for the next message; return None at the end, also at a bad one.

        Nobody is helped when messages that were taken are dropped because the source cannot go on.
        """
        try:
            self._taken = await anext(self._messages)
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001 - raised when everything before it has its outcome
            self.failure = error
            return None
        return self._taken

    def enter(self, prepared: Item | Outcome, group: Hashable | None) -> None:
        """Let what was taken go with the wave."""
        if isinstance(prepared, Outcome):
            self.wave.settle(prepared)
        else:
            self.wave.add(prepared, group)
        self._taken = None

    def is_due(self) -> bool:
        """Whether the wave is to be sent."""
        return self.wave.is_due(self._now())

    def answer(self, outcomes: Iterable[Outcome]) -> None:
        """Take what became of the wave, and begin another one."""
        self._answered.extend(outcomes)
        self.wave = Wave(self._caps, self._now())

    def next_outcome(self) -> Outcome | None:
        """Return the next outcome, if it is known."""
        return self._answered.popleft() if self._answered else None

    def left(self) -> tuple[Outcome, ...]:
        """Return what an interruption leaves of each message."""
        left = [*self._answered, *self.wave.left()]
        if self._taken is not None:
            left.append(self._taken if isinstance(self._taken, Outcome) else not_sent(self._taken))
        return tuple(left)
