from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.colours import colour, make_edge, run
from tests.policies.clock import SimulatedBlocking, simulated
from tests.policies.letters import Interrupted, each, letter

from mailkit import (
    Attachment,
    ConfigurationError,
    ConnectError,
    Deduplicate,
    DeliveryError,
    Envelope,
    Mailer,
    Message,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    RetryPolicy,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.edge import run_sync
from mailkit.events import Deduplicated
from mailkit.policies import MemoryDeduplicationStore, SQLiteDeduplicationStore
from mailkit.policies.deduplication_store import STALE, Claim, Found
from mailkit.policies.fingerprint import digest, fingerprint
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.smtp import SMTP
from mailkit.testing import Delivered, Disconnect, FakeTransport, SMTPServer, TransportContract
from mailkit.transport import Capabilities, Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

    from tests.colours import Colour

    from mailkit.edge import Edge
    from mailkit.transport import Transport

__all__ = ["colour", "run"]

RESULT = RecipientResult("bob@example.org", status="accepted")
both_ways = pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])


def by_message_id(message: Message) -> str | None:
    """Let every message have a key."""
    return message.message_id


class TestContract(TransportContract):
    """Different messages are all sent."""

    def make_transport(self) -> Transport:
        """A fake one."""
        self.fake = FakeTransport()
        return Deduplicate(self.fake, key=by_message_id)

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


def keyed(number: int = 0, key: str = "order-17", **fields: Any) -> Message:
    """Return a message with a key: each time with a Message-ID of its own."""
    return letter(number, idempotency_key=key, **fields)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryDeduplicationStore()
        return
    with SQLiteDeduplicationStore(tmp_path / "sent.db") as made:
        yield made


@pytest.fixture
def deliver(colour: Colour, run: Any) -> Callable[..., list[Any]]:
    """Return a function that sends messages over one channel and returns what became of each: a receipt or an error."""

    def send_all(
        transport: Transport, *messages: Any, many: bool, events: list[Any] | None = None, edge: Edge | None = None
    ) -> list[Any]:
        given = edge or make_edge(colour)
        if events is not None:
            given.listener = events.append

        async def send() -> list[Any]:
            channel = transport.open(given)
            try:
                if not many:
                    return [await attempt(channel, message) for message in messages]
                outcomes = [outcome async for outcome in channel.send_many(each(messages))]
                assert [outcome.message for outcome in outcomes] == [*messages]
                return [outcome.receipt or outcome.error for outcome in outcomes]
            finally:
                await channel.close()

        return run(send)  # type: ignore[no-any-return]

    return send_all


async def attempt(channel: Channel, message: Message) -> Any:
    """Send a message; return the receipt or the error."""
    try:
        return await channel.send(message, Envelope.from_message(message))
    except (DeliveryError, MessageError) as error:
        return error


def told(ended: Any) -> list[tuple[str, str, str | None]]:
    """Return what is said of each recipient."""
    return [(each.address, each.status, each.phase) for each in ended.recipients]


@both_ways
def test_the_second_gets_the_receipt_of_the_first(deliver: Any, store: Any, many: bool) -> None:
    """It is not sent; the receipt names the first message, says that nothing was tried, and who listens hears of it."""
    fake, events = FakeTransport(), list[Any]()
    messages = [keyed(), letter(5), keyed(), keyed()]
    first, other, second, third = deliver(Deduplicate(fake, store=store), *messages, many=many, events=events)
    assert [sent.subject for sent in fake.outbox] == ["Number 0", "Number 5"]
    assert (first.attempts, other.attempts, second.attempts, third.attempts) == (1, 1, 0, 0)
    assert second.message_id == third.message_id == first.message_id == messages[0].message_id
    assert (second.transport, told(second)) == ("fake://", [("bob@example.org", "accepted", "duplicate")])
    assert told(first) == [("bob@example.org", "accepted", None)]
    event, _ = events
    assert isinstance(event, Deduplicated)
    assert (event.message_id, event.original_message_id) == (messages[2].message_id, messages[0].message_id)
    assert (event.recipients, event.transport) == (1, "deduplicate(fake://)")


