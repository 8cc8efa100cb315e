"""Names to addresses, within the deadline, in the order in which to try them."""

from __future__ import annotations

import socket
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailkit.edge.failures import timed_out
from mailkit.errors import ConfigurationError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.edge.waiter import Waiter

__all__ = ["Endpoint", "interleave", "literals", "resolve", "source_of"]

_LONGEST_PORT = 65535
_LONGEST_NAME = 255  # RFC 1035 §2.3.4

# getaddrinfo(3). The last is a name without addresses of a family, which some systems tell apart.
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_NO_SUCH_FAMILY = getattr(socket, "EAI_ADDRFAMILY", socket.EAI_NONAME)


@frozen
class Endpoint:
    """One address to try.

    Args:
        family: Such as ``socket.AF_INET6``.
        address: What ``socket.connect`` takes.
    """

    family: int
    address: Any

    @property
    def host(self) -> str:
        """The address without its port."""
        return str(self.address[0])

    def __str__(self) -> str:
        host, port = self.address[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


def _look_up(host: bytes, port: int, flags: int) -> list[Endpoint]:
    # As bytes, which spares the IDNA codec: the host is in A-labels already.
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags)
    return list(dict.fromkeys(Endpoint(family, address) for family, _type, _proto, _name, address in found))


def _literal(host: bytes, port: int) -> list[Endpoint]:
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


def _checked(host: str) -> bytes:
    if not host or len(host) > _LONGEST_NAME or not all("!" <= character <= "~" for character in host):
        raise ConfigurationError(
            f"{host[:_LONGEST_NAME]!a} is no host: give a name in ASCII (A-labels where it is international) "
            "or an IP address, without spaces, line ends or control characters"
        )
    return host.encode("ascii")


def source_of(address: str) -> Endpoint:
    """Return what to bind to for a source address.

    Raises:
        ConfigurationError: It is no IP address.
    """
    found = _literal(_checked(address), 0)
    if not found:
        raise ConfigurationError(f"source_address {address!r} is no IP address; give one of this machine's own")
    return found[0]


def literals(addresses: Sequence[str], port: int) -> list[Endpoint]:
    """Return what to dial for IP addresses that were looked up already, in their order.

    Raises:
        ConfigurationError: One is no IP address.
    """
    endpoints: list[Endpoint] = []
    for address in addresses:
        found = _literal(_checked(address), port)
        if not found:
            raise ConfigurationError(f"{address!r} is no IP address; look names up first")
        endpoints += found
    return endpoints


async def resolve(waiter: Waiter, host: str, port: int, deadline: float) -> list[Endpoint]:
    """Return the host's addresses, the families taking turns.

    Raises:
        ConfigurationError: `host` or `port` cannot be one.
        ConnectError: There is no such name (``cause="configuration"``), or no name server answers.
        DeliveryTimeout: The resolver took too long; it goes on in a thread of its own that nobody waits for.
    """
    name = _checked(host)
    if not 0 < port <= _LONGEST_PORT:
        raise ConfigurationError(f"{port} is no port: give one from 1 to {_LONGEST_PORT}")
    if literal := _literal(name, port):
        return literal
    try:
        found = await waiter.in_abandoned_thread(lambda: _look_up(name, port, 0), deadline)
    except socket.gaierror as error:
        raise _not_resolved(error, host) from error
    except (OSError, UnicodeError) as error:
        raise ConnectError(
            f"the name {host!r} could not be looked up: {error}; try again later",
            phase="connect",
        ) from error
    if found is None:
        raise timed_out(f"the name {host!r} could not be looked up", "connect")
    return interleave(found)


def _not_resolved(error: socket.gaierror, host: str) -> ConnectError:
    if error.errno in _NO_SUCH_NAME or error.errno == _NO_SUCH_FAMILY:
        return ConnectError(
            f"there is no address for the name {host!r} ({error.strerror}); check how it is spelled",
            cause="configuration",
            phase="connect",
        )
    return ConnectError(
        f"the name {host!r} could not be looked up ({error.strerror}); check the name servers, or try again later",
        phase="connect",
    )


def interleave(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Let the families take turns, beginning with the one that the resolver prefers (RFC 8305 §4)."""
    families: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints:
        families.setdefault(endpoint.family, []).append(endpoint)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [endpoint for endpoint in turns if endpoint is not None]
