"""Streams of messages: one outcome for each in its order, whatever is between them, and whatever breaks them off."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.to_thread
import pytest
from tests.colours import run_in
from tests.keyboard import Keyboard
from tests.patience import given_time
from tests.properties.records import RecordingEdge
from tests.smtp.letters import Post, transport_to
from tests.smtp.streams import OFFERS, WITHOUT, Clock, each, note, send_many, statuses, stream, taken

from mailkit import (
    AsyncMailer,
    ConnectError,
    DeliveryTimeout,
    Mailer,
    Message,
    MessageError,
    Outcome,
    OutcomeUnknownError,
    RetryPolicy,
)
from mailkit.edge.base import run_sync
from mailkit.policies.retry_channel import RetryChannel
from mailkit.smtp import PoolLimits, Timeouts
from mailkit.smtp.flight import Flight
from mailkit.smtp.lane import Lane
from mailkit.smtp.stream import BRISK, PATIENCE, ROUND, SLOW, _break_off, deliver_stream
from mailkit.testing import Disconnect, SMTPServer, Stall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

    from tests.colours import Colour

    from mailkit.receipt import Progress
    from mailkit.testing import Phase

pytestmark = pytest.mark.slow

CROWD = tuple(f"r{index}@crowd.example" for index in range(103))


# -- every kind of message -------------------------------------------------------------------------------------------


def mixed(count: int) -> Iterator[Message]:
    """Messages of every kind."""
    for number in range(count):
        changes: dict[str, Any] = {}
        if number % 7 == 3:
            changes["to"] = ["refused@example.org"]
        elif number % 11 == 5:
            changes["to"] = ["deferred@example.org"]
        elif number % 13 == 6:
            changes["to"] = ["refused@example.org", f"r{number}@example.org", "deferred@example.org"]
        elif number % 29 == 8:
            changes["to"] = []
        elif number % 50 == 20:
            changes["text"] = "All work and no play.\n" * 4_000
        elif number % 90 == 30:
            changes["to"] = CROWD
        elif number == 55:
            changes["text"] = "All work and no play makes Jack a dull boy.\n" * 120_000
        yield note(number, **changes)


def expected(message: Message) -> dict[str, str]:
    """What is to become of the recipients of such a message."""
    fates = {"refused@example.org": "rejected", "deferred@example.org": "deferred"}
    return {path.email: fates.get(path.email, "accepted") for path in message.to}


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("offers", OFFERS)
def test_every_kind_of_message_gets_its_outcome(colour: Colour, offers: str, connections: int) -> None:
    """Refused, deferred, invalid, large, for many: each has its outcome in its place, and the server agrees."""
    messages = list(mixed(200))
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no such user", match="refused@example.org", times=None)
        server.script("RCPT", "450 4.2.0 later", match="deferred@example.org", times=None)
        outcomes = send_many(post, messages, connections=connections)
        assert [outcome.message for outcome in outcomes] == messages
        for outcome in outcomes:
            if not outcome.message.to:
                assert isinstance(outcome.error, MessageError)
            else:
                assert statuses(outcome) == expected(outcome.message)
        assert taken(server) == {
            (str(message.message_id), address)
            for message in messages
            for address, status in expected(message).items()
            if status == "accepted"
        }
        assert server.violations == ()
        assert len(server.connections) <= connections


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
@given_time(first=0.2)
def test_a_command_that_is_not_answered_has_a_command_s_time(colour: Colour, phase: Phase, *, wait: float) -> None:
    """The long time is for the answer to a whole message; each of the others is not sent when its own is over."""
    timeouts = Timeouts(command=wait, data_end=60.0)
    with SMTPServer(without=("CHUNKING", "BINARYMIME")) as server, Post.to(server, colour, timeouts=timeouts) as post:
        server.script(phase, Stall(), skip=1, times=None)
        began = time.monotonic()
        first, second = send_many(post, [note(1), note(2)])
        assert time.monotonic() - began < 30
    assert first.ok
    assert isinstance(second.error, DeliveryTimeout)
    assert (second.error.outcome, second.error.phase) == ("not_sent", phase.lower())


@pytest.mark.parametrize("window", [1, 2, 32])
def test_windows_of_any_size(colour: Colour, window: int) -> None:
    """The window changes how many round trips it takes, and no outcome."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no such user", match="refused@example.org", times=None)
        outcomes = send_many(post, mixed(60), window=window)
        assert [outcome.message.subject for outcome in outcomes] == [f"Letter {number}" for number in range(60)]
        sent = [outcome for outcome in outcomes if outcome.message.to and "deferred" not in str(outcome.message.to)]
        assert all(statuses(outcome) == expected(outcome.message) for outcome in sent)