@both_ways
def test_the_receipt_keeps_what_the_server_said_in_numbers(deliver: Any, store: Any, many: bool) -> None:
    """Codes and ids are those of the first delivery."""
    with SMTPServer() as server:
        smtp = SMTP(server.host, port=server.port)
        first, second = deliver(Deduplicate(smtp, store=store), keyed(), keyed(), many=many)
        assert len(server.messages) == 1
    assert second.provider_id == first.provider_id
    assert first.provider_id
    assert (second.recipients[0].code, second.recipients[0].enhanced_code) == (
        first.recipients[0].code,
        first.recipients[0].enhanced_code,
    )


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("refused"),
        TransientError("busy"),
        RejectedError("no"),
        MessageError("too odd"),
        OutcomeUnknownError("lost", idempotent=True),
    ],
    ids=lambda error: type(error).__name__,
)
@both_ways
def test_what_was_not_accepted_may_go_again(deliver: Any, store: Any, many: bool, error: Exception) -> None:
    """A message that certainly nobody got is sent the next time; so is one whose key the other side honours."""
    fake = FakeTransport()
    fake.fail_next(error)  # type: ignore[arg-type]
    ended = deliver(Deduplicate(fake, store=store), keyed(), keyed(), keyed(), many=many)
    assert isinstance(ended[0], type(error))
    assert [each.attempts for each in ended[1:]] == [1, 0]
    assert len(fake.outbox) == 1


@both_ways
def test_a_doubt_is_not_sent_again(deliver: Any, store: Any, many: bool) -> None:
    """What may have been accepted is an unknown outcome for everybody who asks again: never a second copy."""
    fake = FakeTransport()
    fake.fail_next(OutcomeUnknownError("lost after the commit point"))
    first, second = deliver(Deduplicate(fake, store=store), keyed(), keyed(), many=many)
    assert str(first) == "lost after the commit point"
    assert isinstance(second, OutcomeUnknownError)
    assert (second.attempts, second.retryable, second.phase) == (0, False, "duplicate")
    assert told(second) == [("bob@example.org", "unknown", "duplicate")]
    fake.assert_nothing_sent()


@both_ways
def test_a_doubt_is_sent_again_where_that_is_asked_for(deliver: Any, store: Any, many: bool) -> None:
    """With on_unknown="retry" a second copy is preferred to none."""
    fake = FakeTransport()
    fake.fail_next(OutcomeUnknownError("lost"))
    policy = Deduplicate(fake, store=store, on_unknown="retry")
    assert [isinstance(each, Receipt) for each in deliver(policy, keyed(), keyed(), many=many)] == [False, True]
    assert len(fake.outbox) == 1


def test_it_is_forgotten_after_the_window(run: Any, colour: Colour) -> None:
    """An hour later, or whatever was said, the same key is a new message."""
    fake, edge = FakeTransport(), simulated(colour)
    policy = Deduplicate(fake, 60.0, store=MemoryDeduplicationStore(clock=edge.now))

    async def send() -> None:
        channel = policy.open(edge)
        for pause in (0.0, 59.0, 1.0):
            edge.time += pause
            await attempt(channel, keyed())

    run(send)
    assert len(fake.outbox) == 2


@both_ways
def test_recipients_are_told_apart(deliver: Any, store: Any, many: bool) -> None:
    """Who has had it has had it; who was deferred gets it the next time, alone, and the receipt says both."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), recipient="eve@example.org")
    fields: Any = {"to": ["bob@example.org", "eve@example.org"]}
    messages = [keyed(**fields) for _ in range(3)]
    first, second, third = deliver(Deduplicate(fake, store=store), *messages, many=many)
    assert [(address, status) for address, status, _ in told(first)] == [
        ("bob@example.org", "accepted"),
        ("eve@example.org", "deferred"),
    ]
    assert told(second) == [("bob@example.org", "accepted", "duplicate"), ("eve@example.org", "accepted", None)]
    assert second.attempts == 1
    assert third.attempts == 0
    assert [path.addr_spec for path in fake.outbox[1].envelope.rcpt_to] == ["eve@example.org"]
    assert len(fake.outbox) == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectError("refused"), [("bob@example.org", "accepted"), ("eve@example.org", "not_sent")]),
        (OutcomeUnknownError("lost"), [("bob@example.org", "accepted"), ("eve@example.org", "unknown")]),
        (MessageError("too odd"), None),
    ],
    ids=lambda value: type(value).__name__,
)
@both_ways
def test_what_is_known_stays_known_when_the_rest_fails(
    deliver: Any, store: Any, many: bool, error: Any, expected: Any
) -> None:
    """Somebody has had it, so there is a receipt; that the message cannot be sent at all is an error nevertheless."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), recipient="eve@example.org")
    fake.fail_next(error)
    fields: Any = {"to": ["bob@example.org", "eve@example.org"]}
    _, second = deliver(Deduplicate(fake, store=store), keyed(**fields), keyed(**fields), many=many)
    if expected is None:
        assert isinstance(second, MessageError)
    else:
        assert isinstance(second, Receipt)
        assert [(each.address, each.status) for each in second.recipients] == expected
    assert len(fake.outbox) == 1


