"""TLS inside another channel, record by record; through real proxies it is tested in tests/proxy."""

from __future__ import annotations

import contextlib
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.edge.nested_tls import NestedTLSChannel
from mailkit.edge.stream import WANT_READ, WANT_WRITE
from mailkit.errors import ConnectError, TLSError

if TYPE_CHECKING:
    from pathlib import Path


class Inner:
    """The channel that carries the records, and the server at its other end.

    Args:
        context: The server's TLS.
        room: How many bytes each write takes; 0 is one that must be waited for.
    """

    socket: Any = None
    block = 16384

    def __init__(self, context: ssl.SSLContext, *room: int) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.server = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.room = deque(room)
        self.broken: OSError | None = None
        self.is_closed = False

    def send(self, data: memoryview) -> int:
        """Take as much as there is room for."""
        if self.broken:
            raise self.broken
        room = self.room.popleft() if self.room else len(data)
        return self.incoming.write(data[:room]) if room else WANT_WRITE

    def receive(self, size: int) -> bytes | int:
        """Return what the server has written."""
        if self.broken:
            raise self.broken
        if self.outgoing.pending:
            return self.outgoing.read(size)
        return b"" if self.is_closed else WANT_READ

    def has_input(self) -> bool:
        """Whether there is something."""
        return bool(self.outgoing.pending) or self.is_closed or self.broken is not None

    def lost(self, error: OSError, peer: str) -> ConnectError:
        """Never asked for."""
        raise NotImplementedError


@pytest.fixture
def pair(ca_file: Path, server_context: ssl.SSLContext) -> Any:
    """Make a channel and its other end, the handshake not begun."""

    def make(*room: int) -> tuple[NestedTLSChannel, Inner]:
        inner = Inner(server_context, *room)
        context = ssl.create_default_context(cafile=str(ca_file))
        return NestedTLSChannel(inner, context, "localhost"), inner

    return make


def shake_hands(channel: NestedTLSChannel, inner: Inner) -> list[int]:
    """Run the handshake to its end; return what it waited for."""
    waited: list[int] = []
    while (wanted := channel.handshake("peer")) is not None:
        waited.append(wanted)
        with contextlib.suppress(ssl.SSLWantReadError):
            inner.server.do_handshake()
    inner.server.do_handshake()
    return waited


@pytest.fixture
def open_pair(pair: Any) -> tuple[NestedTLSChannel, Inner]:
    """A channel and its other end, the handshake done."""
    channel, inner = pair()
    shake_hands(channel, inner)
    assert channel.receive(10) == WANT_READ  # session tickets
    return channel, inner


def test_the_handshake_waits_for_room_and_for_answers(pair: Any) -> None:
    """A write that must wait is taken up where it stopped, at the end of the handshake too."""
    channel, inner = pair(0, 100, 0)
    assert shake_hands(channel, inner) == [WANT_WRITE, WANT_WRITE, WANT_READ]
    channel, inner = pair(5000, 0)
    assert shake_hands(channel, inner) == [WANT_READ, WANT_WRITE]
    assert channel.info().version == "TLSv1.3"


def test_a_handshake_that_ends_is_transient(pair: Any) -> None:
    """The other side closes, or the connection below breaks."""
    channel, inner = pair()
    inner.is_closed = True
    with pytest.raises(TLSError) as caught:
        channel.handshake("peer")
    assert (caught.value.cause, caught.value.phase) == ("transient", "tls")
    channel, inner = pair()
    inner.broken = ConnectionResetError(104, "reset")
    with pytest.raises(TLSError, match="peer") as caught:
        channel.handshake("peer")
    assert (caught.value.cause, caught.value.phase) == ("transient", "tls")


def test_a_record_counts_when_its_last_byte_was_taken(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """What had to wait is given again by the caller, and reaches the other side once."""
    channel, inner = open_pair
    inner.room.extend((7, 0, 11, 0))
    data = memoryview(b"MAIL FROM:<ada@example.com>\r\n")
    assert channel.send(data) == WANT_WRITE
    assert channel.send(data) == WANT_WRITE
    assert channel.send(data) == len(data)
    assert inner.server.read(100) == bytes(data)
    with pytest.raises(ssl.SSLWantReadError):
        inner.server.read(100)


def test_a_large_write_is_taken_record_by_record(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """At most 16 KiB at once."""
    channel, inner = open_pair
    assert channel.send(memoryview(bytes(40_000))) == 16 * 1024
    received = 0
    while received < 16 * 1024:
        received += len(inner.server.read(20_000))


def test_input_is_known_without_being_lost(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """has_input decrypts to know, and the next receive returns what it found, also what is left of a record."""
    channel, inner = open_pair
    assert not channel.has_input()
    inner.server.write(b"250 OK\r\n")
    assert channel.has_input()
    assert channel.has_input()
    assert channel.receive(100) == b"250 OK\r\n"
    assert not channel.has_input()
    inner.server.write(b"0123456789")
    assert channel.receive(4) == b"0123"
    assert channel.has_input()
    assert channel.receive(100) == b"456789"


def test_half_a_record_is_no_input(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """Only a whole record can be opened."""
    channel, inner = open_pair
    inner.server.write(b"250 OK\r\n")
    record = inner.outgoing.read()
    inner.outgoing.write(record[:10])
    assert not channel.has_input()
    assert channel.receive(100) == WANT_READ
    inner.outgoing.write(record[10:])
    assert channel.has_input()
    assert channel.receive(100) == b"250 OK\r\n"


@pytest.mark.parametrize("says_goodbye", [True, False])
def test_the_end_stays_the_end(open_pair: tuple[NestedTLSChannel, Inner], says_goodbye: bool) -> None:
    """With or without close_notify, an end is an end, however often it is asked for."""
    channel, inner = open_pair
    if says_goodbye:
        with pytest.raises(ssl.SSLWantReadError):
            inner.server.unwrap()
    else:
        inner.is_closed = True
    assert channel.has_input()
    assert [channel.receive(100) for _ in range(2)] == [b"", b""]
    assert channel.has_input()


def test_a_broken_connection_stays_broken(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """What has_input found is raised by the next receive, and by each after it."""
    channel, inner = open_pair
    inner.broken = ConnectionResetError(104, "reset")
    assert channel.has_input()
    inner.broken = None
    assert channel.has_input()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            channel.receive(100)


def test_what_is_lost_is_a_lost_tls_connection(open_pair: tuple[NestedTLSChannel, Inner]) -> None:
    """The error names the peer."""
    channel, _inner = open_pair
    assert "the peer" in str(channel.lost(ConnectionResetError(104, "x"), "the peer"))
    assert channel.socket is None