def test_there_are_no_more_connections_than_asked_for_or_allowed(colour: Colour) -> None:
    """Several connections share the work; the pool's bound holds; a few messages do not open many."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(max_connections=3)) as post:
        send_many(post, (note(number) for number in range(600)), connections=8)
        assert len(server.connections) == 3
        assert all("MAIL" in record.verbs for record in server.connections)
    with SMTPServer() as server, Post.to(server, colour) as post:
        send_many(post, (note(number) for number in range(2)), connections=8)
        assert len(server.connections) == 1


def test_a_server_may_allow_fewer_connections_than_we_would_like(colour: Colour) -> None:
    """Connections that are refused leave their share to the others."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("greeting", "421 4.7.0 too many connections", skip=1, times=None)
        outcomes = send_many(post, (note(number) for number in range(100)), connections=4)
        assert all(outcome.ok for outcome in outcomes)
        assert {received.connection for received in server.messages} == {1}


def test_an_empty_stream(colour: Colour) -> None:
    """No message: no outcome, no connection."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        assert send_many(post, []) == []
        assert send_many(post, [], connections=3) == []
        assert server.connections == ()


@pytest.mark.parametrize("connections", [1, 3])
def test_nothing_but_unsendable_messages(colour: Colour, connections: int) -> None:
    """They are outcomes without anybody being asked."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        outcomes = send_many(post, (note(number, to=[]) for number in range(300)), connections=connections)
        assert [isinstance(outcome.error, MessageError) for outcome in outcomes] == [True] * 300
        assert server.connections == ()


# -- back-pressure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("connections", "most"), [(1, 33), (3, 3 * ROUND)])
def test_no_more_is_taken_than_can_be_on_its_way(colour: Colour, connections: int, most: int) -> None:
    """Of an endless source no more messages are taken than a window, or a round, beyond the outcomes that are out."""
    given = received = furthest = 0

    def endless() -> Iterator[Message]:
        nonlocal given, furthest
        while True:
            given += 1
            furthest = max(furthest, given - received)
            yield note(given)

    with SMTPServer(keep="counts") as server, Post.to(server, colour) as post:

        async def consume() -> None:
            nonlocal received
            async with (
                aclosing(each(endless())) as source,
                aclosing(post.channel.send_many(source, connections=connections)) as outcomes,
            ):
                async for outcome in outcomes:
                    assert outcome.ok
                    received += 1
                    if received == 1_000:
                        return

        run_in(colour, consume)
        assert 2 < furthest <= most + 1


def test_unsendable_messages_do_not_pile_up_behind_an_unanswered_one(colour: Colour) -> None:
    """What takes no room in the window is bounded as well."""
    given = received = furthest = 0

    def messages() -> Iterator[Message]:
        nonlocal given, furthest
        for number in range(2_000):
            given += 1
            furthest = max(furthest, given - received)
            yield note(number) if number == 1 else note(number, to=[])

    with SMTPServer() as server, Post.to(server, colour) as post:

        def count(_: Outcome) -> None:
            nonlocal received
            received += 1

        outcomes = stream(post, messages(), watch=count)
        assert [number for number, outcome in enumerate(outcomes) if outcome.ok] == [1]
        assert furthest <= ROUND + 1


