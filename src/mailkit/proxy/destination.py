"""The host that a proxy is asked to connect to, checked where it goes onto the wire."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from mailkit.errors import ConfigurationError

__all__ = ["authority", "check_name", "literal"]

# Nothing that could end a line or a part of it: the caller's own check is not relied on.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?")
_HIGHEST_PORT = 65535


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that `host` is, or None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def check_name(host: str, port: int) -> None:
    """Refuse what is no host and port.

    Raises:
        ConfigurationError: `host` is neither a name in ASCII nor an IP address without a zone, or `port` is none.
    """
    # The zone behind a "%" is an interface of this machine, and means nothing to another (RFC 4007 §6).
    if not _NAME.fullmatch(host) and (literal(host) is None or "%" in host):
        raise ConfigurationError(
            f"{host[:255]!a} is no host that a proxy could connect to: give a name in ASCII or an IP address, without "
            "port, spaces, line ends or control characters"
        )
    if not 0 < port <= _HIGHEST_PORT:
        raise ConfigurationError(f"{port} is no port: give one from 1 to {_HIGHEST_PORT}")


def authority(host: str, port: int) -> str:
    """Return ``host:port`` (RFC 3986 §3.2), the host checked.

    Raises:
        ConfigurationError: One of them cannot be one.
    """
    check_name(host, port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
