"""What a queue's workers know of each other's attempts: one that was killed is told from one that never began."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

from mailkit.errors import ConfigurationError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from redis import Redis

__all__ = ["WEEK", "Journal", "RedisJournal", "write_or_log"]

T = TypeVar("T")

WEEK: Final = 7 * 24 * 60 * 60
"""Seconds."""


@runtime_checkable
class Journal(Protocol):
    """Short notes by key, shared by all workers; they outlive each of them. Redis, or a table of a database, will do.

    A queue that forgets no job delivers one again when its worker was killed, or was too slow. Only a note from before
    says that this is so. Whoever cannot reach the store raises :class:`mailkit.ConnectError`.
    """

    def claim(self, key: str, note: str) -> str | None:
        """Write a note if there is none of that key, atomically; return the one that there is."""
        ...

    def read(self, key: str) -> str | None:
        """Return the note."""
        ...

    def write(self, key: str, note: str) -> None:
        """Replace the note."""
        ...

    def forget(self, key: str) -> None:
        """Remove the note."""
        ...


class RedisJournal:
    """A journal in Redis, as most brokers of task queues are.

    Example:
        >>> from redis import Redis
        >>> journal = RedisJournal(Redis(host="localhost"))

    Args:
        client: A client; or a function that returns a context manager, which gives one.
        seconds: How long a note is kept: longer than a job may wait for its next attempt, or for being redelivered.
        prefix: What its keys begin with.

    Raises:
        ConfigurationError: `seconds` is not positive.
    """

    def __init__(
        self,
        client: Redis | Callable[[], AbstractContextManager[Redis]],
        *,
        seconds: int = WEEK,
        prefix: str = "mailkit:job:",
    ) -> None:
        if seconds <= 0:
            raise ConfigurationError(f"seconds={seconds} would forget at once: keep notes for a day or longer")
        self._lend = client if callable(client) else lambda: nullcontext(client)
        self._seconds = seconds
        self._prefix = prefix

    def claim(self, key: str, note: str) -> str | None:
        """Write a note if there is none of that key, atomically; return the one that there is.

        Raises:
            ConnectError: Redis could not be asked.
        """

        def ask(client: Redis) -> str | None:
            while not client.set(self._prefix + key, note, nx=True, ex=self._seconds):
                found = self._read(client, key)
                if found is not None:  # else it was removed between the two
                    return found
            return None

        return self._ask(ask)

    def read(self, key: str) -> str | None:
        """Return the note.

        Raises:
            ConnectError: Redis could not be asked.
        """
        return self._ask(lambda client: self._read(client, key))

    def write(self, key: str, note: str) -> None:
        """Replace the note.

        Raises:
            ConnectError: Redis could not be told.
        """
        self._ask(lambda client: client.set(self._prefix + key, note, ex=self._seconds))

    def forget(self, key: str) -> None:
        """Remove the note.

        Raises:
            ConnectError: Redis could not be told.
        """
        self._ask(lambda client: client.delete(self._prefix + key))

    def _read(self, client: Redis, key: str) -> str | None:
        found = client.get(self._prefix + key)
        # What a client gives back depends on its decode_responses.
        return found.decode() if isinstance(found, bytes) else found

    def _ask(self, question: Callable[[Redis], T]) -> T:
        from redis.exceptions import RedisError

        try:
            with self._lend() as client:
                return question(client)
        except (RedisError, OSError) as error:
            raise ConnectError(
                f"the journal of mail jobs cannot be reached in Redis ({error}): see that it runs", phase="journal"
            ) from error


def write_or_log(action: Callable[[], None]) -> None:
    """Write to a journal; where that fails, what was done stands all the same."""
    try:
        action()
    except ConnectError:
        logging.getLogger("mailkit.queue").exception(
            "a mail job has ended, and the journal could not be told: if the queue delivers it again, it is taken for "
            "one whose worker was killed"
        )