@both_ways
def test_some_may_be_in_doubt_while_others_have_it(deliver: Any, store: Any, many: bool) -> None:
    """LMTP answers for each recipient: one accepted and one unknown stay so, and nothing is sent again."""
    results = [
        RecipientResult("bob@example.org", status="accepted"),
        RecipientResult("eve@example.org", status="unknown"),
    ]
    transport = Answering(Receipt(message_id="1@x", transport="x", recipients=results))
    fields: Any = {"to": ["bob@example.org", "eve@example.org", "cat@example.org"]}
    _, second = deliver(Deduplicate(transport, store=store), keyed(**fields), keyed(**fields), many=many)
    assert told(second) == [
        ("bob@example.org", "accepted", "duplicate"),
        ("eve@example.org", "unknown", "duplicate"),
        ("cat@example.org", "unknown", "duplicate"),  # the receipt said nothing of it
    ]
    assert transport.asked == 1


class Answering:
    """A transport that always says the same."""

    capabilities = Capabilities.everything()

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def open(self, edge: Edge) -> Channel:
        """Return its channel."""
        return AnsweringChannel(self)

    def __str__(self) -> str:
        return "answering://"


class AnsweringChannel(Channel):
    """Says what it was told to say."""

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Count, and answer."""
        transport: Any = self.transport
        transport.asked += 1
        if isinstance(transport.answer, BaseException):
            raise transport.answer
        answer: Receipt = transport.answer
        return answer


@both_ways
@pytest.mark.parametrize(
    "changes",
    [{"subject": "Other"}, {"to": "eve@example.org"}, {"attachments": Attachment.from_bytes(b"x", "x")}],
    ids=str,
)
def test_a_key_belongs_to_one_message(deliver: Any, store: Any, many: bool, changes: dict[str, Any]) -> None:
    """Another message with the same key is refused: nobody can say which of them was meant."""
    fake = FakeTransport()
    message = keyed(**changes)
    first, second, third = deliver(Deduplicate(fake, store=store), keyed(), message, keyed(), many=many)
    assert isinstance(second, RejectedError)
    assert (second.phase, second.message_id) == ("duplicate", message.message_id)
    assert {each.status for each in second.recipients} == {"rejected"}
    assert first.message_id == third.message_id
    assert len(fake.outbox) == 1


@both_ways
def test_a_message_that_cannot_be_read_is_an_error_of_its_own(deliver: Any, many: bool, tmp_path: Path) -> None:
    """An attachment that has gone, or no recipient, is found out before anything is claimed."""
    fake = FakeTransport()
    path = tmp_path / "gone.bin"
    path.write_bytes(b"x")
    gone = keyed(attachments=Attachment.from_path(path))
    path.unlink()
    first, second = deliver(Deduplicate(fake), gone, keyed(), many=many)
    assert isinstance(first, MessageError)
    assert isinstance(second, Receipt)
    if many:
        (nobody,) = deliver(Deduplicate(fake), keyed().evolve(to=()), many=True)
        assert isinstance(nobody, MessageError)


def test_a_stream_keeps_its_order_and_its_pipeline() -> None:
    """Duplicates of messages that were answered and of those still on their way are found, in their places."""
    with SMTPServer() as server:
        server.script("RCPT", "550 5.1.1 no such user", match="gone@example.org", times=1)
        once = keyed(9, key="9")
        gone = keyed(4, key="4", to="gone@example.org")
        messages = [
            keyed(0, key="0"), keyed(1, key="1"), keyed(0, key="0"), letter(3), gone, gone, keyed(1, key="1"),
            letter(7), once, once, once,
        ]  # fmt: skip
        with Mailer(Deduplicate(SMTP(server.host, port=server.port)), retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many(messages))
            assert [outcome.receipt.attempts if outcome.receipt else -1 for outcome in outcomes] == [
                1, 1, 0, 1, -1, 1, 0, 1, 1, 0, 0,
            ]  # fmt: skip
        assert len(server.messages) == 6
        assert len(server.connections) == 1


def test_prepared_bytes_are_sent_as_they_come(colour: Colour, run: Any) -> None:
    """They have no key."""
    fake = FakeTransport()
    raw = b"From: ada@example.com\r\nTo: bob@example.org\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"

    async def send() -> None:
        channel = Deduplicate(fake).open(make_edge(colour))
        for _ in range(2):
            await channel.send_raw(raw, Envelope("ada@example.com", "bob@example.org"))

    run(send)
    assert len(fake.outbox) == 2


@pytest.mark.parametrize("colour", ["blocking"])
@both_ways
def test_a_lost_answer_is_not_sent_again_over_a_new_connection(deliver: Any, store: Any, many: bool) -> None:
    """The server took the message and hung up; whoever asks again hears of the doubt, and no connection is made."""
    with SMTPServer(without=("CHUNKING",)) as server:
        server.script("DOT", Disconnect(), skip=1)
        policy = Deduplicate(SMTP(server.host, port=server.port), store=store)
        ended = deliver(policy, keyed(1, key="1"), keyed(2, key="2"), keyed(1, key="1"), keyed(2, key="2"), many=many)
        connections = len(server.connections)
        again = deliver(policy, keyed(2, key="2"), many=many)
        assert len(server.connections) == connections
    first, second, third, fourth = ended
    assert (first.attempts, third.attempts, third.message_id) == (1, 0, first.message_id)
    assert isinstance(second, OutcomeUnknownError)
    assert isinstance(fourth, OutcomeUnknownError)
    assert fourth.attempts == 0
    if isinstance(store, SQLiteDeduplicationStore):
        assert isinstance(again[0], OutcomeUnknownError)
    assert len(server.messages) <= 2


# -- while somebody else is sending it -----


class Slow(FakeTransport):
    """Sends when it is told to."""

    def open(self, edge: Edge) -> Channel:
        """Return a channel that waits."""
        return SlowChannel(self, edge, super().open(edge))


class SlowChannel(Channel):
    """Waits until somebody else waits for it."""

    def __init__(self, transport: Slow, edge: Edge, inner: Channel) -> None:
        super().__init__(transport)
        self.edge, self.inner = edge, inner

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Send after a while."""
        await self.edge.sleep(0.03)
        return await self.inner.send(message, envelope)


