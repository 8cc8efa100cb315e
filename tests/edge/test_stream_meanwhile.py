"""Both sides write at once: whoever writes takes in what arrives meanwhile, so that neither waits for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import make_edge, run_in
from tests.edge.test_stream import BIG, connect, reset
from tests.edge.test_tls import over_tls

from mailkit.edge import TLS
from mailkit.errors import ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from tests.edge.conftest import Serve

    from mailkit.edge import Edge


class Talkative:
    """A peer that reads only when all that it has to say was taken."""

    def __init__(self) -> None:
        self.heard = b""

    def __call__(self, conn: socket.socket) -> None:
        """Follow the script."""
        conn.sendall(BIG)
        while len(self.heard) < len(BIG) and (block := conn.recv(65536)):
            self.heard += block
        conn.sendall(b".")


async def exchange(stream: Any, edge: Edge) -> bytes:
    """Write everything, take what arrives meanwhile, read the rest."""
    arrived = bytearray()
    await stream.send(BIG, deadline=edge.now() + 20, meanwhile=arrived.extend)
    assert stream.bytes_sent == len(BIG)
    while len(arrived) <= len(BIG):
        arrived += await stream.receive(deadline=edge.now() + 20)
    await stream.close()
    return bytes(arrived)


def test_two_that_write_at_once_do_not_wait_for_each_other(edge: Edge, run: Any, serve: Serve) -> None:
    """A peer that must be read before it reads is: everything arrives, in order, in both directions."""
    peer = Talkative()
    port = serve(peer)

    async def conversation() -> bytes:
        return await exchange(await connect(edge, port), edge)

    assert run(conversation) == BIG + b"."
    assert peer.heard == BIG


def test_inside_tls_too(edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path) -> None:
    """A record that was begun is finished, whatever was read in between."""
    peer = Talkative()
    port = serve(over_tls(server_context, peer))

    async def conversation() -> bytes:
        stream = await connect(edge, port)
        await stream.start_tls(TLS(ca_file=ca_file), "localhost", deadline=edge.now() + 5)
        return await exchange(stream, edge)

    assert run(conversation) == BIG + b"."
    assert peer.heard == BIG


def test_without_it_they_would(edge: Edge, run: Any, serve: Serve) -> None:
    """The same peer and a writer who takes nothing in stand still until the deadline."""

    def talk(conn: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client gives up
            conn.sendall(BIG)

    port = serve(talk)

    async def conversation() -> None:
        stream = await connect(edge, port)
        with pytest.raises(DeliveryTimeout):
            await stream.send(BIG, deadline=edge.now() + 0.3)
        await stream.close()

    run(conversation)


def test_silence_ends_at_the_deadline_as_well(edge: Edge, run: Any, serve: Serve) -> None:
    """A peer that neither reads nor says anything ends the write when its time is over."""
    over = threading.Event()
    port = serve(lambda _: over.wait(10))

    async def conversation() -> None:
        stream = await connect(edge, port)
        arrived = bytearray()
        with pytest.raises(DeliveryTimeout, match="did not take what was written"):
            await stream.send(BIG, deadline=edge.now() + 0.1, meanwhile=arrived.extend)
        assert (arrived, 0 < stream.bytes_sent < len(BIG)) == (b"", True)
        await stream.close()

    try:
        run(conversation)
    finally:
        over.set()


def test_the_end_of_the_peers_bytes_ends_the_write(edge: Edge, run: Any, serve: Serve) -> None:
    """Who has nothing more to say and does not read either will not answer for what is written to him."""
    over = threading.Event()

    def hang_up(conn: socket.socket) -> None:
        conn.sendall(b"421 bye")
        conn.shutdown(socket.SHUT_WR)
        over.wait(10)

    port = serve(hang_up)

    async def conversation() -> None:
        stream = await connect(edge, port)
        arrived = bytearray()
        with pytest.raises(ConnectError, match="closed the connection before it had taken"):
            await stream.send(BIG, deadline=edge.now() + 10, meanwhile=arrived.extend)
        assert arrived == b"421 bye"
        assert stream.bytes_sent < len(BIG)
        with pytest.raises(ConnectError, match="was not finished"):
            await stream.send(b"more", deadline=edge.now() + 5)
        await stream.close()

    try:
        run(conversation)
    finally:
        over.set()


def test_a_reset_ends_the_write(edge: Edge, run: Any, serve: Serve) -> None:
    """A connection that breaks, noticed by reading or by writing, is one error."""
    port = serve(reset)

    async def conversation() -> None:
        stream = await connect(edge, port)
        with pytest.raises(ConnectError, match="was lost"):
            await stream.send(BIG, deadline=edge.now() + 10, meanwhile=lambda _: None)
        await stream.close()

    run(conversation)


def test_a_reset_that_only_reading_notices(edge: Edge, run: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reading raises in the middle of a write is an error of this library as well."""
    over = threading.Event()
    port = serve(lambda _: over.wait(10))

    def lost(_size: int) -> bytes:
        raise ConnectionResetError(104, "Connection reset by peer")

    async def conversation() -> None:
        stream = await connect(edge, port)
        channel = stream._channel
        monkeypatch.setattr(type(channel), "receive", lambda _self, size: lost(size))
        with pytest.raises(ConnectError, match="was lost"):
            await stream.send(BIG, deadline=edge.now() + 10, meanwhile=lambda _: None)
        await stream.close()

    try:
        run(conversation)
    finally:
        over.set()


def test_what_the_listener_raises_ends_the_write(edge: Edge, run: Any, serve: Serve) -> None:
    """Whoever listens may stop the write, which cannot be taken up again."""

    class Enough(Exception):
        pass

    def talk(conn: socket.socket) -> None:
        conn.sendall(b"stop")
        over.wait(10)

    over = threading.Event()
    port = serve(talk)

    def listen(_: bytes) -> None:
        raise Enough

    async def conversation() -> None:
        stream = await connect(edge, port)
        with pytest.raises(Enough):
            await stream.send(BIG, deadline=edge.now() + 10, meanwhile=listen)
        with pytest.raises(ConnectError, match="was not finished"):
            await stream.send(b"more", deadline=edge.now() + 5)
        await stream.close()

    try:
        run(conversation)
    finally:
        over.set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_closing_wakes_whoever_writes(backend: Any, serve: Serve) -> None:
    """A task that waits to write or to read gets an error when another closes the stream."""
    over = threading.Event()
    port = serve(lambda _: over.wait(10))
    edge = make_edge(backend)

    async def conversation() -> None:
        stream = await connect(edge, port)
        errors: list[ConnectError] = []

        async def send() -> None:
            try:
                await stream.send(BIG, deadline=edge.now() + 30, meanwhile=lambda _: None)
            except ConnectError as error:
                errors.append(error)

        async def close() -> None:
            await edge.sleep(0.05)
            await stream.close()

        started = edge.now()
        await edge.run_all([send, close])
        assert edge.now() - started < 10
        assert len(errors) == 1

    try:
        run_in(backend, conversation)
    finally:
        over.set()
