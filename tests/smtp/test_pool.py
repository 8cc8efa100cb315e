"""Which connection carries which message: bounds, ages, forks, threads, tasks, and interruptions that leak nothing."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from tests.colours import run_in
from tests.keyboard import Keyboard
from tests.smtp.letters import Post, big, letter, transport_to

from mailkit import (
    AsyncMailer,
    ConnectError,
    DeliveryTimeout,
    Envelope,
    Mailer,
    OutcomeUnknownError,
    Receipt,
    RejectedError,
)
from mailkit.edge import run_sync
from mailkit.edge.readiness import ready
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.testing import Disconnect, SMTPServer, Stall, StopReading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Literal

    from tests.colours import Colour

    from mailkit.smtp.session import Session

every_loop = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def carried_by(server: SMTPServer) -> list[int]:
    """Return the number of the connection that carried each message."""
    return [message.connection for message in server.messages]


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_threads_share_no_more_connections_than_allowed() -> None:
    """Eight threads and a bound of three: the server never sees a fourth connection, and every message arrives."""
    with (
        SMTPServer() as server,
        Mailer(transport_to(server, pool=PoolLimits(max_connections=3))) as mailer,
        ThreadPoolExecutor(8) as threads,
    ):
        server.script("DOT", Stall(), times=3)
        receipts = [threads.submit(mailer.send, letter(number)) for number in range(8)]
        assert server.wait_until(lambda s: s.held == 3)
        assert len(server.connections) == 3
        server.release()
        assert all(receipt.result().accepted for receipt in receipts)
        assert len(server.connections) == 3
        assert len(server.messages) == 8


@every_loop
def test_tasks_share_no_more_connections_than_allowed(backend: str) -> None:
    """The same with tasks."""

    async def main(server: SMTPServer) -> None:
        async with (
            AsyncMailer(transport_to(server, pool=PoolLimits(max_connections=3))) as mailer,
            anyio.create_task_group() as group,
        ):
            for number in range(8):
                group.start_soon(mailer.send, letter(number))
            assert await anyio.to_thread.run_sync(server.wait_until, lambda s: s.held == 3)
            assert len(server.connections) == 3
            server.release()

    with SMTPServer() as server:
        server.script("DOT", Stall(), times=3)
        anyio.run(main, server, backend=backend)
        assert len(server.connections) == 3
        assert len(server.messages) == 8


def test_who_waits_too_long_for_a_connection_has_sent_nothing() -> None:
    """Waiting for the pool has a timeout of its own; the error says so, and nothing was sent."""
    pool = PoolLimits(max_connections=1, acquire_timeout=0.05)
    with SMTPServer() as server, Post.to(server, pool=pool) as post, ThreadPoolExecutor(1) as thread:
        server.script("DOT", Stall())
        first = thread.submit(post.send, letter(1))
        assert server.wait_until(lambda s: s.held == 1)
        error = post.attempt(letter(2))
        assert isinstance(error, DeliveryTimeout)
        assert (error.outcome, error.phase, error.message_id) == ("not_sent", "pool", "letter-2@example.com")
        server.release()
        assert first.result().accepted
        assert post.send(letter(3)).accepted
        assert len(server.connections) == 1


def test_a_connection_carries_so_many_messages(colour: Colour) -> None:
    """With max_messages=2 every third message begins a new connection, and the old one is closed with QUIT."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(max_messages=2)) as post:
        for number in range(5):
            post.send(letter(number))
        assert carried_by(server) == [1, 1, 2, 2, 3]
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].verbs[-1] == "QUIT"


def test_a_server_may_name_how_many_messages_a_connection_carries() -> None:
    """LIMITS MAILMAX (RFC 9422) is kept to, without a single 421."""
    with SMTPServer(limits={"MAILMAX": 2}) as server, Post.to(server) as post:
        for number in range(5):
            post.send(letter(number))
        assert carried_by(server) == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("limits", [PoolLimits(max_age=100.0, idle_timeout=1000.0), PoolLimits(idle_timeout=100.0)])