def test_memory_does_not_grow_with_the_stream() -> None:
    """Twenty thousand small messages leave nothing behind, and no more in between than two thousand do."""
    message = Message(from_="a@example.com", to="b@example.org", text="x")
    with SMTPServer(keep="counts") as server, Mailer(transport_to(server), retry=RetryPolicy.none()) as mailer:

        def send(count: int) -> tuple[int, int]:
            """Return how many blocks of memory were left behind, and how many there were in between at most."""
            before, most = sys.getallocatedblocks(), 0
            for number, outcome in enumerate(mailer.send_many(message for _ in range(count))):
                assert outcome.ok
                if number % 10 == 0:
                    most = max(most, sys.getallocatedblocks() - before)
            return sys.getallocatedblocks() - before, most

        send(500)
        _, usual = send(2_000)
        left, most = send(20_000)
        assert left < 5_000  # one block for each message would be four times as many; caches of others come and go
        assert most < 2 * usual + 1_000
        assert server.accepted_count == 22_500


# -- slow sources ----------------------------------------------------------------------------------------------------


def tick(clock: Clock, pauses: Iterable[float], watch: Callable[[int], object]) -> Iterator[Message]:
    """Messages that take their time; `watch` is told how many have been given whenever one is asked for."""
    for number, pause in enumerate(pauses):
        watch(number)
        clock.turn(pause)
        yield note(number)


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("offers", OFFERS)
def test_messages_of_a_slow_source_do_not_wait_for_one_another(colour: Colour, offers: str, connections: int) -> None:
    """Where the source takes a quarter of a second, a message's outcome is there before the next one is asked for."""
    outcomes: list[Outcome] = []
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        clock = Clock(post.edge)
        # The first message has no pause before it that would tell.
        pauses = [SLOW * 1.01] * 12
        source = tick(clock, pauses, lambda given: asked.append((given, len(outcomes))))
        asked: list[tuple[int, int]] = []
        stream(post, source, connections=connections, clock=clock, watch=outcomes.append)
        assert asked == [(number, number) for number in range(12)]
        assert len(taken(server)) == 12


@pytest.mark.parametrize("offers", OFFERS)
def test_nothing_is_left_unwritten_while_a_source_pauses(colour: Colour, offers: str) -> None:
    """Where the source takes 5 ms or more, everything that was given before has left when the next is asked for."""
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        clock = Clock(post.edge)

        def watch(given: int) -> None:
            assert server.wait_until(lambda one: one.accepted_count == given, 5)

        assert all(outcome.ok for outcome in stream(post, tick(clock, [BRISK * 1.01] * 40, watch), clock=clock))


