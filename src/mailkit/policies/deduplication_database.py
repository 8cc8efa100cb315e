"""A store for deduplication in a SQLite file, which threads and processes share and which outlives them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mailkit.policies.database import Database, Stored
from mailkit.policies.deduplication_store import Entry, Found, claimed, judge

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.policies.deduplication_store import Claim, Settlement

__all__ = ["SQLiteDeduplicationStore"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
    key TEXT NOT NULL,
    recipient TEXT NOT NULL,
    content TEXT NOT NULL,
    owner TEXT NOT NULL,
    claimed_at REAL NOT NULL,
    until REAL NOT NULL,
    standing TEXT NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (key, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_end ON deliveries (until);
"""

_MINE: Final = "key = ? AND recipient = ? AND owner = ?"


class SQLiteDeduplicationStore(Stored):
    """Remembers in a SQLite file on a local disk, for all processes that open it, and for those that come after them.

    It holds digests alone: no addresses, keys or contents. What a process that crashed was sending is in doubt: it is
    an unknown outcome for whoever sends the same again.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from mailkit import Deduplicate, Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> letter = Message(from_="ada@example.com", to="bob@example.org", text="Hi", idempotency_key="order-17")
        >>> with TemporaryDirectory() as folder:
        ...     for _ in range(2):
        ...         with SQLiteDeduplicationStore(Path(folder, "sent.db")) as store:
        ...             print(Mailer(Deduplicate(MemoryTransport(), store=store)).send(letter).attempts)
        1
        0

    Args:
        path: The file; it is made where there is none.
        clock: Tells the time, in seconds, the same for all processes.

    Raises:
        ConfigurationError: It is no path.
    """

    blocks = True

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Database(path, _SCHEMA, phase="duplicate"))
        self._clock = clock

    @property
    def _identity(self) -> tuple[object, ...]:
        return (*super()._identity, self._clock)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), clock=self._clock), (self.path,)

    def claim(self, claim: Claim) -> Sequence[Found]:
        """Return what is known of each recipient, and claim the new ones.

        Raises:
            DeliveryError: The file cannot be used.
        """
        with self._database.writing() as connection:
            now = self._clock()
            connection.execute("DELETE FROM deliveries WHERE until <= ?", (now,))
            rows = connection.execute(
                "SELECT recipient, standing, evidence, content, owner, claimed_at, until FROM deliveries WHERE key = ?",
                (claim.key,),
            )
            found, is_claimed = judge(claim, {row[0]: _entry(row) for row in rows}, now)
            entry = claimed(claim, now)
            connection.executemany(
                "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (claim.key, recipient, entry.content, entry.owner, entry.claimed_at, entry.until, "busy", "")
                    for recipient, each in zip(claim.recipients, found, strict=True)
                    if is_claimed and each.standing == "new"
                ],
            )
        return found

    def settle(self, claim: Claim, settlements: Mapping[str, Settlement]) -> None:
        """Keep how the claimed copies ended.

        Raises:
            DeliveryError: The file cannot be used.
        """
        with self._database.writing() as connection:
            for recipient, settlement in settlements.items():
                mine = (claim.key, recipient, claim.owner)
                if settlement is None:
                    connection.execute(f"DELETE FROM deliveries WHERE {_MINE}", mine)  # noqa: S608 - a constant
                else:
                    until = self._clock() + claim.window
                    connection.execute(
                        f"UPDATE deliveries SET standing = ?, evidence = ?, until = ? WHERE {_MINE}",  # noqa: S608
                        (settlement.standing, settlement.evidence, until, *mine),
                    )

    def __len__(self) -> int:
        with self._database.reading() as connection:
            (count,) = connection.execute("SELECT count(DISTINCT key) FROM deliveries").fetchone()
        return int(count)


def _entry(row: tuple[Any, ...]) -> Entry:
    _, standing, evidence, content, owner, claimed_at, until = row
    return Entry(Found(standing, evidence), content=content, owner=owner, claimed_at=claimed_at, until=until)