def test_a_connection_grows_old(limits: PoolLimits, colour: Colour) -> None:
    """After max_age since it was opened, or idle_timeout since it was used, a connection is not used again."""
    with SMTPServer() as server, Post.to(server, colour, pool=limits) as post:
        post.send(letter(1))
        post.later(60.0)
        post.send(letter(2))
        post.later(60.0)
        post.send(letter(3))
        if limits.max_age is None:  # it was used meanwhile
            assert carried_by(server) == [1, 1, 1]
            post.later(101.0)
            post.send(letter(4))
            assert carried_by(server)[-1] == 2
        else:
            assert carried_by(server) == [1, 1, 2]
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].verbs[-1] == "QUIT"


def test_the_connection_used_last_is_used_next() -> None:
    """Of two idle connections the younger use wins, so that the other can grow old."""
    with SMTPServer() as server, Post.to(server) as post, ThreadPoolExecutor(1) as thread:
        server.script("DOT", Stall())
        first = thread.submit(post.send, letter(1))
        assert server.wait_until(lambda s: s.held == 1)
        post.send(letter(2))
        server.release()
        first.result()
        for number in (3, 4):
            post.send(letter(number))
        assert [message.connection for message in sorted(server.messages, key=lambda m: m.number)] == [1, 2, 1, 1]


def test_an_idle_connection_that_has_ended_is_not_used_again(colour: Colour) -> None:
    """An end of the stream is seen without a round trip, and the message goes over a fresh connection."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        for number in range(3):
            post.send(letter(number))
            assert server.kick(Disconnect()) == 1
        assert carried_by(server) == [1, 2, 3]
        assert len(server.committed) == 3


def test_verify_makes_a_connection_that_the_next_message_uses(colour: Colour) -> None:
    """To verify is to connect anew; what it has connected is not thrown away."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1))
        post.verify()
        post.send(letter(2))
        assert carried_by(server) == [1, 2]
        assert len(server.connections) == 2


def test_what_is_released_after_the_end_is_closed(colour: Colour) -> None:
    """A connection that comes back to a closed pool is closed, not kept."""
    with SMTPServer() as server:
        post = Post.to(server, colour)
        pool = post.channel._pool
        lease = pool.lease()
        run_in(colour, lease.take)
        post.close()
        run_in(colour, lease.give_back)
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].verbs == ("EHLO", "QUIT")


def test_closing_at_the_moment_of_release_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that is closed between the look and the keeping closes what was kept."""
    with SMTPServer() as server:
        post = Post.to(server)
        pool = post.channel._pool
        lease = pool.lease()
        run_sync(lease.take())
        may_serve = pool._may_serve

        def close_meanwhile(candidate: Session) -> bool:
            answer = may_serve(candidate)
            pool._closed = True
            return answer

        monkeypatch.setattr(pool, "_may_serve", close_meanwhile)
        run_sync(lease.give_back())
        assert server.wait_until(lambda s: s.connections[0].closed)


# -- threads -----------------------------------------------------------------------------------------------------------


def test_messages_of_many_threads_stay_apart() -> None:
    """Four hundred messages from eight threads over four connections: each arrives once, whole, and unmixed."""
    with (
        SMTPServer() as server,
        Mailer(transport_to(server, pool=PoolLimits(max_connections=4))) as mailer,
        ThreadPoolExecutor(8) as threads,
    ):

        def text(number: int) -> str:
            return f"{number:05d} " * 200 + "\n"

        def send(number: int) -> Receipt:
            return mailer.send(letter(number, text=text(number), to=[f"reader{number}@example.org"]))

        receipts = list(threads.map(send, range(400)))
        assert [receipt.message_id for receipt in receipts] == [f"letter-{number}@example.com" for number in range(400)]
        assert len(server.connections) <= 4
        assert server.violations == ()
        assert len(server.messages) == 400
        for message in server.messages:
            parsed = message.parse()
            number = int(parsed["Subject"].removeprefix("Letter "))
            assert message.rcpt_to == (f"reader{number}@example.org",)
            assert parsed.get_content().split() == text(number).split()


# -- processes ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("tls", [None, "implicit"])
def test_a_child_leaves_its_parents_connections_alone(tls: Literal["implicit"] | None) -> None:
    """A forked child opens a connection of its own, and the parent's still works after the child has ended."""
    with SMTPServer(tls=tls) as server:
        options: dict[str, Any] = {"tls": "implicit", "ca_file": server.ca_file} if tls else {}
        mailer = Mailer(transport_to(server, **options))
        mailer.send(letter(1))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                mailer.send(letter(2))
                mailer.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        mailer.send(letter(3))
        mailer.close()
        assert carried_by(server) == [1, 2, 1]
        assert len(server.connections) == 2
        assert server.violations == ()