def test_a_source_that_comes_in_bursts_has_them_written_at_once(colour: Colour) -> None:
    """After a long pause the messages of a burst leave one by one, because the next pause may be a long one as well."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        clock = Clock(post.edge)

        def watch(given: int) -> None:
            assert server.wait_until(lambda one: one.accepted_count == given, 5)

        stream(post, tick(clock, ([10.0] + [0.0] * 20) * 3, watch), clock=clock)


def test_a_brisk_source_is_not_held_up(colour: Colour) -> None:
    """Where messages come at once, they go out together, and the first one does not wait for them."""
    first: list[int] = []
    with SMTPServer() as server, Post.to(server, colour) as post:
        clock = Clock(post.edge)

        def watch(given: int) -> None:
            if given == 1:
                first.append(server.wait_until(lambda one: one.accepted_count == 1, 5))

        stream(post, tick(clock, [0.0] * 100, watch), clock=clock)
        assert first == [True]
        assert server.connections[0].reads < 20


def test_a_slow_source_gets_small_rounds(colour: Colour) -> None:
    """Over several connections a round is over when collecting it has taken long enough."""
    answered: list[Outcome] = []
    most = 0
    with SMTPServer() as server, Post.to(server, colour) as post:
        clock = Clock(post.edge)

        def watch(given: int) -> None:
            nonlocal most
            most = max(most, given - len(answered))

        pauses = [PATIENCE / 4] * 60
        stream(post, tick(clock, pauses, watch), connections=3, clock=clock, watch=answered.append)
        assert most <= 4
        assert len(taken(server)) == 60


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("offers", OFFERS)
def test_a_source_that_fails_has_its_messages_sent(colour: Colour, offers: str, connections: int) -> None:
    """What was given before the source's error has its outcome, nothing is broken off, and then the error is raised."""

    def messages() -> Iterator[Message]:
        for number in range(20):
            yield note(number)
        raise LookupError("the table has gone")

    outcomes: list[Outcome] = []
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        with pytest.raises(LookupError, match="the table has gone"):
            stream(post, messages(), connections=connections, watch=outcomes.append)
        assert [outcome.ok for outcome in outcomes] == [True] * 20
        assert len(taken(server)) == 20
        post.send(note(99))  # the connections are as good as before
        assert len(server.connections) <= connections


# -- broken off ------------------------------------------------------------------------------------------------------


class Given:
    """A source that remembers what was taken from it."""

    def __init__(self, count: int = 60, **changes: Any) -> None:
        self.taken: list[Message] = []
        self._count = count
        self._changes = changes

    def __iter__(self) -> Iterator[Message]:
        for number in range(self._count):
            message = note(number, **self._changes)
            self.taken.append(message)
            yield message


def check_truth(server: SMTPServer, given: Given, outcomes: list[Outcome], *, doubt: int | None = None) -> None:
    """Each message that was taken has one outcome, and it is true."""
    assert [outcome.message for outcome in outcomes] == given.taken
    accepted = {message_id for message_id, _ in taken(server)}
    committed = {str(received.parse()["Message-ID"]).strip("<>") for received in server.committed}
    found = {str(outcome.message.message_id): next(iter(statuses(outcome).values())) for outcome in outcomes}
    for message_id, status in found.items():
        if status == "accepted":
            assert message_id in accepted
        elif status == "not_sent":
            assert message_id not in committed
        else:
            assert (status, message_id in accepted) == ("unknown", message_id in accepted)
    if doubt is not None:
        assert list(found.values()).count("unknown") == doubt


@contextmanager
def leaving_nothing(server: SMTPServer, post: Post) -> Iterator[None]:
    """Afterwards whoever was held has been hung up on, no slot of the pool is taken, and no thread of ours is left."""
    threads = set(threading.enumerate())
    yield
    server.release()
    others = ("SMTPServer", "Trio", "AnyIO", "asyncio")  # of the test's own
    assert not [each for each in set(threading.enumerate()) - threads if not each.name.startswith(others)]
    limit = post.channel._server.pool.max_connections

    async def take_all() -> None:
        leases = [post.channel._pool.lease() for _ in range(limit)]
        for lease in leases:
            await lease.take()
        for lease in leases:
            await lease.give_back()

    run_in(post.colour, take_all)
    send_many(post, [note(999)])
    post.close()
    assert server.wait_until(lambda one: all(record.closed for record in one.connections), 5)


def layered(post: Post, layer: str) -> Any:
    """The channel, or what wraps it."""
    policy = RetryPolicy(attempts=3, wait=lambda _: 0.0)
    return post.channel if layer == "bare" else RetryChannel(post.channel, policy, post.edge)


