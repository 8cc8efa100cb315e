from __future__ import annotations

import asyncio
import os
import random
import select
import socket
import struct
import threading
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.colours import COLOURS, make_edge, run_in

from mailkit.edge.stream import PlainChannel, SocketStream
from mailkit.errors import ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.colours import Colour
    from tests.edge.conftest import Serve

    from mailkit.edge import Edge

BIG = random.Random(1).randbytes(6 * 1024 * 1024)  # more than the loopback's buffers hold


def read_all(conn: socket.socket) -> bytes:
    """Return what comes until the end."""
    return b"".join(iter(lambda: conn.recv(65536), b""))


def echo(conn: socket.socket) -> None:
    """Send back what comes."""
    while data := conn.recv(65536):
        conn.sendall(data)


def reset(conn: socket.socket) -> None:
    """Read one byte, then close with RST instead of FIN."""
    conn.recv(1)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def wait_for_input(stream: Any) -> None:
    """Block until something has arrived at the stream's socket."""
    assert select.select([stream._channel.socket], [], [], 5)[0]


async def connect(edge: Edge, port: int) -> Any:
    """Return a stream to a scripted peer."""
    return await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)


def test_what_is_sent_arrives_and_what_arrives_is_received(edge: Edge, run: Any, serve: Serve) -> None:
    """Bytes go out and come back whole, whatever their type, and every one is counted."""
    port = serve(echo)

    async def conversation() -> None:
        stream = await connect(edge, port)
        assert stream.peer == f"127.0.0.1:{port}"
        assert stream.tls_info is None
        for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), b""):
            await stream.send(data, deadline=edge.now() + 5)
        assert stream.bytes_sent == len("bytesbytearraymemoryview")
        received = b""
        while len(received) < stream.bytes_sent:
            received += await stream.receive(deadline=edge.now() + 5)
        assert received == b"bytesbytearraymemoryview"
        await stream.close()

    run(conversation)


def test_more_than_the_buffers_hold_arrives_whole(edge: Edge, run: Any, serve: Serve) -> None:
    """A large write waits for a peer that reads, and arrives unchanged."""
    arrived: list[bytes] = []
    port = serve(lambda conn: arrived.append(read_all(conn)))

    async def conversation() -> None:
        stream = await connect(edge, port)
        await stream.send(BIG, deadline=edge.now() + 10)
        assert stream.bytes_sent == len(BIG)
        stream._channel.socket.shutdown(socket.SHUT_WR)
        assert await stream.receive(deadline=edge.now() + 10) == b""
        await stream.close()

    run(conversation)
    assert arrived == [BIG]


