"""A SQLite file that threads and processes share, for what policies have to remember."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from mailkit.errors import ConfigurationError, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Generator

    from mailkit.errors import Cause

__all__ = ["Database", "Stored"]

_BUSY: Final = 5.0
"""Seconds that somebody else's transaction is waited for; each takes a fraction of a millisecond."""

# What passes by itself; everything else waits until somebody has changed permissions or paths.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class Database:
    """A SQLite file. It has to lie on a local disk, as its write-ahead log is shared through memory.

    Connections are kept and lent to one thread at a time. A forked process opens its own: SQLite forbids to use the
    parent's. What was committed survives a crash of the process; a power cut may take back the last moments.

    Args:
        path: The file; it is made, readable by nobody but its owner, where there is none.
        schema: What makes its tables, where there are none.
        phase: What errors call it.

    Raises:
        ConfigurationError: `path` is no path.
    """

    def __init__(self, path: str | os.PathLike[str], schema: str, *, phase: str) -> None:
        try:
            self.path: Path = Path(path).absolute()
        except TypeError:
            msg = f"a database was given as {type(path).__name__}: give the path of its file"
            raise ConfigurationError(msg) from None
        self._schema = schema
        self._phase = phase
        self._idle: dict[int, deque[sqlite3.Connection]] = {}
        self._finalizer = weakref.finalize(self, _close, self._idle)

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """A connection for one statement that changes nothing.

        Raises:
            DeliveryError: The file cannot be used: whatever was to be sent was not.
        """
        with self._connection() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """A transaction: all of it is committed, or nothing.

        Raises:
            DeliveryError: As :meth:`reading`.
        """
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close what is not in use. The database can be used afterwards: it opens again."""
        _close(self._idle)

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection, None, None]:
        idle = self._idle.setdefault(os.getpid(), deque())
        connection: sqlite3.Connection | None = None
        try:
            try:
                connection = idle.pop()
            except IndexError:
                connection = self._connect()
            yield connection
            idle.append(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise self._unusable(error) from error
            raise

    def _connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        # Each connection serves one thread at a time, though not always the same one.
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            # Waits for whoever is making them at this moment, which the statements by themselves would not.
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema}; COMMIT")
            # Somebody else may be in the way; then he, or the next one, does it. It is a matter of speed.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _unusable(self, error: sqlite3.Error | OSError) -> DeliveryError:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        cause: Cause = "transient" if code is not None and code & 0xFF in _PASSING else "configuration"
        advice = "try again later" if cause == "transient" else "check its path and who may write there"
        reason = error.strerror if isinstance(error, OSError) else error
        return DeliveryError(
            f"the database {self.path.name} cannot be used: {reason}; nothing was sent, {advice}",
            outcome="not_sent",
            cause=cause,
            phase=self._phase,
        )


class Stored:
    """What is kept in a database: used in a ``with``, or closed by hand.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def close(self) -> None:
        """Close the file. It can be used afterwards: it opens again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return type(self), self.path

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, also in another process, opens the file by itself.
        return type(self), (self.path,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


def _close(idle: dict[int, deque[sqlite3.Connection]]) -> None:
    connections = idle.get(os.getpid(), deque[sqlite3.Connection]())
    while True:
        try:
            connections.pop().close()
        except IndexError:
            return
