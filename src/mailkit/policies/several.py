"""A channel over several others: messages go to one of them, and on to the next where nothing was sent."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError, MailkitError, UnsupportedFeatureError
from mailkit.events import FailedOver, PassedOver
from mailkit.interruption import matched
from mailkit.policies.journey import Journey
from mailkit.policies.members import available_first, close_all
from mailkit.transport import Channel, carrying_on, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.members import Member
    from mailkit.policies.parts import Parts
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import ServerInfo, Transport

__all__ = ["SeveralChannel"]


class SeveralChannel(Channel):
    """A channel over several others. Whoever writes one says in which order they are asked.

    Args:
        transport: The value that opened it.
        members: The others, opened.
        edge: What all I/O goes through.
    """

    def __init__(self, transport: Transport, members: Sequence[Member], edge: Edge) -> None:
        super().__init__(transport)
        self._members = tuple(members)
        self._edge = edge
        self._name = name_of(transport)
        self._all_or_nothing = any(member.channel.is_all_or_nothing for member in members)

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether one refused recipient keeps a message from everybody, at one of them at least."""
        return self._all_or_nothing

    @property
    def announces_commit(self) -> bool:
        """Whether each of them does."""
        return all(member.channel.announces_commit for member in self._members)

    @property
    def retries_by_itself(self) -> bool:
        """Whether one of them does."""
        return any(member.channel.retries_by_itself for member in self._members)

    def plan(self, message: Message | None, envelope: Envelope) -> Journey | Parts:
        """Return the way that a message is to go; here to the first that may be asked, and then to the others.

        Raises:
            MailkitError: There is none.
        """
        return self.journey(message, envelope, self.available(self._members, message, envelope))

    def available(self, order: Sequence[Member], message: Message | None, envelope: Envelope) -> Sequence[Member]:
        """Return whom to ask, last those who are to be left alone; tell who listens of those who are passed over."""
        sorted_order = available_first(order)
        if sorted_order is not order and self._edge.listener is not None:
            for member in order[: order.index(sorted_order[0])]:
                self._edge.notify(
                    PassedOver(
                        message_id=None if message is None else message.message_id,
                        transport=member.name,
                        recipients=len(envelope.rcpt_to),
                        reason="breaker" if member.is_broken else "throttled",
                    )
                )
        return sorted_order

    def journey(self, message: Message | None, envelope: Envelope, order: Sequence[Member]) -> Journey:
        """Return a journey that has not begun."""
        return Journey(message, envelope, order, self._name, all_or_nothing=self._all_or_nothing)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message through the first transport that sends it.

        Raises:
            UnsupportedFeatureError: None of them can express it.
            DeliveryError: No recipient was accepted.
        """
        complete = message.completed()  # once, so that every transport sends the same
        return await self._travel(complete, envelope, lambda channel, rest: channel.send(complete, rest))

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes through the first transport that sends them."""
        return await self._travel(None, envelope, lambda channel, rest: channel.send_raw(data, rest))

    async def verify(self) -> ServerInfo:
        """Verify each of them; return what the first one learned.

        Raises:
            MailkitError: One of them does not work.
        """
        first, *others = self._members
        learned = await first.channel.verify()
        for other in others:
            await other.channel.verify()
        return learned

    async def close(self) -> None:
        """Give up every connection."""
        await close_all(self._members)

    async def _travel(
        self,
        message: Message | None,
        envelope: Envelope,
        deliver: Callable[[Channel, Envelope], Awaitable[Receipt]],
    ) -> Receipt:
        planned = self.plan(message, envelope)
        if isinstance(planned, Journey):
            await self._walk(planned, deliver)
            return planned.conclude()
        try:
            for journey in planned.journeys:
                await self._walk(journey, deliver)
        except BaseException as interruption:
            interruption.__dict__["delivery"] = planned.ended()
            raise
        return planned.conclude()

    async def _walk(self, journey: Journey, deliver: Callable[[Channel, Envelope], Awaitable[Receipt]]) -> None:
        while (member := journey.next) is not None:
            try:
                ended: Receipt | MailkitError = await deliver(member.channel, journey.rest)
            except MailkitError as error:
                ended = error
            except BaseException as interruption:
                journey.interrupted(interruption)
                raise
            self._note(journey, ended)

    async def carry(self, journeys: Iterable[Journey], connections: int, window: int | None) -> None:
        """Carry journeys to their end: those that ask the same transport as one stream, different ones at once."""
        journeys = list(journeys)
        while True:
            shares: dict[int, tuple[Member, list[Journey]]] = {}
            for journey in journeys:
                if (member := journey.next) is not None:
                    shares.setdefault(id(member), (member, []))[1].append(journey)
            jobs = [partial(self._share, member, share, connections, window) for member, share in shares.values()]
            if len(jobs) > 1:
                await self._edge.run_all(jobs)
            elif jobs:
                await jobs[0]()
            else:
                return

    async def _share(self, member: Member, share: Sequence[Journey], connections: int, window: int | None) -> None:
        """Ask one transport for its share: as a stream where the message says who gets it, else one by one."""
        whole = [journey for journey in share if journey.is_whole]
        rest = [journey for journey in share if not journey.is_whole]
        if whole:
            await self._stream(member, whole, connections, window)
        for journey in rest:
            try:
                ended: Receipt | MailkitError = await member.channel.send(journey.in_stream, journey.rest)
            except MailkitError as error:
                ended = error
            except BaseException as interruption:
                journey.interrupted(interruption)
                raise
            self._note(journey, ended)

    async def _stream(self, member: Member, share: Sequence[Journey], connections: int, window: int | None) -> None:
        taken: deque[Journey] = deque()

        async def messages() -> AsyncGenerator[Message, None]:
            for journey in share:
                taken.append(journey)
                yield journey.in_stream

        try:
            async with (
                aclosing(messages()) as source,
                carrying_on(member.channel.send_many(source, connections=connections, window=window)) as outcomes,
            ):
                async for outcome in outcomes:
                    self._note(taken.popleft(), outcome.receipt or outcome.error)
        except BaseException as interruption:
            # Whoever knows the places of these messages in the stream tells what is left of them.
            left: tuple[Outcome, ...] = interruption.__dict__.pop("outcomes", ())
            told = matched([each.in_stream for each in taken], left)
            for journey, its in zip(taken, told, strict=True):
                journey.left_in_doubt() if its is None else journey.note(its.receipt or its.error)
            raise

    def _note(self, journey: Journey, ended: Receipt | MailkitError | None) -> None:
        """Enter how a delivery ended, and tell who listens where the message goes from here."""
        asked = journey.order[journey.place]
        if isinstance(ended, MailkitError):
            asked.note(ended)
        journey.note(ended)
        if self._edge.listener is not None and (following := journey.next) is not None:
            self._tell(journey, asked.name, ended, following.name)

    def _tell(self, journey: Journey, asked: str, ended: Receipt | MailkitError | None, following: str) -> None:
        message_id = None if journey.message is None else journey.message.message_id
        recipients = len(journey.rest.rcpt_to)
        error = ended if isinstance(ended, MailkitError) else None
        if isinstance(error, UnsupportedFeatureError):
            self._edge.notify(
                PassedOver(
                    message_id=message_id,
                    transport=asked,
                    recipients=recipients,
                    reason="unsupported",
                    feature=error.feature,
                    error=error,
                )
            )
        elif isinstance(error, DeliveryError) and error.attempts == 0:
            self._edge.notify(
                PassedOver(message_id=message_id, transport=asked, recipients=recipients, reason="breaker", error=error)
            )
        else:
            cause = error.cause if isinstance(error, DeliveryError) else None
            self._edge.notify(
                FailedOver(
                    message_id=message_id,
                    transport=asked,
                    recipients=recipients,
                    to=following,
                    cause=cause,
                    error=error,
                )
            )