@pytest.mark.parametrize("colour", COLOURS)
@given(sizes=st.lists(st.integers(0, 300_000), max_size=6), buffer=st.sampled_from([1, 4096, 1 << 20]))
def test_any_series_of_writes_arrives_in_order(colour: Colour, sizes: list[int], buffer: int) -> None:
    """However writes and buffers are sized, the peer reads their concatenation and the count is its length."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    arrived: list[bytes] = []
    thread = threading.Thread(target=lambda: arrived.append(read_all(theirs)))
    thread.start()
    edge: Any = make_edge(colour)
    stream = SocketStream(ours, "peer", edge._waiter, {})

    async def write() -> None:
        for number, size in enumerate(sizes):
            await stream.send(bytes([number]) * size, deadline=edge.now() + 10)
        await stream.close()

    run_in(colour, write)
    thread.join(10)
    theirs.close()
    assert arrived == [b"".join(bytes([number]) * size for number, size in enumerate(sizes))]
    assert stream.bytes_sent == sum(sizes)


def test_the_end_of_the_stream_is_an_empty_read_every_time(edge: Edge, run: Any, serve: Serve) -> None:
    """A closed peer gives its last bytes first, then ``b""``, and has_input stays true."""
    port = serve(lambda conn: conn.sendall(b"last"))

    async def conversation() -> None:
        stream = await connect(edge, port)
        assert await stream.receive(deadline=edge.now() + 5) == b"last"
        assert await stream.receive(deadline=edge.now() + 5) == b""
        assert await stream.receive(deadline=edge.now() + 5) == b""
        assert stream.has_input()
        await stream.close()

    run(conversation)


def test_silence_ends_at_the_deadline_and_the_stream_still_reads(edge: Edge, run: Any, serve: Serve) -> None:
    """A peer that says nothing costs no more than the deadline; what it says later can still be read."""
    speak = threading.Event()

    def script(conn: socket.socket) -> None:
        speak.wait(5)
        conn.sendall(b"late")

    port = serve(script)

    async def conversation() -> None:
        stream = await connect(edge, port)
        for wait in (0.05, 0.0, -1.0):
            with pytest.raises(DeliveryTimeout, match=f"nothing came from 127.0.0.1:{port}") as caught:
                await stream.receive(deadline=edge.now() + wait)
            assert caught.value.phase is None
            assert caught.value.cause == "transient"
        assert not stream.has_input()
        speak.set()
        wait_for_input(stream)
        assert stream.has_input()
        assert stream.has_input()
        assert await stream.receive(deadline=edge.now() - 1) == b"late"
        await stream.close()

    run(conversation)


def test_a_peer_that_does_not_read_ends_the_write_at_the_deadline(edge: Edge, run: Any, serve: Serve) -> None:
    """The deadline ends a blocked write, bytes_sent is what the peer then finds, and nothing can be added."""
    go_on = threading.Event()
    arrived: list[bytes] = []

    def script(conn: socket.socket) -> None:
        go_on.wait(10)
        arrived.append(read_all(conn))

    port = serve(script)

    async def conversation() -> int:
        stream = await connect(edge, port)
        with pytest.raises(DeliveryTimeout, match="did not take what was written"):
            await stream.send(BIG, deadline=edge.now() + 0.1)
        with pytest.raises(ConnectError, match=r"an earlier write to .* was not finished"):
            await stream.send(b"more", deadline=edge.now() + 5)
        await stream.close()
        go_on.set()
        return int(stream.bytes_sent)

    sent = run(conversation)
    while not arrived:
        threading.Event().wait(0.01)
    assert 0 < sent < len(BIG)
    assert arrived[0] == BIG[:sent]


def test_a_reset_while_receiving_is_a_connect_error(edge: Edge, run: Any, serve: Serve) -> None:
    """A reset is told by name and peer, and may be tried again."""
    port = serve(reset)

    async def conversation() -> None:
        stream = await connect(edge, port)
        await stream.send(b"x", deadline=edge.now() + 5)
        with pytest.raises(ConnectError, match=rf"127.0.0.1:{port} was lost: .*\(ECONNRESET\)") as caught:
            await stream.receive(deadline=edge.now() + 5)
        assert caught.value.retryable
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        await stream.close()

    run(conversation)


def test_a_reset_while_sending_counts_no_byte_that_was_refused(edge: Edge, run: Any, serve: Serve) -> None:
    """After a reset the write fails, and its bytes are not counted."""
    port = serve(reset)

    async def conversation() -> None:
        stream = await connect(edge, port)
        await stream.send(b"x", deadline=edge.now() + 5)
        wait_for_input(stream)
        with pytest.raises(ConnectError, match="was lost"):
            await stream.send(b"y" * 100, deadline=edge.now() + 5)
        assert stream.bytes_sent == 1
        await stream.close()

    run(conversation)


def test_what_the_peer_said_before_a_failed_write_can_be_read(edge: Edge, run: Any) -> None:
    """A reply that explains why the peer closed is still readable after the write has failed."""
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours, "peer", edge._waiter, {})  # type: ignore[attr-defined]
    theirs.sendall(b"421 go away\r\n")
    theirs.shutdown(socket.SHUT_RD)

    async def conversation() -> None:
        with pytest.raises(ConnectError, match="EPIPE"):
            await stream.send(b"x", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"421 go away\r\n"
        await stream.close()

    run(conversation)
    theirs.close()


def test_a_closed_stream_says_so(edge: Edge, run: Any, serve: Serve) -> None:
    """Close can be repeated; afterwards sending and receiving are errors and has_input is true."""
    port = serve(read_all)

    async def conversation() -> None:
        stream = await connect(edge, port)
        await stream.close()
        await stream.close()
        stream.abandon()
        assert stream.has_input()
        with pytest.raises(ConnectError, match="is closed"):
            await stream.receive(deadline=edge.now() + 5)
        with pytest.raises(ConnectError, match="is closed"):
            await stream.send(b"x", deadline=edge.now() + 5)
        with pytest.raises(ConnectError, match="was closed meanwhile"):
            await stream._wait(0, edge.now() + 5)
        assert stream.bytes_sent == 0

    run(conversation)


def test_closing_wakes_whoever_receives(colour: Colour, edge: Edge, run: Any, serve: Serve) -> None:
    """A task or thread that waits for input gets an error, or the end, when another closes the stream."""
    port = serve(read_all)

    async def conversation() -> None:
        stream = await connect(edge, port)
        waiting = threading.Event()
        outcome: list[object] = []

        async def receive() -> None:
            waiting.set()
            try:
                outcome.append(await stream.receive(deadline=edge.now() + 30))
            except ConnectError as error:
                outcome.append(error)

        async def close() -> None:
            while not waiting.is_set():
                await edge.sleep(0.001)
            await edge.sleep(0.01)
            await stream.close()

        started = edge.now()
        await edge.run_all([receive, close])
        assert edge.now() - started < 10
        assert outcome == [b""] or isinstance(outcome[0], ConnectError)

    run(conversation)


def test_an_interrupt_during_the_system_call_never_counts_too_few(edge: Edge, run: Any) -> None:
    """When a signal handler raises after the kernel took the bytes, they are in bytes_sent."""
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours, "peer", edge._waiter, {})  # type: ignore[attr-defined]

    class Interrupted(PlainChannel):
        def send(self, data: memoryview) -> int:
            super().send(data)
            raise KeyboardInterrupt

    stream._channel = Interrupted(ours)

    async def conversation() -> None:
        await stream.send(b"12345", deadline=edge.now() + 5)

    with pytest.raises(KeyboardInterrupt):
        run(conversation)
    assert theirs.recv(100) == b"12345"
    assert stream.bytes_sent >= 5
    ours.close()
    theirs.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_a_write_leaves_an_exact_count(backend: Any, serve: Serve) -> None:
    """A write cancelled in the middle has sent exactly bytes_sent bytes, and the stream can be closed."""
    go_on = threading.Event()
    arrived: list[bytes] = []

    def script(conn: socket.socket) -> None:
        go_on.wait(10)
        arrived.append(read_all(conn))

    port = serve(script)
    edge = make_edge(backend)

    async def conversation() -> int:
        stream = await connect(edge, port)
        async with anyio.create_task_group() as group:

            async def cancel_when_blocked() -> None:
                before = -1
                while before != stream.bytes_sent or not before:
                    before = stream.bytes_sent
                    for _ in range(5):
                        await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

            group.start_soon(cancel_when_blocked)
            await stream.send(BIG, deadline=edge.now() + 30)
        assert group.cancel_scope.cancelled_caught
        await stream.close()
        go_on.set()
        return int(stream.bytes_sent)

    sent = run_in(backend, conversation)
    while not arrived:
        threading.Event().wait(0.01)
    assert 0 < sent < len(BIG)
    assert arrived[0] == BIG[:sent]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_a_read_loses_nothing(backend: Any, serve: Serve) -> None:
    """A read cancelled while it waits leaves what arrives later to the next read."""
    speak = threading.Event()

    def script(conn: socket.socket) -> None:
        speak.wait(5)
        conn.sendall(b"later")

    port = serve(script)
    edge = make_edge(backend)

    async def conversation() -> None:
        stream = await connect(edge, port)
        with anyio.move_on_after(0.02) as scope:
            await stream.receive(deadline=edge.now() + 30)
        assert scope.cancelled_caught
        assert stream.bytes_sent == 0
        speak.set()
        assert await stream.receive(deadline=edge.now() + 5) == b"later"
        await stream.close()

    run_in(backend, conversation)


def test_asyncios_own_cancellation_passes_through(serve: Serve) -> None:
    """``task.cancel()`` ends a receive with CancelledError, not with an error of ours."""
    port = serve(read_all)
    edge = make_edge("asyncio")

    async def main() -> None:
        stream = await connect(edge, port)
        task = asyncio.create_task(stream.receive(deadline=edge.now() + 30))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.close()

    asyncio.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_fast_peer_does_not_starve_the_event_loop(backend: Any) -> None:
    """Other tasks run while a stream sends and receives without ever having to wait."""
    edge: Any = make_edge(backend)
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours, "peer", edge._waiter, {})

    async def conversation() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(other)
            await anyio.lowlevel.checkpoint()
            before = turns
            for _ in range(200):
                await stream.send(b"x", deadline=edge.now() + 5)
                theirs.recv(10)
            assert 3 <= turns - before <= 60  # now and then, not each time: small sends stay cheap
            before = turns
            for _ in range(200):
                theirs.send(b"y")
                await stream.receive(deadline=edge.now() + 5)
            assert 3 <= turns - before <= 60
            group.cancel_scope.cancel()
        await stream.close()

    run_in(backend, conversation)
    theirs.close()


@pytest.mark.parametrize(("first", "second"), [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio")])
def test_a_stream_outlives_its_event_loop(first: Any, second: Any, serve: Serve) -> None:
    """A connection made in one event loop goes on in the next one."""
    port = serve(echo)
    edge = make_edge(first)

    async def ping(stream: Any) -> Any:
        stream = stream or await connect(edge, port)
        await stream.send(b"ping", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"ping"
        return stream

    stream = run_in(first, ping, None)
    run_in(second, ping, stream)
    run_in(second, stream.close)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_can_be_closed_without_a_loop(backend: Any, serve: Serve) -> None:
    """Close works, and frees the socket, even where no event loop runs any more."""
    port = serve(read_all)
    stream = run_in(backend, connect, make_edge(backend), port)
    run_in("blocking", stream.close)
    assert stream._channel.socket.fileno() == -1


def test_an_async_context_manager_around_a_stream(edge: Edge, run: Any, serve: Serve) -> None:
    """``@asynccontextmanager`` over the edge closes the stream when its body fails."""
    port = serve(read_all)

    @asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        stream = await connect(edge, port)
        try:
            yield stream
        finally:
            await stream.close()

    async def conversation() -> Any:
        with pytest.raises(DeliveryTimeout):
            async with connected() as stream:
                await stream.receive(deadline=edge.now())
        return stream

    assert run(conversation).has_input()


def in_child(function: Callable[[], object]) -> int:
    """Run a function in a forked process and return its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the scripted peers are threads
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_abandoning_in_a_child_leaves_the_parents_connection(edge: Edge, run: Any, serve: Serve) -> None:
    """A forked child that abandons the stream writes nothing and closes nothing for its parent."""
    port = serve(echo)

    async def conversation() -> None:
        stream = await connect(edge, port)
        assert in_child(stream.abandon) == 0
        await stream.send(b"still here", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"still here"
        await stream.close()

    run(conversation)
