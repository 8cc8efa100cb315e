"""The channel: what it does around a provider's two functions, in three colours where it waits."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from tests.colours import make_edge, run_in
from tests.http_server import Answer, HTTPServer

from mailkit import Attachment, Capabilities, Envelope, Message, MessageError, Outcome, Receipt, RecipientResult
from mailkit.errors import (
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    OutcomeUnknownError,
    RejectedError,
    UnsupportedFeatureError,
)
from mailkit.providers.base import ApiTransport, Item, Request, Response
from mailkit.providers.status import REJECTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.colours import Colour
    from tests.http_server import Received

    from mailkit.edge import Edge
    from mailkit.transport import Channel

_KEY = "KEY-dE4db33f"


class Acme(ApiTransport):
    """A provider with everything."""

    capabilities = Capabilities(attachments=True)
    path: ClassVar[str] = "/send"
    max_recipients: ClassVar[int | None] = 3
    idempotency_header: ClassVar[str | None] = "Idempotency-Key"
    batch_size: ClassVar[int] = 3
    batch_path: ClassVar[str] = "/batch"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Write subject and files."""
        return {"subject": message.subject, "files": [len(each.read()) for each in message.attachments]}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of each recipient."""
        states = response.json_object().get("states", {})
        others = [RecipientResult(name, status=status, text=f"says {_KEY}") for name, status in states.items()]
        return self.accepted(message, envelope, others=others)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message."""
        pairs = zip(items, response.json(), strict=True)
        return [self._one(response, item, state) for item, state in pairs]

    def _one(self, response: Response, item: Item, state: str) -> Receipt | DeliveryError:
        if state == "refused":
            return self.refusal(REJECTED, response, item.message, item.envelope, text=f"no {_KEY}")
        others = [RecipientResult("bob@example.org", status="rejected")] if state == "nobody" else []
        return self.accepted(item.message, item.envelope, others=others)


class Raw(Acme):
    """One that takes prepared bytes."""

    capabilities = Capabilities(raw=True)

    def build_raw_request(self, data: bytes, envelope: Envelope) -> Request:
        """Send them as they are."""
        return self.request("/raw", data, media_type="message/rfc822")


_TO_BOB = Envelope("ada@example.com", "bob@example.org")


def _message(**fields: Any) -> Message:
    return Message(from_="ada@example.com", **{"to": "bob@example.org", "subject": "Hello", **fields}).completed()


def _with(
    colour: Colour,
    server: HTTPServer,
    use: Callable[[Channel, Edge], Any],
    *,
    kind: type[ApiTransport] = Acme,
    key: Any = _KEY,
    **fields: Any,
) -> Any:
    """Run a coroutine function with a channel to the server."""

    async def main() -> Any:
        edge = make_edge(colour)
        channel = kind(key, host="127.0.0.1", port=server.port, **fields).open(edge)
        try:
            return await use(channel, edge)
        finally:
            await channel.close()
            await edge.close()

    return run_in(colour, main)


def _sent(colour: Colour, server: HTTPServer, message: Message, **fields: Any) -> Receipt:
    receipt: Receipt = _with(
        colour, server, lambda channel, _edge: channel.send(message, Envelope.from_message(message)), **fields
    )
    return receipt


def _many(colour: Colour, server: HTTPServer, messages: Iterable[Message | Outcome], **many: Any) -> list[Outcome]:
    async def each() -> AsyncGenerator[Message | Outcome, None]:
        for message in messages:
            yield message

    async def collect(channel: Channel, _edge: Edge) -> list[Outcome]:
        return [outcome async for outcome in channel.send_many(each(), **many)]

    outcomes: list[Outcome] = _with(colour, server, collect)
    return outcomes


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    colour: Colour = request.param
    return colour


def test_recipients_that_were_not_taken(colour: Colour) -> None:
    """Some refused leave a receipt that says so, all refused an error; neither shows the key."""
    states = {"bob@example.org": "rejected"}
    with HTTPServer(lambda _request: Answer(200, {"states": states})) as server:
        receipt = _sent(colour, server, _message(to=["bob@example.org", "eve@example.net"]))
        assert [each.address for each in receipt.refused] == ["bob@example.org"]
        assert _KEY not in repr(receipt)
        with pytest.raises(RejectedError) as caught:
            _sent(colour, server, _message())
    assert _KEY not in f"{caught.value} {caught.value.recipients}"
    assert caught.value.message_id


