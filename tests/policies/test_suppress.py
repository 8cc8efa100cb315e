from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import colour, make_edge, run
from tests.policies.letters import Interrupted, each, letter

from mailkit import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    Envelope,
    Mailer,
    Message,
    MessageError,
    RejectedError,
    RetryPolicy,
    Suppress,
    TransientError,
)
from mailkit.events import Suppressed
from mailkit.policies import FileSuppressionList, MemorySuppressionList, SQLiteSuppressionList
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.smtp import SMTP
from mailkit.testing import Delivered, FakeTransport, SMTPServer, TransportContract
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.colours import Colour

    from mailkit.events import Event
    from mailkit.transport import Transport

__all__ = ["colour", "run"]

GONE = {"gone@example.org": "hard bounce", "@example.net": "unsubscribed"}
both_ways = pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])


class TestContract(TransportContract):
    """Where nobody is suppressed, nothing changes."""

    def make_transport(self) -> Transport:
        """A fake one."""
        self.fake = FakeTransport()
        return Suppress(self.fake, MemorySuppressionList(["somebody.else@example.org"]))

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


@pytest.fixture
def deliver(colour: Colour, run: Any) -> Callable[..., list[Any]]:
    """Return a function that sends messages and returns what became of each: a receipt or an error."""

    def send_all(transport: Transport, *messages: Any, many: bool, events: list[Event] | None = None) -> list[Any]:
        edge = make_edge(colour)
        edge.listener = None if events is None else events.append

        async def send() -> list[Any]:
            channel = transport.open(edge)
            if many:
                outcomes = [outcome async for outcome in channel.send_many(each(messages))]
                assert [outcome.message for outcome in outcomes] == [
                    item.message if isinstance(item, Outcome) else item for item in messages
                ]
                return [outcome.receipt or outcome.error for outcome in outcomes]
            return [await attempt(channel, message) for message in messages]

        return run(send)  # type: ignore[no-any-return]

    return send_all


async def attempt(channel: Channel, message: Message) -> Any:
    """Send a message; return the receipt or the error."""
    try:
        return await channel.send(message, Envelope.from_message(message))
    except DeliveryError as error:
        return error


def told(ended: Any) -> list[tuple[str, str, str | None, str]]:
    """Return what is said of each recipient."""
    return [(each.address, each.status, each.phase, each.text) for each in ended.recipients]


@both_ways
def test_the_others_get_the_message_as_it_is(deliver: Any, many: bool) -> None:
    """The envelope lacks who is suppressed, the header does not; the receipt has a result for each, in order."""
    fake, events = FakeTransport(), list[Any]()
    message = letter(to=["Gone@example.org", "bob@example.org"], cc="cat@example.net", bcc="arch@example.com")
    (receipt,) = deliver(Suppress(fake, MemorySuppressionList(GONE)), message, many=many, events=events)
    sent = fake.one()
    assert [path.addr_spec for path in sent.envelope.rcpt_to] == ["bob@example.org", "arch@example.com"]
    assert sent.message is message
    assert told(receipt) == [
        ("Gone@example.org", "rejected", "suppressed", "hard bounce"),
        ("bob@example.org", "accepted", None, ""),
        ("cat@example.net", "rejected", "suppressed", "unsubscribed"),
        ("arch@example.com", "accepted", None, ""),
    ]
    (event,) = events
    assert isinstance(event, Suppressed)
    assert (event.recipients, event.remaining, event.transport) == (2, 2, "suppress(fake://)")
    assert "example.org" not in str(event)


@both_ways
def test_where_nobody_is_left_nothing_is_sent(deliver: Any, many: bool) -> None:
    """It is a rejection before any I/O, which names the recipients in its results and not in its text."""
    fake = FakeTransport()
    message = letter(to=["gone@example.org", "cat@example.net"])
    (error,) = deliver(Suppress(fake, MemorySuppressionList(GONE)), message, many=many)
    assert isinstance(error, RejectedError)
    assert told(error) == [
        ("gone@example.org", "rejected", "suppressed", "hard bounce"),
        ("cat@example.net", "rejected", "suppressed", "unsubscribed"),
    ]
    assert (error.phase, error.transport, error.message_id) == ("suppressed", "suppress(fake://)", message.message_id)
    assert not error.retryable
    assert "example.org" not in str(error)
    fake.assert_nothing_sent()


def test_a_stream_keeps_its_order(deliver: Any) -> None:
    """Messages of all kinds have their outcomes in their places."""
    fake = FakeTransport()
    earlier = Outcome(message=letter(8), error=MessageError("bad"))
    messages = [
        letter(0),
        letter(1, to="gone@example.org"),
        letter(2, to=["gone@example.org", "bob@example.org"]),
        earlier,
        letter(3),
        letter(4, to=["bob@example.org", "x@example.net"]),
        letter(5, to="gone@example.org"),
        letter(6).evolve(to=()),
        letter(7),
    ]
    ended = deliver(Suppress(fake, MemorySuppressionList(GONE)), *messages, many=True)
    assert [type(each).__name__ for each in ended] == [
        "Receipt", "RejectedError", "Receipt", "MessageError", "Receipt", "Receipt", "RejectedError", "MessageError",
        "Receipt",
    ]  # fmt: skip
    assert [sent.subject for sent in fake.outbox] == [f"Number {number}" for number in (0, 2, 3, 4, 7)]