@pytest.mark.parametrize("layer", ["bare", "retry"])
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("offers", OFFERS)
def test_a_closed_generator(colour: Colour, offers: str, connections: int, layer: str) -> None:
    """What closes it carries what became of the messages that were taken and not yielded."""
    given, outcomes = Given(), []
    pool = PoolLimits(max_connections=3)
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour, pool=pool) as post:

        async def consume() -> None:
            source = each(given)
            running = layered(post, layer).send_many(source, connections=connections)
            outcomes.extend([await anext(running) for _ in range(9)])
            closing = GeneratorExit()
            with pytest.raises(GeneratorExit):
                await running.athrow(closing)
            outcomes.extend(closing.outcomes)  # type: ignore[attr-defined]
            await source.aclose()

        with leaving_nothing(server, post):
            run_in(colour, consume)
        check_truth(server, given, outcomes)
        assert 9 <= len(given.taken) <= 60


@pytest.mark.parametrize("layer", ["bare", "retry"])
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_task(backend: Any, connections: int, layer: str) -> None:
    """A cancellation carries the same: what has left and has no answer is unknown, what has not left was not sent."""
    given, outcomes = Given(), []
    pool = PoolLimits(max_connections=3)
    with SMTPServer() as server, Post.to(server, backend, pool=pool) as post:
        server.script("DOT", Stall(), match="r20@example.org")

        async def consume() -> None:
            source = each(given)
            try:
                async for outcome in layered(post, layer).send_many(source, connections=connections):
                    outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes
            except anyio.get_cancelled_exc_class() as cancellation:
                outcomes.extend(cancellation.outcomes)  # type: ignore[attr-defined]
                raise
            finally:
                await source.aclose()

        async def cancel() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(consume)
                await anyio.to_thread.run_sync(server.wait_until, lambda one: one.held)
                group.cancel_scope.cancel()

        with leaving_nothing(server, post):
            run_in(backend, cancel)
        check_truth(server, given, outcomes)
        unknown = [outcome for outcome in outcomes if "unknown" in statuses(outcome).values()]
        assert "Letter 20" in [outcome.message.subject for outcome in unknown]


def test_asyncios_own_cancellation() -> None:
    """A task of asyncio that is cancelled without anyio's help carries them, too."""
    given, outcomes = Given(), []
    with SMTPServer() as server, Post.to(server, "asyncio") as post:
        server.script("DOT", Stall(), match="r5@example.org")

        async def consume() -> None:
            async with aclosing(each(given)) as source:
                async for outcome in post.channel.send_many(source):
                    outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes

        async def main() -> None:
            task = asyncio.create_task(consume())
            await asyncio.to_thread(server.wait_until, lambda one: one.held)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            outcomes.extend(caught.value.outcomes)  # type: ignore[attr-defined]

        with leaving_nothing(server, post):
            asyncio.run(main())
        check_truth(server, given, outcomes)


@pytest.mark.parametrize("layer", ["bare", "retry"])
@pytest.mark.parametrize("connections", [1, 3])
def test_an_interrupt_from_the_keyboard(connections: int, layer: str) -> None:
    """KeyboardInterrupt carries the same; of several connections the others come to their end first."""
    given, outcomes = Given(500), []
    pool = PoolLimits(max_connections=3)
    with SMTPServer() as server, Post.to(server, "blocking", pool=pool) as post:
        server.script("DOT", Stall(), times=3, skip=20)

        def interrupt() -> None:
            assert server.wait_until(lambda one: one.held == connections)
            keyboard.press()
            threading.Event().wait(0.3)  # the others wait for their answers meanwhile
            server.clear_script()
            server.release()

        async def consume() -> None:
            source = each(given)
            try:
                async for outcome in layered(post, layer).send_many(source, connections=connections):
                    outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes
            except KeyboardInterrupt as interruption:
                outcomes.extend(interruption.outcomes)  # type: ignore[attr-defined]
            finally:
                await source.aclose()

        thread = threading.Thread(target=interrupt)
        with leaving_nothing(server, post), Keyboard() as keyboard:
            thread.start()
            run_sync(consume())
            thread.join()
        check_truth(server, given, outcomes)
        assert len(given.taken) < 500
        assert not all(outcome.ok for outcome in outcomes)


