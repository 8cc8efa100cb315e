"""What every transport may await: the only door to sockets, clocks, threads and processes.

There are two edges. :class:`mailkit.edge.blocking.BlockingEdge` blocks the calling thread inside ``async
def`` methods that never suspend, so :func:`run_sync` can step a whole delivery without an event loop.
:class:`mailkit.edge.anyio.AnyioEdge` suspends, on asyncio and trio. What is written against :class:`Edge`
runs on both.

Deadlines are absolute: seconds on :meth:`Edge.now`'s clock, so that a reply that drips in byte by byte cannot
outlive them. What leaves an edge is always an error of :mod:`mailkit.errors`, or the event loop's own
cancellation.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mailkit.edge.http import Request, Response
    from mailkit.edge.records import Answer, NameServers, Record
    from mailkit.edge.tls_options import TLS, TLSInfo
    from mailkit.events import Event

__all__ = ["Edge", "Lock", "Slots", "Stream", "run_sync"]

T = TypeVar("T")
R = TypeVar("R", bound="Record")


class Stream(Protocol):
    """A connected byte stream, in clear or inside TLS."""

    @property
    def bytes_sent(self) -> int:
        """How many bytes may have left this machine: never too few, which is what the commit point needs.

        Counted in application bytes since the connection was made, also across :meth:`start_tls`.
        """
        ...

    @property
    def tls_info(self) -> TLSInfo | None:
        """What TLS settled on, or None in clear."""
        ...

    @property
    def peer(self) -> str:
        """The address connected to, such as ``"192.0.2.1:587"``."""
        ...

    async def send(
        self,
        data: bytes | bytearray | memoryview,
        *,
        deadline: float,
        meanwhile: Callable[[bytes], object] | None = None,
    ) -> None:
        """Write all of `data`.

        What ends it early (an error, cancellation) ends all writing on this stream, but not reading: the peer may have
        said why.

        Args:
            data: The bytes.
            deadline: When to give up.
            meanwhile: Is given what arrives while the peer takes nothing: a peer that does not read on before we have
                read what it wrote would else wait for ever, and we for it. What it raises ends the write.

        Raises:
            ConnectError: The connection was lost. `bytes_sent` says how far it came.
            DeliveryTimeout: The peer did not take it all before the deadline.
        """
        ...

    async def receive(self, *, deadline: float) -> bytes:
        """Return the bytes that have arrived, at least one; ``b""`` when the peer has closed.

        What is there already is returned even after the deadline; cancellation loses nothing. Inside TLS some versions
        of Python show a reset as an end.

        Raises:
            ConnectError: The connection was reset.
            DeliveryTimeout: Nothing arrived before the deadline.
        """
        ...

    def has_input(self) -> bool:
        """Whether a byte or the end of the stream has arrived: takes no time and reads nothing."""
        ...

    async def start_tls(self, tls: TLS, host: str, *, deadline: float) -> None:
        """Turn the stream into TLS. What fails or is cancelled leaves the stream closed, never in clear.

        Raises:
            TLSError: The handshake failed (``cause="transient"`` for I/O), or the certificate is not good for
                `host`.
                A byte that arrived before the handshake (see :meth:`has_input`) is a security failure too.
            ConfigurationError: A file, a context or a name in `tls` cannot be used.
            DeliveryTimeout: It took longer than it may.
        """
        ...

    def enter_tunnel(self, peer: str, early: bytes = b"") -> None:
        """From now on be the connection to `peer` that a proxy has made through this one.

        `tls_info` is None then, whatever leads to the proxy, and :meth:`start_tls` starts a session inside.

        Args:
            peer: The far end, for messages.
            early: What has been received from it already, to be received next.
        """
        ...

    async def close(self) -> None:
        """Close at once; never fails, never waits for the peer."""
        ...

    def abandon(self) -> None:
        """Give up this process's copy of a connection that a parent process made: nothing is written."""
        ...


