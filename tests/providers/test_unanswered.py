"""Streams that are broken off: what was taken has an outcome, whatever became of it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.http_server import Answer, HTTPServer
from tests.providers.acme import Acme, message_to_bob, with_channel

from mailkit import Message, MessageError, Outcome, Receipt
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.errors import ConnectError, OutcomeUnknownError
from mailkit.providers.exchange import ApiExchange
from mailkit.providers.stream import ApiStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tests.colours import Colour

    from mailkit.edge import Edge
    from mailkit.transport import Channel


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    colour: Colour = request.param
    return colour


class Interrupted(BaseException):
    """Such as KeyboardInterrupt."""


class Source:
    """Yields what is given; raises what is given to be raised."""

    def __init__(self, given: Iterable[Any]) -> None:
        self.given = iter(given)

    def __aiter__(self) -> AsyncIterator[Message | Outcome]:
        return self

    async def __anext__(self) -> Message | Outcome:
        for each in self.given:
            if isinstance(each, BaseException):
                raise each
            return each  # type: ignore[no-any-return]
        raise StopAsyncIteration


def letters(count: int) -> list[Message]:
    """Return messages that can be told apart."""
    return [message_to_bob(subject=str(number)) for number in range(count)]


def described(outcomes: Iterable[Outcome]) -> list[tuple[str | None, str]]:
    """Return which messages they are about, and what they say."""
    return [
        (each.message.subject, "accepted" if each.ok else getattr(each.error, "outcome", "bad")) for each in outcomes
    ]


async def broken_off(channel: Channel, given: list[Any], seen: list[Outcome], **options: Any) -> Any:
    """Go through a stream until something breaks it off; return that."""

    async def go() -> None:
        async with aclosing(channel.send_many(Source(given), **options)) as outcomes:
            while True:
                seen.append(await anext(outcomes))

    with pytest.raises((Interrupted, ValueError)) as caught:
        await go()
    return caught.value


def fine(request: Any) -> Answer:
    """Accept everything."""
    sent = request.json()
    return Answer(200, ["fine"] * len(sent)) if isinstance(sent, list) else Answer(200, {})


def test_a_source_that_fails_loses_nothing(colour: Colour) -> None:
    """What was taken before is sent and has its outcome; then the source's error is raised."""
    seen: list[Outcome] = []

    async def use(channel: Channel, _edge: Edge) -> Any:
        return await broken_off(channel, [*letters(5), ValueError("row 6")], seen)

    with HTTPServer(fine) as server:
        error = with_channel(colour, server, use)
        assert len(server.requests) == 2
    assert str(error) == "row 6"
    assert described(seen) == [(str(number), "accepted") for number in range(5)]


def test_a_stream_that_is_left_tells_of_the_rest(colour: Colour) -> None:
    """Of three messages in one request the first outcome was seen: the other two are carried by what broke it off."""
    earlier = Outcome(message=message_to_bob(subject="bad"), error=MessageError("bad"))

    async def use(channel: Channel, _edge: Edge) -> Interrupted:
        interruption = Interrupted()
        async with aclosing(channel.send_many(Source([*letters(2), earlier, *letters(1)]))) as outcomes:
            await anext(outcomes)
            with pytest.raises(Interrupted):
                await outcomes.athrow(interruption)
        return interruption

    with HTTPServer(fine) as server:
        left = with_channel(colour, server, use).outcomes
    assert described(left) == [("1", "accepted"), ("bad", "bad"), ("0", "accepted")]


def test_an_interrupted_source_sends_nothing_more(colour: Colour) -> None:
    """What waits for its request to fill up was not sent, nor was what came as it is."""
    earlier = Outcome(message=message_to_bob(subject="bad"), error=MessageError("bad"))
    seen: list[Outcome] = []

    async def use(channel: Channel, _edge: Edge) -> Any:
        return await broken_off(channel, [*letters(1), earlier, Interrupted()], seen)

    with HTTPServer(fine) as server:
        interruption = with_channel(colour, server, use)
        assert server.requests == []
    assert described(interruption.outcomes) == [("0", "not_sent"), ("bad", "bad")]
    assert isinstance(interruption.outcomes[0].error, ConnectError)
    assert [each.address for each in interruption.outcomes[0].error.recipients] == ["bob@example.org"]
    assert seen == []


