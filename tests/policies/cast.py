"""A cast of transports that play what a test says, and keep a ledger of whom they really took."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from attrs import define, field
from tests.policies.fates import FATES, accepted_or_not, failure, message_id_of

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConnectError, MailkitError, OutcomeUnknownError, RateLimitedError, TLSError
from mailkit.message import Message
from mailkit.receipt import Outcome, Receipt
from mailkit.transport import Capabilities, Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.receipt import Status
    from mailkit.transport import Transport

__all__ = ["ANN", "BOB", "CAT", "Player", "collect", "letter", "mixed", "send", "stream"]

ANN, BOB, CAT = "ann@example.com", "bob@example.org", "cat@example.net"

WHOLE: dict[str, Any] = {
    **FATES,
    "slow down": lambda: RateLimitedError("slow down", retry_after=7.0),
    "bad certificate": lambda: TLSError("the certificate is for somebody else"),
    "bad password": lambda: ConnectError("no", cause="configuration", phase="auth"),
    "lost": lambda: OutcomeUnknownError("lost", idempotent=True),
    "taken and lost": lambda: OutcomeUnknownError("lost after the commit point"),
}
"""What may become of a message as a whole, besides ``"ok"``; the keys are the acts of a player."""

Act = str | BaseException | tuple[str, ...]
"""What is played: a key of `WHOLE`, ``"ok"``, an interruption, or the status of each recipient in turn."""


def mixed(*statuses: Status) -> Act:
    """Return the act in which each recipient fares differently."""
    return statuses


@define(eq=False)
class Player:
    """A transport that plays one act for each delivery, the last one for ever.

    Args:
        name: What it is called.
        acts: What it plays; "ok" if there is nothing else.
        lag: How many messages of a stream it takes before it answers the first.
    """

    name: str = "a"
    acts: list[Any] = field(factory=lambda: ["ok"])
    lag: int = 0
    capabilities: Capabilities = field(factory=Capabilities.everything)
    is_all_or_nothing: bool = False
    took: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    """Message-ID and recipient of every copy that it has."""
    asked: list[tuple[str, ...]] = field(factory=list[tuple[str, ...]])
    """The recipients of every delivery."""
    messages: list[Message | bytes] = field(factory=list[Message | bytes])
    streams: list[int] = field(factory=list[int])
    """How many messages each stream had."""
    options: list[tuple[int, int | None]] = field(factory=list[tuple[int, int | None]])
    closed: int = 0
    verified: int = 0

    def open(self, edge: Edge) -> Channel:
        """Return a channel that plays."""
        del edge
        return PlayerChannel(self)

    def __str__(self) -> str:
        return f"{self.name}://"

    def next_act(self) -> Any:
        """Return what is to be played now."""
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]

    def play(self, message: Message | bytes, envelope: Envelope) -> Receipt:
        """Play the next act."""
        act = self.next_act()
        message_id = message_id_of(message)
        paths = [path.addr_spec for path in envelope.rcpt_to]
        self.messages.append(message)
        self.asked.append(tuple(paths))
        if isinstance(act, BaseException):
            raise act
        if act == "ok":
            act = ("accepted",)
        if isinstance(act, tuple):
            return self._mixed(act, message_id, paths)
        if act == "taken and lost":
            self.took += [(message_id, path) for path in paths]
        raise failure(WHOLE[act], self, message_id, paths)

    def _mixed(self, statuses: tuple[Status, ...], message_id: str, paths: list[str]) -> Receipt:
        receipt = accepted_or_not(statuses, self, message_id, paths)
        self.took += [(message_id, result.address) for result in receipt.accepted]
        return receipt


class PlayerChannel(Channel):
    """The channel of a player. Its interruptions say what they leave, as those of every transport."""

    transport: Player

    def __init__(self, player: Player) -> None:
        super().__init__(player)

    @property
    def is_all_or_nothing(self) -> bool:
        """As the player says."""
        return self.transport.is_all_or_nothing

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Play the next act."""
        return self.transport.play(message, envelope)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Play the next act."""
        assert isinstance(data, bytes)
        return self.transport.play(data, envelope)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Play an act for each message, some messages behind."""
        player = self.transport
        player.streams.append(0)
        player.options.append((connections, window))
        taken: deque[Message | Outcome] = deque()
        try:
            async for message in messages:
                taken.append(message)
                player.streams[-1] += not isinstance(message, Outcome)
                if len(taken) > player.lag:
                    outcome = self._outcome(taken[0])
                    taken.popleft()
                    yield outcome
            while taken:
                outcome = self._outcome(taken[0])
                taken.popleft()
                yield outcome
        except BaseException as interruption:
            interruption.__dict__["outcomes"] = tuple(
                each if isinstance(each, Outcome) else Outcome(message=each, error=ConnectError("interrupted"))
                for each in taken
            )
            raise

    def _outcome(self, item: Message | Outcome) -> Outcome:
        if isinstance(item, Outcome):
            return item
        try:
            return Outcome(message=item, receipt=self.transport.play(item, Envelope.from_message(item)))
        except MailkitError as error:
            return Outcome(message=item, error=error)

    async def verify(self) -> ServerInfo:
        """Count it."""
        self.transport.verified += 1
        return ServerInfo(transport=str(self.transport))

    async def close(self) -> None:
        """Count it."""
        self.transport.closed += 1


def letter(*to: str, number: int = 1, **fields: Any) -> Message:
    """Return a message that is as complete as a mailer makes it."""
    message = Message(from_="ada@example.com", to=to or [ANN], text="Hi", message_id=f"{number}@example.com", **fields)
    return message.completed()


def send(transport: Transport, edge: Edge, message: Message | None = None, *to: str) -> Receipt:
    """Send one message over a channel of its own."""
    given = message or letter(*to)
    return run_sync(transport.open(edge).send(given, Envelope.from_message(given)))


async def stream(messages: Iterable[Message | Outcome]) -> AsyncGenerator[Message | Outcome, None]:
    """Return messages as a channel takes them."""
    for message in messages:
        yield message


def collect(
    channel: Channel, messages: Iterable[Message | Outcome], most: int | None = None, **options: Any
) -> list[Outcome]:
    """Send a stream of messages, and leave it after some outcomes where `most` is given."""

    async def go() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with aclosing(stream(messages)) as source, aclosing(channel.send_many(source, **options)) as ends:
            async for outcome in ends:
                outcomes.append(outcome)
                if len(outcomes) == most:
                    break
        return outcomes

    return run_sync(go())
