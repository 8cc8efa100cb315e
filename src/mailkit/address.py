"""Address: one mailbox, parsed once and strictly, written again from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, final

from attrs import field, frozen

from mailkit.address_parser import AddrSpec, check_name, is_phrase, parse_addr_spec, parse_mailbox, quote
from mailkit.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Address"]


@final
@frozen(init=False, repr=False)
class Address:
    """One mailbox: an e-mail address, with or without a display name.

    The header fields and the SMTP envelope are written from the parts of the same object, so that no two
    parsers can read two recipients out of one text. Addresses are equal if local part, domain and name are.

    Example:
        >>> ada = Address.parse("Ada Lovelace <ada@EXAMPLE.com>")
        >>> ada.name, ada.email
        ('Ada Lovelace', 'ada@example.com')
        >>> str(Address("jane@faß.test", name="Doe, Jane"))
        '"Doe, Jane" <jane@faß.test>'
        >>> Address("jane@faß.test").addr_spec
        'jane@xn--fa-hia.test'

    Args:
        email: The address alone: ``"ada@example.com"``. With a name in the same text, use :meth:`parse`.
        name: The display name as people are to read it, neither quoted nor encoded; at most 998 characters.

    Raises:
        AddressError: One of the two is not valid; its `position` says where it stops being so.
    """

    email: str = field(eq=False)
    """The address as people write it: domain in Unicode and lower case, quotes only where they are needed."""
    name: str = field(kw_only=True)
    """The display name, ``""`` if there is none."""
    local_part: str = field(init=False)
    """What is before the @, in its own case (RFC 5321 §2.4) and NFC (RFC 6532 §3.1), without quotes."""
    domain: str = field(init=False)
    """What is after the @: a host name in Unicode and lower case, or an address literal: ``[192.0.2.1]``."""
    ascii_domain: str = field(init=False, eq=False)
    """The domain as DNS knows it: A-labels by UTS #46 and IDNA 2008 (RFC 5891), or the address literal."""
    addr_spec: str = field(init=False, eq=False)
    """The address in SMTP commands and header fields: A-labels after the @, at most 254 octets of UTF-8."""

    def __init__(self, email: str, *, name: str | None = None) -> None:
        name = "" if name is None else name
        _check_type(email)
        _check_type(name)
        check_name(name)
        _fill(self, name, parse_addr_spec(email))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that is written in a text.

        The name is taken as it stands: an encoded word (RFC 2047) in it is text like any other. The last 1024
        results are remembered.

        Args:
            text: ``user@host``, ``<user@host>``, ``Name <user@host>`` or ``"Quoted, Name" <user@host>``, with
                any number of spaces around it.

        Raises:
            AddressError: It is not one mailbox; its `position` says where it stops being one.
        """
        _check_type(text)
        return _parse(text)

    @classmethod
    def coerce(cls, value: str | Address) -> Address:
        """Return an address as it is and parse a string: what every parameter that takes an address does.

        Raises:
            AddressError: The string is not one mailbox, or the value is neither.
        """
        return value if isinstance(value, Address) else cls.parse(value)

    @classmethod
    def parse_many(cls, values: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
        """Return one address or any iterable of them as a tuple, in order.

        Args:
            values: A string is exactly one address: no list is ever taken out of one.

        Raises:
            AddressError: One of them is not one mailbox.
        """
        if isinstance(values, str | Address):
            return (cls.coerce(values),)
        if not isinstance(values, tuple | list):
            _check_iterable(values)
        return tuple([value if isinstance(value, Address) else cls.parse(value) for value in values])

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the local part is not ASCII: only an SMTPUTF8 server can take it (RFC 6531 §3.2)."""
        return not self.local_part.isascii()

    def __str__(self) -> str:
        """Return the display form, which :meth:`parse` reads back."""
        if not self.name:
            return self.email
        return f"{self.name if is_phrase(self.name) else quote(self.name)} <{self.email}>"

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Address({self.email!r}{name})"


def _fill(address: Address, name: str, parts: AddrSpec) -> None:
    keep = object.__setattr__  # past the frozen __setattr__, as attrs does it
    keep(address, "email", f"{parts.written_local_part}@{parts.domain}")
    keep(address, "name", name)
    keep(address, "local_part", parts.local_part)
    keep(address, "domain", parts.domain)
    keep(address, "ascii_domain", parts.ascii_domain)
    keep(address, "addr_spec", f"{parts.written_local_part}@{parts.ascii_domain}")


# Most programs send from few addresses, and often to the same people. What was refused is not remembered.
@lru_cache(maxsize=1024)
def _parse(text: str) -> Address:
    address = object.__new__(Address)
    _fill(address, *parse_mailbox(text))
    return address


def _check_type(value: object) -> None:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise AddressError(f"an address or its name was given as {kind}: give a str or an Address")


def _check_iterable(values: object) -> None:
    kind = type(values).__name__
    # Of a mapping only the keys would be taken, and the items of bytes are numbers.
    if isinstance(values, Mapping | bytes) or not hasattr(values, "__iter__"):
        raise AddressError(f"addresses were given as {kind}: give a str, an Address or an iterable of those")
