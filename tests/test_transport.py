from __future__ import annotations

import inspect
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, fields

from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import MessageError, TransientError, UnsupportedFeatureError
from mailkit.message import Message
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.template import Template
from mailkit.transport import Capabilities, Channel, ServerInfo, Transport, carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from mailkit.edge import Edge

INVITATION = Calendar("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")

# What in a message asks for each feature. A number is how many of them these fields are.
ASKING: dict[str, tuple[int, dict[str, Any]]] = {
    "html": (1, {"html": "<p>Hi"}),
    "cc": (1, {"cc": "cc@example.org"}),
    "bcc": (1, {"bcc": "bcc@example.org"}),
    "reply_to": (2, {"reply_to": ["a@example.com", "b@example.com"]}),
    "headers": (1, {"headers": {"X-Campaign": "q3"}}),
    "threading": (1, {"references": ["0@example.com"]}),
    "sender": (1, {"sender": "office@example.com"}),
    "return_path": (1, {"return_path": ""}),
    "list_unsubscribe": (1, {"list_unsubscribe": "https://example.com/u"}),
    "attachments": (1, {"attachments": Attachment.from_bytes(b"x", "x.txt")}),
    "inline": (1, {"attachments": Attachment.from_bytes(b"x", "x.png", content_id="x")}),
    "amp": (1, {"amp": "<html ⚡4email></html>"}),
    "calendar": (1, {"calendar": INVITATION}),
    "smtputf8": (1, {"to": "zoë@example.org"}),
    "tags": (2, {"tags": ["a", "b"]}),
    "metadata": (2, {"metadata": {"a": "1", "b": "2"}}),
    "track_opens": (1, {"track_opens": False}),
    "track_clicks": (1, {"track_clicks": False}),
    "send_at": (1, {"send_at": datetime(2030, 1, 1, tzinfo=UTC)}),
    "template": (1, {"template": Template("welcome", {})}),
}
NOT_ASKED_BY_A_FIELD = {"raw"}  # send_raw asks for it
# Fields that every transport can express in some way, or that are for one provider alone.
FOR_EVERYBODY = {"from_", "to", "subject", "text", "date", "message_id", "idempotency_key", "options"}

FEATURES = [each.name for each in fields(Capabilities)]


def _message(**given: Any) -> Message:
    return Message(**{"from_": "ada@example.com", "to": "bob@example.org", "text": "Hi", **given})


def _check(capabilities: Capabilities, asked: Message) -> None:
    capabilities.check(asked, Envelope.from_message(asked), transport="acme://")


def test_every_feature_is_asked_for_by_something() -> None:
    """A feature that Capabilities names and no message can ask for would promise a check that is never made."""
    assert set(FEATURES) == set(ASKING) | NOT_ASKED_BY_A_FIELD


def test_every_field_of_a_message_is_a_feature_or_for_everybody() -> None:
    """A field that is neither would be dropped in silence by transports that do not know it."""
    asked = {name for _, given in ASKING.values() for name in given} | {"in_reply_to"}
    assert {each.name for each in fields(Message)} == asked | FOR_EVERYBODY


@pytest.mark.parametrize("feature", sorted(ASKING))
def test_a_missing_feature_is_refused_by_name(feature: str) -> None:
    """A transport that can do everything else refuses it, naming the feature and itself, and sends nothing."""
    count, given = ASKING[feature]
    able = Capabilities.everything()
    _check(able, _message(**given))
    lacking = evolve(able, **{feature: type(getattr(able, feature))(0)})
    with pytest.raises(UnsupportedFeatureError) as caught:
        _check(lacking, _message(**given))
    assert (caught.value.feature, caught.value.transport) == (feature, "acme://")
    assert str(caught.value) == (
        f"acme:// cannot express {feature!r} (none): leave it out, or send through a transport that can"
    )
    assert count >= 1


@pytest.mark.parametrize("feature", [name for name in ASKING if ASKING[name][0] == 2])
def test_a_number_is_a_limit(feature: str) -> None:
    """Two are refused where one is the most, with both numbers; two are fine where two are."""
    _, given = ASKING[feature]
    _check(evolve(Capabilities.everything(), **{feature: 2}), _message(**given))
    with pytest.raises(UnsupportedFeatureError, match=r"\(at most 1 of them, not 2\)"):
        _check(evolve(Capabilities.everything(), **{feature: 1}), _message(**given))


@pytest.mark.parametrize("given", [{"in_reply_to": "0@example.com"}, {"references": ["0@example.com"]}])
def test_either_threading_field_asks_for_threading(given: dict[str, Any]) -> None:
    """In-Reply-To alone is a thread as well."""
    with pytest.raises(UnsupportedFeatureError, match="threading"):
        _check(evolve(Capabilities.everything(), threading=False), _message(**given))


@pytest.mark.parametrize("field", ["from_", "sender", "to", "cc", "bcc", "reply_to", "return_path"])
def test_a_local_part_that_is_not_ascii_asks_for_smtputf8_wherever_it_stands(field: str) -> None:
    """In the header as in the envelope: an author of that kind with an ASCII return path is refused too."""
    given = {"return_path": "bounces@example.com", field: "zoë@example.com"}
    with pytest.raises(UnsupportedFeatureError, match="smtputf8"):
        _check(evolve(Capabilities.everything(), smtputf8=False), _message(**given))


def test_a_plain_message_asks_for_nothing() -> None:
    """The poorest transport takes a text from one to one."""
    nothing = Capabilities(
        **{each.name: 0 if each.type == "int" else False for each in fields(Capabilities)}  # type: ignore[arg-type]
    )
    _check(nothing, _message())


def test_rfc_5322_can_say_what_its_bytes_can_say() -> None:
    """Everything but what only a provider could do, and SMTPUTF8 where it is asked for."""
    can = Capabilities.rfc5322()
    missing = {name for name in FEATURES if not getattr(can, name)}
    assert missing == {"tags", "metadata", "track_opens", "track_clicks", "send_at", "template"}
    assert not Capabilities.rfc5322(smtputf8=False).smtputf8


def test_everything_is_everything() -> None:
    """No feature is missing, and numbers are as good as unlimited."""
    can = Capabilities.everything()
    assert all(getattr(can, name) for name in FEATURES)
    assert can.tags == can.metadata == can.reply_to >= 1_000_000


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


def test_the_features_are_explained() -> None:
    """Each has a line of its own in the docstring, in the order of the fields."""
    lines = [line.strip() for line in (inspect.getdoc(Capabilities) or "").partition("Args:")[2].splitlines()]
    assert [line.partition(":")[0] for line in lines if line] == FEATURES
