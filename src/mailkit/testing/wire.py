"""The server's end of a connection: bytes in and out, TLS in memory, and endings of every kind."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.testing.faults import Ending, Move
    from mailkit.testing.received import ConnectionRecord, Ledger

__all__ = ["Gates", "PeerGone", "Wire"]

BLOCK = 65_536
"""Bytes asked of one read: a TLS record holds 16 KiB, a loopback segment 64 KiB."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on and zero seconds: closing sends RST."""


class PeerGone(Exception):
    """The connection is over, whoever ended it."""


class Gates:
    """Where stalled connections wait; one call lets all of them go on.

    A gate is a socket pair, so that a connection can wait for it and for input at once, without polling.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Note holds in this ledger."""
        self._ledger = ledger
        self._lock = threading.Lock()
        self._waiting: set[socket.socket] = set()
        self._closed = threading.Event()

    def hold(self, watched: socket.socket | None, seconds: float | None) -> bytes:
        """Wait until released or until time is up; return what arrived on the watched socket meanwhile.

        Raises:
            PeerGone: The client closed the connection, or the server is closing.
        """
        ours, theirs = socket.socketpair()
        arrived = bytearray()
        with ours, theirs, selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ)
            if watched is not None:
                selector.register(watched, selectors.EVENT_READ)
            with self._lock:
                self._waiting.add(theirs)
            self._ledger.hold(1)
            try:
                while not self._closed.is_set():
                    ready = [key.fileobj for key, _ in selector.select(seconds)]
                    if watched is None or watched not in ready:
                        break
                    block = watched.recv(BLOCK)
                    if not block:
                        raise PeerGone
                    arrived += block
            except OSError as error:
                raise PeerGone from error
            finally:
                with self._lock:
                    self._waiting.discard(theirs)
                self._ledger.hold(-1)
        if self._closed.is_set():
            raise PeerGone
        return bytes(arrived)

    def pause(self, seconds: float) -> None:
        """Wait this long, or until the server closes.

        Raises:
            PeerGone: The server is closing.
        """
        if self._closed.wait(seconds):
            raise PeerGone

    def release(self) -> None:
        """Let every held connection go on."""
        with self._lock:
            for gate in self._waiting:
                gate.send(b"\0")

    def close(self) -> None:
        """Let every held connection end, now and from now on."""
        self._closed.set()
        self.release()


class _Notice:
    """A move that another thread wants done when the connection waits for input."""

    def __init__(self, move: Move) -> None:
        self.move = move
        self.settled = threading.Event()
        self.done = False


