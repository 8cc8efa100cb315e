from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import colour, run
from tests.patience import given_time
from tests.policies.clock import simulated
from tests.policies.letters import Interrupted, each, letter

from mailkit import (
    Attachment,
    ConfigurationError,
    ConnectError,
    Envelope,
    Mailer,
    MessageError,
    RateLimit,
    RateLimitedError,
    RetryPolicy,
)
from mailkit.events import Throttled
from mailkit.local import MemoryTransport
from mailkit.receipt import Outcome
from mailkit.smtp import SMTP
from mailkit.testing import Delivered, FakeTransport, SMTPServer, TransportContract
from mailkit.testing.colours import Colour as ContractColour

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

    from mailkit.transport import Transport

__all__ = ["colour", "run"]


class TestContract(TransportContract):
    """A limit changes nothing but when a message is sent."""

    def make_transport(self) -> Transport:
        """A fake one, in a hurry."""
        self.fake = FakeTransport()
        return RateLimit(self.fake, messages=100_000, recipients=100_000, octets=1e9)

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


def test_messages_go_at_the_pace(colour: Colour, run: Any) -> None:
    """Four a second: the first at once, each other one 250 ms later, and who listens hears of the waits."""
    edge, memory = simulated(colour), MemoryTransport()

    async def send() -> None:
        channel = RateLimit(memory, messages=4).open(edge)
        for number in range(3):
            await channel.send(letter(number), Envelope.from_message(letter()))

    run(send)
    assert edge.slept == pytest.approx([0.25, 0.25])
    assert len(memory.outbox) == 3
    first, _ = edge.events
    assert isinstance(first, Throttled)
    assert (first.limit, first.wait, first.transport, first.recipients) == (
        "4 messages a second",
        pytest.approx(0.25),
        "ratelimit(memory://)",
        1,
    )


@pytest.mark.parametrize(
    ("rates", "slept"),
    [({"recipients": 4}, [0.75, 0.75]), ({"octets": 1000}, [0.2, 0.2]), ({"messages": 2, "burst": 3}, [])],
    ids=["recipients", "octets", "burst"],
)
def test_every_bound_counts(colour: Colour, run: Any, rates: dict[str, float], slept: list[float]) -> None:
    """Recipients, octets and bursts count for messages, prepared bytes and streams alike."""
    three = Envelope("ada@example.com", ["bob@example.org", "eve@example.org", "cat@example.org"])
    raw = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\n" + b"x" * 144 + b"\r\n"
    assert len(raw) == 200
    edge = simulated(colour)

    async def send_raw() -> None:
        channel = RateLimit(MemoryTransport(), **rates).open(edge)
        for _ in range(3):
            await channel.send_raw(raw, three)

    run(send_raw)
    assert edge.slept == pytest.approx(slept)
    message = letter(to=three.rcpt_to[:1], cc=three.rcpt_to[1:2], bcc=three.rcpt_to[2:])
    if "octets" in rates:
        slept = [message.size / 1000] * 2
    for many in (False, True):
        edge = simulated(colour)

        async def send(edge: Any = edge, *, many: bool = many) -> None:
            channel = RateLimit(MemoryTransport(), **rates).open(edge)
            if many:
                assert all([outcome.ok async for outcome in channel.send_many(each([message] * 3))])
            else:
                for _ in range(3):
                    await channel.send(message, three)

        run(send)
        assert edge.slept == pytest.approx(slept)