@both_ways
def test_an_error_tells_of_those_who_were_tried(deliver: Any, many: bool) -> None:
    """What went wrong with the others stays what it is, and who is suppressed stands beside them."""
    fake = FakeTransport()
    fake.fail_next(ConnectError("refused"))
    message = letter(to=["gone@example.org", "bob@example.org"])
    (error,) = deliver(Suppress(fake, MemorySuppressionList(GONE)), message, many=many)
    assert isinstance(error, ConnectError)
    assert error.retryable
    assert [(each.address, each.status) for each in error.recipients] == [
        ("gone@example.org", "rejected"),
        ("bob@example.org", "not_sent"),
    ]


@both_ways
def test_a_message_that_cannot_be_sent_is_an_error_of_its_own(deliver: Any, many: bool) -> None:
    """Where the rest of a message is refused for what it is, that is its outcome."""
    fake = FakeTransport()
    fake.fail_next(MessageError("too odd"))
    message = letter(to=["gone@example.org", "bob@example.org"])
    if many:
        (error,) = deliver(Suppress(fake, MemorySuppressionList(GONE)), message, many=True)
        assert isinstance(error, MessageError)
    else:
        with pytest.raises(MessageError):
            deliver(Suppress(fake, MemorySuppressionList(GONE)), message, many=False)