def test_what_is_refused_before_any_request(colour: Colour) -> None:
    """A feature, a number of recipients, an unreadable file and options that are no JSON never get to the server."""
    with HTTPServer(lambda _request: Answer()) as server:
        for message, error in (
            (_message(tags=["a"]), UnsupportedFeatureError),
            (_message(to=[f"user{number}@example.org" for number in range(4)]), MessageError),
        ):
            with pytest.raises(error):
                _sent(colour, server, message)
    assert not server.requests


def test_files_are_read(colour: Colour) -> None:
    """Attachments are read when the request is built."""
    with HTTPServer(lambda _request: Answer()) as server:
        _sent(colour, server, _message(attachments=[Attachment.from_bytes(b"abc", "a.bin")]))
    assert server.requests[0].json()["files"] == [3]


def test_prepared_bytes(colour: Colour, tmp_path: Path) -> None:
    """They arrive as they are, from memory or a file, with a key of their own; who is in the header has no say."""
    data = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"
    path = tmp_path / "message.eml"
    path.write_bytes(data)
    with HTTPServer(lambda _request: Answer()) as server:
        for source in (data, path):
            receipt = _with(
                colour, server, lambda channel, _edge, source=source: channel.send_raw(source, _TO_BOB), kind=Raw
            )
            assert receipt.message_id == "1@example.com"
            assert [each.address for each in receipt.accepted] == ["bob@example.org"]
        crowd = Envelope("ada@example.com", [f"user{number}@example.org" for number in range(4)])
        with pytest.raises(MessageError):
            _with(colour, server, lambda channel, _edge: channel.send_raw(data, crowd), kind=Raw)
        with pytest.raises(UnsupportedFeatureError):
            _with(colour, server, lambda channel, _edge: channel.send_raw(data, _TO_BOB))
    assert [request.body for request in server.requests] == [data, data]
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1


def test_an_echoed_token_is_masked(colour: Colour) -> None:
    """A token that a function returned is in no field, and shown as little as one that is."""
    answer = Answer(400, {"message": "bad fresh-token-1"})
    with HTTPServer(lambda _request: answer) as server, pytest.raises(RejectedError) as caught:
        _sent(colour, server, _message(), key=lambda: "fresh-token-1")
    assert "fresh-token-1" not in f"{caught.value} {caught.value.recipients}"


def test_no_connection(colour: Colour) -> None:
    """What the edge says is completed: who, through what, which message."""
    with HTTPServer(lambda _request: Answer()) as server:
        pass
    message = _message()
    with pytest.raises(ConnectError) as caught:
        _sent(colour, server, message)
    error = caught.value
    assert (error.outcome, error.message_id, error.transport) == (
        "not_sent",
        message.message_id,
        f"acme://127.0.0.1:{server.port}",
    )
    assert [(each.address, each.status) for each in error.recipients] == [("bob@example.org", "not_sent")]


def test_the_transports_own_time(colour: Colour) -> None:
    """``timeout`` is for the whole exchange; what it cuts off is unknown, and with a key safe to try again."""
    waiting = threading.Event()

    def slow(_request: Received) -> Answer:
        waiting.wait(10)
        return Answer()

    with HTTPServer(slow) as server:
        with pytest.raises(OutcomeUnknownError) as caught:
            _sent(colour, server, _message(), timeout=0.3)
        waiting.set()
    assert caught.value.retryable
    assert caught.value.idempotent


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interruption_says_what_it_leaves(backend: Colour) -> None:
    """Cancelled before it was sent: not sent. Cancelled while the answer was awaited: unknown. Each with a note."""
    waiting = threading.Event()

    def slow(_request: Received) -> Answer:
        waiting.wait(10)
        return Answer()

    async def interrupted(channel: Channel, edge: Edge, seconds: float) -> BaseException:
        caught: list[BaseException] = []
        with anyio.move_on_after(seconds):
            try:
                await channel.send(_message(), Envelope.from_message(_message()))
            except BaseException as interruption:
                caught.append(interruption)
                raise
        return caught[0]

    with HTTPServer(slow) as server:
        late = _with(backend, server, lambda channel, edge: interrupted(channel, edge, 0.3))
        early = _with(backend, server, lambda channel, edge: interrupted(channel, edge, 0))
        waiting.set()
    assert late.delivery.outcome == "unknown"
    assert early.delivery.outcome == "not_sent"
    assert late.delivery.recipients[0].status == "unknown"
    assert "unknown" in late.__notes__[0]