def test_prepared_bytes_of_a_file_count_too(run: Any, colour: Colour, tmp_path: Path) -> None:
    """A file is as long as it is; one that cannot be read costs nothing, and the transport says what is wrong."""
    path = tmp_path / "raw.eml"
    path.write_bytes(b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\n" + b"x" * 944 + b"\r\n")
    edge = simulated(colour)

    async def send() -> None:
        channel = RateLimit(MemoryTransport(), octets=1000).open(edge)
        envelope = Envelope("ada@example.com", "bob@example.org")
        await channel.send_raw(path, envelope)
        path.unlink()
        with pytest.raises(MessageError):
            await channel.send_raw(path, envelope)
        assert edge.slept == pytest.approx([1.0])
        gone = tmp_path / "gone.bin"
        gone.write_bytes(b"x")
        message = letter(attachments=[Attachment.from_path(gone)])
        gone.unlink()
        with pytest.raises(MessageError):
            await channel.send(message, Envelope.from_message(message))

    run(send)


@pytest.mark.parametrize(("options", "waits"), [({}, True), ({"max_wait": 1.0}, False), ({"max_wait": 60.0}, True)])
def test_who_would_wait_too_long_is_told_at_once(
    colour: Colour, run: Any, options: dict[str, float], waits: bool
) -> None:
    """A turn beyond ``max_wait``, by default the mailer's timeout of 5 s, is an error that says when it is."""
    edge, memory = simulated(colour), MemoryTransport()

    async def send() -> None:
        channel = RateLimit(memory, messages=0.25, **options).open(edge)
        await channel.send(letter(1), Envelope.from_message(letter()))
        message = letter(2)
        if waits:
            await channel.send(message, Envelope.from_message(message))
            return
        with pytest.raises(RateLimitedError, match=r"4\.0 s would pass before the limit .* max_wait") as caught:
            await channel.send(message, Envelope.from_message(message))
        error = caught.value
        assert (error.outcome, error.cause, error.phase, error.retry_after) == ("not_sent", "throttled", "rate", 4.0)
        assert (error.transport, error.message_id) == ("ratelimit(memory://)", message.message_id)
        assert [(each.address, each.status, each.retry_after) for each in error.recipients] == [
            ("bob@example.org", "not_sent", 4.0)
        ]

    run(send)
    assert len(memory.outbox) == 1 + waits
    assert edge.slept == [4.0] * waits


@given_time(first=0.05)
def test_a_retry_waits_for_its_turn(run: Any, *, wait: float) -> None:
    """The error of a turn that is too far away carries a wait that retrying keeps to."""
    memory = MemoryTransport()
    with Mailer(RateLimit(memory, messages=1 / wait, max_wait=0.01), retry=RetryPolicy(attempts=2)) as mailer:
        mailer.send(letter(1))
        assert mailer.send(letter(2)).attempts == 2
    assert len(memory.outbox) == 2


def test_a_stream_waits_as_long_as_it_takes(colour: Colour, run: Any) -> None:
    """One message a minute, far beyond the timeout; every outcome is there before the next wait begins."""
    edge, memory = simulated(colour), MemoryTransport()
    seen: list[tuple[int, float]] = []

    async def send() -> None:
        channel = RateLimit(memory, messages=1 / 60).open(edge)
        earlier = Outcome(message=letter(9), error=MessageError("no From"))
        stream = channel.send_many(each([letter(0), earlier, letter(1), letter(2)]))
        async with aclosing(stream) as outcomes:
            async for outcome in outcomes:
                seen.append((int((outcome.message.subject or "")[-1]), edge.time))
                assert outcome.error is (earlier.error if seen[-1][0] == 9 else None)

    run(send)
    assert seen == [(0, 1000.0), (9, 1000.0), (1, 1060.0), (2, 1120.0)]


def test_short_waits_leave_the_pipeline_alone() -> None:
    """A stream at 200 a second goes over one connection in one conversation, not faster."""
    with SMTPServer() as server:
        transport = RateLimit(SMTP(server.host, port=server.port), messages=200)
        with Mailer(transport) as mailer:
            assert all(outcome.ok for outcome in mailer.send_many([letter(number) for number in range(20)]))
        assert len(server.messages) == 20
        assert len(server.connections) == 1


def test_two_tasks_share_one_pace(colour: Colour, run: Any) -> None:
    """Ten threads or tasks at a thousand a second need nine milliseconds together, whoever comes first."""
    edge = ContractColour(colour).edge()
    memory = MemoryTransport()

    async def send() -> float:
        channel = RateLimit(memory, messages=1000).open(edge)
        began = edge.now()
        jobs = [lambda: channel.send(letter(), Envelope.from_message(letter())) for _ in range(10)]
        await edge.run_all(jobs)
        return edge.now() - began

    assert run(send) >= 0.009
    assert len(memory.outbox) == 10


def test_an_interrupted_wait_says_that_nothing_was_sent(colour: Colour, run: Any) -> None:
    """What interrupts a single message's wait carries as its ``delivery`` that it was not sent."""
    edge, memory = simulated(colour), MemoryTransport()

    async def send() -> Interrupted:
        channel = RateLimit(memory, messages=1).open(edge)
        await channel.send(letter(1), Envelope.from_message(letter()))
        edge.interrupt = Interrupted()
        message = letter(2)
        with pytest.raises(Interrupted) as caught:
            await channel.send(message, Envelope.from_message(message))
        return caught.value

    delivery = run(send).delivery  # type: ignore[attr-defined]
    assert isinstance(delivery, ConnectError)
    assert [(each.address, each.status) for each in delivery.recipients] == [("bob@example.org", "not_sent")]
    assert len(memory.outbox) == 1


@pytest.mark.parametrize("messages", [1, 100], ids=["long", "short"])
def test_an_interrupted_stream_says_which_was_not_sent(colour: Colour, run: Any, messages: float) -> None:
    """What interrupts a wait in a stream carries the waiting message as not sent, and nothing was sent of it."""
    edge, memory = simulated(colour), MemoryTransport()

    async def send() -> Interrupted:
        channel = RateLimit(memory, messages=messages).open(edge)
        async with aclosing(channel.send_many(each([letter(1), letter(2), letter(3)]))) as outcomes:
            await anext(outcomes)
            edge.interrupt = Interrupted()
            with pytest.raises(Interrupted) as caught:
                await anext(outcomes)
        return caught.value

    (left,) = run(send).outcomes  # type: ignore[attr-defined]
    assert left.message.subject == "Number 2"
    assert left.error.outcome == "not_sent"
    assert len(memory.outbox) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a bound"),
        ({"messages": 0}, "messages=0"),
        ({"recipients": -1.0}, "recipients=-1.0"),
        ({"octets": float("inf")}, "octets=inf"),
        ({"messages": "10"}, "messages='10'"),
        ({"messages": True}, "messages=True"),
        ({"messages": float("nan")}, "messages=nan"),
        ({"messages": 1, "burst": 0.5}, "burst=0.5"),
        ({"messages": 1, "burst": 0}, "burst=0"),
        ({"messages": 1, "max_wait": 0}, "max_wait=0"),
    ],
    ids=str,
)
def test_a_limit_makes_sense(options: dict[str, Any], said: str) -> None:
    """A limit without a bound, or with one that would let nothing go, is a configuration error that names it."""
    with pytest.raises(ConfigurationError, match=said):
        RateLimit(MemoryTransport(), **options)


def test_only_a_transport_can_be_limited() -> None:
    """A URL is no transport."""
    with pytest.raises(ConfigurationError, match="wraps transports"):
        RateLimit("memory://", messages=1)  # type: ignore[arg-type]


def test_cancelling_a_wait_cancels_the_message() -> None:
    """A task that is cancelled while it waits sends nothing, and the channel serves others."""
    memory = MemoryTransport()

    async def main() -> None:
        edge = ContractColour("asyncio").edge()
        channel = RateLimit(memory, messages=20).open(edge)
        await channel.send(letter(1), Envelope.from_message(letter()))
        with anyio.move_on_after(0.001):
            await channel.send(letter(2), Envelope.from_message(letter()))
        await channel.send(letter(3), Envelope.from_message(letter()))

    anyio.run(main)
    assert [sent.subject for sent in memory.outbox] == ["Number 1", "Number 3"]
