from __future__ import annotations

import os
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import colour, make_edge, run
from tests.policies.letters import Interrupted, each, letter

from mailkit import (
    Concurrency,
    ConfigurationError,
    ConnectError,
    DeliveryTimeout,
    Envelope,
    Mailer,
    MessageError,
    RetryPolicy,
)
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.events import Throttled
from mailkit.local import MemoryTransport
from mailkit.receipt import Outcome
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import Capabilities, Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from tests.colours import Colour

    from mailkit.edge import Edge
    from mailkit.events import Event
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

__all__ = ["colour", "run"]

ENVELOPE = Envelope("ada@example.com", "bob@example.org")
RAW = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"


class TestContract(TransportContract):
    """A bound changes nothing where there is room."""

    def make_transport(self) -> Transport:
        """A fake one."""
        self.fake = FakeTransport()
        return Concurrency(self.fake, 3)

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


class Counting:
    """A transport that notes how many deliveries go on at once, and how many connections a stream was given."""

    capabilities = Capabilities.everything()

    def __init__(self) -> None:
        self.memory = MemoryTransport()
        self.now = self.most = 0
        self.connections: list[int] = []
        self.mutex = threading.Lock()
        self.may_end = lambda: True

    def open(self, edge: Edge) -> Channel:
        """Return a channel that takes a few milliseconds for a message."""
        return CountingChannel(self, edge)

    def __str__(self) -> str:
        return "counting://"


class CountingChannel(Channel):
    """Takes a millisecond for a message, and as long as the test wants."""

    def __init__(self, transport: Counting, edge: Edge) -> None:
        super().__init__(transport)
        self.counting = transport
        self.inner = transport.memory.open(edge)
        self.edge = edge

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Count, and send."""
        return await self._count(self.inner.send(message, envelope))

    async def send_raw(self, data: Any, envelope: Envelope) -> Receipt:
        """Count, and send."""
        return await self._count(self.inner.send_raw(data, envelope))

    async def _count(self, sending: Any) -> Receipt:
        with self.counting.mutex:
            self.counting.now += 1
            self.counting.most = max(self.counting.most, self.counting.now)
        try:
            await self.edge.sleep(0.001)
            while not self.counting.may_end():
                await self.edge.sleep(0.001)
            receipt: Receipt = await sending
        finally:
            with self.counting.mutex:
                self.counting.now -= 1
        return receipt

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Note the connections."""
        self.counting.connections.append(connections)
        return self.inner.send_many(messages, connections=connections, window=window)


@pytest.mark.parametrize("raw", [False, True])
def test_no_more_than_the_limit_go_on_at_once(colour: Colour, run: Any, raw: bool) -> None:
    """Of twelve threads or tasks three are let in at a time, all arrive, and who listens hears of the waits."""
    counting, edge = Counting(), make_edge(colour)
    events: list[Event] = []
    edge.listener = events.append
    counting.may_end = lambda: counting.most >= 3 and len(events) >= 3

    async def send() -> None:
        channel = Concurrency(counting, 3).open(edge)
        if raw:
            await edge.run_all([lambda: channel.send_raw(RAW, ENVELOPE) for _ in range(12)])
        else:
            await edge.run_all([lambda: channel.send(letter(), ENVELOPE) for _ in range(12)])

    run(send)
    assert counting.most == 3
    assert len(counting.memory.outbox) == 12
    assert isinstance(events[0], Throttled)
    assert (events[0].limit, events[0].wait, events[0].transport) == ("3 at a time", None, "concurrency(counting://)")


@pytest.mark.parametrize(("limit", "asked", "given"), [(5, 3, 3), (2, 3, 2), (1, 1, 1)])
def test_a_stream_counts_as_its_connections(colour: Colour, run: Any, limit: int, asked: int, given: int) -> None:
    """It gets as many as it asked for and as are free, and gives them back in the end."""
    counting, edge = Counting(), make_edge(colour)

    async def send() -> None:
        channel = Concurrency(counting, limit, max_wait=0.01).open(edge)
        for _ in range(2):
            stream = channel.send_many(each([letter(0), letter(1)]), connections=asked)
            assert [outcome.ok async for outcome in stream] == [True, True]
        await edge.run_all([lambda: channel.send(letter(), ENVELOPE) for _ in range(limit)])

    run(send)
    assert counting.connections == [given, given]
    assert len(counting.memory.outbox) == 4 + limit


def test_a_stream_takes_what_others_leave(colour: Colour, run: Any) -> None:
    """While one stream holds two of three slots, another one that asks for two gets the third."""
    counting, edge = Counting(), make_edge(colour)

    async def send() -> None:
        channel = Concurrency(counting, 3, max_wait=0.01).open(edge)
        async with aclosing(channel.send_many(each([letter(0), letter(1)]), connections=2)) as first:
            await anext(first)
            async with aclosing(channel.send_many(each([letter(2), letter(3)]), connections=2)) as second:
                await anext(second)
                with pytest.raises(DeliveryTimeout):
                    await channel.send(letter(4), ENVELOPE)
            await channel.send(letter(5), ENVELOPE)

    run(send)
    assert counting.connections == [2, 1]