@pytest.mark.parametrize("fails", [False, True])
def test_who_comes_at_the_same_time_waits(colour: Colour, run: Any, store: Any, fails: bool) -> None:
    """Of five threads or tasks one sends, or the next one if that fails; the others wait, and get its receipt."""
    slow, edge = Slow(), make_edge(colour)
    if fails:
        slow.fail_next(ConnectError("refused"))

    async def send() -> list[Any]:
        channel = Deduplicate(slow, store=store).open(edge)
        return await edge.run_all([lambda: attempt(channel, keyed()) for _ in range(5)])

    ended = run(send)
    receipts = [each for each in ended if isinstance(each, Receipt)]
    assert len(receipts) == 5 - fails
    assert sorted(receipt.attempts for receipt in receipts) == [*[0] * (4 - fails), 1]
    assert len({receipt.message_id for receipt in receipts}) == 1
    assert len(slow.outbox) == 1


def test_two_streams_with_the_same_messages_do_not_wait_for_each_other_for_ever(
    colour: Colour, run: Any, store: Any
) -> None:
    """One forwards, one backwards: each message is sent once, and both streams have a receipt for each."""
    slow, edge = Slow(), make_edge(colour)
    messages = [keyed(number, key=str(number)) for number in range(6)]

    async def send() -> list[list[Outcome]]:
        channel = Deduplicate(slow, store=store).open(edge)

        async def go(some: list[Message]) -> list[Outcome]:
            return [outcome async for outcome in channel.send_many(each(some))]

        return await edge.run_all([lambda: go(messages), lambda: go(messages[::-1])])

    forwards, backwards = run(send)
    assert all(outcome.ok for outcome in (*forwards, *backwards))
    assert len(slow.outbox) == 6


def claim_of(message: Message, owner: str = "another process") -> Claim:
    """Return what somebody else claims of a message."""
    key = message.idempotency_key or ""
    recipients = tuple(digest(key, path.addr_spec) for path in Envelope.from_message(message).rcpt_to)
    return Claim(key=digest(key), recipients=recipients, content=fingerprint(message), owner=owner, window=3600.0)


