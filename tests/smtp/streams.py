"""Streams of messages in any colour, and what became of them: what the tests of send_many share."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from tests.colours import run_in
from tests.smtp.letters import Post, letter

from mailkit import DeliveryError, Outcome, Receipt
from mailkit.smtp.lane import Lane
from mailkit.smtp.stream import deliver_stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from mailkit import Message
    from mailkit.edge import Edge
    from mailkit.testing import SMTPServer

__all__ = ["OFFERS", "WITHOUT", "Clock", "each", "note", "send_many", "statuses", "stream", "taken"]

#: What a server lacks, by what it still offers.
WITHOUT: Final = {
    "chunking": (),
    "pipelining": ("CHUNKING", "BINARYMIME"),
    "neither": ("CHUNKING", "BINARYMIME", "PIPELINING"),
}
OFFERS: Final = tuple(WITHOUT)


def note(number: int, **changes: Any) -> Message:
    """A small message with a sender and a recipient of its own."""
    fields: dict[str, Any] = {"from_": f"m{number}@example.com", "to": [f"r{number}@example.org"], "text": "Hi.\n"}
    return letter(number, **(fields | changes))


async def each(messages: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """The messages, one by one."""
    for message in messages:
        yield message


def send_many(post: Post, messages: Iterable[Any], **options: Any) -> list[Outcome]:
    """Send all messages over a channel, and return the outcomes."""

    async def collect() -> list[Outcome]:
        async with aclosing(each(messages)) as source, aclosing(post.channel.send_many(source, **options)) as outcomes:
            return [outcome async for outcome in outcomes]

    return run_in(post.colour, collect)


def statuses(outcome: Outcome) -> dict[str, str]:
    """What became of each recipient."""
    said: Receipt | DeliveryError | None = outcome.receipt
    if said is None:
        assert isinstance(outcome.error, DeliveryError), outcome.error
        said = outcome.error
    return {result.address: result.status for result in said.recipients}


def taken(server: SMTPServer) -> set[tuple[str, str]]:
    """What the server has accepted: Message-IDs and recipients. Nothing twice."""
    found = [
        (str(received.parse()["Message-ID"]).strip("<>"), recipient)
        for received in server.messages
        for recipient in received.rcpt_to
    ]
    assert len(found) == len(set(found))
    return set(found)


@frozen
class Clock:
    """An edge whose clock stands still unless it is turned."""

    edge: Edge
    times: list[float] = field(factory=lambda: [1000.0])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.edge, name)

    def now(self) -> float:
        """The time."""
        return self.times[0]

    def turn(self, seconds: float) -> None:
        """Turn it on."""
        self.times[0] += seconds


def stream(
    post: Post,
    messages: Iterable[Any],
    *,
    connections: int = 1,
    window: int | None = None,
    clock: Clock | None = None,
    watch: Callable[[Outcome], object] = lambda _: None,
) -> list[Outcome]:
    """Send all messages, by a clock of the test's own: no pause of a busy machine is taken for the source's."""
    channel = post.channel

    async def collect() -> list[Outcome]:
        lanes = [Lane(channel._pool, window) for _ in range(connections)]
        found: list[Outcome] = []
        async with (
            aclosing(each(map(channel._flight, messages))) as flights,
            aclosing(deliver_stream(flights, lanes, clock or Clock(post.edge))) as outcomes,  # type: ignore[arg-type]
        ):
            async for outcome in outcomes:
                watch(outcome)
                found.append(outcome)
        return found

    return run_in(post.colour, collect)
