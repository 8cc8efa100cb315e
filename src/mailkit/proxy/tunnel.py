"""The exchange with a proxy over a stream, within one deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import ConnectError, DeliveryError
from mailkit.proxy.destination import authority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.edge import Edge, Stream
    from mailkit.proxy.exchange import Exchange
    from mailkit.proxy.proxy import Proxy

__all__ = ["connect_through"]


async def connect_through(
    edge: Edge,
    proxy: Proxy,
    host: str,
    port: int,
    *,
    deadline: float,
    source_address: str | Sequence[str] | None = None,
) -> Stream:
    """Return a stream to `host` and `port` that `proxy` has connected.

    Args:
        edge: What all I/O goes through.
        proxy: The proxy.
        host: A name, which the proxy looks up, or an IP address.
        port: The port.
        deadline: When to give up: DNS and TCP, TLS and the exchange with the proxy together.
        source_address: From where to connect to the proxy.

    Raises:
        ConfigurationError: `host` or `port` cannot be one; nothing was connected to.
        DeliveryError: The proxy could not be reached, or refused, or broke the protocol; nothing was sent.
    """
    where = authority(host, port)
    try:
        stream = await edge.connect_tcp(
            proxy.host, proxy.effective_port, deadline=deadline, source_address=source_address
        )
    except DeliveryError as error:
        raise _of(proxy, error) from error
    try:
        if proxy.scheme == "https":
            await stream.start_tls(proxy.tls, proxy.host, deadline=deadline)
        early = await _run(proxy.exchange(host, port), stream, deadline)
    except DeliveryError as error:
        await stream.close()
        raise _of(proxy, error) from error
    except BaseException:
        await stream.close()
        raise
    stream.enter_tunnel(f"{where} (through {proxy})", early)
    return stream


async def _run(exchange: Exchange, stream: Stream, deadline: float) -> bytes:
    """Hold the conversation; return what came behind the proxy's last word."""
    outgoing = next(exchange)
    while True:
        if outgoing:
            await stream.send(outgoing, deadline=deadline)
        received = await stream.receive(deadline=deadline)
        if not received:
            raise ConnectError("it closed the connection in the middle of its answer; try again later")
        try:
            outgoing = exchange.send(received)
        except StopIteration as stop:
            early: bytes = stop.value
            return early


def _of(proxy: Proxy, error: DeliveryError) -> DeliveryError:
    """Return the error as one of the proxy's: whoever reads it would look for the fault at the mail server."""
    return type(error)(
        f"the proxy {proxy}: {error}",
        cause=error.cause,
        phase="bind" if error.phase == "bind" else "proxy",
        retry_after=error.retry_after,
    )