@pytest.mark.parametrize("many", [False, True])
def test_only_the_others_are_tried_again(many: bool) -> None:
    """A retry round it leaves the suppressed ones rejected and delivers to the others."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), times=2)
    message = letter(to=["gone@example.org", "bob@example.org"])
    with Mailer(Suppress(fake, MemorySuppressionList(GONE)), retry=RetryPolicy(wait=lambda _: 0.0)) as mailer:
        receipt = next(mailer.send_many([message])).receipt if many else mailer.send(message)
    assert receipt is not None
    assert receipt.attempts == 3
    assert [(each.address, each.status) for each in receipt.recipients] == [
        ("gone@example.org", "rejected"),
        ("bob@example.org", "accepted"),
    ]
    assert len(fake.outbox) == 1


def test_one_refusal_can_keep_it_from_everybody() -> None:
    """With recipients="all", a suppressed recipient keeps the message from the others, who were not sent to."""
    with SMTPServer() as server:
        smtp = SMTP(server.host, port=server.port, recipients="all")
        mailer = Mailer(Suppress(smtp, MemorySuppressionList(GONE)))
        with mailer, pytest.raises(RejectedError, match="a recipient is on the suppression list") as caught:
            mailer.send(letter(to=["bob@example.org", "gone@example.org"]))
        assert [(each.address, each.status) for each in caught.value.recipients] == [
            ("bob@example.org", "not_sent"),
            ("gone@example.org", "rejected"),
        ]
        assert not server.connections


@pytest.mark.parametrize("kind", ["file", "sqlite"])
@both_ways
def test_lists_on_disk_are_asked_as_well(deliver: Any, many: bool, kind: str, tmp_path: Path) -> None:
    """They are read in a thread where there is an event loop."""
    fake, path = FakeTransport(), tmp_path / "list"
    if kind == "file":
        path.write_text("gone@example.org # hard bounce\n")
        suppressed: Any = FileSuppressionList(path)
    else:
        suppressed = SQLiteSuppressionList(path)
        suppressed.update(GONE)
    ended = deliver(Suppress(fake, suppressed), letter(0), letter(1, to="gone@example.org"), many=many)
    assert [isinstance(each, Receipt) for each in ended] == [True, False]
    assert ended[1].recipients[0].text == "hard bounce"
    if kind == "sqlite":
        suppressed.close()


def test_prepared_bytes_go_to_the_others(colour: Colour, run: Any) -> None:
    """Their envelope lacks who is suppressed, and they are what they were."""
    fake = FakeTransport()
    raw = b"From: ada@example.com\r\nTo: gone@example.org\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"

    async def send() -> Receipt:
        channel = Suppress(fake, MemorySuppressionList(GONE)).open(make_edge(colour))
        return await channel.send_raw(raw, Envelope("ada@example.com", ["gone@example.org", "bob@example.org"]))

    assert [each.status for each in run(send).recipients] == ["rejected", "accepted"]
    assert fake.one().raw == raw
    assert [path.addr_spec for path in fake.one().envelope.rcpt_to] == ["bob@example.org"]


class Broken:
    """A list that cannot be asked."""

    blocks = False

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def reasons(self, addresses: Any) -> list[None]:
        """Raise, or answer for too many."""
        if self.error is not None:
            raise self.error
        return [None, *[None for _ in addresses]]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RuntimeError("redis://user:secret@host is gone"), "transient"),
        (None, "transient"),
        (DeliveryError("cannot be read", cause="configuration"), "configuration"),
    ],
    ids=["foreign", "wrong number", "own"],
)
@both_ways
def test_a_list_that_cannot_be_asked_keeps_the_message_back(
    deliver: Any, many: bool, error: Exception | None, cause: str
) -> None:
    """Whatever it raises, the message is not sent, for no recipient, and no foreign text is repeated."""
    fake = FakeTransport()
    (ended,) = deliver(Suppress(fake, Broken(error)), letter(), many=many)
    assert isinstance(ended, DeliveryError)
    assert (ended.outcome, ended.cause, ended.transport) == ("not_sent", cause, "suppress(fake://)")
    assert [(each.address, each.status) for each in ended.recipients] == [("bob@example.org", "not_sent")]
    assert "secret" not in str(ended)
    fake.assert_nothing_sent()


@pytest.mark.parametrize("reason", [5, b"bounced", True, ["bounced"]])
@both_ways
def test_a_reason_that_is_no_text_keeps_the_message_back(deliver: Any, many: bool, reason: Any) -> None:
    """Nothing is sent, and a stream goes on with the next message."""

    class Odd:
        blocks = False

        def reasons(self, addresses: Any) -> list[Any]:
            return [reason if each.email == "bob@example.org" else None for each in addresses]

    fake = FakeTransport()
    refused, sent = deliver(Suppress(fake, Odd()), letter(1), letter(2, to="eve@example.org"), many=many)
    assert isinstance(refused, DeliveryError)
    assert (refused.outcome, refused.phase) == ("not_sent", "suppressed")
    assert sent.accepted
    assert fake.one().message.subject == "Number 2"


@pytest.mark.parametrize("delivery", ["receipt", "error", "nothing", "before"])
@both_ways
def test_an_interruption_tells_of_the_suppressed_too(colour: Colour, run: Any, many: bool, delivery: str) -> None:
    """What it carries has a result for each recipient; before the list was asked, none of them was sent to."""
    result = RecipientResult("bob@example.org", status="accepted")
    left: Any = {
        "receipt": Receipt(message_id="1@x", transport="x", recipients=[result]),
        "error": ConnectError("lost", recipients=[RecipientResult("bob@example.org", status="not_sent")]),
    }.get(delivery)

    class Struck(Channel):
        async def send(self, message: Message, envelope: Envelope) -> Receipt:
            interruption = Interrupted()
            if left is not None:
                interruption.__dict__["delivery"] = left
            raise interruption

    class Opening(FakeTransport):
        def open(self, edge: Any) -> Channel:
            return Struck(self)

    listed: Any = Broken(Interrupted()) if delivery == "before" else MemorySuppressionList(GONE)

    async def send() -> None:
        channel = Suppress(Opening(), listed).open(make_edge(colour))
        message = letter(to=["bob@example.org", "gone@example.org"])
        if not many:
            await channel.send(message, Envelope.from_message(message))
        async with aclosing(channel.send_many(each([message]))) as outcomes:
            await anext(outcomes)

    with pytest.raises(Interrupted) as caught:
        run(send)
    ended = getattr(caught.value, "delivery", None)
    if many:
        (outcome,) = caught.value.outcomes  # type: ignore[attr-defined]
        ended = outcome.receipt or outcome.error
    found = {each.address: each.status for each in getattr(ended, "recipients", ())}
    assert (
        found
        == {
            "receipt": {"bob@example.org": "accepted", "gone@example.org": "rejected"},
            "error": {"bob@example.org": "not_sent", "gone@example.org": "rejected"},
            "nothing": {"bob@example.org": "unknown", "gone@example.org": "unknown"} if many else {},
            "before": {"bob@example.org": "not_sent", "gone@example.org": "not_sent"},
        }[delivery]
    )


def test_reasons_are_printable() -> None:
    """A reason with control characters in it is shown with escapes."""
    fake = FakeTransport()
    suppressed = MemorySuppressionList({"bob@example.org": "a\r\nb\x1b[2J\ud800"})
    with Mailer(Suppress(fake, suppressed)) as mailer, pytest.raises(RejectedError) as caught:
        mailer.send(letter())
    assert caught.value.recipients[0].text == "a\\r\\nb\\x1b[2J?"


@pytest.mark.parametrize("value", [["bob@example.org"], None, MemorySuppressionList, "list.txt"], ids=str)
def test_a_suppression_list_is_one(value: Any) -> None:
    """A plain list, a path or a class is none."""
    with pytest.raises(ConfigurationError, match="takes a suppression list"):
        Suppress(FakeTransport(), value)
