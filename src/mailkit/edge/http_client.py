"""HTTP for both edges: httpx's requests and transports, over httpcore's pools on our own connections.

The transports are called without ``httpx.Client`` around them. What that would do for a request is left out anyway, and
doing nothing costs it a fifth of the time that a request takes: redirects, cookies, authentication, a log line.

What is left out on purpose: redirects (one would carry the key to another host), cookies, proxies and credentials from
the environment, httpx's own proxies (ours serve every transport), and repeating anything.
:mod:`mailkit.edge.http_exchange` says what a failure means.

HTTP/2 is spoken where h2 is installed (``mailkit-sdk[http2]``) and only by the suspending edge: in the blocking one
threads would share a connection, and httpcore's HTTP/2 state is not safe between threads.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel
import httpcore
import httpx

from mailkit._version import __version__
from mailkit.edge.http_backend import BlockingBackend, TaskBackend
from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from mailkit.edge.base import Edge
    from mailkit.edge.http import Route
    from mailkit.edge.http_backend import Shared
    from mailkit.edge.http_exchange import Exchange
    from mailkit.edge.tls_options import TLS

__all__ = ["BlockingClient", "TaskClient", "current_loop"]

_HTTP2: Final = find_spec("h2") is not None
_CONNECTIONS: Final = 100
_KEPT: Final = 20
_KEPT_SECONDS: Final = 5.0
"""How long an idle connection is kept: a server that closes it while we write leaves us in doubt, and 5 s is what the
most impatient servers wait."""

_IDENTIFYING: Final = (
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"identity"),  # answers are small; what comes compressed all the same is understood
    (b"User-Agent", f"mailkit/{__version__}".encode()),
)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The request's body, handed over block by block."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> _Body:
        self._exchange.begin_body()
        return self

    def __next__(self) -> bytes:
        block = self._exchange.next_block()
        if block is None:
            raise StopIteration
        return block

    def __aiter__(self) -> _Body:
        self._exchange.begin_body()
        return self

    async def __anext__(self) -> bytes:
        block = self._exchange.next_block()
        if block is None:
            raise StopAsyncIteration
        return block


# A provider has few URLs, and parsing one costs as much as writing a request.
@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _as_httpx(exchange: Exchange, deadline: float, now: float) -> httpx.Request:
    request = exchange.request
    try:
        url = _parsed(request.url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"the URL of a request is malformed: {error}") from None
    names = {name.lower() for name, _ in request.headers}
    headers = [(b"Host", url.netloc)]
    headers += [(name, value) for name, value in _IDENTIFYING if name.decode().lower() not in names]
    headers += [(name.encode("ascii"), value.reveal().encode("ascii")) for name, value in request.headers]
    if request.body is not None or not request.is_safe:
        headers.append((b"Content-Length", str(len(request.body or b"")).encode()))
    timeouts = {"connect": deadline, "read": deadline, "write": deadline, "pool": max(0.0, deadline - now)}
    extensions: dict[str, Any] = {"timeout": timeouts, "exchange": exchange}
    return httpx.Request(request.method, url, headers=headers, stream=_Body(exchange), extensions=extensions)


def _as_httpcore(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _extensions(answer: Any) -> Mapping[str, Any]:
    extensions: Mapping[str, Any] = answer.extensions
    return extensions


class _BlockingTransport(httpx.BaseTransport):
    def __init__(self, backend: BlockingBackend, context: ssl.SSLContext | None) -> None:
        self.backend = backend
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_KEPT,
            keepalive_expiry=_KEPT_SECONDS,
            retries=0,
            network_backend=backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange, and collect the body here: httpx has no bound for it."""
        exchange: Exchange = request.extensions["exchange"]
        answer = self._pool.handle_request(_as_httpcore(request))
        extensions = _extensions(answer)
        body = exchange.answered(answer.status, answer.headers, extensions["http_version"])
        try:
            for block in answer.iter_stream():
                if not body.feed(block):
                    break
            body.end()
        finally:
            answer.close()
        return httpx.Response(answer.status)


class _TaskTransport(httpx.AsyncBaseTransport):
    def __init__(self, backend: TaskBackend, context: ssl.SSLContext | None) -> None:
        self.backend = backend
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_KEPT,
            keepalive_expiry=_KEPT_SECONDS,
            http2=_HTTP2,
            retries=0,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange, and collect the body here: httpx has no bound for it."""
        exchange: Exchange = request.extensions["exchange"]
        answer = await self._pool.handle_async_request(_as_httpcore(request))
        extensions = _extensions(answer)
        body = exchange.answered(answer.status, answer.headers, extensions["http_version"])
        try:
            async for block in answer.aiter_stream():
                if not body.feed(block):
                    # Not left by break, which would leave httpcore's generators to the garbage collector: without its
                    # connection the next turn ends them.
                    await extensions["network_stream"].aclose()
            body.end()
        finally:
            await answer.aclose()
        return httpx.Response(answer.status)


class _Client:
    """Where the connections of a client are.

    Args:
        shared: What its backend knows.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.in_flight = 0
        self.is_retired = False

    async def drop(self) -> None:
        """Close its connections, whichever event loop they were made on."""
        for stream in tuple(self._shared.streams):
            await stream.close()

    def abandon(self) -> None:
        """Forget its connections, which belong to the parent process."""
        for stream in tuple(self._shared.streams):
            stream.abandon()


class BlockingClient(_Client):
    """A client that blocks.

    Args:
        edge: Whose connections to use.
        tls: How to talk TLS; None for http.
        context: The same, made ready.
        route: How to get to a host, where not directly.
    """

    def __init__(self, edge: Edge, tls: TLS | None, context: ssl.SSLContext | None, route: Route | None) -> None:
        backend = BlockingBackend(edge, None if tls is None else tls.server_hostname, route)
        super().__init__(backend.shared)
        self._transport = _BlockingTransport(backend, context)

    def send(self, exchange: Exchange, deadline: float, now: float) -> None:
        """Have the exchange; its object knows the answer."""
        self._transport.handle_request(_as_httpx(exchange, deadline, now))  # its body has been collected


class TaskClient(_Client):
    """A client that suspends.

    Args:
        edge: Whose connections to use.
        tls: How to talk TLS; None for http.
        context: The same, made ready.
        route: How to get to a host, where not directly.
    """

    def __init__(self, edge: Edge, tls: TLS | None, context: ssl.SSLContext | None, route: Route | None) -> None:
        backend = TaskBackend(edge, None if tls is None else tls.server_hostname, route)
        super().__init__(backend.shared)
        self._transport = _TaskTransport(backend, context)

    async def send(self, exchange: Exchange, deadline: float, now: float) -> None:
        """Have the exchange; its object knows the answer."""
        request = _as_httpx(exchange, deadline, now)

        async def trace(name: str, info: dict[str, object]) -> None:
            exchange.trace(name, info)

        request.extensions.update({"trace": trace} if _HTTP2 else {})
        await self._transport.handle_async_request(request)  # its body has been collected


_LOOP: anyio.lowlevel.RunVar[object] = anyio.lowlevel.RunVar("mailkit_http_loop")


def current_loop() -> object:
    """Return what stands for the running event loop."""
    try:
        return _LOOP.get()
    except LookupError:
        token = object()
        _LOOP.set(token)
        return token


class _NoHeaders(logging.Filter):
    """Keeps hpack from logging what it encodes: keys travel in headers of every name."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


for _name in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_name).addFilter(_NoHeaders())
