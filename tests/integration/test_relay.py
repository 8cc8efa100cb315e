"""The relays themselves: a test that cuts at byte n says nothing if the proxy cuts at byte n + 1."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Literal

import pytest

from .cutting_proxy import HOST, Cut, CuttingProxy
from .relay import DelayingRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORDS = bytes(range(256)) * 2


class Peer:
    """A server that sends ``says`` to each client once it ``may_speak``, and keeps what each sent until it ended."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.may_speak = threading.Event()
        self.may_speak.set()
        self.heard: list[bytes] = []
        self.changed = threading.Condition()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        heard = bytearray()
        with client:
            reader = threading.Thread(target=read_all, args=(client, heard))
            reader.start()
            self.may_speak.wait()
            with contextlib.suppress(OSError):
                client.sendall(self.says)
            reader.join()
        with self.changed:
            self.heard.append(bytes(heard))
            self.changed.notify_all()

    def wait_for(self, count: int) -> list[bytes]:
        """What the first ``count`` clients said, once they have ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.heard) >= count, timeout=10)
            return self.heard

    def close(self) -> None:
        """Take no more clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def read_all(source: socket.socket, into: bytearray, *, up_to: float = math.inf) -> str:
    """Read until it ends, or so much is there, and say how it did."""
    while len(into) < up_to:
        try:
            block = source.recv(65_536)
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "stall"
        if not block:
            return "eof"
        into += block
    return "open"


@pytest.fixture
def peer() -> Iterator[Callable[[bytes], Peer]]:
    """Start a server that says something."""
    started: list[Peer] = []

    def start(says: bytes) -> Peer:
        started.append(Peer(says))
        return started[-1]

    yield start
    for each in started:
        each.close()


def connected(port: int, timeout: float = 10.0) -> socket.socket:
    """A client."""
    return socket.create_connection((HOST, port), timeout=timeout)


@pytest.mark.parametrize("by", ["eof", "reset"])
@pytest.mark.parametrize("after", [0, 1, 2, 255, len(WORDS) - 1, len(WORDS)])
def test_client_hears_exactly_the_bytes_before_the_cut(
    peer: Callable[[bytes], Peer], after: int, by: Literal["eof", "reset"]
) -> None:
    """A cut of the server's bytes lets exactly so many through and then ends as it was told."""
    server = peer(WORDS)
    server.may_speak.clear()  # a reset that overtook the end of connect() would take the bytes before it along
    heard = bytearray()
    with CuttingProxy(server.port, [Cut("to_client", after, by)]) as proxy:
        try:
            with connected(proxy.port) as client:
                server.may_speak.set()
                how = read_all(client, heard)
        except ConnectionResetError:
            how = "reset"  # one at byte 0 waits for nobody
        assert proxy.exchanges[0].ended.wait(10)
    assert (bytes(heard), how) == (WORDS[:after], by)
    assert bytes(proxy.exchanges[0].to_client) == WORDS[:after]


@pytest.mark.parametrize("after", [1, 2, 255, len(WORDS) - 1, len(WORDS)])
def test_server_hears_exactly_the_bytes_before_the_cut(peer: Callable[[bytes], Peer], after: int) -> None:
    """A cut of the client's bytes lets exactly so many through to the server."""
    server = peer(b"")
    with CuttingProxy(server.port, [Cut("to_server", after)]) as proxy, connected(proxy.port) as client:
        client.sendall(WORDS)
        assert server.wait_for(1) == [WORDS[:after]]
    assert bytes(proxy.exchanges[0].to_server) == WORDS[:after]


def test_cut_at_the_next_byte_waits_for_it(peer: Callable[[bytes], Peer]) -> None:
    """Asked to wait for one more byte, the proxy cuts when the server has more to say, and not before."""
    server = peer(WORDS)
    heard = bytearray()
    cuts = [Cut("to_client", 7, moment="at_next"), Cut("to_client", len(WORDS), moment="at_next")]
    with CuttingProxy(server.port, cuts) as proxy:
        with connected(proxy.port) as client:
            assert read_all(client, heard) == "eof"
        assert bytes(heard) == WORDS[:7]
        assert proxy.exchanges[0].ended.wait(10)
        heard.clear()
        with connected(proxy.port) as client:
            read_all(client, heard, up_to=len(WORDS))
            client.settimeout(0.2)
            assert read_all(client, heard) == "stall"
            assert (bytes(heard), proxy.exchanges[1].ended.is_set()) == (WORDS, False)