def test_while_a_message_is_tried_again() -> None:
    """A message that was interrupted in its second attempt is told by that one: it may have been accepted."""
    given, outcomes = Given(20), []
    with SMTPServer() as server, Post.to(server, "asyncio") as post:
        server.script("DOT", "450 4.2.0 later", match="r3@example.org").script("DOT", Stall(), match="r3@example.org")
        channel = RetryChannel(post.channel, RetryPolicy(attempts=3, wait=lambda _: 0.0), post.edge)

        async def consume() -> None:
            async with aclosing(each(given)) as source:
                async for outcome in channel.send_many(source):
                    outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes

        async def main() -> None:
            task = asyncio.create_task(consume())
            await asyncio.to_thread(server.wait_until, lambda one: one.held)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            outcomes.extend(caught.value.outcomes)  # type: ignore[attr-defined]

        asyncio.run(main())
        assert statuses(outcomes[3]) == {"r3@example.org": "unknown"}
        assert [outcome.message for outcome in outcomes] == given.taken


@pytest.mark.parametrize("connections", [1, 3])
def test_mailers_keep_what_an_interruption_carries(connections: int) -> None:
    """Through Mailer and its retries, each message that was taken has its outcome, as it was given."""
    given = [Message(to=f"r{number}@example.org", subject=str(number)) for number in range(40)]
    defaults = Message(from_="ada@example.com")
    with SMTPServer() as server, Mailer(transport_to(server), defaults=defaults) as mailer:
        running: Any = mailer.send_many(given, connections=connections)
        outcomes = [next(running) for _ in range(7)]
        closing = GeneratorExit()
        with pytest.raises(GeneratorExit):
            running.throw(closing)
        outcomes += closing.outcomes  # type: ignore[attr-defined]
        assert [outcome.message for outcome in outcomes] == given[: len(outcomes)]
        assert len(outcomes) > 7
        accepted = {str(received.parse()["Subject"]) for received in server.messages}
        assert {outcome.message.subject for outcome in outcomes if outcome.ok} <= accepted


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_mailers_keep_what_a_cancellation_carries(backend: Any) -> None:
    """The same for a cancelled task around AsyncMailer; a bad message among them has its own error."""
    invalid = {4, 12}
    given = [
        Message(to=[] if number in invalid else f"r{number}@example.org", subject=str(number)) for number in range(40)
    ]
    outcomes: list[Outcome] = []
    with SMTPServer() as server:
        server.script("DOT", Stall(), match="r9@example.org")

        async def consume() -> None:
            defaults = Message(from_="ada@example.com")
            async with AsyncMailer(transport_to(server), defaults=defaults) as mailer:
                try:
                    async for outcome in mailer.send_many(given):
                        outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes
                except anyio.get_cancelled_exc_class() as cancellation:
                    outcomes.extend(cancellation.outcomes)  # type: ignore[attr-defined]
                    raise

        async def cancel() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(consume)
                await anyio.to_thread.run_sync(server.wait_until, lambda one: one.held)
                group.cancel_scope.cancel()

        anyio.run(cancel, backend=backend)
    assert [outcome.message for outcome in outcomes] == given[: len(outcomes)]
    assert all(isinstance(outcomes[number].error, MessageError) for number in (4, 12))
    assert statuses(outcomes[9]) == {"r9@example.org": "unknown"}


class Unreachable:
    """A lane that another thread is at, and that cannot be closed."""

    may_go_on = True

    async def close(self) -> None:
        """Be interrupted."""
        raise KeyboardInterrupt


