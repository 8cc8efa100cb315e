"""A receiving side for tests of policies: it fares as it is told, really waits, and keeps a ledger of whom it took."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from tests.policies.fates import FATES, accepted_or_not, failure, message_id_of

from mailkit.envelope import Envelope
from mailkit.errors import (
    AuthenticationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    RateLimitedError,
    TLSError,
)
from mailkit.message import Message
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.transport import Capabilities, Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.receipt import Status

__all__ = ["FAILURES", "Act", "PostOffice", "token_of"]

FAILURES: Final[Mapping[str, Callable[[], MailkitError]]] = {
    **FATES,
    "throttled": lambda: RateLimitedError("slow down", retry_after=2.0),
    "credentials": lambda: AuthenticationError("no such key"),
    "certificate": lambda: TLSError("the certificate is for somebody else"),
    "lost before": lambda: OutcomeUnknownError("the answer was lost"),
    "lost after": lambda: OutcomeUnknownError("the answer was lost"),
}
"""What may become of a message as a whole besides ``"ok"``. With ``"lost after"`` the office has taken it."""

Act = str | tuple[str, ...]
"""``"ok"``, a key of `FAILURES`, or the status of each recipient in turn, again and again."""


def token_of(message: Message | bytes) -> str:
    """Return what tells one message of a test from the others: its subject."""
    return (message.subject or "") if isinstance(message, Message) else "raw"


@define(eq=False)
class PostOffice:
    """A transport that plays one act for each delivery, and then goes on with ``"ok"``.

    Args:
        name: What it is called.
        acts: What it plays.
        lag: How many messages of a stream it takes before it answers the first.
        honours_keys: Whether a second delivery with an idempotency key is no second copy.
    """

    name: str = "a"
    acts: deque[Act] = field(factory=deque, converter=deque)
    lag: int = 2
    honours_keys: bool = False
    is_all_or_nothing: bool = False
    capabilities: Capabilities = field(factory=Capabilities.everything)
    copies: Counter[tuple[str, str]] = field(factory=Counter)
    """The ledger: how many copies of a message, named by its token, a recipient has."""
    arrived: list[str] = field(factory=list[str])
    """The tokens of the messages that were delivered to anybody, in order."""
    deliveries: int = 0
    verified: int = 0
    closed: int = 0
    streams: int = 0
    """How many streams are open."""
    streamed: list[int] = field(factory=list[int])
    """How many messages each stream had."""
    under_way: int = 0
    """How many deliveries are."""
    interrupt: Callable[[int], BaseException | None] = field(default=lambda _: None)
    """Is asked at each delivery, by its number from 1, for what interrupts it."""
    _keys: set[tuple[str, str]] = field(factory=set)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return PostOfficeChannel(self, edge)

    def __str__(self) -> str:
        return f"{self.name}://"

    def strike(self) -> None:
        """Raise what interrupts this delivery, if anything does."""
        interruption = self.interrupt(self.deliveries)
        if interruption is not None:
            raise interruption

    def take(self, message: Message | bytes, paths: Sequence[str]) -> None:
        """Enter the copies that were taken."""
        key = message.idempotency_key if isinstance(message, Message) and self.honours_keys else None
        token = token_of(message)
        self.arrived.append(token)
        for path in paths:
            if key is not None and (key, path) in self._keys:
                continue
            if key is not None:
                self._keys.add((key, path))
            self.copies[token, path] += 1

    def play(self, message: Message | bytes, envelope: Envelope) -> Receipt:
        """Play the next act."""
        if isinstance(message, Message):
            self.capabilities.check(message, envelope, transport=str(self))
        act = self.acts.popleft() if self.acts else "ok"
        paths = [path.addr_spec for path in envelope.rcpt_to]
        message_id = message_id_of(message)
        if act == "ok":
            act = ("accepted",)
        if isinstance(act, tuple):
            statuses: Any = act
            receipt = accepted_or_not(statuses, self, message_id, paths)
            self.take(message, [result.address for result in receipt.accepted])
            return receipt
        if act == "lost after":
            self.take(message, paths)
        error = failure(FAILURES[act], self, message_id, paths)
        if isinstance(error, DeliveryError):
            has_key = isinstance(message, Message) and message.idempotency_key is not None
            error.idempotent = error.outcome == "unknown" and self.honours_keys and has_key
        raise error


class PostOfficeChannel(Channel):
    """The channel of a post office. Its interruptions say what they leave, as those of every transport."""

    transport: PostOffice

    def __init__(self, office: PostOffice, edge: Edge) -> None:
        super().__init__(office)
        self._office = office
        self._edge = edge

    @property
    def is_all_or_nothing(self) -> bool:
        """As the office says."""
        return self._office.is_all_or_nothing

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Play the next act."""
        return await self._deliver(message, envelope)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Play the next act."""
        assert isinstance(data, bytes)
        return await self._deliver(data, envelope)

    async def _deliver(self, message: Message | bytes, envelope: Envelope) -> Receipt:
        office = self._office
        office.deliveries += 1
        office.under_way += 1
        try:
            office.strike()
            await self._edge.sleep(0)
        except BaseException as interruption:
            results = _results(envelope, "unknown")
            interruption.__dict__["delivery"] = OutcomeUnknownError("interrupted", recipients=results)
            raise
        finally:
            office.under_way -= 1
        return office.play(message, envelope)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Play an act for each message, some messages behind."""
        del connections, window
        taken: deque[Message | Outcome] = deque()
        self._office.streams += 1
        self._office.streamed.append(0)
        number = len(self._office.streamed) - 1
        try:
            async for message in messages:
                taken.append(message)
                self._office.streamed[number] += 1
                if len(taken) > self._office.lag:
                    outcome = await self._outcome(taken[0])
                    taken.popleft()
                    yield outcome
            while taken:
                outcome = await self._outcome(taken[0])
                taken.popleft()
                yield outcome
        except BaseException as interruption:
            first = interruption.__dict__.pop("delivery", None)
            interruption.__dict__["outcomes"] = tuple(
                _left(each, first if place == 0 else None) for place, each in enumerate(taken)
            )
            raise
        finally:
            self._office.streams -= 1

    async def _outcome(self, item: Message | Outcome) -> Outcome:
        if isinstance(item, Outcome):
            return item
        try:
            return Outcome(message=item, receipt=await self._deliver(item, Envelope.from_message(item)))
        except MailkitError as error:
            return Outcome(message=item, error=error)

    async def verify(self) -> ServerInfo:
        """Count it."""
        self._office.verified += 1
        return ServerInfo(transport=str(self._office))

    async def close(self) -> None:
        """Count it."""
        self._office.closed += 1


def _results(envelope: Envelope, status: Status) -> list[RecipientResult]:
    return [RecipientResult(path.addr_spec, status=status) for path in envelope.rcpt_to]


def _left(item: Message | Outcome, delivery: DeliveryError | None) -> Outcome:
    if isinstance(item, Outcome):
        return item
    if delivery is None:
        try:
            results = _results(Envelope.from_message(item), "not_sent")
        except MessageError as error:
            return Outcome(message=item, error=error)
        delivery = ConnectError("interrupted before it was sent", recipients=results)
    return Outcome(message=item, error=delivery)
