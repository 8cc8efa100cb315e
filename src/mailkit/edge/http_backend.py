"""Sockets for httpcore, made by our edges.

httpcore asks a network backend for connections and passes it a timeout with each operation, without looking at it. The
timeouts that :mod:`mailkit.edge.http_client` gives are *deadlines* on the edge's clock. So headers that drip in byte by
byte end on time in the blocking colour too, where nothing can be cancelled, and connecting, TLS and their errors are
those of every other transport.

Connecting and writing have the edge's timeout for each step besides. Reading has not: whoever stops to wait for the
answer to a request that is written does not know what became of it, so an answer has all the time there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpcore

from mailkit.edge.base import run_sync
from mailkit.edge.tls_options import TLS
from mailkit.errors import ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Iterable

    from mailkit.edge.base import Edge, Stream
    from mailkit.edge.http import Route

__all__ = ["BlockingBackend", "Shared", "TaskBackend"]


class Shared:
    """What both backends know.

    Args:
        edge: Whose connections to use.
        server_hostname: The name that the certificate must be for, where it differs from the host dialled.
        route: How to get to the host, where not directly.
    """

    def __init__(self, edge: Edge, server_hostname: str | None, route: Route | None) -> None:
        self.edge = edge
        self.server_hostname = server_hostname
        self.route = route
        self.streams: set[Stream] = set()

    def step(self, deadline: float | None) -> float:
        """Return when a step has to be done that is not the answer."""
        until = self.edge.now() + self.edge.timeout
        return until if deadline is None else min(deadline, until)

    def connect(self, host: str, port: int, deadline: float | None) -> Coroutine[Any, Any, Stream]:
        """Connect, directly or by the route."""
        if self.route is None:
            return self.edge.connect_tcp(host, port, deadline=self.step(deadline))
        return self.route.connect(self.edge, host, port, deadline=self.step(deadline))


class BlockingBackend(httpcore.NetworkBackend):
    """Connections that block."""

    def __init__(self, edge: Edge, server_hostname: str | None, route: Route | None) -> None:
        self.shared: Shared = Shared(edge, server_hostname, route)

    def connect_tcp(  # noqa: PLR0917 - httpcore's signature
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect; RFC 8305."""
        shared = self.shared
        return _BlockingStream(run_sync(shared.connect(host, port, timeout)), shared)


class TaskBackend(httpcore.AsyncNetworkBackend):
    """Connections that suspend."""

    def __init__(self, edge: Edge, server_hostname: str | None, route: Route | None) -> None:
        self.shared: Shared = Shared(edge, server_hostname, route)

    async def connect_tcp(  # noqa: PLR0917 - httpcore's signature
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect; RFC 8305."""
        shared = self.shared
        return _TaskStream(await shared.connect(host, port, timeout), shared)


class _Extra:
    """What httpcore asks about a connection."""

    def __init__(self, stream: Stream, shared: Shared) -> None:
        self.stream = stream
        self.shared = shared
        shared.streams.add(stream)

    def selected_alpn_protocol(self) -> str | None:
        return None if self.stream.tls_info is None else self.stream.tls_info.alpn

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return None if self.stream.tls_info is None else self
        # Otherwise "is_readable" is asked, of idle connections: whether the server has closed them.
        return self.stream.has_input() if info == "is_readable" else None

    def tls(self, context: ssl.SSLContext) -> TLS:
        return TLS(context=context, server_hostname=self.shared.server_hostname)

    def not_written(self, error: ConnectError | DeliveryTimeout) -> Exception:
        """Return httpcore's own error where that may have an answer: it reads on then, and anything else ends it."""
        # A server may answer before it has read all, and hang up or take no more.
        has_hung_up = isinstance(error, ConnectError)
        return httpcore.WriteError(str(error)) if has_hung_up or self.stream.has_input() else error


class _BlockingStream(_Extra, httpcore.NetworkStream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - a block is 16 KiB
        return run_sync(self.stream.receive(deadline=_answer(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            run_sync(self.stream.send(buffer, deadline=self.shared.step(timeout)))
        except (ConnectError, DeliveryTimeout) as error:
            raise self.not_written(error) from error

    def close(self) -> None:
        self.shared.streams.discard(self.stream)
        run_sync(self.stream.close())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        run_sync(
            self.stream.start_tls(self.tls(ssl_context), server_hostname or "", deadline=self.shared.step(timeout))
        )
        return self


class _TaskStream(_Extra, httpcore.AsyncNetworkStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return await self.stream.receive(deadline=_answer(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self.stream.send(buffer, deadline=self.shared.step(timeout))
        except (ConnectError, DeliveryTimeout) as error:
            raise self.not_written(error) from error

    async def aclose(self) -> None:
        self.shared.streams.discard(self.stream)
        await self.stream.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        tls = self.tls(ssl_context)
        await self.stream.start_tls(tls, server_hostname or "", deadline=self.shared.step(timeout))
        return self


def _answer(deadline: float | None) -> float:
    return float("inf") if deadline is None else deadline
