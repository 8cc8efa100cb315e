from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from typing import TYPE_CHECKING

import pytest

from mailkit.edge.readiness import ready, ready_now

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["poll", "select"], autouse=True)
def _mechanism(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as it is, once as on a system without poll."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll", raising=False)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_socket_becomes_readable_by_a_byte_and_by_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing, then a byte, then the end: only the latter two are ready, and asking consumes nothing."""
    ours, theirs = pair
    assert not ready_now(ours.fileno())
    theirs.send(b"x")
    assert ready_now(ours.fileno())
    assert ready_now(ours.fileno())
    assert ours.recv(10) == b"x"
    assert not ready_now(ours.fileno())
    theirs.close()
    assert ready_now(ours.fileno())


def test_readers_and_writers_are_told_apart(pair: tuple[socket.socket, socket.socket]) -> None:
    """Of several descriptors those that are ready are returned."""
    ours, theirs = pair
    assert ready([ours.fileno()], [theirs.fileno()], math.inf) == {theirs.fileno()}
    theirs.send(b"x")
    assert ready([ours.fileno()], [theirs.fileno()], 5) == {ours.fileno(), theirs.fileno()}


def test_one_descriptor_can_be_waited_for_in_both_ways(pair: tuple[socket.socket, socket.socket]) -> None:
    """Whichever comes first ends the wait: room to write, or, when there is none, something to read."""
    ours, theirs = pair
    ours.setblocking(False)
    assert ready([ours.fileno()], [ours.fileno()], 5) == {ours.fileno()}
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    assert ready([ours.fileno()], [ours.fileno()], 0.02) == set()
    theirs.send(b"x")
    assert ready([ours.fileno()], [ours.fileno()], 5) == {ours.fileno()}


def test_waiting_ends_after_the_given_time(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing ready: an empty set, not before the time is over."""
    started = time.monotonic()
    assert ready([pair[0].fileno()], [], 0.02) == set()
    assert time.monotonic() - started >= 0.02
    assert ready([pair[0].fileno()], [], -5) == set()
    assert ready([], [], 0) == set()


def test_a_refused_connection_makes_its_socket_ready(refusing_port: int) -> None:
    """A failed connect ends the wait for writability."""
    with socket.socket() as sock:
        sock.settimeout(0)
        sock.connect_ex(("127.0.0.1", refusing_port))
        assert ready([], [sock.fileno()], 5) == {sock.fileno()}