class Wire:
    """A connected socket, in clear or under TLS, of one thread; others may only `interrupt` and `visit`.

    TLS runs over memory buffers, so that a fault can cut its records at any byte and so that another thread
    may speak while the owner waits for input.
    """

    def __init__(self, sock: socket.socket, record: ConnectionRecord, gates: Gates) -> None:
        """Take over a connected blocking socket."""
        self._socket = sock
        self._record = record
        self._gates = gates
        self._lock = threading.Lock()
        self._waiting = False
        self._over = False
        self._resets = False
        self._notice: _Notice | None = None
        self._early = b""
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    @property
    def encrypted(self) -> bool:
        """Whether TLS is on."""
        return self._tls is not None

    def receive(self) -> bytes:
        """Wait for input.

        Raises:
            PeerGone: The client has gone, or the connection was ended from our side.
        """
        tls = self._tls
        if tls is None:
            return self._receive_raw()
        while True:
            try:
                block = tls.read(BLOCK)
            except ssl.SSLWantReadError:
                self._incoming.write(self._receive_raw())
            except ssl.SSLError as error:
                raise PeerGone from error
            else:
                if block:
                    return block
                self.finish()  # the client said close_notify, and gets ours
                raise PeerGone

    def wait(self) -> None:
        """Wait for input, and keep it.

        Raises:
            PeerGone: The client has gone.
        """
        self._early = self._receive_raw()

    def send(self, data: bytes | bytearray) -> None:
        """Send everything.

        Raises:
            PeerGone: The client has gone.
        """
        self._record.writes += 1
        self._record.bytes_sent += len(data)
        self._send_raw(self._encrypt(data))

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as the server.

        Raises:
            PeerGone: The handshake failed; `tls_error` of the record says why.
        """
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_raw(self._outgoing.read())
                self._incoming.write(self._receive_raw())
            except ssl.SSLError as error:
                self._record.tls_error = error.reason or str(error)
                self._send_raw(self._outgoing.read())  # the alert
                raise PeerGone from error
            else:
                break
        self._send_raw(self._outgoing.read())
        self._tls = tls
        self._record.tls = tls.version()
        cipher = tls.cipher()
        self._record.cipher = cipher[0] if cipher else None

    def perform(self, move: Move) -> None:
        """Do what a fault asks for, apart from its hold.

        Raises:
            PeerGone: The move ended the connection, or the client did.
        """
        if move.repeat:
            while True:
                self.send(move.data * (BLOCK // max(1, len(move.data)) or 1))
        if move.ending == "truncate":
            self._send_raw(self._encrypt(move.data)[: move.record_bytes])
        elif move.interval:
            for position in range(len(move.data)):
                self.send(move.data[position : position + 1])
                self._gates.pause(move.interval)
        elif move.data:
            self.send(move.data)
        if move.ending != "go on":
            self.finish(move.ending)
            raise PeerGone

    def hold(self, seconds: float | None, *, reading: bool) -> None:
        """Say nothing until released or until time is up, keeping what arrives meanwhile.

        Args:
            seconds: How long at most, `None` for no end.
            reading: Whether input is read meanwhile.

        Raises:
            PeerGone: The client has gone.
        """
        if reading:
            arrived = self._gates.hold(self._socket, seconds)
        else:
            # A small receive buffer closes the window soon; it is only a hint, and systems round it up.
            usual = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            self._set_receive_buffer(4096)
            arrived = self._gates.hold(None, seconds)
            self._set_receive_buffer(usual)
        self._record.bytes_received += len(arrived)
        self._early += arrived

    def finish(self, ending: Ending = "eof") -> None:
        """End our direction; what was sent still arrives, and `receive` only waits for the client to go."""
        self._over = True
        with contextlib.suppress(OSError, ssl.SSLError):
            if ending == "rst":
                self._resets = True
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self._socket.shutdown(socket.SHUT_RD)  # wakes the owner, sends nothing; its close then resets
                return
            if self._tls is not None and ending != "truncate":
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._tls.unwrap()
                self._socket.sendall(self._outgoing.read())
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Wait for the client's end of file where ours has been sent, and close the socket.

        Closing with unread input would send a reset, which may overtake the last reply; so the rest is read
        away.
        """
        with self._lock:
            drains = self._over and not self._resets
            self._over = True
            if self._notice is not None:
                self._notice.settled.set()  # whoever wanted to visit comes too late
        with contextlib.suppress(OSError), self._socket:
            if drains:
                while self._socket.recv(BLOCK):
                    pass

    def interrupt(self) -> None:
        """Wake the owner from whatever it waits for; its connection is over. For other threads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def visit(self, move: Move, timeout: float) -> bool:
        """Do a move on a connection that waits for input, as soon as it does. For other threads.

        Args:
            move: What to do.
            timeout: Seconds to wait for a connection that is busy.

        Returns:
            Whether it was done; not where the connection ended before.
        """
        notice = _Notice(move)
        with self._lock:
            if self._over:
                return False
            if self._waiting:
                self._deliver(move)
                return True
            self._notice = notice
        return notice.settled.wait(timeout) and notice.done

    def _set_receive_buffer(self, size: int) -> None:
        with contextlib.suppress(OSError):  # some systems refuse once the client has gone
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _deliver(self, move: Move) -> None:
        with contextlib.suppress(PeerGone):
            self.perform(move)

    def _encrypt(self, data: bytes | bytearray) -> bytes | bytearray:
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._outgoing.read()

    def _send_raw(self, data: bytes | bytearray) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise PeerGone from error

    def _receive_raw(self) -> bytes:
        if self._early:
            block, self._early = self._early, b""
            return block
        with self._lock:
            if self._notice is not None:
                notice, self._notice = self._notice, None
                self._deliver(notice.move)
                notice.done = True
                notice.settled.set()
            if self._over:
                raise PeerGone
            self._waiting = True
        try:
            block = self._socket.recv(BLOCK)
        except OSError as error:
            raise PeerGone from error
        finally:
            with self._lock:
                self._waiting = False
        if not block or self._over:
            raise PeerGone
        self._record.reads += 1
        self._record.bytes_received += len(block)
        return block
