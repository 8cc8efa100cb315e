"""Not too many deliveries at once, whoever asks for them."""

from __future__ import annotations

import os
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Self

from attrs import field, frozen

from mailkit.errors import ConfigurationError, DeliveryTimeout
from mailkit.events import Throttled
from mailkit.policies.policy import as_number, when_unusual
from mailkit.policies.positive import check_positive
from mailkit.policies.relay import left_unsent
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.receipt import Outcome, RecipientResult
from mailkit.transport import carrying_on, name_of
from mailkit.transport_url import seconds, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from mailkit.address import Address
    from mailkit.edge import Edge, Slots
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["Concurrency"]


@frozen
class Concurrency(Wrapping):
    """Lets at most so many deliveries go on at once, over all threads and tasks of a mailer; who waits longest is next.

    A stream of messages (``send_many``) counts as many as it uses connections: at least one, and of the others it asked
    for as many as are free when it begins. It gives them back when it ends or is closed, so whoever sends with the same
    mailer while going through its outcomes needs a limit of 2 or more.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> transport = Concurrency(MemoryTransport(), 4)
        >>> with Mailer(transport) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> str(transport)
        'concurrency(memory://)?limit=4'

    Args:
        transport: What sends the messages.
        limit: How many deliveries may go on at once, in one mailer and one process.
        max_wait: Seconds that a message may wait until there is room; None is the mailer's `timeout`.

    Raises:
        ConfigurationError: `limit` is no positive whole number, or `max_wait` not positive.
    """

    scheme: ClassVar[str] = "concurrency"

    limit: int
    max_wait: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_positive("Concurrency", limit=self.limit, max_wait=self.max_wait)
        if self.limit % 1:
            msg = f"Concurrency(limit={self.limit!r}) is not a whole number"
            raise ConfigurationError(msg)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``concurrency(URL)?limit=4`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong or missing.
        """
        from mailkit.policies.members import only_member

        values = url.parameters(limit=whole, max_wait=seconds)
        if "limit" not in values:
            raise ConfigurationError(f"{url.name} needs a limit: write concurrency(URL)?limit=4")
        return cls(only_member(cls.scheme, members), **values)

    def _parameters(self) -> Mapping[str, str | None]:
        return {"limit": as_number(self.limit), "max_wait": when_unusual(self.max_wait, None, as_number)}

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return _BoundedChannel(self, edge)


class _BoundedChannel(Wrapper):
    """A channel that lets only so many in.

    Args:
        bound: How many.
        edge: Where the slots and the clock come from.
    """

    def __init__(self, bound: Concurrency, edge: Edge) -> None:
        super().__init__(bound.transport.open(edge), edge, bound)
        self._name = name_of(bound)
        self._limit = bound.limit
        self._max_wait = bound.max_wait
        self._slots_by_process: dict[int, Slots] = {}

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message when there is room.

        Raises:
            DeliveryTimeout: There was none for too long: it was not sent.
        """
        async with self._slot(envelope.rcpt_to, message.message_id):
            return await self._channel.send(message, envelope)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes when there is room."""
        async with self._slot(envelope.rcpt_to, None):
            return await self._channel.send_raw(data, envelope)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages, over as many connections as there is room for when it begins.

        While there is no room at all, each message is an error of its own after its wait.
        """
        async for message in messages:
            if isinstance(message, Outcome):
                yield message
                continue
            slots = self._slots()
            try:
                room = await self._take_room(slots, message, connections)
            except DeliveryTimeout as error:
                yield Outcome(message=message, error=error)
                continue
            try:
                async with (
                    aclosing(_chained(message, messages)) as rest,
                    carrying_on(self._channel.send_many(rest, connections=room, window=window)) as outcomes,
                ):
                    async for outcome in outcomes:
                        yield outcome
            finally:
                _release(slots, room)
            return

    async def _take_room(self, slots: Slots, message: Message, connections: int) -> int:
        """Take one slot, and as many of the others as are free; return how many that are."""
        taken = 0
        try:
            await self._acquire(slots, (*message.to, *message.cc, *message.bcc), message.message_id)
            taken = 1
            while taken < min(connections, self._limit):
                await slots.acquire(deadline=self._edge.now())
                taken += 1
        except DeliveryTimeout:
            if not taken:
                raise
        except BaseException as interruption:
            _release(slots, taken)
            left_unsent(interruption, (*message.to, *message.cc, *message.bcc), message.message_id)
            interruption.__dict__["outcomes"] = (Outcome(message=message, error=interruption.__dict__["delivery"]),)
            raise
        return taken

    @asynccontextmanager
    async def _slot(self, recipients: Sequence[Address], message_id: str | None) -> AsyncGenerator[None, None]:
        slots = self._slots()
        try:
            await self._acquire(slots, recipients, message_id)
        except DeliveryTimeout:
            raise
        except BaseException as interruption:
            left_unsent(interruption, recipients, message_id)
            raise
        try:
            yield
        finally:
            slots.release()

    async def _acquire(self, slots: Slots, recipients: Sequence[Address], message_id: str | None) -> None:
        try:
            await slots.acquire(deadline=self._edge.now())
        except DeliveryTimeout:
            await self._wait(slots, recipients, message_id)

    async def _wait(self, slots: Slots, recipients: Sequence[Address], message_id: str | None) -> None:
        limit = f"{self._limit} at a time"
        self._edge.notify(
            Throttled(message_id=message_id, transport=self._name, recipients=len(recipients), limit=limit)
        )
        seconds = self._edge.timeout if self._max_wait is None else self._max_wait
        try:
            await slots.acquire(deadline=self._edge.now() + seconds)
        except DeliveryTimeout as error:
            msg = (
                f"{self._name} had no room for {seconds:g} s: {limit} are under way, and none of them ended; raise the "
                "limit, allow a longer wait with max_wait, or close streams that are not gone through to their end"
            )
            raise DeliveryTimeout(
                msg,
                phase="concurrency",
                recipients=[
                    RecipientResult(each.addr_spec, status="not_sent", phase="concurrency") for each in recipients
                ],
                transport=self._name,
                message_id=message_id,
            ) from error

    def _slots(self) -> Slots:
        # A slot that another thread of the parent held at a fork would never be released here.
        pid = os.getpid()
        slots = self._slots_by_process.get(pid)
        return self._slots_by_process.setdefault(pid, self._edge.slots(self._limit)) if slots is None else slots


def _release(slots: Slots, count: int) -> None:
    for _ in range(count):
        slots.release()


async def _chained(first: Message, rest: AsyncIterator[Message | Outcome]) -> AsyncGenerator[Message | Outcome, None]:
    yield first
    async for message in rest:
        yield message