def test_cut_before_the_first_byte_at_the_next(peer: Callable[[bytes], Peer]) -> None:
    """A server whose every byte is cut off is still asked, and heard by nobody."""
    server = peer(WORDS)
    cut = Cut("to_client", 0, moment="at_next")
    with CuttingProxy(server.port, [cut]) as proxy, connected(proxy.port) as client:
        heard = bytearray()
        assert read_all(client, heard) == "eof"
        assert not heard
        assert server.wait_for(1) == [b""]


def test_stall_keeps_the_connection_open_and_silent(peer: Callable[[bytes], Peer]) -> None:
    """A stalled connection neither ends nor says anything more."""
    server = peer(WORDS)
    heard = bytearray()
    stall = Cut("to_client", 7, "stall")
    with CuttingProxy(server.port, [stall]) as proxy, connected(proxy.port) as client:
        read_all(client, heard, up_to=7)
        client.settimeout(0.2)
        assert read_all(client, heard) == "stall"
    assert bytes(heard) == WORDS[:7]


def test_cuts_belong_to_connections_in_order(peer: Callable[[bytes], Peer]) -> None:
    """The second connection gets the second cut, and one after the last cut is left whole."""
    server = peer(WORDS)
    results: list[bytes] = []
    with CuttingProxy(server.port, [None, Cut("to_client", 3)]) as proxy:
        for _ in range(3):
            heard = bytearray()
            with connected(proxy.port) as client:
                client.shutdown(socket.SHUT_WR)
                read_all(client, heard)
            results.append(bytes(heard))
    assert results == [WORDS, WORDS[:3], WORDS]


@pytest.mark.parametrize("by", ["eof", "reset"])
def test_connection_ended_on_demand(peer: Callable[[bytes], Peer], by: Literal["eof", "reset"]) -> None:
    """The test itself can end one connection; the other goes on."""
    server = peer(b"hello")
    with CuttingProxy(server.port) as proxy, connected(proxy.port) as first, connected(proxy.port) as second:
        assert (first.recv(5), second.recv(5)) == (b"hello", b"hello")
        proxy.end(0, by)
        assert read_all(first, bytearray()) == by
        second.sendall(b"still here")
        second.shutdown(socket.SHUT_WR)
        assert read_all(second, bytearray()) == "eof"
        assert sorted(server.wait_for(2)) == [b"", b"still here"]


def test_full_buffers_in_both_directions_do_not_lock_the_proxy(peer: Callable[[bytes], Peer]) -> None:
    """Four megabytes each way at once arrive unchanged, though each side writes before it reads."""
    data = WORDS * 8192
    server = peer(data)
    heard = bytearray()
    with CuttingProxy(server.port) as proxy, connected(proxy.port) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client, heard) == "eof"
        assert server.wait_for(1) == [data]
    assert bytes(heard) == data


def test_no_server_is_an_end_for_the_client() -> None:
    """Where nobody listens behind the proxy, the client's connection ends at once."""
    with socket.create_server((HOST, 0)) as unused:
        port = unused.getsockname()[1]
    with CuttingProxy(port) as proxy, connected(proxy.port) as client:
        assert read_all(client, bytearray()) == "eof"


def test_delay_is_what_was_asked_for(peer: Callable[[bytes], Peer]) -> None:
    """The greeting takes two round trips; it is never early, and not late where the machine has time for it."""
    one_way = 0.020
    server = peer(b"220 hello\r\n")
    with DelayingRelay(server.port, one_way=one_way) as relay:
        waits: list[float] = []
        while len(waits) < 5 or (min(waits) >= 4 * one_way + 0.010 and len(waits) < 100):
            start = time.perf_counter()
            with connected(relay.port) as client:
                assert client.recv(100) == b"220 hello\r\n"
                waits.append(time.perf_counter() - start)
    assert min(waits) >= 4 * one_way
    assert min(waits) < 4 * one_way + 0.010


def test_delayed_bytes_are_unchanged(peer: Callable[[bytes], Peer]) -> None:
    """Ten megabytes each way at once pass a delaying relay unchanged, although it holds eight at most."""
    data = WORDS * 20_480
    server = peer(data)
    heard = bytearray()
    with DelayingRelay(server.port, one_way=0.001) as relay, connected(relay.port) as client:
        reader = threading.Thread(target=read_all, args=(client, heard))
        reader.start()
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        reader.join()
        assert server.wait_for(1) == [data]
    assert bytes(heard) == data