@pytest.mark.parametrize("max_wait", [0.01, None])
def test_who_finds_no_room_is_not_sent(colour: Colour, run: Any, max_wait: float | None) -> None:
    """A message that waits for too long, by default the mailer's timeout, is an error: not sent, for each recipient."""
    counting, edge = Counting(), make_edge(colour, timeout=0.01)

    async def send() -> None:
        channel = Concurrency(counting, 1, max_wait=max_wait).open(edge)
        async with aclosing(channel.send_many(each([letter(0), letter(1)]))) as stream:
            await anext(stream)
            message = letter(2)
            with pytest.raises(DeliveryTimeout, match=r"no room for 0\.01 s: 1 at a time") as caught:
                await channel.send(message, ENVELOPE)
            error = caught.value
            assert (error.outcome, error.cause, error.phase) == ("not_sent", "transient", "concurrency")
            assert (error.transport, error.message_id) == ("concurrency(counting://)", message.message_id)
            assert [(each.address, each.status) for each in error.recipients] == [("bob@example.org", "not_sent")]
            with pytest.raises(DeliveryTimeout):
                await channel.send_raw(RAW, ENVELOPE)

    run(send)
    assert len(counting.memory.outbox) == 1


def test_a_stream_that_finds_no_room_tries_for_each_message(colour: Colour, run: Any) -> None:
    """Each message waits and fails by itself, until there is room for one and all after it."""
    counting, edge = Counting(), make_edge(colour)
    earlier = Outcome(message=letter(9), error=MessageError("no From"))

    async def send() -> list[Outcome]:
        channel = Concurrency(counting, 1, max_wait=0.01).open(edge)
        first = channel.send_many(each([letter(0), letter(1)]))
        await anext(first)
        outcomes: list[Outcome] = []
        async for outcome in channel.send_many(each([letter(2), earlier, letter(3), letter(4)])):
            outcomes.append(outcome)
            if len(outcomes) == 2:
                await first.aclose()
        return outcomes

    outcomes = run(send)
    assert [outcome.ok for outcome in outcomes] == [False, False, True, True]
    assert isinstance(outcomes[0].error, DeliveryTimeout)
    assert outcomes[1] is earlier
    assert [sent.subject for sent in counting.memory.outbox] == ["Number 0", "Number 3", "Number 4"]


def test_an_empty_stream_takes_no_slot(colour: Colour, run: Any) -> None:
    """Nothing comes of nothing, and nothing is held."""
    edge = make_edge(colour)

    async def send() -> list[Outcome]:
        channel = Concurrency(MemoryTransport(), 1, max_wait=0.01).open(edge)
        return [outcome async for outcome in channel.send_many(each([]), connections=5)]

    assert run(send) == []


class Unlucky:
    """Slots that somebody interrupts."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.held = 0

    async def acquire(self, *, deadline: float) -> None:
        """Give what is free, then be interrupted."""
        if self.held == self.free:
            raise Interrupted
        self.held += 1

    def release(self) -> None:
        """Take one back."""
        self.held -= 1


@pytest.mark.parametrize("free", [0, 2])
def test_an_interrupted_wait_says_that_nothing_was_sent(free: int) -> None:
    """Whatever was taken is given back, and the interruption carries the message as not sent."""
    edge = BlockingEdge()
    slots = Unlucky(free)
    edge.slots = lambda limit: slots  # type: ignore[method-assign, assignment, return-value]
    channel = Concurrency(MemoryTransport(), 5).open(edge)

    async def send() -> None:
        async for _ in channel.send_many(each([letter(1), letter(2)]), connections=4):
            raise AssertionError

    with pytest.raises(Interrupted) as caught:
        run_sync(send())
    (left,) = caught.value.outcomes  # type: ignore[attr-defined]
    assert left.message.subject == "Number 1"
    assert left.error.outcome == "not_sent"
    assert slots.held == 0
    slots.free = 0
    with pytest.raises(Interrupted) as caught:
        run_sync(channel.send(letter(3), ENVELOPE))
    assert isinstance(caught.value.delivery, ConnectError)  # type: ignore[attr-defined]


def test_a_cancelled_wait_leaves_the_room_to_others() -> None:
    """A task that is cancelled while it waits sends nothing; the slot goes to the next."""
    counting = Counting()
    cancelled: list[bool] = []
    counting.may_end = lambda: bool(cancelled)

    async def main() -> None:
        edge = make_edge("asyncio")
        channel = Concurrency(counting, 1).open(edge)
        async with anyio.create_task_group() as group:
            group.start_soon(channel.send, letter(1), ENVELOPE)
            await anyio.lowlevel.checkpoint()
            with anyio.move_on_after(0.005) as scope:
                await channel.send(letter(2), ENVELOPE)
            cancelled.append(scope.cancelled_caught)
            await channel.send(letter(3), ENVELOPE)

    anyio.run(main)
    assert cancelled == [True]
    assert [sent.subject for sent in counting.memory.outbox] == ["Number 1", "Number 3"]


def test_a_forked_process_has_room_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that the parent's threads held at the fork are not waited for."""
    memory = MemoryTransport()
    with Mailer(Concurrency(memory, 1, max_wait=0.01), retry=RetryPolicy.none()) as mailer:
        stream = mailer.send_many([letter(1), letter(2)])
        next(stream)
        with pytest.raises(DeliveryTimeout):
            mailer.send(letter(3))
        pid = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: pid + 1)
        assert mailer.send(letter(4)).accepted
        monkeypatch.undo()
        stream.close()


@pytest.mark.parametrize(
    ("limit", "options", "said"),
    [(0, {}, "limit=0"), (-1, {}, "limit=-1"), (1.5, {}, "whole number"), (1, {"max_wait": 0}, "max_wait=0")],
)
def test_a_bound_makes_sense(limit: Any, options: dict[str, Any], said: str) -> None:
    """A limit that lets nobody in, or half of one, is a configuration error that names it."""
    with pytest.raises(ConfigurationError, match=said):
        Concurrency(MemoryTransport(), limit, **options)
