"""A signal handler may raise between any two bytecodes: nothing is lost by that, and nothing false is told."""

from __future__ import annotations

import gc
import sys
import threading
import time
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.keyboard import Keyboard
from tests.smtp.letters import Post, letter
from tests.smtp.signals import Signals
from tests.smtp.streams import WITHOUT, each, note, statuses

from mailkit import MailkitError, Outcome
from mailkit.edge import run_sync
from mailkit.edge.blocking import _ThreadTurn
from mailkit.edge.readiness import ready
from mailkit.edge.stream import PlainChannel
from mailkit.smtp import PoolLimits
from mailkit.smtp.single import Single
from mailkit.testing import SMTPServer, Stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def alarm() -> TimeoutError:
    """What many handlers of SIGALRM raise."""
    return TimeoutError("the alarm went off")


KINDS = pytest.mark.parametrize("kind", [KeyboardInterrupt, alarm], ids=["interrupt", "alarm"])
#: Many points, or some of them.
STEPS = pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow, id="many"), pytest.param(23, id="some")]
)
#: Some of the points, for two signals.
TWICE = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 drops a trace function that has raised once")

pytestmark = [
    # A connection that is lost between two hands is closed with the last reference to it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # Of a function that makes a coroutine for its caller, the trace function does not know that no signal comes then.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]


class Desk:
    """Sends messages that are interrupted, and keeps what was told of each.

    Args:
        post: How.
    """

    def __init__(self, post: Post) -> None:
        self.post = post
        self.told: dict[str, str | None] = {}
        self._number = 0

    def number(self) -> int:
        """The number of the next message."""
        self._number += 1
        return self._number

    def send(self, make: Callable[[], BaseException], *when: int) -> int:
        """Send a message, interrupted at those points; return how many points there were."""
        message = letter(self.number(), to="bob@example.org")
        with Signals(make, *when) as signals:
            try:
                receipt: Any = self.post.send(message)
            except MailkitError as error:
                receipt = error
            except BaseException as error:  # noqa: BLE001 - what a handler raises may be anything
                assert error in signals.raised, error  # noqa: PT017
                receipt = getattr(error, "delivery", None)
        self.told[str(message.message_id)] = None if receipt is None else receipt.recipients[0].status
        return signals.points

    def send_many(self, make: Callable[[], BaseException], *when: int, connections: int = 1) -> int:
        """Send a stream of messages, interrupted at those points; return how many points there were."""
        with Signals(make, *when) as signals:
            raised = self.stream(4, connections)
        assert raised is None or raised in signals.raised or isinstance(raised, MailkitError), raised
        return signals.points

    def stream(self, count: int, connections: int) -> BaseException | None:
        """Send a stream of messages, whatever interrupts it; return that."""
        messages = [note(self.number()) for _ in range(count)]
        outcomes: list[Outcome] = []
        raised: BaseException | None = None

        async def consume() -> None:
            async with (
                aclosing(each(messages)) as source,
                aclosing(self.post.channel.send_many(source, connections=connections)) as running,
            ):
                async for outcome in running:
                    outcomes.append(outcome)  # noqa: PERF401 - each of them counts, also when the next one never comes

        try:
            run_sync(consume())
        except BaseException as error:  # noqa: BLE001 - what a handler raises may be anything
            raised = error
            outcomes.extend(getattr(error, "outcomes", ()))
        self.told |= dict.fromkeys([str(message.message_id) for message in messages])
        for outcome in outcomes:
            self.told[str(outcome.message.message_id)] = next(iter(statuses(outcome).values()))
        return raised

    @property
    def leaked(self) -> int:
        """How many slots are taken, though nobody sends."""
        slots: Any = self.post.channel._pool.connections().slots
        assert not slots._mutex.locked()
        assert not slots._queue
        return len(slots._holders)

    @property
    def lost(self) -> int:
        """How many slots are taken still, now that whoever is gone has given back."""
        slots: Any = self.post.channel._pool.connections().slots
        until = time.monotonic() + 20
        while True:
            gc.collect()
            slots.release("nobody")  # hands on what is free
            if not slots._holders or time.monotonic() > until:
                return self.leaked
            time.sleep(0.001)  # a thread that was left to itself has yet to notice that it was hung up on

    def check(self, server: SMTPServer) -> None:
        """What was told is true, now that every connection has come to its end."""
        self.post.close()
        gc.collect()  # a session that was lost between two hands is closed with its last reference
        assert server.wait_until(lambda one: all(record.closed for record in one.connections), 20)
        accepted = {str(received.parse()["Message-ID"]).strip("<>") for received in server.messages}
        for message_id, status in self.told.items():
            allowed = {"accepted", "unknown"} if message_id in accepted else {"not_sent", "unknown", None}
            assert status in allowed, (message_id, status)


@contextmanager
def desk_at(**options: Any) -> Iterator[Desk]:
    """Open a desk; at its end no slot is taken, and what was told of each message is true."""
    with SMTPServer(**options) as server:
        desk = Desk(Post.to(server, pool=PoolLimits(max_connections=2)))
        yield desk
        assert desk.lost == 0
        assert desk.send(KeyboardInterrupt)  # it goes on as if nothing had been
        assert list(desk.told.values())[-1] == "accepted"
        desk.check(server)


@STEPS
@KINDS
def test_a_message_that_is_interrupted(kind: Any, step: int) -> None:
    """Wherever a signal comes, its message is told of truly, and the next one finds a connection."""
    with desk_at() as desk:
        desk.send(kind)
        points = desk.send(kind)
        assert points > 100
        for point in range(1, points + 1, step):
            desk.send(kind)  # leaves a connection idle
            desk.send(kind, point)
            assert desk.leaked == 0, point


@STEPS
@KINDS
def test_a_message_over_a_new_connection_that_is_interrupted(kind: Any, step: int) -> None:
    """The same where there is no idle connection, and the handshake is interrupted too."""
    with desk_at() as desk:
        points = desk.send(kind)
        for point in range(1, points + 1, step):
            while (session := desk.post.channel._pool.connections().pop()) is not None:
                run_sync(session.close())
            desk.send(kind, point)
            assert desk.leaked == 0, point


@TWICE
def test_a_message_that_is_interrupted_twice() -> None:
    """The same for a second signal that comes while the first one's mess is cleaned up."""
    with desk_at() as desk:
        desk.send(KeyboardInterrupt)
        points = desk.send(KeyboardInterrupt)
        for number, point in enumerate(range(1, points + 1, 5)):
            desk.send(KeyboardInterrupt)
            desk.send(KeyboardInterrupt, point, point + 1 + number % 13)
            assert desk.lost == 0, (point, number)


@STEPS
@KINDS
@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("offers", ["chunking", "pipelining"])
def test_a_stream_that_is_interrupted(kind: Any, offers: str, connections: int, step: int) -> None:
    """Wherever a signal comes, each message that is told of is told of truly, and every connection is given back."""
    with desk_at(without=WITHOUT[offers]) as desk:
        desk.send_many(kind, connections=connections)
        points = desk.send_many(kind, connections=connections)
        assert points > 300
        for point in range(1, points + 1, step * 4):
            desk.send_many(kind, point, connections=connections)
            assert desk.leaked == 0, point


@TWICE
@pytest.mark.parametrize("connections", [1, 2])
def test_a_stream_that_is_interrupted_twice(connections: int) -> None:
    """The same for a second signal that comes while the lanes are closed."""
    with desk_at() as desk:
        desk.send_many(KeyboardInterrupt, connections=connections)
        points = desk.send_many(KeyboardInterrupt, connections=connections)
        for number, point in enumerate(range(1, points + 1, 23)):
            desk.send_many(KeyboardInterrupt, point, point + 1 + number * 7 % 61, connections=connections)
            assert desk.lost == 0, (point, number)


def test_a_second_signal_while_the_first_one_is_told_of() -> None:
    """The one that gets out says what became of the message."""
    told: list[BaseException] = []

    def annotate(single: Single, interruption: BaseException) -> None:
        told.append(interruption)
        if len(told) == 1:
            raise KeyboardInterrupt
        annotated(single, interruption)

    def take(channel: PlainChannel, data: memoryview) -> int:
        channel.socket.sendall(data)
        raise KeyboardInterrupt

    annotated = Single.annotate
    with SMTPServer() as server, Post.to(server) as post:
        post.send(letter(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PlainChannel, "send", take)
            patch.setattr(Single, "annotate", annotate)
            with pytest.raises(KeyboardInterrupt) as caught:
                post.send(letter(2))
        assert told[1:] == [caught.value]
        assert caught.value.delivery.outcome == "unknown"  # type: ignore[attr-defined]


def test_a_handler_that_raises_what_looks_like_an_error_of_the_system() -> None:
    """A TimeoutError behind a write that the kernel took is no failed write: the message may have been accepted."""

    def take(channel: PlainChannel, data: memoryview) -> int:
        channel.socket.sendall(data)
        raise alarm()

    with SMTPServer() as server, Post.to(server) as post:
        post.send(letter(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PlainChannel, "send", take)
            with pytest.raises(TimeoutError, match="the alarm") as caught:
                post.send(letter(2))
        assert caught.value.delivery.outcome == "unknown"  # type: ignore[attr-defined]
        assert server.wait_until(lambda one: one.accepted_count == 2)


def test_who_presses_twice_leaves_no_thread_that_sends() -> None:
    """A stream whose other connection does not come to its end is left, hung up on, and told of as in doubt."""
    with SMTPServer() as server, Post.to(server, timeout=60.0, pool=PoolLimits(max_connections=2)) as post:
        desk = Desk(post)
        keyboard = Keyboard()

        def press() -> None:
            assert server.wait_until(lambda one: one.held == 2)
            for code in (ready.__code__, _ThreadTurn.wait.__code__):
                keyboard.press(code)

        server.script("DOT", Stall(), times=2, skip=1)
        thread = threading.Thread(target=press)
        with keyboard:
            thread.start()
            try:
                assert isinstance(desk.stream(12, 2), KeyboardInterrupt)
            finally:
                thread.join()
        assert keyboard.seen == 2
        unknown = [message_id for message_id, status in desk.told.items() if status == "unknown"]
        assert len(unknown) >= 2
        until = time.monotonic() + 20
        while desk.leaked and time.monotonic() < until:
            time.sleep(0.001)  # the thread notices that it was hung up on, and gives back what it holds
        assert desk.leaked == 0
        server.release()
        desk.check(server)