@pytest.mark.parametrize("in_doubt", [True, False, None])
@pytest.mark.parametrize("size", [1, 3])
def test_an_interrupted_request_leaves_what_it_must(colour: Colour, in_doubt: bool | None, size: int) -> None:
    """The first request was answered; a message of the second is in doubt if it may have arrived."""
    seen: list[Outcome] = []

    class Sized(Acme):
        batch_size = size

    async def use(channel: Channel, edge: Edge) -> BaseException:
        really, count = edge.fetch, 0

        async def fetch(request: Any, *, deadline: float) -> Any:
            nonlocal count
            count += 1
            if count == 1:
                return await really(request, deadline=deadline)
            interruption = Interrupted()
            if in_doubt:
                interruption.__dict__["request_may_have_arrived"] = True
            raise interruption

        edge.fetch = fetch  # type: ignore[method-assign, assignment]
        if in_doubt is None:  # struck where nobody could say anything
            channel._exchange._annotate = lambda *_: None  # type: ignore[attr-defined]
        return await broken_off(channel, letters(3 * size), seen)

    with HTTPServer(fine) as server:
        interruption = with_channel(colour, server, use, kind=Sized)
    said = "not_sent" if in_doubt is False else "unknown"
    assert described(seen) == [(str(number), "accepted") for number in range(size)]
    assert described(interruption.outcomes) == [(str(number), said) for number in range(size, 2 * size)]
    error = interruption.outcomes[0].error
    assert isinstance(error, ConnectError if said == "not_sent" else OutcomeUnknownError)
    assert error.message_id == interruption.outcomes[0].message.message_id
    assert (error.transport or "").startswith("sized://127.0.0.1:")


def test_of_requests_at_once_each_leaves_its_own(colour: Colour) -> None:
    """One is answered and one interrupted: the answered messages are accepted, whatever became of the other."""
    seen: list[Outcome] = []
    answers: list[Any] = []

    async def use(channel: Channel, edge: Edge) -> BaseException:
        really = edge.fetch

        async def fetch(request: Any, *, deadline: float) -> Any:
            if b'"0"' in request.body:
                answers.append(await really(request, deadline=deadline))
                return answers[0]
            while not answers:
                await edge.sleep(0.01)
            await edge.sleep(0.1)
            raise Interrupted

        edge.fetch = fetch  # type: ignore[method-assign, assignment]
        return await broken_off(channel, letters(6), seen, connections=2)

    with HTTPServer(fine) as server:
        interruption = with_channel(colour, server, use)
    assert seen == []
    assert described(interruption.outcomes) == [
        *[(str(number), "accepted") for number in range(3)],
        *[(str(number), "not_sent") for number in range(3, 6)],
    ]


def test_halves_leave_what_they_were_told(colour: Colour) -> None:
    """A batch that is refused as one is sent again by halves; what was accepted before the interruption stays so."""
    seen: list[Outcome] = []

    async def use(channel: Channel, edge: Edge) -> BaseException:
        really, count = edge.fetch, 0

        async def fetch(request: Any, *, deadline: float) -> Any:
            nonlocal count
            count += 1
            if count == 3:
                raise Interrupted
            return await really(request, deadline=deadline)

        edge.fetch = fetch  # type: ignore[method-assign, assignment]
        return await broken_off(channel, letters(3), seen)

    def answer(request: Any) -> Answer:
        return Answer(400) if isinstance(request.json(), list) else Answer(200, {})

    with HTTPServer(answer) as server:
        interruption = with_channel(colour, server, use)
    assert seen == []
    assert described(interruption.outcomes) == [("0", "accepted"), ("1", "not_sent"), ("2", "not_sent")]


def test_what_would_not_fit_any_more_was_not_sent(colour: Colour) -> None:
    """A message of another group waits for the request before it; if that is interrupted, it was not sent."""
    seen: list[Outcome] = []

    class Grouped(Acme):
        def batch_group(self, message: Message, envelope: Any) -> str | None:
            return message.subject

    async def use(channel: Channel, edge: Edge) -> Any:
        async def fetch(request: Any, *, deadline: float) -> Any:
            interruption = Interrupted()
            interruption.__dict__["request_may_have_arrived"] = True
            raise interruption

        edge.fetch = fetch  # type: ignore[method-assign, assignment]
        return await broken_off(channel, letters(3), seen)

    with HTTPServer(fine) as server:
        interruption = with_channel(colour, server, use, kind=Grouped)
    assert described(interruption.outcomes) == [("0", "unknown"), ("1", "not_sent")]
    with HTTPServer(fine) as server:
        assert described(with_channel(colour, server, everything, kind=Grouped)) == [
            (str(number), "accepted") for number in range(3)
        ]


async def everything(channel: Channel, _edge: Edge) -> list[Outcome]:
    """Send three messages."""
    return [outcome async for outcome in channel.send_many(Source(letters(3)))]


def test_a_receipt_that_an_interruption_carries_is_kept() -> None:
    """Whoever sends a message that goes alone may know that it was accepted when it was interrupted."""
    message = message_to_bob()
    interruption = Interrupted()
    interruption.__dict__["delivery"] = Receipt(message_id="1@x", transport="x", recipients=())

    async def send(*_: Any) -> Any:
        raise interruption

    transport, edge = Acme("KEY", host="127.0.0.1", port=9), BlockingEdge()
    stream = ApiStream(transport, edge, ApiExchange(transport, edge), send)
    with pytest.raises(Interrupted):
        run_sync(anext(stream.outcomes(Source([message]), 1)))
    (left,) = interruption.outcomes  # type: ignore[attr-defined]
    assert left.receipt is interruption.__dict__["delivery"]