class Lock(Protocol):
    """Mutual exclusion between threads (blocking) or tasks (anyio)."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class Slots(Protocol):
    """A bound on how many may hold something at once; who waits longest is served first.

    A signal handler may raise on the way out of :meth:`acquire`, or on the way into :meth:`release`. Whoever must lose
    no slot by that names a holder, and gives back in a ``finally`` that begins before the slot is taken.
    """

    async def acquire(self, *, deadline: float, holder: object = None) -> None:
        """Take a slot.

        Args:
            deadline: When to give up.
            holder: Who takes it, hashed by identity: each takes one at a time. None is nobody in particular.

        Raises:
            DeliveryTimeout: None became free before the deadline.
        """
        ...

    def release(self, holder: object = None) -> None:
        """Give the slot back. A holder may do so when it holds none: nothing happens then."""
        ...


class Edge(Protocol):
    """The world as a transport may see it.

    Attributes:
        timeout: Seconds that one phase (connect, TLS, one reply, one write) may take where nothing else is
            said.
        listener: Is called with what happens, in the thread or task in which it happens; None where nobody listens, so
            that what is only made for a listener need not be made.
    """

    timeout: float
    listener: Callable[[Event], object] | None

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def random(self) -> float:
        """A random number from 0 up to, but not including, 1: for waits and choices, not for secrets."""
        ...

    def notify(self, event: Event) -> None:
        """Tell the listener, if there is one. It raises nothing but what a hook refuses a message with beforehand."""
        ...

    @property
    def is_followed(self) -> bool:
        """Whether the listener wants to hear of each message, also where all goes well.

        A plain function does; an object may say so itself, as its ``follows``.
        """
        ...

    @property
    def is_followed_closely(self) -> bool:
        """Whether the listener wants to hear of each attempt too, also where there is but one.

        A plain function does; an object may say so itself, as its ``follows_closely``.
        """
        ...

    def connect_tcp(
        self,
        host: str,
        port: int,
        *,
        deadline: float,
        source_address: str | Sequence[str] | None = None,
        addresses: Sequence[str] = (),
    ) -> Coroutine[Any, Any, Stream]:
        """Connect to the first of the host's addresses that answers (RFC 8305), TCP_NODELAY set.

        Args:
            host: The host's name or address.
            port: Its port.
            deadline: When to give up.
            source_address: This machine's address to connect from; of several, the first of the destination's family.
            addresses: The host's IP addresses, in the order in which to try them, where they have been looked up
                already.

        Raises:
            ConfigurationError: `host`, `port` or `source_address` cannot be one.
            ConnectError: No such name, or a `source_address` that cannot be used (``cause="configuration"``), or no
                address can be reached. The phase is ``"bind"`` where another source address might do.
            DeliveryTimeout: None answered before the deadline.
        """
        ...

    def resolve_records(
        self, name: str, kind: type[R], *, deadline: float, name_servers: NameServers | None = None
    ) -> Coroutine[Any, Any, Answer[R]]:
        """Ask the name servers for the records of a name, such as ``resolve_records("example.com", MX, …)``.

        Search domains and the hosts file play no part. That there is no such name or no such record is an
        answer; see :class:`mailkit.edge.records.Answer`.

        Args:
            name: The name, in ASCII (A-labels where it is international).
            kind: A, AAAA, MX, SRV, TLSA or TXT of :mod:`mailkit.edge.records`.
            deadline: When to give up.
            name_servers: Whom to ask; the system's where None.

        Raises:
            ConfigurationError: `name` cannot be one.
            ConnectError: No name server gave an answer that can be used (SERVFAIL, REFUSED, unreachable; transient), or
                the system has none (``cause="configuration"``). The phase is ``"resolve"``.
            DeliveryTimeout: None answered before the deadline.
        """
        ...

    def connect_unix(self, path: Path, *, deadline: float) -> Coroutine[Any, Any, Stream]:
        """Connect to a UNIX domain socket.

        Raises:
            ConnectError: Nothing listens there.
        """
        ...

    def fetch(self, request: Request, *, deadline: float) -> Coroutine[Any, Any, Response]:
        """Send an HTTP request and return the answer: any status, no redirect followed, nothing repeated.

        An answer whose status and headers have arrived is one, also when its body was cut short:
        :attr:`mailkit.edge.http.Response.incomplete` says so. Connections are reused; cookies, proxies and credentials
        of the environment are not used. What interrupts it (cancellation, KeyboardInterrupt) has the attribute
        ``request_may_have_arrived``.

        Args:
            request: The request.
            deadline: When the whole exchange has to be over, its last byte included. Connecting, TLS and each write
                have the edge's `timeout` besides.

        Raises:
            ConfigurationError: The URL or `request.tls` cannot be used.
            ConnectError: No connection, or it was lost before the whole request was written.
            DeliveryTimeout: The deadline passed before the whole request was written.
            TLSError: No TLS, or not with whom we wanted.
            OutcomeUnknownError: The whole request was written and no answer came: the server may have acted on it.
                Never for a safe method (GET, HEAD, OPTIONS), which raises one of the others.
            ProtocolError: The answer is none.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def lock(self) -> Lock:
        """Return a new lock."""
        ...

    def slots(self, limit: int) -> Slots:
        """Return a new bound."""
        ...

    async def run_all(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run the jobs at once (threads or tasks) and return their results in order.

        The first error cancels what can be cancelled, waits for the rest and is raised.
        """
        ...

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run something that blocks (a file, a key derivation) without holding up an event loop.

        What it raises comes out as it is.
        """
        ...

    def run_process(
        self, argv: Sequence[str], data: Iterable[bytes], *, deadline: float
    ) -> Coroutine[Any, Any, tuple[int, str]]:
        """Run a program, no shell, `data` on its standard input; return its exit status and standard error.

        Raises:
            ConnectError: It cannot be started.
            DeliveryTimeout: It did not end before the deadline; it was killed.
        """
        ...

    def shield(self) -> AbstractAsyncContextManager[None]:
        """A block that cancellation does not enter, for the few steps that leave things whole."""
        ...

    async def close(self) -> None:
        """Free what the edge holds (threads, HTTP clients)."""
        ...


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, on this thread, with or without an event loop running in it.

    Args:
        coroutine: A coroutine whose awaits all end in a blocking edge.

    Raises:
        RuntimeError: It tried to suspend: something in it awaits an event loop.
    """
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    with suppress(RuntimeError):  # its clean-up awaits an event loop as well
        coroutine.close()
    raise RuntimeError(
        f"a transport awaited {waiting_for!r} outside its edge: inside Mailer everything must go through the "
        "blocking edge; use AsyncMailer, or await only what the edge offers"
    )