def test_threads_of_a_child_share_one_new_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a new process the parent's idle connections are forgotten without a byte, and its slots are not waited for."""
    with SMTPServer() as server:
        post = Post.to(server, pool=PoolLimits(max_connections=1))
        pool = post.channel._pool
        lease = pool.lease()
        run_sync(lease.take())  # the only slot is taken, by a thread that a child would not have
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        assert post.send(letter(2)).accepted
        octets = server.connections[0].bytes_received
        run_sync(lease.give_back())  # the parent's: forgotten
        assert post.send(letter(3)).accepted
        assert carried_by(server) == [2, 2]
        assert server.connections[0].bytes_received == octets
        post.close()


def test_a_childs_inherited_idle_connections_are_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lay idle in the parent's pool is let go of in the child, and QUIT is not said on it."""
    with SMTPServer() as server:
        post = Post.to(server)
        post.send(letter(1))
        octets = server.connections[0].bytes_received
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        post.close()
        assert server.wait_until(lambda s: s.connections[0].closed)  # the only process has let go of it
        assert server.connections[0].bytes_received == octets


# -- event loops -------------------------------------------------------------------------------------------------------


def test_one_mailer_in_two_event_loops() -> None:
    """A mailer outlives an event loop, and so does its connection."""
    with SMTPServer() as server:
        mailer = AsyncMailer(transport_to(server))
        asyncio.run(mailer.send(letter(1)))
        asyncio.run(mailer.send(letter(2)))
        anyio.run(mailer.send, letter(3), backend="trio")
        asyncio.run(mailer.close())
        assert carried_by(server) == [1, 1, 1]


# -- interruptions -----------------------------------------------------------------------------------------------------


def interrupted_in(backend: str, server: SMTPServer, send: Callable[[], Awaitable[object]]) -> BaseException:
    """Cancel a delivery as soon as the server holds it; return the cancellation as the sender saw it."""
    seen: list[BaseException] = []

    async def main() -> None:
        async def deliver() -> None:
            try:
                await send()
            except anyio.get_cancelled_exc_class() as cancellation:
                seen.append(cancellation)
                raise

        async with anyio.create_task_group() as group:
            group.start_soon(deliver)
            assert await anyio.to_thread.run_sync(server.wait_until, lambda s: s.held)
            group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    (cancellation,) = seen
    return cancellation


def interrupted_by_signal(server: SMTPServer, send: Callable[[], object]) -> BaseException:
    """Press Ctrl-C when the server holds the delivery and the client waits for it; return the KeyboardInterrupt."""
    keyboard = Keyboard()

    def press() -> None:
        assert server.wait_until(lambda s: s.held)
        keyboard.press(ready.__code__)

    thread = threading.Thread(target=press)
    with keyboard:
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt) as caught:
                send()
        finally:
            thread.join()
    return caught.value


# Where the server holds the delivery, what becomes of the message then, and with which phase.
HOLDS = [
    pytest.param("greeting", Stall(), "letter", ConnectError, "not_sent", id="greeting"),
    pytest.param("MAIL", Stall(), "raw", ConnectError, "not_sent", id="mail"),
    pytest.param("body", StopReading(), "raw", ConnectError, "not_sent", id="content"),
    pytest.param("DOT", Stall(), "letter", OutcomeUnknownError, "unknown", id="answer"),
    pytest.param("DOT", Stall(), "raw", OutcomeUnknownError, "unknown", id="answer to long content"),
]