def test_what_another_thread_may_go_on_with_is_in_doubt() -> None:
    """Where a second interrupt keeps a lane from being closed, it carries the outcomes, and none says "not sent"."""
    with SMTPServer() as server, Post.to(server) as post:
        first, second = (post.channel._flight(note(number)) for number in range(2))
        assert isinstance(first, Flight)
        first.settle(ConnectError("it could not be reached"))
        decided = Outcome(message=note(3), error=MessageError("it is none"))
        lanes: Any = [Unreachable()]
        with pytest.raises(KeyboardInterrupt) as caught:
            run_sync(_break_off(KeyboardInterrupt(), [first, second, decided], lanes, post.edge))
        outcomes = caught.value.outcomes  # type: ignore[attr-defined]
        assert [type(outcome.error) for outcome in outcomes] == [ConnectError, OutcomeUnknownError, MessageError]
        assert statuses(outcomes[1]) == {"r1@example.org": "unknown"}


class Struck(Unreachable):
    """A lane on which an interrupt comes, and the next one while it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def submit(self, _: Flight) -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    async def close(self) -> None:
        """Be interrupted, and then come to the end."""
        self.closed += 1
        if self.closed == 1:
            raise KeyboardInterrupt


def test_a_second_interrupt_while_the_lanes_are_closed() -> None:
    """The lanes are closed once more, and what gets out carries the outcomes."""
    with SMTPServer() as server, Post.to(server) as post:
        lane: Any = Struck()

        async def consume() -> None:
            async with aclosing(each([post.channel._flight(note(1))])) as flights:
                await anext(deliver_stream(flights, [lane], post.edge))

        with pytest.raises(KeyboardInterrupt) as caught:
            run_sync(consume())
        assert lane.closed == 2
        assert [statuses(outcome) for outcome in caught.value.outcomes] == [  # type: ignore[attr-defined]
            {"r1@example.org": "unknown"}
        ]


def test_an_error_behind_the_source_is_none_of_its_own() -> None:
    """What a signal handler raises once a message was taken breaks off the stream, and tells of that message."""
    with SMTPServer() as server, Post.to(server) as post:
        now, calls = post.edge.now, list[float]()

        def interrupted() -> float:
            calls.append(now())
            if len(calls) == 2:  # before and behind the source
                raise TimeoutError("the alarm went off")
            return calls[-1]

        async def consume() -> None:
            async with aclosing(each([post.channel._flight(note(1))])) as flights:
                await anext(deliver_stream(flights, [Lane(post.channel._pool)], post.edge))

        post.edge.now = interrupted  # type: ignore[method-assign]
        with pytest.raises(TimeoutError, match="the alarm") as caught:
            run_sync(consume())
        assert [statuses(outcome) for outcome in caught.value.outcomes] == [  # type: ignore[attr-defined]
            {"r1@example.org": "not_sent"}
        ]


_AFTERWARDS = {"deliver_stream", "_close", "close", "_let_go", "_interrupted", "__init__"}


class Interrupter:
    """Raises KeyboardInterrupt before the n-th line that is executed in some modules.

    Args:
        modules: The ends of their paths.
        when: Before which line.
    """

    def __init__(self, modules: tuple[str, ...], when: int | None = None) -> None:
        self.lines = 0
        self._modules = modules
        self._when = when
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()  # coverage's, where it is measured
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: Any, event: str, arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.endswith(self._modules) else None

    def _line(self, frame: Any, event: str, arg: Any) -> Any:
        # What follows an interruption is not interrupted once more.
        if event == "line" and frame.f_code.co_name not in _AFTERWARDS:
            self.lines += 1
            if self.lines == self._when:
                raise KeyboardInterrupt
        return self._line


def interrupted(offers: str, when: int | None) -> int:
    """Send a stream that is interrupted before that line, check all outcomes, and return how many lines there were."""
    given, outcomes = Given(7), []
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, "blocking") as post:
        server.script("RCPT", "452 4.5.3 too many", match="x1@example.org")
        server.script("DOT", Disconnect(), match="r4@example.org")
        edge = RecordingEdge(post.edge)
        post.channel._pool._edge = post.channel._dialer._edge = edge  # type: ignore[assignment]

        async def consume() -> None:
            async with aclosing(each(given)) as source:
                flights: AsyncGenerator[Any, None]
                async with aclosing(each([post.channel._flight(message) async for message in source])) as flights:
                    lanes = [Lane(post.channel._pool)]
                    async for outcome in deliver_stream(flights, lanes, Clock(post.edge)):  # type: ignore[arg-type]
                        outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes

        with Interrupter(("smtp/lane.py", "smtp/flight.py", "smtp/stream.py"), when) as interrupter:
            try:
                run_sync(consume())
            except KeyboardInterrupt as interruption:
                outcomes.extend(interruption.outcomes)  # type: ignore[attr-defined]
        fates = {each.sender: each for line in edge.lines for each in list(line.transactions())}
        for outcome in outcomes:
            (address, status), sender = next(iter(statuses(outcome).items())), str(outcome.message.from_)
            fate = fates[sender].fate(address) if sender in fates else "untouched"
            assert (status == "unknown") == (fate == "doubtful"), (when, outcome, fate)
            assert (status == "accepted") == (fate == "accepted"), (when, outcome, fate)
    return interrupter.lines


@pytest.mark.parametrize("offers", OFFERS)
def test_an_interrupt_before_any_line(offers: str) -> None:
    """Wherever in the code an interrupt comes, the outcomes that it carries are what the bytes on the wire show."""
    lines = interrupted(offers, None)
    assert lines > 300
    for when in range(1, lines, 1 + lines // 120):
        interrupted(offers, when)


# -- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_told_after_each_message() -> None:
    """`done` counts all, `failed` those that nobody was accepted for, and `latest` is the outcome that comes next."""
    told: list[Progress] = []
    with SMTPServer() as server, Mailer(transport_to(server), retry=RetryPolicy.none()) as mailer:
        server.script("RCPT", "550 5.1.1 no", match="r3@example.org")
        messages = [note(number, to=[] if number == 6 else [f"r{number}@example.org"]) for number in range(10)]
        outcomes = []
        for outcome in mailer.send_many(messages, on_progress=told.append):
            outcomes.append(outcome)
            assert told[-1].latest is outcome
            assert told[-1].done == len(outcomes) == len(told)
        assert [progress.failed for progress in told] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
        assert [progress.latest.message for progress in told] == messages


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_progress_of_an_async_mailer(backend: Any) -> None:
    """The same over several connections of an AsyncMailer, with retries counted once."""
    told: list[Progress] = []

    async def send(server: SMTPServer) -> list[Outcome]:
        policy = RetryPolicy(attempts=2, wait=lambda _: 0.0)
        async with AsyncMailer(transport_to(server), retry=policy) as mailer:
            messages = [note(number) for number in range(50)]
            return [one async for one in mailer.send_many(messages, connections=3, on_progress=told.append)]

    with SMTPServer() as server:
        server.script("RCPT", "450 4.2.0 later", match="r7@example.org")
        server.script("RCPT", "550 5.1.1 no", match="r9@example.org")
        outcomes = anyio.run(send, server, backend=backend)
    assert [(progress.done, progress.latest) for progress in told] == list(enumerate(outcomes, 1))
    assert told[-1].failed == 1
    assert outcomes[7].receipt is not None
    assert outcomes[7].receipt.attempts == 2


def test_progress_that_fails_breaks_the_stream_off() -> None:
    """An error of the caller's own goes to the caller, and carries what became of the rest, that one included."""
    with SMTPServer() as server, Mailer(transport_to(server)) as mailer:

        def explode(progress: Progress) -> None:
            if progress.done == 4:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as caught:
            list(mailer.send_many([note(number) for number in range(30)], on_progress=explode))
        left = caught.value.outcomes  # type: ignore[attr-defined]
        assert left
        assert [outcome.message.subject for outcome in left] == [f"Letter {3 + number}" for number in range(len(left))]
