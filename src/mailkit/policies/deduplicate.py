"""Sending a message once, however often somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.deduplication_store import DeduplicationStore
from mailkit.policies.policy import as_number, as_object, as_text, when_unusual
from mailkit.policies.positive import check_positive
from mailkit.policies.wrapper import Wrapping
from mailkit.transport_url import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from attrs import Attribute

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["Deduplicate"]


def _is_store(instance: object, attribute: Attribute[Any], value: object) -> None:  # noqa: ARG001 - attrs gives it
    if value is not None and (isinstance(value, type) or not isinstance(value, DeduplicationStore)):
        msg = (
            f"Deduplicate takes a store, not {type(value).__name__}: use MemoryDeduplicationStore or "
            "SQLiteDeduplicationStore of mailkit.policies, or write one with `blocks`, `claim` and `settle`"
        )
        raise ConfigurationError(msg)


def _own_key(message: Message) -> str | None:
    return message.idempotency_key


@frozen
class Deduplicate(Wrapping):
    """Sends a message with an ``idempotency_key`` at most once to each recipient within a window of time.

    Who asks for it again gets the first one's receipt, with ``attempts`` of 0, each recipient in the phase
    ``"duplicate"``; while the first is still under way, he waits for it. What was certainly not accepted (not sent,
    deferred, rejected) may go again; where that is unknown, it may not, and an
    :class:`mailkit.OutcomeUnknownError` is raised. The same key for another message is a
    :class:`mailkit.RejectedError`. Messages without a key, and prepared bytes (``send_raw``), are sent as they come.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> memory = MemoryTransport()
        >>> letter = Message(from_="ada@example.com", to="bob@example.org", text="Hi", idempotency_key="order-17")
        >>> with Mailer(Deduplicate(memory)) as mailer:
        ...     first, second = mailer.send(letter), mailer.send(letter)
        >>> first.attempts, second.attempts, second.message_id == first.message_id, len(memory.outbox)
        (1, 0, True, 1)

    Args:
        transport: What sends the messages.
        window: Seconds for which a message that was accepted is remembered.
        store: Where it is remembered: None is in memory, for one mailer. A store is shared by all who are given it.
        on_unknown: ``"raise"``: what may have been accepted is not sent again. ``"retry"``: it is; a second copy is
            preferred to none.
        key: Returns a message's key, or None for a message that is not deduplicated, where that is not its
            ``idempotency_key``. Its Message-ID will not do unless you set it yourself: each sending makes a new one.
        max_wait: Seconds to wait for somebody else who is sending the same; None is the mailer's `timeout`.

    Raises:
        ConfigurationError: `window` or `max_wait` is not positive, `store` is none, `on_unknown` not known,
            or `key` no function.
    """

    scheme: ClassVar[str] = "deduplicate"

    window: float = 3600.0
    store: DeduplicationStore | None = field(default=None, kw_only=True, validator=_is_store)
    on_unknown: Literal["raise", "retry"] = field(default="raise", kw_only=True)
    key: Callable[[Message], str | None] = field(default=_own_key, kw_only=True, repr=False)
    max_wait: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_positive("Deduplicate", window=self.window, max_wait=self.max_wait)
        if self.on_unknown not in ("raise", "retry"):
            msg = f'on_unknown={self.on_unknown!r} is not known: use "raise" (at most once) or "retry" (at least once)'
            raise ConfigurationError(msg)
        key: object = self.key
        if not callable(key):
            msg = f"Deduplicate(key={self.key!r}) is no function: give one from a message to its key, or none"
            raise ConfigurationError(msg)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``deduplicate(URL)?window=86400&database=/var/lib/app/sent.db`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong.
        """
        from mailkit.policies.deduplication_database import SQLiteDeduplicationStore
        from mailkit.policies.members import only_member

        words = {"raise": "raise", "retry": "retry"}
        values = url.parameters(
            window=seconds, database=SQLiteDeduplicationStore, on_unknown=words.__getitem__, max_wait=seconds
        )
        if "database" in values:
            values["store"] = values.pop("database")
        return cls(only_member(cls.scheme, members), **values)

    def _parameters(self) -> Mapping[str, str | None]:
        from mailkit.policies.deduplication_database import SQLiteDeduplicationStore

        store = self.store
        database: str | None = None
        if isinstance(store, SQLiteDeduplicationStore) and store == SQLiteDeduplicationStore(store.path):
            database = as_text(store.path)
            store = None
        return {
            "window": when_unusual(self.window, 3600.0, as_number),
            "database": database,
            "store": when_unusual(store, None, as_object),
            "on_unknown": when_unusual(self.on_unknown, "raise", as_text),
            "max_wait": when_unusual(self.max_wait, None, as_number),
            "key": when_unusual(self.key, _own_key, as_object),
        }

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        from mailkit.policies.once import OnceChannel

        return OnceChannel(self, edge)
