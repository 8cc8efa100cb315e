"""The HTTP clients of an edge: one for each way to talk TLS, in one process, on one event loop.

Nothing here imports an HTTP library before the first request.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mailkit.edge.base import run_sync
from mailkit.errors import DeliveryTimeout

if TYPE_CHECKING:
    from mailkit.edge.base import TLS, Edge
    from mailkit.edge.http import Request, Response
    from mailkit.edge.http_client import BlockingClient, TaskClient
    from mailkit.edge.http_exchange import Exchange
    from mailkit.edge.waiter import Waiter

__all__ = ["BlockingClients", "TaskClients"]


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
        self._clients: dict[TLS, BlockingClient] = {}
        self._contexts: dict[TLS, Any] = {}  # not the edge's: these offer HTTP in their handshakes (ALPN)

    async def fetch(self, request: Request, deadline: float) -> Response:
        """See :meth:`mailkit.edge.base.Edge.fetch`."""
        from mailkit.edge.http_exchange import Exchange

        client = self._client(request.tls)
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

    def _client(self, tls: TLS) -> BlockingClient:
        if self._pid != os.getpid():
            self._pid, clients, self._clients = os.getpid(), self._clients, {}
            for each in clients.values():
                each.abandon()
        if tls in self._clients:
            return self._clients[tls]
        from mailkit.edge.http_client import BlockingClient  # loads httpx
        from mailkit.edge.tls import context_for  # loads ssl

        context = run_sync(context_for(tls, self._contexts, self._waiter))
        # Making one does no I/O, so of two threads that come here at once one just loses its own.
        return self._clients.setdefault(tls, BlockingClient(self._edge, tls, context))

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
        self._clients: dict[TLS, TaskClient] = {}
        self._contexts: dict[TLS, Any] = {}

    async def fetch(self, request: Request, deadline: float) -> Response:
        """See :meth:`mailkit.edge.base.Edge.fetch`."""
        from mailkit.edge.http_exchange import Exchange

        client = await self._client(request.tls)
        exchange = Exchange(request)
        now = self._edge.now()
        _check_time(deadline, now)
        client.in_flight += 1
        try:
            await client.send(exchange, deadline, now)
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

    def _retire(self, client: TaskClient, exchange: Exchange) -> None:
        """Send nothing new over an HTTP/2 connection on which a stream was left in the middle."""
        if exchange.stream_id is not None:
            client.is_retired = True
            self._clients = {tls: each for tls, each in self._clients.items() if each is not client}

    async def _client(self, tls: TLS) -> TaskClient:
        from mailkit.edge.http_client import TaskClient, current_loop  # loads httpx
        from mailkit.edge.tls import context_for  # loads ssl

        home = (os.getpid(), current_loop())
        if self._home is not None and home != self._home:
            clients, self._clients = self._clients, {}
            for client in clients.values():
                if home[0] == self._home[0]:
                    await client.drop()
                else:
                    client.abandon()
        self._home = home
        if tls not in self._clients:
            context = await context_for(tls, self._contexts, self._waiter)
            self._clients.setdefault(tls, TaskClient(self._edge, tls, context))  # another task may have been first
        return self._clients[tls]

    async def close(self) -> None:
        """Close every connection."""
        is_ours = self._home is None or self._home[0] == os.getpid()
        while self._clients:
            _, client = self._clients.popitem()
            if is_ours:
                await client.drop()
            else:
                client.abandon()


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
