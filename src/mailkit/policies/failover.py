"""Failover: the first transport that works, and the next ones while it does not."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar, final

from attrs import frozen

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, MessageError, UnsupportedFeatureError
from mailkit.policies.alternatives import Alternatives
from mailkit.policies.journey import Journey, confined, is_settled
from mailkit.policies.members import available_first, open_members
from mailkit.policies.segments import Segments
from mailkit.policies.several import SeveralChannel
from mailkit.receipt import Outcome
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.policies.members import Member
    from mailkit.transport import Channel

__all__ = ["Failover", "FailoverChannel"]


@final
@frozen(init=False)
class Failover(Alternatives):
    """Sends through the first transport that works: ``Failover(first, second)``, ``failover(URL URL)``.

    The next transport is asked only for recipients to whom certainly nothing was sent. Who was accepted, deferred,
    rejected or left in doubt is never sent a copy through another one. A transport that cannot express a message is
    passed over for it. Each transport has a circuit breaker, so that one that is down does not cost every message a
    timeout; when it has recovered, the first one is used again.

    Example:
        >>> from mailkit.providers import Postmark
        >>> from mailkit.smtp import SMTP
        >>> str(Failover(SMTP("mail.example.com"), Postmark("TOKEN")))
        'failover(smtp://mail.example.com:587 postmark://default)'

    Args:
        transports: The transports, the best one first.
        breaker: The breaker of each of them; None for none. One that is a :class:`mailkit.CircuitBreaker` keeps its
            own.

    Raises:
        ConfigurationError: There is no transport, or one of them is none.
    """

    scheme: ClassVar[str] = "failover"

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return FailoverChannel(self, open_members(self.transports, edge, self.breaker), edge)


class FailoverChannel(SeveralChannel):
    """A channel over several others, of which the first that works is used."""

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages through the first transport that works; yield one outcome for each, in order.

        The transport in use has the stream as it is, with its pipelining and its batches. Messages that it did not send
        are kept in their places until the next one has had them, also as a stream; then the stream goes on.
        """
        source = Segments(messages)
        kept: deque[Journey | Outcome] = deque()
        try:
            while source.goes_on:
                order = available_first(self._members)
                async with (
                    aclosing(self._segment(source, order[0])) as segment,
                    carrying_on(
                        order[0].channel.send_many(segment, connections=connections, window=window)
                    ) as outcomes,
                ):
                    async for outcome in outcomes:
                        item = outcome if source.was_given() else self._judged(outcome, order)
                        if isinstance(item, Outcome) and not kept:
                            yield item
                        else:
                            source.pause()
                            kept.append(item)
                await self.carry([item for item in kept if isinstance(item, Journey)], connections, window)
                while kept:
                    yield _outcome(kept.popleft())
        except BaseException as interruption:
            left = map(self._confined, source.left_by(interruption))
            interruption.__dict__["outcomes"] = (*map(_outcome, kept), *left)
            raise

    async def _segment(self, source: Segments, active: Member) -> AsyncGenerator[Message | Outcome, None]:
        better = self._members[: self._members.index(active)]
        async with aclosing(source.next_segment()) as segment:
            async for item in segment:
                if better and any(member.may_be_asked for member in better):
                    source.pause()  # a better one may have recovered: the next segment finds out
                yield item if isinstance(item, Outcome) else _completed(item)

    def _judged(self, outcome: Outcome, order: Sequence[Member]) -> Journey | Outcome:
        """Return the outcome if it is final, else the message's journey, which has its first step behind it."""
        ended = outcome.receipt or outcome.error
        if ended is None or is_settled(ended):
            return outcome
        if isinstance(ended, MailkitError) and not isinstance(ended, _MOVABLE):
            return outcome
        journey = self.journey(outcome.message, Envelope.from_message(outcome.message), order)
        self._note(journey, ended)
        return journey if journey.next is not None else journey.outcome()

    def _confined(self, outcome: Outcome) -> Outcome:
        """Return what an interruption left of a message that the transport in use had."""
        if isinstance(outcome.error, DeliveryError) and len(self._members) > 1:
            confined(outcome.error)
        return outcome


_MOVABLE = (DeliveryError, UnsupportedFeatureError, ConfigurationError)


def _completed(message: Message) -> Message | Outcome:
    try:
        return message.completed()  # once, so that every transport sends the same
    except MessageError as error:
        return Outcome(message=message, error=error)


def _outcome(item: Journey | Outcome) -> Outcome:
    return item if isinstance(item, Outcome) else item.outcome()
