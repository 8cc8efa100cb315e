"""One request and its answer: whom an error is about, what is masked, what an interruption leaves, in three colours."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.http_server import Answer, HTTPServer
from tests.patience import given_time
from tests.providers.acme import KEY, message_to_bob, sent, with_channel

from mailkit import Envelope
from mailkit.errors import (
    ConnectError,
    OutcomeUnknownError,
    RejectedError,
)

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.http_server import Received

    from mailkit.transport import Channel


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    colour: Colour = request.param
    return colour


def test_recipients_that_were_not_taken(colour: Colour) -> None:
    """Some refused leave a receipt that says so, all refused an error; neither shows the key."""
    states = {"bob@example.org": "rejected"}
    with HTTPServer(lambda _request: Answer(200, {"states": states})) as server:
        receipt = sent(colour, server, message_to_bob(to=["bob@example.org", "eve@example.net"]))
        assert [each.address for each in receipt.refused] == ["bob@example.org"]
        assert KEY not in repr(receipt)
        with pytest.raises(RejectedError) as caught:
            sent(colour, server, message_to_bob())
    assert KEY not in f"{caught.value} {caught.value.recipients}"
    assert caught.value.message_id


def test_an_echoed_token_is_masked(colour: Colour) -> None:
    """A token that a function returned is in no field, and shown as little as one that is."""
    answer = Answer(400, {"message": "bad fresh-token-1"})
    with HTTPServer(lambda _request: answer) as server, pytest.raises(RejectedError) as caught:
        sent(colour, server, message_to_bob(), key=lambda: "fresh-token-1")
    assert "fresh-token-1" not in f"{caught.value} {caught.value.recipients}"


def test_no_connection(colour: Colour) -> None:
    """What the edge says is completed: who, through what, which message."""
    with HTTPServer(lambda _request: Answer()) as server:
        pass
    message = message_to_bob()
    with pytest.raises(ConnectError) as caught:
        sent(colour, server, message)
    error = caught.value
    assert (error.outcome, error.message_id, error.transport) == (
        "not_sent",
        message.message_id,
        f"acme://127.0.0.1:{server.port}",
    )
    assert [(each.address, each.status) for each in error.recipients] == [("bob@example.org", "not_sent")]


@given_time(first=0.3)
def test_the_transports_own_time(colour: Colour, *, wait: float) -> None:
    """``timeout`` is for the whole exchange; what it cuts off is unknown, and with a key safe to try again."""
    waiting = threading.Event()

    def slow(_request: Received) -> Answer:
        waiting.wait(10)
        return Answer()

    with HTTPServer(slow) as server:
        with pytest.raises(OutcomeUnknownError) as caught:
            sent(colour, server, message_to_bob(), timeout=wait)
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

    async def interrupted(channel: Channel, *, at_once: bool) -> BaseException:
        caught: list[BaseException] = []
        async with anyio.create_task_group() as group:

            async def cancel_when_it_has_arrived() -> None:
                while not server.requests:  # noqa: ASYNC110 - the other side is a thread
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()

            if at_once:
                group.cancel_scope.cancel()
            else:
                group.start_soon(cancel_when_it_has_arrived)
            try:
                await channel.send(message_to_bob(), Envelope.from_message(message_to_bob()))
            except BaseException as interruption:
                caught.append(interruption)
                raise
        return caught[0]

    with HTTPServer(slow) as server:
        late = with_channel(backend, server, lambda channel, _: interrupted(channel, at_once=False))
        early = with_channel(backend, server, lambda channel, _: interrupted(channel, at_once=True))
        waiting.set()
    assert late.delivery.outcome == "unknown"
    assert early.delivery.outcome == "not_sent"
    assert late.delivery.recipients[0].status == "unknown"
    assert "unknown" in late.__notes__[0]
