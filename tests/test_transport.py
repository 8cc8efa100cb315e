from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, TransientError, UnsupportedFeatureError
from mailkit.message import Message
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.transport import Capabilities, Channel, ServerInfo, Transport, carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from mailkit.edge import Edge


def _message(**given: Any) -> Message:
    return Message(**{"from_": "ada@example.com", "to": "bob@example.org", "text": "Hi", **given})


class _Least:
    """The least that is a transport."""

    capabilities = Capabilities()

    def open(self, edge: Edge) -> Channel:
        return _LeastChannel(self)

    def __str__(self) -> str:
        return "least://"


class _LeastChannel(Channel):
    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        if message.subject == "busy":
            raise TransientError("busy")
        results = [RecipientResult(path.addr_spec, status="accepted") for path in envelope.rcpt_to]
        return Receipt(message_id=message.message_id or "", transport="least://", recipients=results)


def test_a_class_with_two_members_is_a_transport() -> None:
    """The protocol is structural: nothing has to be inherited."""
    assert isinstance(_Least(), Transport)
    assert not isinstance("smtp://mail.example.com", Transport)


def test_a_channel_sends_many_by_sending_each() -> None:
    """Whoever writes `send` has `send_many`: in order, errors and all, and what is an outcome already is passed on."""
    bad = Outcome(message=_message(), error=MessageError("bad"))
    given = [_message(subject="one"), bad, _message(subject="busy"), _message(to=()), _message(subject="two")]

    async def stream() -> AsyncIterator[Message | Outcome]:
        for each in given:
            yield each

    async def conversation() -> list[Outcome]:
        async with aclosing(_Least().open(BlockingEdge()).send_many(stream())) as outcomes:
            return [outcome async for outcome in outcomes]

    outcomes = run_sync(conversation())
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None), MessageError, TransientError, MessageError, type(None),
    ]  # fmt: skip
    assert outcomes[1] is bad
    assert [outcome.message for outcome in outcomes] == [
        each.message if isinstance(each, Outcome) else each for each in given
    ]


@pytest.mark.parametrize("said", [None, "receipt", "error"])
def test_an_interrupted_stream_says_what_it_leaves(said: str | None) -> None:
    """What the interruption knows of the message that was being sent, and a doubt where it knows nothing."""
    interruption = KeyboardInterrupt()
    results = [RecipientResult("bob@example.org", status="accepted")]
    known: dict[str | None, Any] = {
        "receipt": Receipt(message_id="1", transport="least://", recipients=results),
        "error": TransientError("interrupted"),
    }
    if said is not None:
        interruption.__dict__["delivery"] = known[said]

    class Interrupted(Channel):
        async def send(self, message: Message, envelope: Envelope) -> Receipt:
            raise interruption

    async def stream() -> AsyncIterator[Message]:
        yield Message(from_="ada@example.com", to="bob@example.org")

    async def go() -> None:
        async with aclosing(Interrupted(_Least()).send_many(stream())) as outcomes:
            async for _ in outcomes:
                pass

    with pytest.raises(KeyboardInterrupt) as caught:
        run_sync(go())
    (left,) = caught.value.__dict__["outcomes"]
    ended = left.receipt or left.error
    if said is None:
        assert (ended.outcome, [str(result) for result in ended.recipients]) == (
            "unknown",
            ["bob@example.org: unknown"],
        )
    else:
        assert ended is known[said]


def test_a_stream_that_fails_while_it_is_broken_off_says_so() -> None:
    """What goes wrong in its clean-up is raised in place of what broke it off, which stays its context."""

    async def outcomes() -> AsyncGenerator[Outcome, None]:
        try:
            yield Outcome(message=_message())
        finally:
            raise LookupError("the clean-up failed")

    async def conversation() -> None:
        async with carrying_on(outcomes()) as stream:
            await anext(stream)
            raise ZeroDivisionError

    with pytest.raises(LookupError) as caught:
        run_sync(conversation())
    assert isinstance(caught.value.__context__, ZeroDivisionError)


def test_a_channel_that_says_nothing_of_raw_bytes_refuses_them() -> None:
    """Prepared bytes are an optional feature; without it they are refused before any I/O."""
    channel = _Least().open(BlockingEdge())
    with pytest.raises(UnsupportedFeatureError, match="least:// cannot express 'raw'"):
        run_sync(channel.send_raw(b"Subject: x\r\n\r\n", Envelope(None, "bob@example.org")))


def test_a_channel_with_nothing_to_connect_to_verifies_and_closes() -> None:
    """The defaults do no harm."""
    channel = _Least().open(BlockingEdge())
    assert run_sync(channel.verify()) == ServerInfo(transport="least://")
    run_sync(channel.close())


def test_a_channel_without_send_is_no_channel() -> None:
    """Whoever forgets to write `send` is told so at once."""
    with pytest.raises(NotImplementedError):
        run_sync(Channel(_Least()).send(_message(), Envelope(None, "bob@example.org")))
