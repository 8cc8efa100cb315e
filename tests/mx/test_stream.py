"""Many messages to many domains: outcomes in order, bounded memory, and what an interruption leaves."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import run_in
from tests.mx.world import BOB, World, letter

from mailkit import ConnectError, MailkitError, MessageError, Outcome, Receipt, RejectedError
from mailkit.mx.stream import ROUND, deliver_stream
from mailkit.testing import Stall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mailkit import Message
    from mailkit.edge import Edge

WORKERS = pytest.mark.parametrize("workers", [1, 3])


async def source(messages: list[Any], error: Exception | None = None) -> AsyncGenerator[Any, None]:
    """Yield messages, and fail in the end where told to."""
    for message in messages:
        yield message
    if error is not None:
        raise error


async def accept(message: Message) -> Receipt:
    """Take every message but a bad one."""
    if message.subject == "bad":
        raise RejectedError("no")
    return Receipt(message_id=message.message_id or "", transport="mx://x", recipients=[])


@WORKERS
def test_outcomes_come_in_order(edge: Edge, run: Callable[..., Any], workers: int) -> None:
    """One outcome for each message, in its place; a bad one stops none of the others."""
    messages = [letter(subject="bad" if number % 7 == 3 else "good") for number in range(60)]
    earlier = Outcome(message=letter(), error=MessageError("no From"))

    async def send() -> list[Outcome]:
        given = [*messages[:30], earlier, *messages[30:]]
        return [each async for each in deliver_stream(source(given), accept, edge, workers)]

    outcomes = run(send)
    assert outcomes[30] is earlier
    assert [each.message for each in outcomes if each is not earlier] == messages
    assert [each.ok for each in outcomes if each is not earlier] == [each.subject == "good" for each in messages]


@WORKERS
def test_a_source_that_fails_has_its_messages_sent_first(edge: Edge, run: Callable[..., Any], workers: int) -> None:
    """Everything that came before the source's error has its outcome; then the error is raised."""
    outcomes: list[Outcome] = []

    async def send() -> None:
        async for each in deliver_stream(source([letter()] * 5, ValueError("the file ends")), accept, edge, workers):
            outcomes.append(each)  # noqa: PERF401 - what was got before the error counts

    with pytest.raises(ValueError, match="the file ends"):
        run(send)
    assert [each.ok for each in outcomes] == [True] * 5


@WORKERS
def test_no_more_is_taken_than_a_round(edge: Edge, run: Callable[..., Any], workers: int) -> None:
    """Of an endless source only so many messages are in memory as fit into a round."""
    taken = 0

    async def endless() -> AsyncGenerator[Any, None]:
        nonlocal taken
        while True:
            taken += 1
            yield letter()

    async def send() -> None:
        async with aclosing(endless()) as messages, aclosing(deliver_stream(messages, accept, edge, workers)) as many:
            async for _ in many:
                break

    run(send)
    assert taken == (1 if workers == 1 else ROUND * workers)


def test_a_slow_source_has_small_rounds(edge: Edge, run: Callable[..., Any]) -> None:
    """Whoever takes his time with the next message does not hold back the outcome of this one for a whole round."""
    now, ahead = edge.now, 0.0
    edge.now = lambda: now() + ahead  # type: ignore[method-assign]
    sent: list[int] = []

    async def slow() -> AsyncGenerator[Any, None]:
        nonlocal ahead
        for number in range(4):
            ahead += 1.0
            sent.append(number)
            yield letter()

    async def send() -> None:
        count = 0
        async for _ in deliver_stream(slow(), accept, edge, 2):
            count += 1
            assert len(sent) == count

    run(send)
    assert len(sent) == 4


def test_several_are_sent_at_once(edge: Edge, run: Callable[..., Any]) -> None:
    """Three workers have three messages under way together."""
    barrier = threading.Barrier(3)
    at_once = 0

    async def meet(message: Message) -> Receipt:
        nonlocal at_once
        at_once += 1
        # The blocking edge has threads, which wait for each other; tasks take turns.
        if edge.__class__.__name__ == "BlockingEdge":
            barrier.wait(5)
        else:
            while at_once < 3:
                await edge.sleep(0.001)
        return await accept(message)

    async def send() -> int:
        return len([each async for each in deliver_stream(source([letter()] * 3), meet, edge, 3)])

    assert run(send) == 3


@WORKERS
def test_an_interruption_carries_the_outcomes(edge: Edge, run: Callable[..., Any], workers: int) -> None:
    """Whatever interrupts it says what became of every message that was taken and not yet told of."""
    messages = [letter(subject=f"{number}") for number in range(3)]
    receipt = Receipt(message_id="1", transport="mx://x", recipients=[])

    async def interrupted(message: Message) -> Receipt:
        if message.subject == "1":
            error = KeyboardInterrupt()
            if workers == 1:
                error.__dict__["delivery"] = receipt
            raise error
        return await accept(message)

    async def send() -> None:
        async for _ in deliver_stream(source(messages), interrupted, edge, workers):
            pass

    with pytest.raises(KeyboardInterrupt) as caught:
        run(send)
    outcomes: tuple[Outcome, ...] = caught.value.outcomes  # type: ignore[attr-defined]
    if workers == 1:
        assert [each.receipt for each in outcomes] == [receipt]
    else:
        assert [each.message for each in outcomes] == messages
        assert isinstance(outcomes[1].error, ConnectError)
        assert outcomes[1].error.outcome == "not_sent"


def test_a_stream_through_the_channel(world: World) -> None:
    """Messages to two domains over two connections, one of them refused, one without recipients."""
    for domain in ("example.org", "example.net"):
        world.server(f"mx.{domain}")
        world.domain(domain, f"mx.{domain}")
    world.servers[1].script("RCPT", "550 5.1.1 nobody", match="nobody@example.net", times=None)
    messages = [letter(f"user{number}@example.{'org' if number % 2 else 'net'}") for number in range(20)]
    messages[4] = letter("nobody@example.net")
    messages[9] = letter(BOB).evolve(to=())
    for connections in (1, 2):
        outcomes = world.stream(messages, connections)
        assert [each.message for each in outcomes] == messages
        assert [number for number, each in enumerate(outcomes) if not each.ok] == [4, 9]
        assert isinstance(outcomes[4].error, RejectedError)
        assert isinstance(outcomes[9].error, MessageError)
    assert world.received() == [18, 18]
    assert all(len(server.connections) <= 3 for server in world.servers)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_stream_says_what_became_of_its_messages(world: World) -> None:
    """Cancelled while a server is silent, the interruption carries the outcome of the message under way."""
    server = world.server("mx.example.org")
    world.domain("example.org", "mx.example.org")
    server.script("EHLO", Stall())
    interruptions: list[BaseException] = []

    async def send() -> None:
        try:
            async for _ in world.open().send_many(source([letter()])):
                pass
        except BaseException as interruption:
            interruptions.append(interruption)
            raise

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.to_thread.run_sync(server.wait_until, lambda server: server.held)
            group.cancel_scope.cancel()

    run_in(world.colour, main)
    (interruption,) = interruptions
    (outcome,) = interruption.outcomes  # type: ignore[attr-defined]
    assert isinstance(outcome.error, MailkitError)
    assert outcome.error.outcome == "not_sent"
