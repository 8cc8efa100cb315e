"""A stream of messages, given to the channel below in segments: between two of them the policy has it to itself."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mailkit.interruption import matched
from mailkit.receipt import Outcome
from mailkit.transport import doubt_about

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from mailkit.message import Message

__all__ = ["Segments"]


class Segments:
    """The messages of a stream, which can be given in segments.

    Args:
        messages: All of them.
    """

    def __init__(self, messages: AsyncIterator[Message | Outcome]) -> None:
        self._messages = messages
        self._taken: deque[Message | Outcome] = deque()  # and not answered
        self._is_paused = True
        self._has_more = True

    @property
    def goes_on(self) -> bool:
        """Whether there is another segment: the last one was paused, and gave something before."""
        return self._is_paused and self._has_more

    def pause(self) -> None:
        """End the segment before its next message."""
        self._is_paused = True

    def was_given(self) -> bool:
        """Whether the next of the outcomes, which come in order, is of one that was decided before it came here.

        It is asked once for each outcome. What was decided before is passed on as it is: what looks as if it could be
        tried again is not for whoever was given it to try.
        """
        return bool(self._taken) and isinstance(self._taken.popleft(), Outcome)

    def left_by(self, interruption: BaseException) -> tuple[Outcome, ...]:
        """Return what an interruption left of what was taken and not answered: a doubt, where it says nothing."""
        told: tuple[Outcome, ...] = getattr(interruption, "outcomes", ())
        pairs = zip(self._taken, matched(self._taken, told), strict=True)
        return tuple([outcome or _in_doubt(item) for item, outcome in pairs])

    def next_segment(self) -> AsyncGenerator[Message | Outcome, None]:
        """Return the messages from here on until :meth:`pause`."""
        self._is_paused = self._has_more = False
        return self._segment()

    async def _segment(self) -> AsyncGenerator[Message | Outcome, None]:
        while not self._is_paused:
            try:
                message = await anext(self._messages)
            except StopAsyncIteration:
                self._has_more = False
                return
            self._has_more = True
            self._taken.append(message)
            yield message


def _in_doubt(item: Message | Outcome) -> Outcome:
    return item if isinstance(item, Outcome) else Outcome(message=item, error=doubt_about(item))
