"""The byte stream of both edges: a non-blocking socket, tried first and waited for only when it would block.

Counting `bytes_sent`. The bytes of a write are counted *before* the system call and those that were not taken
are given back after it. An interrupt (a signal handler that raises) can fall between the call and the next
line; then too many are counted, never too few, and too many only turns "not sent" into "unknown". What a handler
raises may even be an OSError: it has no number, and those that the system raises have one.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from mailkit.edge.failures import connection_lost, timed_out
from mailkit.edge.readiness import ready_now
from mailkit.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge.nested_tls import NestedTLSChannel
    from mailkit.edge.tls import TLSChannel
    from mailkit.edge.tls_options import TLS, TLSInfo
    from mailkit.edge.waiter import Waiter

__all__ = ["WANT_READ", "WANT_WRITE", "Channel", "PlainChannel", "SocketStream"]

WANT_WRITE: Final = 0
WANT_READ: Final = -1
WANT_EITHER: Final = -2

_RECEIVE_SIZE = 16 * 1024  # one TLS record; replies are far smaller, and a larger buffer costs more to allocate
_BLOCK = 64 * 1024

# A peer that takes and gives without delay must not starve an event loop: after so many bytes without a real
# wait the other tasks get their turn. A call counts as 2 KiB, so 32 small ones do too.
_TURN = 64 * 1024
_CALL = 2 * 1024


class Channel(Protocol):
    """How bytes get in and out of a non-blocking socket: at once, and with OSErrors as they are."""

    @property
    def socket(self) -> socket.socket:
        """The socket underneath."""
        ...

    @property
    def block(self) -> int:
        """How many bytes to hand over at once."""
        ...

    def send(self, data: memoryview) -> int:
        """Return how many bytes were taken, at least one, or ``WANT_WRITE``/``WANT_READ`` when none was."""
        ...

    def receive(self, size: int) -> bytes | int:
        """Return what has arrived, ``b""`` at the end of the stream, or ``WANT_READ``/``WANT_WRITE``."""
        ...

    def has_input(self) -> bool:
        """Whether :meth:`receive` would return bytes."""
        ...

    def lost(self, error: OSError, peer: str) -> ConnectError:
        """Return the error to raise for one that `send` or `receive` raised."""
        ...


class PlainChannel:
    """A socket in clear."""

    __slots__ = ("block", "socket")

    def __init__(self, sock: socket.socket) -> None:
        self.socket: socket.socket = sock
        self.block: int = _BLOCK

    def send(self, data: memoryview) -> int:
        """Write what the kernel takes."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return WANT_WRITE

    def receive(self, size: int) -> bytes | int:
        """Read what has arrived."""
        try:
            return self.socket.recv(size)
        except BlockingIOError:
            return WANT_READ

    def has_input(self) -> bool:
        """Whether something has arrived."""
        return ready_now(self.socket.fileno())

    def lost(self, error: OSError, peer: str) -> ConnectError:
        """Return the error to raise."""
        return connection_lost(error, peer)