def test_each_message_of_a_batch(colour: Colour) -> None:
    """Accepted, refused and accepted for nobody: each has its own; what was wrong before stays in its place."""
    before = Outcome(message=_message(), error=MessageError("no From"))
    given = [_message(), _message(), before, _message(), _message(tags=["a"])]
    with HTTPServer(lambda _request: Answer(200, ["fine", "refused", "nobody"])) as server:
        outcomes = _many(colour, server, given)
    assert [outcome.message for outcome in outcomes] == [*given[:2], before.message, *given[3:]]
    assert [type(each.error).__name__ for each in outcomes] == [
        "NoneType",
        "RejectedError",
        "MessageError",
        "RejectedError",
        "UnsupportedFeatureError",
    ]
    assert _KEY not in "".join(str(each.error) for each in outcomes)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b'["fine"]', b"{}"])
def test_a_batch_whose_answer_cannot_be_read_is_unknown(colour: Colour, body: bytes) -> None:
    """Its results are inside the answer, and for all that is known each message may have been taken or refused."""
    with HTTPServer(lambda _request: Answer(200, body)) as server:
        outcomes = _many(colour, server, [_message(), _message()])
    assert [type(each.error) for each in outcomes] == [OutcomeUnknownError] * 2


def test_a_batch_that_fails_as_one(colour: Colour) -> None:
    """Each message has an error of its own, about it alone; in doubt none is safe to try again, having no key."""
    answers = [Answer(500), Answer(429, b"", {"Retry-After": "5"}), Answer(raw=b"")]
    for answer, outcome in zip(answers, ("unknown", "not_sent", "unknown"), strict=True):
        with HTTPServer(lambda _request, answer=answer: answer) as server:
            given = [_message(), _message(to="eve@example.net")]
            outcomes = _many(colour, server, given)
        errors = [each.error for each in outcomes]
        assert all(isinstance(error, DeliveryError) and error.outcome == outcome for error in errors)
        assert [error.message_id for error in errors] == [message.message_id for message in given]  # type: ignore[union-attr]
        assert [error.recipients[0].address for error in errors] == ["bob@example.org", "eve@example.net"]  # type: ignore[union-attr]
        assert errors[0].retryable == (outcome == "not_sent")  # type: ignore[union-attr]
        assert len(server.requests) == 1


def test_a_batch_that_cannot_be_built(colour: Colour) -> None:
    """An error of the request is every message's."""

    class Broken(Acme):
        def build_batch(self, items: Sequence[Item]) -> Any:
            raise MessageError("these do not go together")

    async def collect(_channel: Channel, edge: Edge) -> list[Outcome]:
        async def each() -> AsyncGenerator[Message | Outcome, None]:
            for _ in range(2):
                yield _message()

        return [outcome async for outcome in Broken(_KEY, host="127.0.0.1", port=9).open(edge).send_many(each())]

    with HTTPServer(lambda _request: Answer()) as server:
        outcomes = _with(colour, server, collect)
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
        outcomes = _many(colour, server, [_message() for _ in range(12)], connections=2)
    assert all(outcome.ok for outcome in outcomes)
    assert len(server.requests) == 4
    assert most[1] == 2


def test_a_slow_source_does_not_hold_messages_back(colour: Colour) -> None:
    """A message is sent although there is room beside it, when the next one takes its time."""

    async def use(channel: Channel, edge: Edge) -> int:
        async def each() -> AsyncGenerator[Message | Outcome, None]:
            yield _message()
            await edge.sleep(0.6)
            yield _message()
            raise AssertionError("both are to be sent before more is asked for")

        async with aclosing(each()) as messages, aclosing(channel.send_many(messages)) as outcomes:
            async for outcome in outcomes:
                assert outcome.ok
                return 1
        return 0

    with HTTPServer(lambda request: Answer(200, ["fine"] * len(request.json()))) as server:
        assert _with(colour, server, use) == 1


def test_verifying_without_a_connection(colour: Colour) -> None:
    """Where there is nothing to ask, nothing is; where there is, the error names the transport."""

    class Asking(Acme):
        verify_path: ClassVar[str | None] = "/me"

    async def verify(_channel: Channel, edge: Edge) -> None:
        with pytest.raises((ConnectError, DeliveryTimeout)) as caught:
            await Asking(_KEY, host="127.0.0.1", port=server.port).open(edge).verify()
        assert caught.value.transport == f"asking://127.0.0.1:{server.port}"

    with HTTPServer(lambda _request: Answer()) as server:
        assert _with(colour, server, lambda channel, _edge: channel.verify()).extensions == ()
    assert not server.requests
    _with(colour, server, verify)
