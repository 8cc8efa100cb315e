"""The mail exchangers that a channel has to do with: a bounded number, and none for longer than it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.mx.host import Host

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.mx.host_security import HostSecurity
    from mailkit.mx.transport import DirectMX

__all__ = ["Hosts"]

MOST: Final = 100
"""Hosts with a pool of connections; the one that was used longest ago gives way."""


class Hosts:
    """The hosts, by name and by what they have to show.

    Threads and tasks share it without a lock, which a fork could leave locked: each step is atomic, and a host that
    loses its place between two of them serves whoever has it, and closes its connections when they come back.

    Args:
        transport: What it was told.
        edge: What all I/O goes through.
    """

    def __init__(self, transport: DirectMX, edge: Edge) -> None:
        self._transport = transport
        self._edge = edge
        self._hosts: dict[tuple[str, HostSecurity], Host] = {}

    async def get(self, name: str, security: HostSecurity, addresses: tuple[str, ...], *, others: int = 0) -> Host:
        """Return the host.

        Args:
            name: Its name.
            security: What it has to show.
            addresses: Where connections are made to from now on.
            others: How many other hosts may have to be connected to for the same message.
        """
        host = self._hosts.get((name, security))
        if host is None:
            made = Host(self._transport, self._edge, name, security)
            host = self._hosts.setdefault((name, security), made)
        host.addresses, host.others = addresses, others
        host.used_at = self._edge.now()
        await self._close_some()
        return host

    async def _close_some(self) -> None:
        oldest = sorted(self._hosts.copy().items(), key=lambda each: each[1].used_at)
        surplus = len(oldest) - MOST
        before = self._edge.now() - self._transport.pool.idle_timeout
        for key in [key for place, (key, host) in enumerate(oldest) if place < surplus or host.used_at < before]:
            host = self._hosts.pop(key, None)
            if host is not None:
                await host.close()

    async def close(self) -> None:
        """Close every connection."""
        while self._hosts:
            _, host = self._hosts.popitem()
            await host.close()