class SocketStream:
    """A connected socket, in clear or inside TLS: one task or thread at a time uses it, but any may close it.

    Args:
        sock: A connected socket; the stream owns it from now on.
        peer: Its other end's address, for messages.
        waiter: How to wait for it.
        contexts: TLS contexts made so far, which the streams of one edge share.
    """

    __slots__ = (
        "_channel",
        "_contexts",
        "_early",
        "_in_tunnel",
        "_run",
        "_sent",
        "_unfinished",
        "_waiter",
        "peer",
        "tls_info",
    )

    def __init__(self, sock: socket.socket, peer: str, waiter: Waiter, contexts: dict[TLS, Any]) -> None:
        sock.settimeout(0.0)
        self._channel: Channel = PlainChannel(sock)
        self._waiter = waiter
        self._contexts = contexts
        self._sent = 0
        self._run = 0
        self._unfinished = False
        self._early = b""
        self._in_tunnel = False
        self.peer: str = peer
        self.tls_info: TLSInfo | None = None

    @property
    def bytes_sent(self) -> int:
        """How many bytes may have left this machine: never too few."""
        return self._sent

    async def send(
        self,
        data: bytes | bytearray | memoryview,
        *,
        deadline: float,
        meanwhile: Callable[[bytes], object] | None = None,
    ) -> None:
        """Write all of `data`."""
        if self._unfinished:
            # What is on the wire ends in the middle of something, inside TLS even in the middle of a record.
            raise ConnectError(
                f"an earlier write to {self.peer} was not finished; close the connection and connect again"
            )
        view = memoryview(data).cast("B")
        channel = self._channel
        self._unfinished = True
        while view:
            if self._run >= _TURN:
                await self._let_others_run()
            block = view[: channel.block]
            size = len(block)
            self._sent += size
            try:
                taken = channel.send(block)
            except OSError as error:
                _raise_foreign(error)
                self._sent -= size
                raise channel.lost(error, self.peer) from error
            if taken > 0:
                self._sent -= size - taken
                self._run += taken + _CALL
                view = view[taken:]
            else:
                self._sent -= size
                if meanwhile is not None and (arrived := self._arrived()):
                    meanwhile(arrived)
                elif not await self._wait(WANT_EITHER if meanwhile else taken, deadline):
                    raise timed_out(f"{self.peer} did not take what was written to it")
        self._unfinished = False

    def _arrived(self) -> bytes:
        """Return what has arrived, nothing where nothing has."""
        try:
            data = self._channel.receive(_RECEIVE_SIZE)
        except OSError as error:
            _raise_foreign(error)
            raise self._channel.lost(error, self.peer) from error
        if data == b"":
            raise ConnectError(f"{self.peer} closed the connection before it had taken what was written to it")
        return b"" if isinstance(data, int) else data

    async def receive(self, *, deadline: float) -> bytes:
        """Return the bytes that have arrived, at least one; ``b""`` when the peer has closed."""
        # The turn comes before the read: a cancellation after it would lose what was read.
        if self._run >= _TURN:
            await self._let_others_run()
        if self._early:
            early, self._early = self._early, b""
            return early
        while True:
            try:
                data = self._channel.receive(_RECEIVE_SIZE)
            except OSError as error:
                _raise_foreign(error)
                raise self._channel.lost(error, self.peer) from error
            if not isinstance(data, int):
                self._run += len(data) + _CALL
                return data
            if not await self._wait(data, deadline):
                raise timed_out(f"nothing came from {self.peer}")

    def has_input(self) -> bool:
        """Whether a byte or the end of the stream has arrived: takes no time and reads nothing."""
        # A stream that this side has closed has come to its end too.
        return bool(self._early) or self._channel.socket.fileno() < 0 or self._channel.has_input()

    def enter_tunnel(self, peer: str, early: bytes = b"") -> None:
        """From now on be the connection that a proxy has made, of which `early` has come already."""
        self.peer = peer
        self.tls_info = None
        self._early = early
        self._in_tunnel = True

    async def start_tls(self, tls: TLS, host: str, *, deadline: float) -> None:
        """Turn the stream into TLS. Failing closes it: nothing may go on in clear by mistake."""
        from mailkit.edge import tls as with_tls  # loads ssl

        try:
            context = await with_tls.context_for(tls, self._contexts, self._waiter)
            name = tls.server_hostname or host
            self._channel = channel = with_tls.wrap(
                self._channel, context, name, self.peer, in_tunnel=self._in_tunnel, early=self._early
            )
            self._in_tunnel = False
            await self._shake_hands(channel, deadline)
            self.tls_info = channel.info()
        except BaseException:
            await self.close()
            raise

    async def _shake_hands(self, channel: TLSChannel | NestedTLSChannel, deadline: float) -> None:
        while (wanted := channel.handshake(self.peer)) is not None:
            if not await self._wait(wanted, deadline):
                raise timed_out(f"{self.peer} did not finish the TLS handshake", "tls")

    async def close(self) -> None:
        """Close at once; never fails, never waits for the peer."""
        sock = self._channel.socket
        fd = sock.fileno()
        if fd < 0:
            return
        self._waiter.closing(fd)
        with contextlib.suppress(OSError):
            # Wakes a thread that is blocked in poll() on this socket. Not SSLSocket.shutdown, which forgets
            # the TLS state first: a writer in another thread would then go on in clear.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self.abandon()

    def abandon(self) -> None:
        """Give up this process's copy of a connection that a parent process made: nothing is written."""
        # Closing the descriptor alone: a shutdown or a close_notify would end the parent's connection.
        with contextlib.suppress(OSError):
            self._channel.socket.close()

    async def _wait(self, wanted: int, deadline: float) -> bool:
        self._run = 0
        fd = self._channel.socket.fileno()
        if fd < 0:
            raise ConnectError(f"the connection to {self.peer} was closed meanwhile; connect again")
        if wanted == WANT_EITHER:
            return bool(await self._waiter.any_ready((fd,), (fd,), deadline))
        if wanted == WANT_READ:
            return await self._waiter.readable(fd, deadline)
        return await self._waiter.writable(fd, deadline)

    async def _let_others_run(self) -> None:
        self._run = 0
        await self._waiter.pause()


def _raise_foreign(error: OSError) -> None:
    """Let pass what is not the system's: a TimeoutError, say, that a signal handler has raised behind the call."""
    if error.errno is None:
        raise error
