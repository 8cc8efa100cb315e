from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mailkit import ConfigurationError
from mailkit.policies import DeduplicationStore, MemoryDeduplicationStore, SQLiteDeduplicationStore
from mailkit.policies.deduplication_store import STALE, Claim, Found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLAIM = Claim(key="k", recipients=("bob", "eve"), content="c", owner="me", window=60.0)
OTHER = evolve(CLAIM, owner="somebody else")
ACCEPTED = Found("accepted", "evidence")


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.time


@pytest.fixture
def clock() -> Clock:
    """A new clock."""
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Any]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryDeduplicationStore(clock=clock)
        return
    with SQLiteDeduplicationStore(tmp_path / "sent.db", clock=clock) as made:
        yield made


def standings(store: Any, claim: Claim) -> list[str]:
    """Return what is known of each recipient."""
    return [found.standing for found in store.claim(claim)]


def test_what_is_claimed_is_busy_for_others(store: Any) -> None:
    """The first to claim may send; everybody after that has to wait, and claims nothing meanwhile."""
    assert isinstance(store, DeduplicationStore)
    assert standings(store, CLAIM) == ["new", "new"]
    assert standings(store, evolve(OTHER, recipients=("eve", "new"))) == ["busy", "new"]
    assert standings(store, evolve(OTHER, recipients=("new",))) == ["new"]
    assert standings(store, evolve(OTHER, key="another")) == ["new", "new"]
    assert len(store) == 2


def test_each_copy_ends_in_its_own_way(store: Any) -> None:
    """What was accepted or is unknown stays so with its evidence; what was certainly not accepted is new again."""
    three = evolve(CLAIM, recipients=("bob", "eve", "cat"))
    store.claim(three)
    store.settle(three, {"bob": ACCEPTED, "eve": Found("unknown"), "cat": None})
    assert store.claim(evolve(three, owner="x")) == [ACCEPTED, Found("unknown"), Found("new")]


def test_doubtful_copies_are_new_for_who_asks_for_that(store: Any) -> None:
    """Who prefers a second copy to none claims them."""
    store.claim(CLAIM)
    store.settle(CLAIM, {"bob": Found("unknown"), "eve": ACCEPTED})
    assert standings(store, evolve(OTHER, sends_doubtful=True)) == ["new", "accepted"]
    assert standings(store, CLAIM) == ["busy", "accepted"]


def test_a_key_belongs_to_one_message(store: Any) -> None:
    """Another content under the same key is refused for as long as anything is kept of the first."""
    store.claim(CLAIM)
    different = evolve(OTHER, content="other", recipients=("new", "bob"))
    assert standings(store, different) == ["different", "different"]
    store.settle(CLAIM, {"bob": None, "eve": None})
    assert len(store) == 0
    assert standings(store, different) == ["new", "new"]


def test_only_the_owner_settles(store: Any) -> None:
    """Who lost a claim to somebody else changes nothing any more, nor does one who never had it."""
    store.settle(OTHER, {"bob": ACCEPTED})
    store.claim(CLAIM)
    store.settle(OTHER, {"bob": ACCEPTED, "eve": None})
    assert standings(store, OTHER) == ["busy", "busy"]


def test_it_forgets_after_the_window(store: Any, clock: Clock) -> None:
    """An accepted message is remembered for the window from when that was known, and no longer."""
    store.claim(CLAIM)
    clock.time += 30
    store.settle(CLAIM, {"bob": ACCEPTED, "eve": ACCEPTED})
    clock.time += 59
    assert standings(store, OTHER) == ["accepted", "accepted"]
    clock.time += 1
    assert standings(store, OTHER) == ["new", "new"]


def test_a_crash_leaves_a_doubt(store: Any, clock: Clock) -> None:
    """A claim that is never settled is busy for ten minutes, even in a shorter window, and unknown in a longer one."""
    longer = evolve(CLAIM, window=3600.0)
    store.claim(longer)
    store.claim(evolve(CLAIM, key="short"))
    clock.time += STALE - 1
    assert standings(store, evolve(OTHER, key="short")) == ["busy", "busy"]
    assert standings(store, longer) == ["busy", "busy"]
    clock.time += 1
    assert standings(store, evolve(OTHER, key="short")) == ["new", "new"]
    assert standings(store, longer) == ["unknown", "unknown"]
    store.settle(longer, {"bob": ACCEPTED})
    assert standings(store, longer) == ["accepted", "unknown"]


def test_of_many_who_claim_at_once_one_gets_it(store: Any) -> None:
    """Eight threads claim fifty keys each; each key goes to exactly one of them."""
    won: list[str] = []

    def work(owner: str) -> None:
        for number in range(50):
            claim = Claim(key=f"key {number}", recipients=("bob",), content="c", owner=owner, window=60.0)
            if standings(store, claim) == ["new"]:
                won.append(claim.key)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted({f"key {number}" for number in range(50)})


def test_the_oldest_make_room(clock: Clock) -> None:
    """Of more keys than the limit the oldest settled ones are forgotten; what is being sent never is."""
    store = MemoryDeduplicationStore(limit=2, clock=clock)
    busy, first, second, third = (evolve(CLAIM, key=key) for key in ("busy", "1", "2", "3"))
    store.claim(busy)
    for claim in (first, second):
        store.claim(claim)
        store.settle(claim, dict.fromkeys(claim.recipients, ACCEPTED))
    assert len(store) == 2
    assert standings(store, evolve(busy, owner="x")) == ["busy", "busy"]
    assert standings(store, first) == ["new", "new"]
    store.claim(third)
    assert len(store) == 3  # all of them are under way


def test_a_forked_process_waits_for_no_lock_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread of the parent held at the fork is not held here."""
    store = MemoryDeduplicationStore()
    with store._mutex():
        pid = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: pid + 1)
        assert standings(store, CLAIM) == ["new", "new"]


def test_a_store_keeps_something() -> None:
    """One with no room for a single key is a configuration error."""
    with pytest.raises(ConfigurationError, match="limit=0"):
        MemoryDeduplicationStore(limit=0)
