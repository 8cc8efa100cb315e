"""The name by which a client greets: a domain or an address literal (RFC 5321 §4.1.1.1, §4.1.3)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from mailkit.errors import ConfigurationError

__all__ = ["check_ehlo_name", "default_ehlo_name"]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# No top-level domain is a number (RFC 3696 §2).
_DOMAIN = re.compile(rf"(?=.{{1,255}}\Z)(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}", re.ASCII)
_LOOPBACK = "[127.0.0.1]"  # what RFC 5321 §4.1.4 leaves to a host without a name that others could resolve


def check_ehlo_name(name: str) -> str:
    """Return `name` if a server may be greeted with it.

    Raises:
        ConfigurationError: It is neither a domain of ASCII letters, digits and hyphens nor an address
            literal.
    """
    if not _DOMAIN.fullmatch(name) and not _is_literal(name):
        raise ConfigurationError(
            f"{name!r} cannot be an EHLO name: give this machine's domain name, with A-labels, or an address "
            "literal such as '[192.0.2.1]' or '[IPv6:2001:db8::1]'"
        )
    return name


def default_ehlo_name(hostname: str) -> str:
    """Return what to greet with on a machine that calls itself `hostname`.

    Many servers refuse names without a dot or with an underscore, as containers have them; an address literal
    is always valid.

    Example:
        >>> default_ehlo_name("web1.example.com"), default_ehlo_name("web_1"), default_ehlo_name("192.0.2.7")
        ('web1.example.com', '[127.0.0.1]', '[192.0.2.7]')
    """
    name = hostname.removesuffix(".")
    if "." in name and _DOMAIN.fullmatch(name):
        return name
    for literal in (f"[{name}]", f"[IPv6:{name}]"):
        if _is_literal(literal):
            return literal
    return _LOOPBACK


def _is_literal(name: str) -> bool:
    if not (name.startswith("[") and name.endswith("]")):
        return False
    address = name[1:-1]
    try:
        # IPv6 zones ("%eth0") are Python's; RFC 5321 §4.1.3 knows none.
        if address[:5].upper() == "IPV6:" and "%" not in address:
            IPv6Address(address[5:])
        else:
            IPv4Address(address)
    except ValueError:
        return False
    return True
