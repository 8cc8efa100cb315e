"""A proxy between a client and a server that cuts the connection at a chosen byte."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

__all__ = ["Cut", "CuttingProxy", "Exchange"]

HOST: Final = "127.0.0.1"
_BLOCK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Cut:
    """Where and how a connection ends.

    Args:
        direction: Whose bytes are counted: the client's (``"to_server"``) or the server's (``"to_client"``).
        after: How many of them are still handed on, to the byte.
        by: ``"eof"`` closes both sides in order, ``"reset"`` with an RST, and ``"stall"`` keeps both open but
            moves nothing more in either direction.
        moment: ``"at_once"`` ends the connection as soon as the last of those bytes has been handed on (with
            0 of them, before the server is even asked); ``"at_next"`` waits until there is one more byte to
            hand on, so that a reply that is cut off whole is one that the server has really given.
    """

    direction: Literal["to_server", "to_client"]
    after: int
    by: Literal["eof", "reset", "stall"] = "eof"
    moment: Literal["at_once", "at_next"] = "at_once"


@dataclass(slots=True)
class Exchange:
    """What one connection carried, as far as it was handed on."""

    cut: Cut | None
    to_server: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)
    #: Set once nothing more is handed on, in either direction.
    ended: threading.Event = field(default_factory=threading.Event)


class CuttingProxy:
    """A proxy that hands on every byte up to the one at which it cuts.

    Whichever direction is counted, after the cut nothing is handed on in *either*: cut at the n-th byte of
    the client, and the server may still answer, but the client never sees it.

    Args:
        target: Where it connects to: a port of 127.0.0.1 or the path of a socket.
        cuts: One for each connection in the order in which they come, None for one that is left whole; so are
            all that come after the last.

    Example:
        A session whose server is gone after the hundredth byte of its replies::

            with CuttingProxy(port, [Cut("to_client", after=100)]) as proxy:
                client = smtplib.SMTP("127.0.0.1", proxy.port)
    """

    def __init__(self, target: int | Path, cuts: Iterable[Cut | None] = ()) -> None:
        self._target = target
        self._cuts = list(cuts)
        self._links: list[_Link] = []
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self._listener.settimeout(0)
        self._orders: deque[tuple[int, Literal["eof", "reset", "stall"]]] = deque()
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="cutting proxy", daemon=True)
        self.host = HOST
        self.port: int = self._listener.getsockname()[1]
        #: One for each connection so far, in order.
        self.exchanges: list[Exchange] = []
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def end(self, connection: int, by: Literal["eof", "reset", "stall"] = "eof") -> None:
        """End a connection now, wherever it is; it has ended when this returns.

        Args:
            connection: Its number, in the order in which they came.
            by: As in :class:`Cut`.
        """
        self._orders.append((connection, by))
        self._wake.sendall(b"!")
        self.exchanges[connection].ended.wait()

    def close(self) -> None:
        """End all connections and stop."""
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    if not self._woken.recv(1):
                        self._close_everything()
                        return
                    connection, by = self._orders.popleft()
                    self._links[connection].end(by)
                    continue
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    link: _Link = key.data
                    link.move()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        number = len(self.exchanges)
        exchange = Exchange(self._cuts[number] if number < len(self._cuts) else None)
        self.exchanges.append(exchange)
        self._links.append(_Link(self._selector, client, self._target, exchange))

    def _close_everything(self) -> None:
        for link in self._links:
            link.end("eof")
        for each in (self._listener, self._woken, self._selector):
            each.close()


class _Way:
    """One direction of a link: where bytes come from, where they go, and those on the way."""

    def __init__(self, source: socket.socket, sink: socket.socket, passed: bytearray, cut: Cut | None) -> None:
        self.source = source
        self.sink = sink
        self.passed = passed
        self.cut = cut
        self.pending = b""
        self.ended = False  # the source has nothing more, and the sink has been told
        self.beyond = False  # a byte has come that is not to be handed on

    @property
    def due(self) -> bool:
        """Whether the cut has to be made now."""
        if self.cut is None or len(self.passed) < self.cut.after:
            return False
        return self.beyond or self.cut.moment == "at_once"

    def move(self) -> None:
        """Take a block if none is on the way, and hand on what the sink takes now."""
        with contextlib.suppress(BlockingIOError):
            if not self.pending and not self.ended:
                self._take()
            if self.pending:
                sent = self.sink.send(self.pending)
                self.passed += self.pending[:sent]
                self.pending = self.pending[sent:]

    def _take(self) -> None:
        block = self.source.recv(_BLOCK)
        if not block:
            self.ended = True
            self.sink.shutdown(socket.SHUT_WR)
        elif self.cut is None:
            self.pending = block
        else:
            room = self.cut.after - len(self.passed)
            self.pending, self.beyond = block[:room], len(block) > room


class _Link:
    """A client's connection and the server's that belongs to it."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        client: socket.socket,
        target: int | Path,
        exchange: Exchange,
    ) -> None:
        self._selector = selector
        self._exchange = exchange
        server = socket.socket(socket.AF_INET if isinstance(target, int) else socket.AF_UNIX)
        self._sides = (client, server)
        cut = exchange.cut
        if cut is not None and cut.after == 0 and cut.moment == "at_once":
            self.end(cut.by)
            return
        try:
            server.connect((HOST, target) if isinstance(target, int) else str(target))
        except OSError:
            self.end("eof")
            return
        for side in self._sides:
            side.settimeout(0)
            if side.family == socket.AF_INET:
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(side, selectors.EVENT_READ, self)
        cuts = {cut.direction: cut} if cut is not None else {}
        self._ways = (
            _Way(client, server, exchange.to_server, cuts.get("to_server")),
            _Way(server, client, exchange.to_client, cuts.get("to_client")),
        )

    def move(self) -> None:
        """Hand on what can be, and cut where it is due."""
        for way in self._ways:
            if self._exchange.ended.is_set():
                return
            try:
                way.move()
            except OSError:  # one side is gone without a goodbye: so is the other
                self.end("reset")
                return
            if way.cut is not None and way.due:
                self.end(way.cut.by)
                return
        if all(way.ended for way in self._ways):
            self.end("eof")
            return
        self._watch()

    def _watch(self) -> None:
        for side in self._sides:
            events = 0
            for way in self._ways:
                if way.source is side and not way.pending and not way.ended:
                    events |= selectors.EVENT_READ
                if way.sink is side and way.pending:
                    events |= selectors.EVENT_WRITE
            registered = side in self._selector.get_map()
            if events and registered:
                self._selector.modify(side, events, self)
            elif events:
                self._selector.register(side, events, self)
            elif registered:
                self._selector.unregister(side)

    def end(self, by: Literal["eof", "reset", "stall"]) -> None:
        """Hand on nothing more; may be called again, to close what was stalled."""
        for side in self._sides:
            if side.fileno() != -1 and side in self._selector.get_map():
                self._selector.unregister(side)
            if by == "reset" and side.fileno() != -1 and side.family == socket.AF_INET:
                # Closing with a linger of zero seconds sends RST instead of FIN.
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if by == "eof" and side.fileno() != -1:
                # With something unread, close() alone sends an RST in place of the end.
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_WR)
                    self._discard(side)
            if by != "stall":
                side.close()
        self._exchange.ended.set()

    @staticmethod
    def _discard(side: socket.socket) -> None:
        side.settimeout(0)
        while side.recv(_BLOCK):
            pass
