from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from mailkit import ConfigurationError, ConnectError
from mailkit.integrations.queue_journal import Journal, RedisJournal

if TYPE_CHECKING:
    from collections.abc import Callable


class Store:
    """Stands where a client of Redis stands: the four commands that a journal needs."""

    def __init__(self, *, decodes: bool) -> None:
        self.kept: dict[str, str] = {}
        self.seconds: set[int] = set()
        self._decodes = decodes
        self.before_get: Callable[[], object] = lambda: None

    def set(self, key: str, value: str, *, ex: int, nx: bool = False) -> bool | None:
        """Keep a value."""
        self.seconds.add(ex)
        if nx and key in self.kept:
            return None
        self.kept[key] = value
        return True

    def get(self, key: str) -> bytes | str | None:
        """Return a value."""
        self.before_get()
        value = self.kept.get(key)
        return value if value is None or self._decodes else value.encode()

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.kept.pop(key, None)


def journal(store: Any, **options: Any) -> RedisJournal:
    """Return a journal in it."""
    return RedisJournal(store, **options)


@pytest.mark.parametrize("decodes", [True, False])
def test_a_claim_is_given_once_and_a_note_replaced_and_removed(decodes: bool) -> None:
    """Whether the client decodes what Redis says makes no difference; every note ends by itself."""
    store = Store(decodes=decodes)
    notes = journal(store, seconds=60, prefix="mail:")
    assert isinstance(notes, Journal)
    assert notes.claim("a", "begun") is None
    assert notes.claim("a", "again") == notes.read("a") == "begun"
    notes.write("a", "done")
    assert notes.claim("a", "begun") == "done"
    assert store.kept == {"mail:a": "done"}
    notes.forget("a")
    assert notes.read("a") is None
    assert store.seconds == {60}


def test_a_note_that_goes_while_it_is_asked_for_is_claimed() -> None:
    """Between the two commands of a claim another worker may remove it."""
    store = Store(decodes=True)
    store.kept["mailkit:job:a"] = "done"
    store.before_get = store.kept.clear
    assert journal(store).claim("a", "begun") is None


def test_a_redis_that_does_not_answer_is_one_that_cannot_be_reached() -> None:
    """The error is of mailkit's tree, and nothing was sent."""

    class Silent(Store):
        def get(self, key: str) -> bytes | str | None:
            raise RedisTimeoutError("Timeout reading from socket")

    with pytest.raises(ConnectError, match="Timeout reading") as caught:
        journal(Silent(decodes=True)).read("a")
    assert caught.value.retryable


def test_a_journal_that_forgets_at_once_is_refused() -> None:
    """Notes are kept for some seconds at least."""
    with pytest.raises(ConfigurationError, match="seconds=0"):
        journal(Store(decodes=True), seconds=0)
