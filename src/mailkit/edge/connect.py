"""Connecting: every address of a host, the families taking turns, a new attempt every 250 ms (RFC 8305).

All attempts run on non-blocking sockets and one wait watches them all, so both edges share this code.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from mailkit.edge.failures import cannot_connect, reason_of, timed_out
from mailkit.edge.resolve import literals, resolve, source_of
from mailkit.edge.stream import SocketStream
from mailkit.errors import ConfigurationError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mailkit.edge.resolve import Endpoint
    from mailkit.edge.tls_options import TLS
    from mailkit.edge.waiter import Waiter

__all__ = ["connect_tcp", "connect_unix"]

_STAGGER = 0.25  # RFC 8305 §5: the recommended Connection Attempt Delay
_ASK_AGAIN = 0.01
# What is due to this machine's end alone, where it was chosen: an address that is not ours, without a free port, or
# without a route to the other end.
_OUR_END = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EINVAL, errno.ENETUNREACH})
_IN_PROGRESS = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})


async def connect_tcp(
    waiter: Waiter,
    contexts: dict[TLS, Any],
    host: str,
    port: int,
    *,
    deadline: float,
    source_address: str | Sequence[str] | None,
    addresses: Sequence[str] = (),
) -> SocketStream:
    """Return a stream to the first address that answers; `contexts` holds the edge's TLS contexts."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sources = _sources(source_address)
    endpoints = literals(addresses, port) if addresses else await resolve(waiter, host, port, deadline)
    if sources:
        endpoints = [endpoint for endpoint in endpoints if endpoint.family in sources]
        if not endpoints:
            raise ConnectError(
                f"{host} has no address of the family of source_address {source_address!r}; leave it out, or "
                "use one of the other family",
                cause="configuration",
                phase="connect",
            )
    race = _Race(waiter=waiter, sources=sources)
    try:
        sock, endpoint = await race.run(endpoints, target, deadline)
    finally:
        race.close()
    return SocketStream(sock, str(endpoint), waiter, contexts)


def _sources(source_address: str | Sequence[str] | None) -> dict[int, Endpoint]:
    """Return what to bind to, for each family."""
    given = (source_address,) if isinstance(source_address, str) else source_address or ()
    sources: dict[int, Endpoint] = {}
    for source in map(source_of, given):
        sources.setdefault(source.family, source)
    return sources


@frozen(kw_only=True)
class _Race:
    """Attempts under way, and how the others failed."""

    waiter: Waiter
    sources: dict[int, Endpoint]
    running: dict[int, tuple[socket.socket, Endpoint]] = field(factory=dict[int, "tuple[socket.socket, Endpoint]"])
    failed: list[tuple[Endpoint, OSError]] = field(factory=list["tuple[Endpoint, OSError]"])

    async def run(self, endpoints: list[Endpoint], target: str, deadline: float) -> tuple[socket.socket, Endpoint]:
        waiting = list(reversed(endpoints))
        next_start = self.waiter.now()
        while waiting or self.running:
            now = self.waiter.now()
            if waiting and (not self.running or now >= next_start):
                self._start(waiting.pop())
                next_start = now + _STAGGER
            wake_up = min(deadline, next_start) if waiting else deadline
            ready = await self.waiter.any_ready((), tuple(self.running), wake_up) if self.running else ()
            for fd in ready:
                if winner := self._finish(fd):
                    return winner
            if ready:
                next_start = now  # a failure is no reason to wait for the next address
            elif self.running and self.waiter.now() >= deadline:
                raise timed_out(f"{target} did not answer{self._how_others_failed()}", "connect")
        raise self._failure(target)

    def _start(self, endpoint: Endpoint) -> None:
        try:
            sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
        except OSError as error:
            self.failed.append((endpoint, error))
            return
        self.running[sock.fileno()] = (sock, endpoint)
        try:
            sock.settimeout(0.0)
            # One write is one packet: Nagle's algorithm would hold the second until the first is
            # acknowledged.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.sources:
                sock.bind(self.sources[endpoint.family].address)
            code = _connect(sock, endpoint.address)
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code and code not in _IN_PROGRESS:
            self._fail(sock.fileno(), code)

    def _finish(self, fd: int) -> tuple[socket.socket, Endpoint] | None:
        sock, endpoint = self.running[fd]
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(fd, code)
            return None
        del self.running[fd]
        return sock, endpoint

    def _fail(self, fd: int, code: int) -> None:
        sock, endpoint = self.running.pop(fd)
        sock.close()
        self.failed.append((endpoint, OSError(code, os.strerror(code))))

    def _failure(self, target: str) -> ConnectError:
        is_ours = self.sources and all(error.errno in _OUR_END for _endpoint, error in self.failed)
        phase = "bind" if is_ours else "connect"
        if len(self.failed) == 1:
            return cannot_connect(self.failed[0][1], target, self._advice(), phase)
        causes = {cannot_connect(error, target, "").cause for _endpoint, error in self.failed}
        return ConnectError(
            f"cannot connect to {target} at any of {len(self.failed)} addresses{self._how_others_failed()}; "
            f"{self._advice()}",
            cause="configuration" if causes == {"configuration"} else "transient",
            phase=phase,
        )

    def _how_others_failed(self) -> str:
        each = ", ".join(f"{endpoint}: {reason_of(error)}" for endpoint, error in self.failed)
        return f" ({each})" if each else ""

    def _advice(self) -> str:
        names = " or ".join(repr(source.host) for source in self.sources.values())
        return "check that the server runs and can be reached" + (f" from source_address {names}" if names else "")

    def close(self) -> None:
        for sock, _endpoint in self.running.values():
            sock.close()


async def connect_unix(waiter: Waiter, contexts: dict[TLS, Any], path: Path, *, deadline: float) -> SocketStream:
    """Return a stream to a UNIX domain socket."""
    name = os.fspath(path)
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise ConfigurationError(f"{name} cannot be connected to: this system has no UNIX domain sockets; use TCP")
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise cannot_connect(error, name, "try again later") from error
    try:
        sock.settimeout(0.0)
        await _connect_unix(waiter, sock, name, deadline)
    except BaseException:
        sock.close()
        raise
    return SocketStream(sock, name, waiter, contexts)


async def _connect_unix(waiter: Waiter, sock: socket.socket, name: str, deadline: float) -> None:
    # EAGAIN: the listener's queue is full. Nothing tells when it has room, so ask again.
    while (code := _connect(sock, name)) == errno.EAGAIN:
        if waiter.now() >= deadline:
            raise timed_out(f"{name} did not answer", "connect")
        await waiter.any_ready((), (), min(deadline, waiter.now() + _ASK_AGAIN))
    if code:
        error = OSError(code, os.strerror(code))
        raise cannot_connect(error, name, "check that the server runs and listens there")


def _connect(sock: socket.socket, address: Any) -> int:
    """Begin to connect, and return the error number."""
    try:
        return sock.connect_ex(address)
    except OSError as error:  # the address itself is wrong: a path too long
        return error.errno or errno.EINVAL
