"""A relay between a client and a server that makes the way longer, for the cost of a round trip.

It needs the standard library alone and nothing beside this file, so that benchmarks can use it too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DelayingRelay"]

HOST: Final = "127.0.0.1"
_BLOCK: Final = 65_536

# What one direction holds at most, as a TCP window would: it bounds the relay's memory, and at 50 ms it still lets
# 160 MB a second through.
_WINDOW: Final = 8 * 2**20


class DelayingRelay:
    """A relay that hands on every byte a fixed time after it came, in a process of its own.

    A connection through it costs what it would over such a way: SYN, SYN-ACK and ACK pass before the server
    accepts, so its greeting arrives two round trips after the client's connect() was called.

    Args:
        target: The server's port on 127.0.0.1.
        one_way: Seconds that a byte is on its way in either direction: half of the round trip.

    Example:
        A round trip of 20 ms::

            with DelayingRelay(port, one_way=0.010) as relay:
                client = smtplib.SMTP("127.0.0.1", relay.port)
    """

    def __init__(self, target: int, *, one_way: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(target), repr(one_way)],
            stdin=subprocess.PIPE,  # its end tells the process that we are gone, however that happened
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.host = HOST
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop it; connections through it end with it."""
        self._process.communicate()


class _Delay:
    """One direction: a thread takes bytes and notes when they are due, another hands them on then."""

    def __init__(self, source: socket.socket, sink: socket.socket, one_way: float) -> None:
        self._source = source
        self._sink = sink
        self._one_way = one_way
        self._due: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._take, self._hand_on)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until the source has ended and everything has been handed on."""
        for thread in self._threads:
            thread.join()

    def _take(self) -> None:
        block = b"not yet ended"
        while block:
            try:
                block = self._source.recv(_BLOCK)
            except OSError:
                block = b""
            due = time.monotonic() + self._one_way
            with self._changed:
                self._due.append((due, block))
                self._held += len(block)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._held < _WINDOW)

    def _hand_on(self) -> None:
        block = b"not yet ended"
        while block:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._due))
                due, block = self._due.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                self._sink.sendall(block)
            except OSError:  # gone: take no more from the source, whose end then comes by itself
                with contextlib.suppress(OSError):
                    self._source.shutdown(socket.SHUT_RDWR)
            with self._changed:
                self._held -= len(block)
                self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)


def _carry(client: socket.socket, target: int, one_way: float) -> None:
    time.sleep(3 * one_way)  # SYN, SYN-ACK, ACK: only then does the server's accept() return
    with client, socket.socket() as server, contextlib.suppress(OSError):
        server.connect((HOST, target))
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in (_Delay(client, server, one_way), _Delay(server, client, one_way)):
            way.join()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main(target: int, one_way: float) -> None:
    """Relay from a free port, which is printed, until standard input ends."""
    listener = socket.create_server((HOST, 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_carry, args=(client, target, one_way), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
