"""Policies round a post office, what happens to their messages, and whether what was told of it is true."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field
from tests.colours import COLOURS
from tests.policies.clock import simulated
from tests.policies.letters import Interrupted, each, letter
from tests.policies.nesting import DEVELOPER, POLICIES, STRANGER, nested
from tests.policies.post_office import PostOffice

from mailkit import Envelope, Message
from mailkit.errors import DeliveryError, MailkitError
from mailkit.receipt import Receipt
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from tests.colours import Colour
    from tests.policies.clock import SimulatedBlocking, SimulatedTasks

    from mailkit.edge.base import Edge
    from mailkit.receipt import Outcome
    from mailkit.transport import Channel, Transport

__all__ = [
    "NAMES", "PAIRS", "SINGLES", "Scene", "Source", "attempt", "check_left", "check_usable", "every_colour",
    "every_nesting", "keyed", "waiting_colours", "watch",
]  # fmt: skip

SINGLES = [(name,) for name in POLICIES]
PAIRS = [(outer, inner) for outer in POLICIES for inner in POLICIES]
NAMES = [
    *[pytest.param(names, id=names[0]) for names in SINGLES],
    *[pytest.param(names, id="-".join(names), marks=pytest.mark.slow) for names in PAIRS],
]

every_nesting = pytest.mark.parametrize("names", NAMES)
every_colour = pytest.mark.parametrize("colour", COLOURS)
waiting_colours = pytest.mark.parametrize("colour", COLOURS[1:])


@define(eq=False)
class Scene:
    """Policies round a post office, on a simulated clock, and every office that takes part."""

    names: tuple[str, ...]
    colour: Colour
    offices: list[PostOffice] = field(factory=list[PostOffice])

    @property
    def first(self) -> PostOffice:
        """The innermost office."""
        return self.offices[0]

    def make(self, **fields: Any) -> Transport:
        """Return the transport."""

        def office() -> PostOffice:
            self.offices.append(PostOffice("abcdefgh"[len(self.offices)], **fields))
            return self.offices[-1]

        return nested(self.names, office(), office)

    @asynccontextmanager
    async def opened(self, edge: Edge | None = None, **fields: Any) -> AsyncGenerator[Channel, None]:
        """Open the transport, and look at what is left when it is closed."""
        if edge is None:
            edge = self.edge = simulated(self.colour)
        channel = self.make(**fields).open(edge)
        try:
            yield channel
        finally:
            await channel.close()
            await edge.close()
        assert {office.closed for office in self.offices} == {1}
        assert {(office.streams, office.under_way) for office in self.offices} == {(0, 0)}

    edge: SimulatedBlocking | SimulatedTasks = field(init=False)

    def copies(self, token: str, address: str) -> int:
        """Return how many copies of a message somebody has."""
        return sum(office.copies[token, address] for office in self.offices)

    @property
    def arrived(self) -> list[str]:
        """The tokens of all that was taken, in no order."""
        return sorted(token for office in self.offices for token in office.arrived)

    def check(self, message: Message, ended: Receipt | MailkitError | None) -> None:
        """Compare what was told with the ledger: nothing twice, nothing lost in silence, nothing claimed."""
        token = message.subject or ""
        results = ended.recipients if isinstance(ended, Receipt | DeliveryError) else ()
        told = {result.address: result.status for result in results}
        for address in (*message.to, *message.cc, *message.bcc):
            path = address.addr_spec
            if isinstance(ended, DeliveryError) and path not in told:
                told[path] = ended.outcome
            real = DEVELOPER if path == STRANGER and "redirect" in self.names else path
            copies = self.copies(token, real)
            assert copies <= 1
            assert ended is not None
            if isinstance(ended, Receipt | DeliveryError):
                if told[path] == "accepted":
                    assert copies == 1
                elif told[path] != "unknown":
                    assert copies == 0
            else:
                assert copies == 0
        if isinstance(ended, Receipt):
            assert len(told) == len(results) == len({*message.to, *message.cc, *message.bcc})

    def is_in(self, *names: str) -> bool:
        """Whether one of these policies takes part."""
        return any(name in self.names for name in names)


async def attempt(channel: Channel, message: Message) -> Receipt | MailkitError:
    """Send; return an error instead of raising it."""
    try:
        return await channel.send(message, Envelope.from_message(message))
    except MailkitError as error:
        return error


def keyed(number: int, **fields: Any) -> Message:
    """Return one of many messages, with an idempotency key of its own."""
    return letter(number, **{"idempotency_key": f"key-{number}", **fields})


class Source:
    """Messages without an end, which knows what was taken of them."""

    def __init__(self, most: int = 1000) -> None:
        self.taken: list[Message] = []
        self._most = most
        self.yielded = 0
        self.deepest = 0

    def __aiter__(self) -> AsyncIterator[Message | Outcome]:
        return self

    async def __anext__(self) -> Message:
        if len(self.taken) == self._most:
            raise StopAsyncIteration
        self.taken.append(keyed(100 + len(self.taken), to=["bob@example.org", "ann@example.com"]))
        self.deepest = max(self.deepest, len(self.taken) - self.yielded)
        return self.taken[-1]


async def watch(channel: Channel, source: Source, seen: list[Outcome], most: int | None = None) -> None:
    """Send a stream; break it off after some outcomes where `most` is given."""
    async with carrying_on(channel.send_many(source)) as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == most:
                raise Interrupted


def check_left(scene: Scene, source: Source, seen: Iterable[Outcome], interruption: BaseException) -> None:
    """What was yielded and what the interruption carries are the messages that were taken, and true."""
    left: tuple[Outcome, ...] = interruption.outcomes  # type: ignore[attr-defined]
    outcomes = [*seen, *left]
    # A message that had not got as far as the channel inside may be missing at the end: whoever took it says so.
    assert [outcome.message for outcome in outcomes] == source.taken[: len(outcomes)]
    assert len(source.taken) - len(outcomes) <= 1
    for outcome in outcomes:
        scene.check(outcome.message, outcome.receipt or outcome.error)
    for message in source.taken[len(outcomes) :]:
        assert scene.copies(message.subject or "", "bob@example.org") == 0


async def check_usable(scene: Scene, channel: Channel) -> None:
    """The channel has no slot, no breaker and no key too few: three more messages arrive, and a stream of three."""
    for number in range(3):
        message = keyed(number)
        ended = await attempt(channel, message)
        assert isinstance(ended, Receipt)
        scene.check(message, ended)
    outcomes = [outcome async for outcome in channel.send_many(each([keyed(number) for number in range(10, 13)]))]
    assert [outcome.ok for outcome in outcomes] == [True] * 3
