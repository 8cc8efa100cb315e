"""An entry of a list of recipients: one address, or a whole domain.

Domains are compared as DNS knows them (IDNA, lower case). Local parts are compared without regard to case: RFC 5321
§2.4 leaves that to the receiving host, hardly any host tells two mailboxes apart by it, and who is taken for somebody
on a list by mistake is worse off the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.address import Address
from mailkit.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["address_key", "domain_key", "entry_key", "is_listed"]


def address_key(address: Address) -> str:
    """Return the entry that stands for one address, which is an entry itself.

    Example:
        >>> address_key(Address("Ada.Lovelace@FAß.test")), address_key(Address('"Ada L"@example.com'))
        ('ada.lovelace@xn--fa-hia.test', '"ada l"@example.com')
    """
    return address.addr_spec.casefold()


def domain_key(address: Address) -> str:
    """Return the entry that stands for all addresses of a domain, though not of its subdomains: ``"@example.com"``."""
    return f"@{address.ascii_domain}"


def entry_key(entry: str | Address) -> str:
    """Return an entry in the form in which entries are compared.

    Args:
        entry: An address, or ``"@example.com"`` for all addresses of that domain.

    Raises:
        AddressError: It is neither.
    """
    if isinstance(entry, Address):
        return address_key(entry)
    text = str(entry).strip()
    if not text.startswith("@"):
        return address_key(Address.parse(text))
    try:
        return domain_key(Address(f"postmaster{text}"))
    except AddressError as error:
        msg = f"{text!r} does not name a domain ({error}): write it as '@example.com'"
        raise AddressError(msg, value=text) from None


def is_listed(address: Address, entries: Container[str]) -> bool:
    """Whether an address, or its whole domain, is among some entries.

    Args:
        address: The address.
        entries: What :func:`entry_key` returned for each.
    """
    return domain_key(address) in entries or address_key(address) in entries