def test_waiting_reads_attachments_once(
    run: Any, colour: Colour, deliver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long somebody else is waited for, the message is looked at when it comes."""
    fake, edge = FakeTransport(), simulated(colour)
    store = MemoryDeduplicationStore(clock=edge.now)
    message = keyed(attachments=Attachment.from_bytes(b"x" * 9, "x.bin"))
    store.claim(claim_of(message))
    read: list[int] = []
    really = Attachment.iter_blocks
    monkeypatch.setattr(Attachment, "iter_blocks", lambda self: read.append(1) or really(self))
    (error,) = deliver(Deduplicate(fake, store=store), message, many=False, edge=edge)
    assert isinstance(error, OutcomeUnknownError)
    assert len(edge.slept) > 5
    assert read == [1]


@pytest.mark.parametrize(("max_wait", "waits"), [(None, 5.0), (1.0, 1.0)])
@both_ways
def test_nobody_waits_for_ever(
    run: Any, colour: Colour, deliver: Any, many: bool, max_wait: float | None, waits: float
) -> None:
    """After ``max_wait``, by default the mailer's timeout, the outcome is unknown; nothing was sent."""
    fake, edge = FakeTransport(), simulated(colour)
    store = MemoryDeduplicationStore(clock=edge.now)
    store.claim(claim_of(keyed()))
    message = keyed()
    (error,) = deliver(Deduplicate(fake, store=store, max_wait=max_wait), message, many=many, edge=edge)
    assert isinstance(error, OutcomeUnknownError)
    assert f"for {waits:g} s" in str(error)
    assert (error.attempts, error.message_id, error.transport) == (0, message.message_id, "deduplicate(fake://)")
    assert told(error) == [("bob@example.org", "unknown", "duplicate")]
    assert sum(edge.slept) == pytest.approx(waits)
    assert len(edge.slept) < 20
    fake.assert_nothing_sent()


def test_what_a_crash_left_is_in_doubt_at_once(run: Any, colour: Colour, deliver: Any) -> None:
    """Ten minutes after its claim nobody is waited for any more."""
    fake, edge = FakeTransport(), simulated(colour)
    store = MemoryDeduplicationStore(clock=edge.now)
    store.claim(claim_of(keyed()))
    edge.time += STALE
    (error,) = deliver(Deduplicate(fake, store=store), keyed(), many=False, edge=edge)
    assert isinstance(error, OutcomeUnknownError)
    assert edge.slept == []


def test_waiting_for_some_claims_nothing_for_others(run: Any, colour: Colour, deliver: Any) -> None:
    """While one recipient's copy is being sent by somebody else, the others wait too, and are said not to be sent."""
    fake, edge = FakeTransport(), simulated(colour)
    store = MemoryDeduplicationStore(clock=edge.now)
    message = keyed(to=["bob@example.org", "eve@example.org", "cat@example.org"])
    claim = claim_of(message)
    store.claim(claim)
    evidence = '{"message_id": "1@x", "transport": "x", "provider_id": null, "result": {}}'
    store.settle(claim, {claim.recipients[0]: Found("accepted", evidence), claim.recipients[1]: None})
    (error,) = deliver(Deduplicate(fake, store=store), message, many=False, edge=edge)
    assert [status for _, status, _ in told(error)] == ["accepted", "not_sent", "unknown"]


# -- interruptions and failures -----


@pytest.mark.parametrize(
    ("delivery", "standing"),
    [
        (None, "unknown"),
        (ConnectError("interrupted"), "new"),
        (OutcomeUnknownError("interrupted"), "unknown"),
        (Receipt(message_id="1@x", transport="x", recipients=[RESULT]), "accepted"),
    ],
    ids=["nothing", "not_sent", "unknown", "accepted"],
)
@both_ways
def test_an_interruption_settles_what_it_leaves(
    colour: Colour, run: Any, store: Any, many: bool, delivery: Any, standing: str
) -> None:
    """What it says of the message is kept; where it says nothing, the message is in doubt."""
    interruption = Interrupted()
    if delivery is not None:
        interruption.__dict__["delivery"] = delivery
    message = keyed()

    async def send() -> None:
        channel = Deduplicate(Answering(interruption), store=store).open(make_edge(colour))
        if not many:
            await channel.send(message, Envelope.from_message(message))
        async with aclosing(channel.send_many(each([message, letter()]))) as outcomes:
            await anext(outcomes)

    with pytest.raises(Interrupted) as caught:
        run(send)
    assert [found.standing for found in store.claim(claim_of(message))] == [standing]
    if many:
        (left,) = caught.value.outcomes  # type: ignore[attr-defined]
        assert left.message is message


def test_an_interruption_tells_of_those_who_had_it_before(colour: Colour, run: Any) -> None:
    """What it carries has the recipients who were accepted earlier too."""
    store = MemoryDeduplicationStore()
    message = keyed(to=["bob@example.org", "eve@example.org"])
    interruption = Interrupted()
    interruption.__dict__["delivery"] = ConnectError("interrupted")

    async def send() -> None:
        claim = claim_of(message)
        store.claim(claim)
        evidence = '{"message_id": "1@x", "transport": "x", "provider_id": null, "result": {}}'
        store.settle(claim, {claim.recipients[0]: Found("accepted", evidence), claim.recipients[1]: None})
        channel = Deduplicate(Answering(interruption), store=store).open(make_edge(colour))
        await channel.send(message, Envelope.from_message(message))

    with pytest.raises(Interrupted) as caught:
        run(send)
    delivery = caught.value.delivery  # type: ignore[attr-defined]
    assert [(each.address, each.status) for each in delivery.recipients] == [
        ("bob@example.org", "accepted"),
        ("eve@example.org", "not_sent"),
    ]


def test_an_interrupted_wait_sent_nothing(colour: Colour, run: Any) -> None:
    """Who is interrupted while somebody else sends has not sent anything himself, and holds nothing."""
    fake, edge = FakeTransport(), simulated(colour)
    store = MemoryDeduplicationStore(clock=edge.now)
    store.claim(claim_of(keyed()))
    edge.interrupt = Interrupted()

    async def send() -> None:
        message = keyed()
        await Deduplicate(fake, store=store).open(edge).send(message, Envelope.from_message(message))

    with pytest.raises(Interrupted) as caught:
        run(send)
    assert [(each.address, each.status) for each in caught.value.delivery.recipients] == [  # type: ignore[attr-defined]
        ("bob@example.org", "not_sent")
    ]


def test_a_stream_that_is_left_releases_what_was_not_sent(colour: Colour, run: Any, store: Any) -> None:
    """What was claimed and did not get to the transport, or waits for its turn with a part of it, is new again."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), recipient="eve@example.org")
    two: Any = {"to": ["bob@example.org", "eve@example.org"]}

    class Lagging(FakeTransport):
        def open(self, edge: Edge) -> Channel:
            return LaggingChannel(self)

    class LaggingChannel(Channel):
        async def send_many(self, messages: Any, **_: Any) -> Any:
            taken = [message async for message in messages]
            try:
                yield Outcome(message=taken[0], receipt=Receipt(message_id="1@x", transport="x", recipients=[RESULT]))
            except BaseException as interruption:
                lost = ConnectError("interrupted")
                interruption.__dict__["outcomes"] = tuple([Outcome(message=each, error=lost) for each in taken[1:]])
                raise

    async def send() -> None:
        edge = make_edge(colour)
        await attempt(Deduplicate(fake, store=store).open(edge), keyed(0, key="0", **two))
        channel = Deduplicate(Lagging(), store=store).open(edge)
        stream = channel.send_many(each([keyed(1, key="1"), keyed(2, key="2"), keyed(0, key="0", **two), letter()]))
        await anext(stream)
        await stream.aclose()

    run(send)
    assert [found.standing for found in store.claim(claim_of(keyed(1, key="1")))] == ["accepted"]
    assert [found.standing for found in store.claim(claim_of(keyed(2, key="2")))] == ["new"]
    assert [found.standing for found in store.claim(claim_of(keyed(0, key="0", **two)))] == ["accepted", "new"]


def test_cancellation_settles_too(store: Any) -> None:
    """A task that is cancelled in the middle of sending leaves a doubt behind, also in a file."""
    message = keyed()

    async def main() -> None:
        channel = Deduplicate(Stuck(), store=store).open(make_edge("asyncio"))
        with anyio.move_on_after(0.01):
            await channel.send(message, Envelope.from_message(message))

    anyio.run(main)
    assert [found.standing for found in store.claim(claim_of(message))] == ["unknown"]


class Stuck(FakeTransport):
    """Never answers."""

    def open(self, edge: Edge) -> Channel:
        """Return its channel."""

        class StuckChannel(Channel):
            async def send(self, message: Message, envelope: Envelope) -> Receipt:
                await anyio.sleep_forever()
                raise AssertionError

        return StuckChannel(self)


class Failing:
    """A store that fails in one of its two steps."""

    blocks = False

    def __init__(self, step: str, error: Exception) -> None:
        self.step, self.error = step, error
        self.memory = MemoryDeduplicationStore()

    def claim(self, claim: Claim) -> Any:
        """Claim, or fail, or answer for too many."""
        if self.step == "claim":
            raise self.error
        return [*self.memory.claim(claim), *[Found("new")] * (self.step == "count")]

    def settle(self, claim: Claim, settlements: Any) -> None:
        """Settle, or fail."""
        if self.step == "settle":
            raise self.error
        self.memory.settle(claim, settlements)


@pytest.mark.parametrize(
    ("step", "error", "cause"),
    [
        ("claim", RuntimeError("redis://user:secret@host is gone"), "transient"),
        ("count", RuntimeError(), "transient"),
        ("claim", DeliveryError("cannot be used", cause="configuration"), "configuration"),
    ],
    ids=["foreign", "wrong number", "own"],
)
@both_ways
def test_a_store_that_cannot_be_asked_keeps_the_message_back(
    deliver: Any, many: bool, step: str, error: Exception, cause: str
) -> None:
    """Nothing is sent, for no recipient, and no foreign text is repeated."""
    fake = FakeTransport()
    (ended,) = deliver(Deduplicate(fake, store=Failing(step, error)), keyed(), many=many)
    assert isinstance(ended, DeliveryError)
    assert (ended.outcome, ended.cause, ended.transport) == ("not_sent", cause, "deduplicate(fake://)")
    assert told(ended) == [("bob@example.org", "not_sent", "duplicate")]
    assert "secret" not in str(ended)
    assert ended.__cause__ is not ended
    fake.assert_nothing_sent()


@both_ways
@pytest.mark.parametrize("answer", [b"id", 17, None], ids=["bytes", "number", "error"])
def test_a_function_that_makes_no_key_keeps_its_message_back(deliver: Any, many: bool, answer: Any) -> None:
    """As an error of the message, which no stream ends with; what it says itself is not repeated."""

    def key(message: Message) -> Any:
        if message.subject == "Number 2":
            return message.subject
        if answer is None:
            raise KeyError("secret")
        return answer

    fake = FakeTransport()
    refused, sent = deliver(Deduplicate(fake, key=key), letter(1), letter(2), many=many)
    assert isinstance(refused, MessageError)
    assert "secret" not in str(refused)
    assert "nothing was sent" in str(refused)
    assert sent.accepted
    assert fake.one().message.subject == "Number 2"


def test_a_function_that_makes_keys_may_refuse_a_message(deliver: Any) -> None:
    """With an error of ours, which is raised as it is."""

    def key(message: Message) -> str:
        raise UnsupportedFeatureError("no order", feature="metadata")

    (ended,) = deliver(Deduplicate(FakeTransport(), key=key), letter(), many=True)
    assert type(ended) is UnsupportedFeatureError


@both_ways
def test_a_store_that_cannot_keep_the_end_does_not_hide_it(
    deliver: Any, many: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The receipt is returned, a warning is logged without personal data, and a copy in doubt stays one."""
    fake = FakeTransport()
    (receipt,) = deliver(Deduplicate(fake, store=Failing("settle", OSError("bob"))), keyed(), many=many)
    assert isinstance(receipt, Receipt)
    assert len(fake.outbox) == 1
    (record,) = [each for each in caplog.records if each.name == "mailkit.deduplicate"]
    assert "OSError" in record.getMessage()
    assert "bob" not in record.getMessage()


def test_retrying_round_it_goes_on() -> None:
    """A retry of what was not sent is no duplicate; what was accepted in an earlier attempt is not sent again."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), recipient="eve@example.org", times=2)
    message = keyed(to=["bob@example.org", "eve@example.org"])
    with Mailer(Deduplicate(fake), retry=RetryPolicy(wait=lambda _: 0.0)) as mailer:
        assert mailer.send(message).attempts == 3
        assert mailer.send(message).attempts == 0
    assert [[path.addr_spec for path in sent.envelope.rcpt_to] for sent in fake.outbox] == [
        ["bob@example.org", "eve@example.org"],
        ["eve@example.org"],
    ]


ENDS: dict[str, Exception | None] = {
    "accepted": None,
    "not sent": ConnectError("refused"),
    "deferred": TransientError("busy"),
    "rejected": RejectedError("no"),
    "unknown": OutcomeUnknownError("lost"),
}


class Ledger(Channel):
    """Notes who is sent what, ends each sending as it is told, and takes several messages before it answers one."""

    def __init__(self, ends: Iterable[str], window: int = 1) -> None:
        super().__init__(FakeTransport())
        self.ends = iter(ends)
        self.window = window
        self.settled: dict[tuple[str, str], str] = {}

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Note it, and end it; nobody who has it, or may have it, is ever sent it again."""
        end = next(self.ends)
        for path in envelope.rcpt_to:
            copy = (message.idempotency_key or "", path.addr_spec)
            assert self.settled.get(copy) not in {"accepted", "unknown"}
            self.settled[copy] = end
        error = ENDS[end]
        if error is not None:
            raise type(error)(str(error))
        results = [RecipientResult(path.addr_spec, status="accepted") for path in envelope.rcpt_to]
        return Receipt(message_id=message.message_id or "", transport="ledger://", recipients=results)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Answer when the window is full, and at the end."""
        taken: list[Message | Outcome] = []
        async for message in messages:
            taken.append(message)
            if len(taken) == self.window:
                async for outcome in super().send_many(each(taken)):
                    yield outcome
                taken.clear()
        async for outcome in super().send_many(each(taken)):
            yield outcome


class Opening:
    """A transport that opens one channel again and again."""

    capabilities = Capabilities.everything()

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def open(self, edge: Edge) -> Channel:
        """Return the channel."""
        return self.channel

    def __str__(self) -> str:
        return "opening://"


EVERYBODY = ["bob@example.org", "eve@example.org"]
one_end = st.sampled_from(sorted(ENDS))


def statuses(ended: Any) -> dict[str, str]:
    """Return what is said of each recipient."""
    return {each.address: each.status for each in ended.recipients} or dict.fromkeys(EVERYBODY, ended.outcome)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.lists(st.sampled_from(EVERYBODY), min_size=1, max_size=2, unique=True), one_end
        ),
        max_size=12,
    )
)
def test_nobody_gets_a_second_copy(sendings: list[tuple[str, list[str], str]]) -> None:
    """Whatever is sent, to whom and with what end, everybody is told how the last sending to him ended."""
    ledger = Ledger([])
    channel = Deduplicate(Opening(ledger)).open(SimulatedBlocking())
    for key, recipients, end in sendings:
        ledger.ends = iter([end])
        message = keyed(key=key, to=EVERYBODY)
        try:
            ended: Any = run_sync(channel.send(message, Envelope("ada@example.com", recipients)))
        except DeliveryError as error:
            ended = error
        said = statuses(ended)
        for recipient in recipients:
            assert said[recipient] == ledger.settled[key, recipient].replace(" ", "_")


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(one_end, min_size=12, max_size=12), st.integers(1, 5))
def test_no_stream_holds_a_second_copy(keys: list[str], ends: list[str], window: int) -> None:
    """However many duplicates a stream has, near each other or not, each is told how its message has ended."""
    ledger = Ledger(ends, window)
    channel = Deduplicate(Opening(ledger)).open(SimulatedBlocking())
    messages = [keyed(number, key=key, subject=key, to=EVERYBODY) for number, key in enumerate(keys)]
    had: set[str] = set()

    async def send() -> list[Outcome]:
        return [outcome async for outcome in channel.send_many(each(messages))]

    outcomes = run_sync(send())
    assert [outcome.message for outcome in outcomes] == messages
    for outcome in outcomes:
        key = outcome.message.idempotency_key or ""
        if outcome.receipt is not None:
            assert outcome.receipt.attempts == (key not in had)
            had.add(key)
        else:
            assert key not in had
    for key in set(keys):
        last = [outcome for outcome in outcomes if outcome.message.idempotency_key == key][-1]
        expected = {ledger.settled[key, recipient].replace(" ", "_") for recipient in EVERYBODY}
        assert set(statuses(last.receipt or last.error).values()) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "window=0"),
        ({"window": float("inf")}, "window=inf"),
        ({"max_wait": -1}, "max_wait=-1"),
        ({"on_unknown": "ask"}, "on_unknown='ask'"),
        ({"store": {}}, "takes a store, not dict"),
        ({"store": MemoryDeduplicationStore}, "takes a store, not type"),
    ],
    ids=str,
)
def test_it_is_told_what_it_knows(options: dict[str, Any], said: str) -> None:
    """A window that is none, a store that is none and an unknown word are configuration errors that name them."""
    with pytest.raises(ConfigurationError, match=said):
        Deduplicate(FakeTransport(), **options)
