"""Streams of messages: batches, their answers, and several requests at once, in three colours."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.http_server import Answer, HTTPServer
from tests.patience import given_time
from tests.providers.acme import KEY, Acme, many_sent, message_to_bob, with_channel

from mailkit import Message, MessageError, Outcome
from mailkit.errors import DeliveryError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tests.colours import Colour
    from tests.http_server import Received

    from mailkit.edge import Edge
    from mailkit.providers.base import Item
    from mailkit.transport import Channel


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    colour: Colour = request.param
    return colour


def test_each_message_of_a_batch(colour: Colour) -> None:
    """Accepted, refused and accepted for nobody: each has its own; what was wrong before stays in its place."""
    before = Outcome(message=message_to_bob(), error=MessageError("no From"))
    given = [message_to_bob(), message_to_bob(), before, message_to_bob(), message_to_bob(tags=["a"])]
    with HTTPServer(lambda _request: Answer(200, ["fine", "refused", "nobody"])) as server:
        outcomes = many_sent(colour, server, given)
    assert [outcome.message for outcome in outcomes] == [*given[:2], before.message, *given[3:]]
    assert [type(each.error).__name__ for each in outcomes] == [
        "NoneType",
        "RejectedError",
        "MessageError",
        "RejectedError",
        "UnsupportedFeatureError",
    ]
    assert KEY not in "".join(str(each.error) for each in outcomes)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b'["fine"]', b"{}"])
def test_a_batch_whose_answer_cannot_be_read_is_unknown(colour: Colour, body: bytes) -> None:
    """Its results are inside the answer, and for all that is known each message may have been taken or refused."""
    with HTTPServer(lambda _request: Answer(200, body)) as server:
        outcomes = many_sent(colour, server, [message_to_bob(), message_to_bob()])
    assert [type(each.error) for each in outcomes] == [OutcomeUnknownError] * 2


def test_a_batch_that_fails_as_one(colour: Colour) -> None:
    """Each message has an error of its own, about it alone; in doubt none is safe to try again, having no key."""
    answers = [Answer(500), Answer(429, b"", {"Retry-After": "5"}), Answer(raw=b"")]
    for answer, outcome in zip(answers, ("unknown", "not_sent", "unknown"), strict=True):
        with HTTPServer(lambda _request, answer=answer: answer) as server:
            given = [message_to_bob(), message_to_bob(to="eve@example.net")]
            outcomes = many_sent(colour, server, given)
        errors = [each.error for each in outcomes]
        assert all(isinstance(error, DeliveryError) and error.outcome == outcome for error in errors)
        assert [error.message_id for error in errors] == [message.message_id for message in given]  # type: ignore[union-attr]
        assert [error.recipients[0].address for error in errors] == ["bob@example.org", "eve@example.net"]  # type: ignore[union-attr]
        assert errors[0].retryable == (outcome == "not_sent")  # type: ignore[union-attr]
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_wrong_message_stops_no_other(colour: Colour, status: int) -> None:
    """A batch that is refused for its contents goes again by halves: what is wrong alone is refused, all else sent."""

    def answer(request: Received) -> Answer:
        payload = request.json()
        subjects = [each["subject"] for each in payload] if isinstance(payload, list) else [payload["subject"]]
        if "wrong" in subjects:
            return Answer(status, {"message": "a message is wrong"})
        sent.extend(subjects)
        return Answer(200, ["fine"] * len(subjects) if isinstance(payload, list) else {"id": "1"})

    sent: list[str] = []
    given = [message_to_bob(subject=subject) for subject in ("a", "b", "wrong", "c")]
    with HTTPServer(answer) as server:
        outcomes = many_sent(colour, server, given)
    assert [outcome.message for outcome in outcomes] == given
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True]
    assert sorted(sent) == ["a", "b", "c"]
    assert len(server.requests) == 6  # three, of them one and two, of these one and one; and a fourth message alone
    error = outcomes[2].error
    assert isinstance(error, DeliveryError)
    assert (error.outcome, error.message_id) == ("rejected", given[2].message_id)


@pytest.mark.parametrize("status", [401, 404, 409])
def test_what_is_no_messages_fault_goes_once(colour: Colour, status: int) -> None:
    """A batch that is refused for the key, the place or the idempotency key is not sent in parts."""
    with HTTPServer(lambda _request: Answer(status)) as server:
        outcomes = many_sent(colour, server, [message_to_bob(), message_to_bob()])
    assert not any(outcome.ok for outcome in outcomes)
    assert len(server.requests) == 1


def test_a_batch_that_cannot_be_built(colour: Colour) -> None:
    """An error of the request is every message's."""

    class Broken(Acme):
        def build_batch(self, items: Sequence[Item]) -> Any:
            raise MessageError("these do not go together")

    async def collect(_channel: Channel, edge: Edge) -> list[Outcome]:
        async def each() -> AsyncGenerator[Message | Outcome, None]:
            for _ in range(2):
                yield message_to_bob()

        return [outcome async for outcome in Broken(KEY, host="127.0.0.1", port=9).open(edge).send_many(each())]

    with HTTPServer(lambda _request: Answer()) as server:
        outcomes = with_channel(colour, server, collect)
    assert [str(each.error) for each in outcomes] == ["these do not go together"] * 2


def test_several_requests_are_under_way_at_once(colour: Colour) -> None:
    """As many as ``connections`` allows, and no more."""
    together = threading.Barrier(2, timeout=10)
    most = [0, 0]

    def answer(request: Received) -> Answer:
        most[0] += 1
        most[1] = max(most)
        together.wait()
        most[0] -= 1
        return Answer(200, ["fine"] * len(request.json()))

    with HTTPServer(answer) as server:
        outcomes = many_sent(colour, server, [message_to_bob() for _ in range(12)], connections=2)
    assert all(outcome.ok for outcome in outcomes)
    assert len(server.requests) == 4
    assert most[1] == 2


@given_time(first=0.6)
def test_a_slow_source_does_not_hold_messages_back(colour: Colour, *, wait: float) -> None:
    """A message is sent although there is room beside it, when the next one takes its time."""

    async def use(channel: Channel, edge: Edge) -> int:
        async def each() -> AsyncGenerator[Message | Outcome, None]:
            yield message_to_bob()
            await edge.sleep(wait)
            yield message_to_bob()
            raise AssertionError("both are to be sent before more is asked for")

        async with aclosing(each()) as messages, aclosing(channel.send_many(messages)) as outcomes:
            async for outcome in outcomes:
                assert outcome.ok
                return 1
        return 0

    with HTTPServer(lambda request: Answer(200, ["fine"] * len(request.json()))) as server:
        assert with_channel(colour, server, use) == 1
