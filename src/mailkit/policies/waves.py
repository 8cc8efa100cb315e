"""A stream of messages, shared out: wave after wave, each transport sends its share of one as a stream of its own.

The shares of a wave are on their way at the same time, and the wave's outcomes come in the order of its messages. More
than one wave is never in memory.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mailkit.envelope import Envelope
from mailkit.errors import MailkitError
from mailkit.policies.journey import Journey
from mailkit.policies.parts import Parts
from mailkit.policies.several import SeveralChannel
from mailkit.receipt import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from mailkit.edge import Edge
    from mailkit.message import Message

__all__ = ["WaveChannel"]

SHARE: Final = 256
"""Messages in a wave for each transport: enough for its pipelining and for most batches."""

PATIENCE: Final = 0.05
"""Seconds that collecting a wave may take: a slow source gets small waves."""

FADING: Final = 0.9
"""How much of a pause is remembered with each further message: after a pause comes a burst, and then a pause again."""

Item = Outcome | Journey | Parts


class WaveChannel(SeveralChannel):
    """A channel over several others that shares a stream out among them, as `plan` says."""

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; yield one outcome for each, in order.

        Whatever interrupts it carries what became of the messages that were taken and not yet yielded, as ``outcomes``.

        Args:
            messages: The messages, or what has already become of them.
            connections: How many connections each of the transports may use.
            window: How many messages may be unanswered on each of them.
        """
        source = _Source(messages, self._edge)
        wave: deque[Item] = deque()
        try:
            while not source.has_ended:
                await self._collect(source, wave)
                await self.carry([each for item in wave for each in _journeys(item)], connections, window)
                while wave:
                    item = wave.popleft()
                    yield item if isinstance(item, Outcome) else item.outcome()
        except BaseException as interruption:
            interruption.__dict__["outcomes"] = tuple(
                item if isinstance(item, Outcome) else item.outcome() for item in wave
            )
            raise
        if source.error is not None:
            raise source.error

    async def _collect(self, source: _Source, wave: deque[Item]) -> None:
        until = self._edge.now() + PATIENCE
        most = SHARE * len(self._members)
        has_journeys = False
        while (item := await source.take()) is not None:
            planned = item if isinstance(item, Outcome) else self._planned(item)
            wave.append(planned)
            has_journeys |= not isinstance(planned, Outcome)
            if not has_journeys or len(wave) >= most or source.may_pause or self._edge.now() >= until:
                return

    def _planned(self, message: Message) -> Item:
        try:
            complete = message.completed()  # once, so that every transport sends the same
            return self.plan(complete, Envelope.from_message(complete))
        except MailkitError as error:
            return Outcome(message=message, error=error)


class _Source:
    """Where the messages come from.

    Args:
        messages: The messages.
        edge: Whose clock is used.
    """

    def __init__(self, messages: AsyncIterator[Message | Outcome], edge: Edge) -> None:
        self._messages = messages
        self._edge = edge
        self._longest = 0.0  # of the last pauses, the older the less it counts
        self.has_ended = False
        self.error: Exception | None = None  # with which it has ended, where not well

    @property
    def may_pause(self) -> bool:
        """Whether the next message may well be some time in coming, so that nothing should wait for it."""
        return self._longest >= PATIENCE

    async def take(self) -> Message | Outcome | None:
        """Ask for the next message; return None at the end, also at a bad one.

        Nobody is helped when messages that were taken are given up because the source cannot go on.
        """
        asked = self._edge.now()
        try:
            item = await anext(self._messages)
        except StopAsyncIteration:
            self.has_ended = True
            return None
        except Exception as error:  # noqa: BLE001 - raised when everything before it has its outcome
            self.has_ended, self.error = True, error
            return None
        self._longest = max(self._edge.now() - asked, self._longest * FADING)
        return item


def _journeys(item: Item) -> tuple[Journey, ...]:
    if isinstance(item, Outcome):
        return ()
    return item.journeys if isinstance(item, Parts) else (item,)
