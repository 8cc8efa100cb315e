"""The HTTP clients of an edge: one for each way to talk TLS and each route, in one process, on one event loop.

Nothing here imports an HTTP library before the first request.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mailkit.edge.base import run_sync
from mailkit.errors import DeliveryTimeout

if TYPE_CHECKING:
    from mailkit.edge.base import Edge
    from mailkit.edge.http import Request, Response, Route
    from mailkit.edge.http_client import BlockingClient, TaskClient
    from mailkit.edge.http_exchange import Exchange
    from mailkit.edge.tls_options import TLS
    from mailkit.edge.waiter import Waiter

__all__ = ["BlockingClients", "TaskClients"]

_LAST_STREAM: Final = 1601
"""Streams have odd numbers, so this is a connection's 801st request; a hundred may be under way then. nginx ends a
connection with its 1000th one, by a GOAWAY before the answer. h2 takes no frame after it, so that answer is lost and
the message in doubt."""

Key: TypeAlias = "tuple[str, TLS | None, Route | None]"
"""What requests that may share a connection have in common: the scheme, how to talk TLS, and the route."""


class BlockingClients:
    """The HTTP clients of a blocking edge; threads share them.

    Args:
        edge: Whose connections to use.
        waiter: The edge's.
    """

    def __init__(self, edge: Edge, waiter: Waiter) -> None:
        self._edge = edge
        self._waiter = waiter
        self._pid = os.getpid()
        self._clients: dict[Key, BlockingClient] = {}
        self._contexts: dict[TLS, Any] = {}  # not the edge's: these offer HTTP in their handshakes (ALPN)
        self._making = edge.lock()

    async def fetch(self, request: Request, deadline: float) -> Response:
        """See :meth:`mailkit.edge.base.Edge.fetch`."""
        from mailkit.edge.http_exchange import Exchange

        client = self._client(_key(request))
        exchange = Exchange(request)
        now = self._edge.now()
        _check_time(deadline, now)
        try:
            client.send(exchange, deadline, now)
        except Exception as error:  # noqa: BLE001 - whatever a library raises
            return _concluded(exchange, error)
        except BaseException as interruption:
            _annotate(exchange, interruption)
            raise
        return exchange.response()

    def _client(self, key: Key) -> BlockingClient:
        if self._pid != os.getpid():
            # The lock as well: another thread of the parent may have held it.
            clients, self._making = self._clients, self._edge.lock()
            self._pid, self._clients = os.getpid(), {}
            for each in clients.values():
                each.abandon()
        return self._clients.get(key) or run_sync(self._made(key))

    async def _made(self, key: Key) -> BlockingClient:
        from mailkit.edge.http_client import BlockingClient  # loads httpx
        from mailkit.edge.tls import context_for  # loads ssl

        async with self._making:  # reading the system's authorities takes tens of milliseconds: once is enough
            client = self._clients.get(key)
            if client is None:
                context = None if key[1] is None else await context_for(key[1], self._contexts, self._waiter)
                client = self._clients[key] = BlockingClient(self._edge, key[1], context, key[2])
            return client

    async def close(self) -> None:
        """Close every connection."""
        is_ours = self._pid == os.getpid()
        while self._clients:
            _, client = self._clients.popitem()
            if is_ours:
                run_sync(client.drop())
            else:
                client.abandon()


class TaskClients:
    """The HTTP clients of a suspending edge. They outlive no event loop: httpcore's locks belong to one.

    Args:
        edge: Whose connections to use.
        waiter: The edge's.
    """

    def __init__(self, edge: Edge, waiter: Waiter) -> None:
        self._edge = edge
        self._waiter = waiter
        self._home: tuple[int, object] | None = None
        self._clients: dict[Key, TaskClient] = {}
        self._contexts: dict[TLS, Any] = {}
        self._making = edge.lock()

    async def fetch(self, request: Request, deadline: float) -> Response:
        """See :meth:`mailkit.edge.base.Edge.fetch`."""
        from mailkit.edge.http_exchange import Exchange

        client = await self._client(_key(request))
        exchange = Exchange(request)
        now = self._edge.now()
        _check_time(deadline, now)
        client.in_flight += 1
        try:
            await client.send(exchange, deadline, now)
            self._retire(client, exchange, _LAST_STREAM)
        except Exception as error:  # noqa: BLE001 - whatever a library raises
            self._retire(client, exchange)
            return _concluded(exchange, error)
        except BaseException as interruption:
            self._retire(client, exchange)
            _annotate(exchange, interruption)
            raise
        finally:
            client.in_flight -= 1
            if client.is_retired and not client.in_flight:
                async with self._edge.shield():
                    await client.drop()
        return exchange.response()

    def _retire(self, client: TaskClient, exchange: Exchange, since: int = 1) -> None:
        """Send nothing new over an HTTP/2 connection on which a stream was left in the middle, or which had many."""
        if exchange.stream_id is not None and exchange.stream_id >= since:
            client.is_retired = True
            self._clients = {key: each for key, each in self._clients.items() if each is not client}

    async def _client(self, key: Key) -> TaskClient:
        from mailkit.edge.http_client import TaskClient, current_loop  # loads httpx
        from mailkit.edge.tls import context_for  # loads ssl

        home = (os.getpid(), current_loop())
        if home != self._home:
            before, clients = self._home, self._clients
            self._home, self._clients, self._making = home, {}, self._edge.lock()
            for each in clients.values():
                if before is not None and before[0] == home[0]:
                    await each.drop()
                else:
                    each.abandon()
        async with self._making:
            if key not in self._clients:
                context = None if key[1] is None else await context_for(key[1], self._contexts, self._waiter)
                self._clients[key] = TaskClient(self._edge, key[1], context, key[2])
            return self._clients[key]

    async def close(self) -> None:
        """Close every connection."""
        is_ours = self._home is None or self._home[0] == os.getpid()
        while self._clients:
            _, client = self._clients.popitem()
            if is_ours:
                await client.drop()
            else:
                client.abandon()


def _key(request: Request) -> Key:
    is_tls = request.url.startswith("https:")
    return ("https", request.tls, request.route) if is_tls else ("http", None, request.route)


def _check_time(deadline: float, now: float) -> None:
    if deadline <= now:
        raise DeliveryTimeout("there was no time left for the request; allow it more", phase="connect")


def _concluded(exchange: Exchange, error: Exception) -> Response:
    """Return the answer where its head had come: nothing that happens afterwards undoes a status."""
    if exchange.has_answer:
        late = isinstance(error, DeliveryTimeout)
        return exchange.response("the deadline passed" if late else "the connection was lost")
    raise exchange.failure(error) from error


def _annotate(exchange: Exchange, interruption: BaseException) -> None:
    """Let an interruption say whether the server may act on the request."""
    interruption.__dict__["request_may_have_arrived"] = exchange.may_have_arrived(interrupted=True)
