"""A suppression list in a SQLite file, which threads and processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.policies.database import Database, Stored
from mailkit.policies.entries import address_key, domain_key, entry_key
from mailkit.policies.suppression_list import DEFAULT_REASON, reason_in, rows_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from mailkit.address import Address

__all__ = ["SQLiteSuppressionList"]

_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS suppressed (entry TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID"
_AT_ONCE: Final = 500  # SQLite's oldest bound on the parameters of one statement is 999


class SQLiteSuppressionList(Stored):
    """A suppression list in a SQLite file on a local disk.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from mailkit import Address
        >>> with TemporaryDirectory() as folder, SQLiteSuppressionList(Path(folder, "suppressed.db")) as suppressed:
        ...     suppressed.update({"bob@example.org": "unsubscribed", "@example.net": "no such domain"})
        ...     suppressed.reasons([Address("bob@example.org"), Address("eve@example.net"), Address("a@example.org")])
        ['unsubscribed', 'no such domain', None]

    Args:
        path: The file; it is made where there is none.

    Raises:
        ConfigurationError: It is no path.
    """

    blocks = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(Database(path, _SCHEMA, phase="suppressed"))

    def reasons(self, addresses: Sequence[Address]) -> Sequence[str | None]:
        """Return why each address is suppressed, or None where it is not.

        Raises:
            DeliveryError: The file cannot be used.
        """
        keys = list(dict.fromkeys(key for each in addresses for key in (address_key(each), domain_key(each))))
        found: dict[str, str] = {}
        with self._database.reading() as connection:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                wanted = ", ".join("?" * len(some))
                found.update(
                    connection.execute(
                        f"SELECT entry, reason FROM suppressed WHERE entry IN ({wanted})",  # noqa: S608 - marks only
                        some,
                    )
                )
        return [reason_in(found, address) for address in addresses]

    def add(self, entry: str | Address, reason: str = DEFAULT_REASON) -> None:
        """Add an address, or a domain: ``"@example.com"``.

        Raises:
            AddressError: It is neither.
            DeliveryError: The file cannot be used.
        """
        self.update([(entry, reason)])

    def update(
        self,
        entries: Iterable[str | Address | tuple[str | Address, str]] | Mapping[str, str],
        reason: str = DEFAULT_REASON,
    ) -> None:
        """Add many entries, all or none of them: a provider's export, say.

        Args:
            entries: Addresses and domains; each alone, or with a reason as a pair or in a mapping.
            reason: Why, for those without a reason of their own.

        Raises:
            AddressError: One of them is no entry.
            DeliveryError: The file cannot be used.
        """
        rows = rows_of(entries, reason)
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO suppressed (entry, reason) VALUES (?, ?)", rows)

    def remove(self, entry: str | Address) -> bool:
        """Remove an entry; return whether it was there.

        Raises:
            AddressError: It is none.
            DeliveryError: The file cannot be used.
        """
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM suppressed WHERE entry = ?", (entry_key(entry),)).rowcount > 0

    def __len__(self) -> int:
        with self._database.reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM suppressed").fetchone()
        return int(count)