@pytest.mark.parametrize(("phase", "fault", "what", "kind", "outcome"), HOLDS)
@pytest.mark.parametrize("without", [(), ("CHUNKING", "BINARYMIME")], ids=["bdat", "data"])
@pytest.mark.parametrize("how", ["signal", "asyncio", "trio"])
def test_an_interruption_says_what_became_of_the_message(
    phase: Any, fault: Any, what: str, kind: type[Exception], outcome: str, without: tuple[str, ...], how: str
) -> None:
    """Wherever it comes, the exception carries the true outcome, the connection is closed, and no slot leaks."""
    data = big(16 * 1024 * 1024)
    colour: Any = "blocking" if how == "signal" else how
    with SMTPServer(without=without) as server:
        server.script(phase, fault, after=1000 if phase == "body" else 0)
        post = Post.to(server, colour, timeout=20.0, pool=PoolLimits(max_connections=1))
        if how == "signal":
            interruption = interrupted_by_signal(
                server, lambda: post.send_raw(data) if what == "raw" else post.send(letter(1))
            )
        else:
            envelope = Envelope("ada@example.com", ["bob@example.org", "eve@example.net"])
            interruption = interrupted_in(
                how,
                server,
                lambda: (
                    post.channel.send_raw(data, envelope) if what == "raw" else post.channel.send(letter(1), envelope)
                ),
            )
        delivery = interruption.delivery  # type: ignore[attr-defined]
        assert type(delivery) is kind
        assert delivery.outcome == outcome
        assert {result.status for result in delivery.recipients} == {outcome}
        assert delivery.message_id == "letter-1@example.com"
        assert delivery.transport == f"smtp://127.0.0.1:{server.port}"
        (note,) = interruption.__notes__
        assert "letter-1@example.com" in note
        assert outcome in note

        if phase != "body":  # a server that reads nothing notices nothing
            server.release()
            assert server.wait_until(lambda s: s.connections[0].closed)
        assert len(post.send(letter(2)).accepted) == 2
        assert server.messages[-1].connection == 2
        if outcome == "not_sent":
            assert len(server.committed) == 1
        post.close()


@every_loop
def test_an_interruption_after_a_first_transaction_carries_a_receipt(backend: str) -> None:
    """Whoever was accepted before the interruption is in a receipt, and the rest of the recipients with it."""
    with SMTPServer(limits={"RCPTMAX": 1}) as server:
        server.script("DOT", Stall(), skip=1)
        post = Post.to(server, backend)  # type: ignore[arg-type]
        envelope = Envelope("ada@example.com", ["bob@example.org", "eve@example.net"])
        interruption = interrupted_in(backend, server, lambda: post.channel.send(letter(), envelope))
        delivery = interruption.delivery  # type: ignore[attr-defined]
        assert isinstance(delivery, Receipt)
        assert [result.status for result in delivery.recipients] == ["accepted", "unknown"]
        post.close()


@every_loop
def test_an_interrupted_reset_leaks_nothing(backend: str) -> None:
    """Cancelled while it clears a transaction that was left open, a connection is closed and its slot given back."""
    with SMTPServer() as server:
        post = Post.to(server, backend, pool=PoolLimits(max_connections=1))  # type: ignore[arg-type]
        server.script("RCPT", "550 5.1.1 no", times=2)
        assert isinstance(post.attempt(letter(1)), RejectedError)
        server.script("RSET", Stall())
        interruption = interrupted_in(
            backend, server, lambda: post.channel.send(letter(2), Envelope.from_message(letter(2)))
        )
        assert interruption.delivery.outcome == "not_sent"  # type: ignore[attr-defined]
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert post.send(letter(3)).accepted
        assert carried_by(server) == [2]
        post.close()


@every_loop
def test_a_task_that_gives_up_waiting_leaves_its_place(backend: str) -> None:
    """Cancelled while it waits for a connection, a task takes none and sends nothing."""

    async def main(server: SMTPServer) -> None:
        async with AsyncMailer(transport_to(server, pool=PoolLimits(max_connections=1))) as mailer:
            async with anyio.create_task_group() as group:
                group.start_soon(mailer.send, letter(1))
                assert await anyio.to_thread.run_sync(server.wait_until, lambda s: s.held)
                with anyio.move_on_after(0.02):
                    await mailer.send(letter(2))
                server.release()
            await mailer.send(letter(3))

    with SMTPServer() as server:
        server.script("DOT", Stall())
        anyio.run(main, server, backend=backend)
        assert [message.parse()["Subject"] for message in server.messages] == ["Letter 1", "Letter 3"]
        assert len(server.connections) == 1
