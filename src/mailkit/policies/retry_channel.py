"""A channel that tries again, for the recipients that are still undecided."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError, MailkitError, MessageError
from mailkit.policies.persistence import Errand, Persistence, is_complete
from mailkit.policies.segments import Segments
from mailkit.policies.wrapper import Wrapper
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.retry import RetryPolicy
    from mailkit.policies.step import Step
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import Channel, Transport

__all__ = ["RetryChannel"]


class RetryChannel(Wrapper):
    """A channel that tries again.

    Args:
        channel: What is tried.
        policy: How often.
        edge: Whose clock, sleep and random numbers are used.
        transport: The value that opened this channel; the other one's where None.
    """

    def __init__(self, channel: Channel, policy: RetryPolicy, edge: Edge, transport: Transport | None = None) -> None:
        super().__init__(channel, edge, transport)
        self._persistence = Persistence(channel, policy, edge)

    @property
    def retries_by_itself(self) -> bool:
        """That is what it is for."""
        return True

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message, trying again for the recipients that are still undecided."""
        started = self._edge.now()
        ended: Receipt | DeliveryError
        if self._edge.is_followed_closely:
            ended = await self._persistence.attempt(self._errand(message, envelope), envelope)
        else:
            try:
                ended = await self._channel.send(message, envelope)
            except DeliveryError as error:
                ended = error
        if is_complete(ended):  # by far the most common end, which costs nothing beyond this
            await self._persistence.earn()
            return ended
        return await self._persistence.see_through(self._errand(message, envelope), ended, started)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes, trying again for the recipients that are still undecided."""
        started = self._edge.now()
        errand = Errand(None, envelope, lambda rest: self._channel.send_raw(data, rest))
        ended = await self._persistence.attempt(errand, envelope)
        if is_complete(ended):
            await self._persistence.earn()
            return ended
        return await self._persistence.see_through(errand, ended, started)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; those still undecided are tried again, one by one, in their places.

        Whatever interrupts it carries what became of the messages that were taken and not yet yielded, as ``outcomes``.
        """
        steps: deque[Step | None] = deque()
        followed = self._followed(messages, steps) if self._edge.is_followed_closely else None
        source = Segments(followed or messages)
        waiting: deque[tuple[Outcome, bool]] = deque()  # in its place, and whether it was decided before it came here
        try:
            while source.goes_on:
                async with (
                    aclosing(source.next_segment()) as segment,
                    carrying_on(self._channel.send_many(segment, connections=connections, window=window)) as outcomes,
                ):
                    async for outcome in outcomes:
                        _end_step(steps, outcome)
                        was_given = source.was_given()
                        if waiting or (not was_given and await self._is_unfinished(outcome)):
                            # The stream below ends here: its connections may be all there are for another attempt.
                            source.pause()
                            waiting.append((outcome, was_given))
                        else:
                            yield outcome
                while waiting:
                    outcome, was_given = waiting[0]
                    try:
                        reconsidered = outcome if was_given else await self._reconsider(outcome)
                    except BaseException as interruption:
                        waiting[0] = _left_by(interruption, outcome), was_given
                        raise
                    waiting.popleft()
                    yield reconsidered
        except BaseException as interruption:
            left = source.left_by(interruption)
            for outcome in left:
                _end_step(steps, outcome)
            interruption.__dict__["outcomes"] = (*(outcome for outcome, _ in waiting), *left)
            raise
        finally:
            if followed is not None:
                await followed.aclose()

    async def _followed(
        self, messages: AsyncIterator[Message | Outcome], steps: deque[Step | None]
    ) -> AsyncGenerator[Message | Outcome, None]:
        """Yield the messages, each of which begins its first attempt when it is taken."""
        from mailkit.envelope import Envelope
        from mailkit.receipt import Outcome

        async for item in messages:
            steps.append(None)
            if not isinstance(item, Outcome):
                with suppress(MessageError):  # nobody is named in it: whoever is to deliver it says so
                    steps[-1] = self._persistence.begin(item, Envelope.from_message(item))
            yield item

    async def _is_unfinished(self, outcome: Outcome) -> bool:
        """Whether there is more to do about a message than to say how its first attempt has ended."""
        ended = _ended(outcome)
        if ended is None:
            return False
        if is_complete(ended):
            await self._persistence.earn()
            return False
        from mailkit.envelope import Envelope

        return self._persistence.goes_on_after(ended, outcome.message, Envelope.from_message(outcome.message))

    async def _reconsider(self, outcome: Outcome) -> Outcome:
        ended = _ended(outcome)
        if ended is None or not await self._is_unfinished(outcome):
            return outcome
        from mailkit.envelope import Envelope
        from mailkit.receipt import Outcome

        message = outcome.message
        errand = self._errand(message, Envelope.from_message(message))
        try:
            receipt = await self._persistence.see_through(errand, ended, self._edge.now())
        except MailkitError as error:
            return Outcome(message=message, error=error)
        return Outcome(message=message, receipt=receipt)

    def _errand(self, message: Message, envelope: Envelope) -> Errand:
        return Errand(message, envelope, lambda rest: self._channel.send(message, rest))


def _ended(outcome: Outcome) -> Receipt | DeliveryError | None:
    """Return how an attempt ended, if it was one."""
    error = outcome.error if isinstance(outcome.error, DeliveryError) else None
    return outcome.receipt or error


def _end_step(steps: deque[Step | None], outcome: Outcome) -> None:
    step = steps.popleft() if steps else None
    ended = outcome.receipt or outcome.error
    if step is not None and ended is not None:
        step.end(ended)


def _left_by(interruption: BaseException, outcome: Outcome) -> Outcome:
    """Return what an interruption has left of a message that was being tried again."""
    from mailkit.receipt import Outcome, Receipt

    delivery = getattr(interruption, "delivery", None)
    if isinstance(delivery, Receipt):
        return Outcome(message=outcome.message, receipt=delivery)
    return outcome if delivery is None else Outcome(message=outcome.message, error=delivery)
