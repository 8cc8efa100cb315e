"""The host of a server: checked, and in the form that DNS and certificates know."""

from __future__ import annotations

import re
from ipaddress import ip_address

from mailkit.errors import AddressError, ConfigurationError

__all__ = ["check_host", "is_address", "is_loopback"]

# Not only RFC 1123 names: container networks give their hosts underscores.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


def check_host(host: str) -> str:
    """Return a host name in ASCII (IDNA 2008), or an IP address without brackets.

    Raises:
        ConfigurationError: It is neither.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if _NAME.fullmatch(bare) or is_address(bare):
        return bare
    if not bare.isascii():
        from mailkit.address_domain import parse_domain

        try:
            return parse_domain(bare, 0, len(bare))[1]
        except AddressError as error:
            msg = f"{bare!r} is no host name: {error}"
            raise ConfigurationError(msg) from None
    msg = f"{bare!r} is no host name or IP address: give the bare name, without scheme, port or path"
    raise ConfigurationError(msg)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, so that nothing leaves it."""
    if is_address(host):
        return ip_address(host).is_loopback
    return host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost")  # RFC 6761 §6.3


def is_address(host: str) -> bool:
    """Whether the host is an IP address, and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
