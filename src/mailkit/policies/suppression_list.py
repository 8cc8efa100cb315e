"""Who is not to be written to, and why: the protocol, and a list in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, cast, runtime_checkable

from mailkit.policies.entries import address_key, domain_key, entry_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailkit.address import Address

__all__ = ["DEFAULT_REASON", "MemorySuppressionList", "SuppressionList", "reason_in", "rows_of"]

DEFAULT_REASON: Final = "on the suppression list"
"""Why somebody is suppressed where nobody said why."""


@runtime_checkable
class SuppressionList(Protocol):
    """What :class:`mailkit.Suppress` asks. Write your own in front of whatever holds your list.

    Example:
        >>> class Unsubscribed:
        ...     blocks = False
        ...
        ...     def reasons(self, addresses):
        ...         return ["unsubscribed" if address.email == "bob@example.org" else None for address in addresses]
        >>> isinstance(Unsubscribed(), SuppressionList)
        True
    """

    @property
    def blocks(self) -> bool:
        """Whether :meth:`reasons` may have to wait for a file or a database: then it is called in a thread."""
        ...

    def reasons(self, addresses: Sequence[Address]) -> Sequence[str | None]:
        """Return why each address is suppressed, or None where it is not; one for each, in order.

        It is called once for each message, by several threads at once. Whatever it raises keeps the message from being
        sent.
        """
        ...


def rows_of(
    entries: Iterable[str | Address | tuple[str | Address, str]] | Mapping[str, str], reason: str
) -> list[tuple[str, str]]:
    """Return entries in the form in which they are compared, each with its reason.

    Raises:
        AddressError: One of them is none.
    """
    if isinstance(entries, Mapping):
        return [(entry_key(entry), why or reason) for entry, why in cast("Mapping[str, str]", entries).items()]
    rows: list[tuple[str, str]] = []
    for each in entries:
        entry, why = each if isinstance(each, tuple) else (each, reason)
        rows.append((entry_key(entry), why or reason))
    return rows


def reason_in(reasons: Mapping[str, str], address: Address) -> str | None:
    """Return why an address is suppressed: what is said of itself, else of its domain."""
    key = address_key(address)
    return reasons.get(key if key in reasons else domain_key(address))


class MemorySuppressionList:
    """A suppression list in memory, shared by the threads and mailers of a process.

    Example:
        >>> from mailkit import Address
        >>> suppressed = MemorySuppressionList(["@example.net", ("bob@example.org", "hard bounce")])
        >>> suppressed.reasons([Address("BOB@example.org"), Address("eve@example.org")])
        ['hard bounce', None]

    Args:
        entries: Addresses, and ``"@example.com"`` for all addresses of a domain; each alone, or with a reason as a pair
            or in a mapping.

    Raises:
        AddressError: One of them is neither.
    """

    blocks = False

    def __init__(self, entries: Iterable[str | Address | tuple[str | Address, str]] | Mapping[str, str] = ()) -> None:
        self._reasons: dict[str, str] = {}
        self.update(entries)

    def reasons(self, addresses: Sequence[Address]) -> Sequence[str | None]:
        """Return why each address is suppressed, or None where it is not."""
        return [reason_in(self._reasons, address) for address in addresses]

    def add(self, entry: str | Address, reason: str = DEFAULT_REASON) -> None:
        """Add an address, or a domain: ``"@example.com"``.

        Raises:
            AddressError: It is neither.
        """
        self.update([(entry, reason)])

    def update(
        self,
        entries: Iterable[str | Address | tuple[str | Address, str]] | Mapping[str, str],
        reason: str = DEFAULT_REASON,
    ) -> None:
        """Add many entries, all or none of them.

        Args:
            entries: As for the whole list.
            reason: Why, for those without a reason of their own.

        Raises:
            AddressError: One of them is no entry.
        """
        self._reasons.update(rows_of(entries, reason))

    def remove(self, entry: str | Address) -> bool:
        """Remove an entry; return whether it was there.

        Raises:
            AddressError: It is none.
        """
        return self._reasons.pop(entry_key(entry), None) is not None

    def __len__(self) -> int:
        return len(self._reasons)
