"""The recipients of one message by the domain that takes their mail."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.address import Address
    from mailkit.envelope import Envelope

__all__ = ["by_domain", "is_reachable", "literal_address"]


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
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_multicast or parsed.is_unspecified:
        return False
    return private_networks or parsed.is_global
