"""The recipients of one message by the domain that takes their mail."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailkit.address import Address
    from mailkit.envelope import Envelope

__all__ = ["by_domain", "is_reachable", "literal_address"]

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


def by_domain(envelope: Envelope) -> dict[str, tuple[Address, ...]]:
    """Return the recipients of each domain (in A-labels) or address literal, in the envelope's order."""
    groups: dict[str, list[Address]] = {}
    for path in envelope.rcpt_to:
        groups.setdefault(path.ascii_domain, []).append(path)
    return {domain: tuple(paths) for domain, paths in groups.items()}


def literal_address(domain: str) -> str | None:
    """Return the IP address of an address literal (RFC 5321 §4.1.3), or None for a name."""
    if not domain.startswith("["):
        return None
    return domain[1:-1].removeprefix("IPv6:")


def is_reachable(address: str, *, private_networks: bool) -> bool:
    """Whether an address may be connected to: one of the public Internet, or also one of a private network.

    A recipient's domain belongs to strangers, who may point it at this machine or at its neighbours.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        parsed = _embedded(parsed) or parsed
    if parsed.is_multicast or parsed.is_unspecified:
        return False
    return private_networks or parsed.is_global


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4 (RFC 3056) or NAT64 (RFC 6052)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
