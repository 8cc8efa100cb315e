"""What is remembered of messages so that none is sent twice: the protocol, its rules, and a store in memory."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

from attrs import evolve, field, frozen

from mailkit.edge.mutex import Mutex
from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Claim", "DeduplicationStore", "Found", "MemoryDeduplicationStore", "Settlement", "Standing", "judge"]

Standing = Literal["new", "busy", "accepted", "unknown", "different"]
"""What is known of a recipient's copy. ``"new"``: nothing. ``"busy"``: somebody is sending it. ``"accepted"`` and
``"unknown"``: how that ended. ``"different"``: the key belongs to another message."""

STALE: Final = 600.0
"""Seconds after which nobody can still be sending: RFC 5321 §4.5.3.2.6 gives the last answer 10 minutes."""


@frozen(kw_only=True)
class Claim:
    """What somebody wants to send.

    Args:
        key: A digest of the message's key.
        recipients: Digests of the recipients that it is for.
        content: The message's fingerprint.
        owner: Who asks: another one each time.
        window: Seconds for which the answer is remembered.
        sends_doubtful: Whether what may have been accepted before is sent again.
    """

    key: str
    recipients: tuple[str, ...]
    content: str
    owner: str
    window: float
    sends_doubtful: bool = False


@frozen
class Found:
    """What is known of one recipient's copy.

    Args:
        standing: What became of it.
        evidence: What was kept with it when it was accepted.
    """

    standing: Standing
    evidence: str = ""


Settlement = Found | None
"""How a claimed copy ended: accepted or unknown, or None where it was certainly not accepted and may go again."""


@runtime_checkable
class DeduplicationStore(Protocol):
    """What :class:`mailkit.Deduplicate` remembers with. It is given digests: no address, no key, no content."""

    @property
    def blocks(self) -> bool:
        """Whether it may have to wait for a file or a network: then it is called in a thread."""
        ...

    def claim(self, claim: Claim) -> Sequence[Found]:
        """Return what is known of each recipient, and claim the new ones, in one step that nobody can come between.

        If anything is ``"busy"`` or ``"different"``, nothing is claimed.
        """
        ...

    def settle(self, claim: Claim, settlements: Mapping[str, Settlement]) -> None:
        """Keep how the claimed copies ended, by recipient. What is not the owner's stays as it is."""
        ...


@frozen
class Entry:
    """What is kept of one recipient's copy.

    Args:
        found: What became of it; ``"busy"`` while it is being sent.
        content: The message's fingerprint.
        owner: Who claimed it.
        claimed_at: When, on the store's clock.
        until: When it is forgotten.
    """

    found: Found
    content: str = field(kw_only=True)
    owner: str = field(kw_only=True)
    claimed_at: float = field(kw_only=True)
    until: float = field(kw_only=True)


def judge(claim: Claim, entries: Mapping[str, Entry], now: float) -> tuple[list[Found], bool]:
    """Return what is known of each recipient, and whether the new ones are claimed: the rules of every store.

    Args:
        claim: What somebody wants to send.
        entries: What is kept under its key, by recipient.
        now: The time on the store's clock.
    """
    live = {recipient: entry for recipient, entry in entries.items() if entry.until > now}
    if any(entry.content != claim.content for entry in live.values()):
        return [Found("different")] * len(claim.recipients), False
    found = [_standing(live.get(recipient), claim, now) for recipient in claim.recipients]
    return found, all(each.standing != "busy" for each in found)


def _standing(entry: Entry | None, claim: Claim, now: float) -> Found:
    if entry is None:
        return Found("new")
    found = entry.found
    if found.standing == "busy" and now - entry.claimed_at >= STALE:
        found = Found("unknown")  # whoever was sending it has crashed
    return Found("new") if found.standing == "unknown" and claim.sends_doubtful else found


def claimed(claim: Claim, now: float) -> Entry:
    """Return what is kept of a copy that is being sent from now on, however short the window."""
    return Entry(
        Found("busy"),
        content=claim.content,
        owner=claim.owner,
        claimed_at=now,
        until=now + max(claim.window, STALE),
    )


class MemoryDeduplicationStore:
    """Remembers in memory, for the threads and mailers of one process.

    Example:
        >>> from mailkit import Deduplicate, Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> memory, store = MemoryTransport(), MemoryDeduplicationStore()
        >>> letter = Message(from_="ada@example.com", to="bob@example.org", text="Hi", idempotency_key="order-17")
        >>> for _ in range(2):
        ...     with Mailer(Deduplicate(memory, store=store)) as mailer:
        ...         print(mailer.send(letter).attempts)
        1
        0
        >>> len(memory.outbox)
        1

    Args:
        limit: How many keys are kept. Of more within the window, the oldest are forgotten, and are duplicates no
            longer: it has to be more than are sent in a window.
        clock: Tells the time, in seconds.

    Raises:
        ConfigurationError: `limit` is not positive.
    """

    blocks = False

    def __init__(self, *, limit: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1:
            msg = f"MemoryDeduplicationStore(limit={limit}) would forget everything: use 1 or more"
            raise ConfigurationError(msg)
        self._limit = limit
        self._clock = clock
        # By key, in the order of the latest claim; then by recipient.
        self._entries: OrderedDict[str, dict[str, Entry]] = OrderedDict()
        self._mutexes: dict[int, Mutex] = {}

    def claim(self, claim: Claim) -> Sequence[Found]:
        """Return what is known of each recipient, and claim the new ones."""
        with self._mutex():
            now = self._clock()
            self._forget(now)
            entries = self._entries.get(claim.key, {})
            found, is_claimed = judge(claim, entries, now)
            if is_claimed:
                entry = claimed(claim, now)
                new = [
                    recipient for recipient, each in zip(claim.recipients, found, strict=True) if each.standing == "new"
                ]
                if new:
                    self._entries[claim.key] = {**entries, **dict.fromkeys(new, entry)}
                    self._entries.move_to_end(claim.key)
            return found

    def settle(self, claim: Claim, settlements: Mapping[str, Settlement]) -> None:
        """Keep how the claimed copies ended."""
        with self._mutex():
            entries = self._entries.get(claim.key, {})
            for recipient, settlement in settlements.items():
                entry = entries.get(recipient)
                if entry is None or entry.owner != claim.owner:
                    continue
                if settlement is None:
                    del entries[recipient]
                else:
                    entries[recipient] = evolve(entry, found=settlement, until=self._clock() + claim.window)
            if not entries:
                self._entries.pop(claim.key, None)

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, now: float) -> None:
        while self._entries:
            key, entries = next(iter(self._entries.items()))
            if any(entry.until > now for entry in entries.values()):
                break
            del self._entries[key]
        if len(self._entries) >= self._limit:
            settled = (key for key, entries in self._entries.items() if not _is_busy(entries))
            self._entries.pop(next(settled, ""), None)

    def _mutex(self) -> Mutex:
        # One that another thread of the parent held at a fork would never be released here.
        return self._mutexes.setdefault(os.getpid(), Mutex())


def _is_busy(entries: Mapping[str, Entry]) -> bool:
    return any(entry.found.standing == "busy" for entry in entries.values())
