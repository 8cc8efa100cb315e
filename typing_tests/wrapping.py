"""Policies round one transport: limits, staging, suppression, sending once."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from mailkit import (
    Address,
    AsyncMailer,
    Capabilities,
    Concurrency,
    Deduplicate,
    Mailer,
    Message,
    RateLimit,
    Redirect,
    Suppress,
    Transport,
)
from mailkit.policies import (
    DeduplicationStore,
    FileSuppressionList,
    MemoryDeduplicationStore,
    MemorySuppressionList,
    SQLiteDeduplicationStore,
    SQLiteSuppressionList,
    SuppressionList,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def limits(transport: Transport) -> Transport:
    policy = RateLimit(transport, messages=10, recipients=50.5, octets=1e6, burst=5, max_wait=2.5)
    assert_type(policy.messages, float | None)
    assert_type(policy.capabilities, Capabilities)
    bounded = Concurrency(policy, 4, max_wait=1)
    assert_type(bounded.limit, int)
    Mailer(bounded)
    AsyncMailer(bounded)
    return bounded


def staging(transport: Transport) -> Transport:
    Redirect(transport, "dev@example.com")
    Redirect(transport, Address("dev@example.com"), allow="example.com")
    policy = Redirect(
        transport, ["dev@example.com", Address("qa@example.com")], allow=["a.test"], subject_prefix="[x] "
    )
    assert_type(policy.to, tuple[Address, ...])
    assert_type(policy.allows(Address("bob@example.org")), bool)
    return policy


class Unsubscribed:
    blocks = False

    def reasons(self, addresses: Sequence[Address]) -> list[str | None]:
        return ["unsubscribed" for _ in addresses]


def suppression(transport: Transport, path: Path) -> Transport:
    memory = MemorySuppressionList(["a@b.test", Address("c@d.test"), ("@e.test", "why")])
    memory.update({"a@b.test": "why"})
    memory.add(Address("a@b.test"), "why")
    assert_type(memory.remove("a@b.test"), bool)
    with SQLiteSuppressionList(path) as database:
        database.update([("a@b.test", "why")], "imported")
        assert_type(database.reasons([Address("a@b.test")]), "Sequence[str | None]")
    lists: list[SuppressionList] = [memory, database, FileSuppressionList("list.txt"), Unsubscribed()]
    Suppress(transport, Unsubscribed())
    return Suppress(transport, lists[0])


def key(message: Message) -> str | None:
    return message.message_id


def once(transport: Transport, path: Path) -> Transport:
    stores: list[DeduplicationStore] = [MemoryDeduplicationStore(limit=5), SQLiteDeduplicationStore(path)]
    Deduplicate(transport)
    Deduplicate(transport, 60.0, store=stores[0])
    policy = Deduplicate(transport, window=60, store=None, on_unknown="retry", key=key, max_wait=5)
    Deduplicate(transport, key=lambda message: message.message_id)
    assert_type(policy.window, float)
    return policy
