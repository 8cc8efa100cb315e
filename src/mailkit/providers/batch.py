"""Messages of a stream, put together into requests: as many in one as the provider takes, several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from mailkit.errors import ConnectError
from mailkit.receipt import Outcome, RecipientResult

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["Caps", "Item", "Wave", "not_sent"]

PATIENCE: Final = 0.5
"""Seconds after which a message is sent although its request has room for more: its source is slow."""


@frozen
class Item:
    """One message of a batch.

    Args:
        message: The message.
        envelope: Who gets it.
        payload: What its transport's ``payload`` returned, options laid over it.
        body: The same as JSON.
        group: What it has in common with the messages whose request it may share; None where it has to go alone.
    """

    message: Message
    envelope: Envelope
    payload: Any = field(default=None, kw_only=True, repr=False)
    body: bytes = field(default=b"", kw_only=True, repr=False)
    group: Hashable | None = field(default=None, kw_only=True, repr=False)


@frozen(kw_only=True)
class Caps:
    """What fits into one request.

    Args:
        items: How many messages.
        size: How many octets of payload.
        recipients: How many recipients, or None for any number.
        requests: How many requests at once.
        distinct: Whether all recipients have to be different ones.
    """

    items: int
    size: int
    recipients: int | None
    requests: int
    distinct: bool = False


def not_sent(message: Message) -> Outcome:
    """Return the outcome of a message that an interrupted stream never got to."""
    paths = dict.fromkeys(address.addr_spec for address in (*message.to, *message.cc, *message.bcc))
    error = ConnectError(
        "the stream of messages was interrupted before this one was sent; send it again",
        phase="request",
        recipients=[RecipientResult(path, status="not_sent", phase="request") for path in paths],
        message_id=message.message_id,
    )
    return Outcome(message=message, error=error)


class _Chunk:
    """What goes into one request."""

    def __init__(self, group: Hashable) -> None:
        self.group = group
        self.places: list[int] = []
        self.items: list[Item] = []
        self.size = 0
        self.recipients = 0
        self.addresses: set[str] = set()

    def has_room(self, item: Item, caps: Caps) -> bool:
        """Whether one more message fits."""
        everybody = self.recipients + len(item.envelope.rcpt_to)
        return (
            len(self.items) < caps.items
            and self.size + len(item.body) + 1 <= caps.size
            and (caps.recipients is None or everybody <= caps.recipients)
            and not (caps.distinct and self.addresses.intersection(_addresses(item)))
        )

    def add(self, place: int, item: Item) -> None:
        """Take one more."""
        self.places.append(place)
        self.items.append(item)
        self.size += len(item.body) + 1
        self.recipients += len(item.envelope.rcpt_to)
        self.addresses.update(_addresses(item))


def _addresses(item: Item) -> list[str]:
    return [path.addr_spec.lower() for path in item.envelope.rcpt_to]


class Wave:
    """The requests that go out at the same time, and the places of their messages in the stream.

    Args:
        caps: What fits.
        now: When it began.
    """

    def __init__(self, caps: Caps, now: float) -> None:
        self._caps = caps
        self._began = now
        self._places: list[Outcome | None] = []
        self._chunks: list[_Chunk] = []
        self._answered: dict[int, Outcome] = {}

    @property
    def requests(self) -> list[list[Item]]:
        """The messages of each request."""
        return [chunk.items for chunk in self._chunks]

    def has_room(self, item: Item, group: Hashable | None) -> bool:
        """Whether one more message can go along."""
        return len(self._chunks) < self._caps.requests or self._open_chunk(item, group) is not None

    def add(self, item: Item, group: Hashable | None) -> None:
        """Take one more message. One without a group has a request for itself."""
        chunk = self._open_chunk(item, group)
        if chunk is None:
            chunk = _Chunk(group)
            self._chunks.append(chunk)
        chunk.add(len(self._places), item)
        self._places.append(None)

    def settle(self, outcome: Outcome) -> None:
        """Keep the place of a message that is not to be sent."""
        self._places.append(outcome)

    def is_due(self, now: float) -> bool:
        """Whether to wait for no more messages."""
        full = len(self._chunks) == self._caps.requests and all(
            chunk.group is None or len(chunk.items) == self._caps.items for chunk in self._chunks
        )
        many = len(self._places) >= 2 * self._caps.items * self._caps.requests
        return full or many or not self._chunks or now - self._began >= PATIENCE

    def outcomes(self, answers: list[list[Outcome]]) -> Iterator[Outcome]:
        """Yield what became of each message, in the order in which they were taken.

        Args:
            answers: What became of the messages of each request.
        """
        for chunk, answer in zip(self._chunks, answers, strict=True):
            for place, answered in zip(chunk.places, answer, strict=True):
                self._places[place] = answered
        for outcome in self._places:
            assert outcome is not None  # noqa: S101 - each has been answered
            yield outcome

    def answer(self, item: Item, outcome: Outcome) -> None:
        """Keep what became of one message, for when the others are interrupted."""
        self._answered[id(item)] = outcome

    def left(self) -> Iterator[Outcome]:
        """Yield what an interruption leaves of each message, in order: what was not answered was not sent."""
        items = {place: item for chunk in self._chunks for place, item in zip(chunk.places, chunk.items, strict=True)}
        for place, outcome in enumerate(self._places):
            yield outcome or self._answered.get(id(items[place])) or not_sent(items[place].message)

    def _open_chunk(self, item: Item, group: Hashable | None) -> _Chunk | None:
        if group is None:
            return None
        fitting = (chunk for chunk in self._chunks if chunk.group == group and chunk.has_room(item, self._caps))
        return next(fitting, None)
