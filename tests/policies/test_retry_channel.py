from __future__ import annotations

from contextlib import aclosing
from math import nan
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import COLOURS, Colour, run_in
from tests.policies.cast import ANN, BOB, Player, collect, letter, mixed, stream
from tests.policies.clock import SimulatedBlocking, simulated
from tests.sending import send, send_many

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, MessageError
from mailkit.events import AfterAttempt, BeforeAttempt, Retrying
from mailkit.local import NullTransport
from mailkit.message import Message
from mailkit.policies.rate_limit import RateLimit
from mailkit.policies.retry import Retry, RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.receipt import Outcome
from mailkit.testing import Delivered, FakeTransport, TransportContract

if TYPE_CHECKING:
    from mailkit.events import Event
    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

POLICY = RetryPolicy(wait=lambda state: 1.0)


class TestContract(TransportContract):
    """Where nothing fails, nothing changes."""

    def make_transport(self) -> Transport:
        """A fake one."""
        self.fake = FakeTransport()
        return Retry(self.fake)

    def name_of(self, transport: Transport) -> str:
        """The inner one sends the messages."""
        return str(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake one was given."""
        return [
            Delivered(content=sent.raw, recipients=tuple(each.addr_spec for each in sent.envelope.rcpt_to))
            for sent in self.fake.outbox
        ]


# -- the transport -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("given", [{}, {"retry": RetryPolicy()}], ids=["none", "the default"])
def test_a_transport_can_retry_by_itself(colour: Colour, given: dict[str, Any]) -> None:
    """It has a policy of its own, and the mailer that was given none adds none: two attempts are two, not six."""
    player = Player("a", ["refused"])
    with pytest.raises(ConnectError) as caught:
        send(colour, Retry(player, RetryPolicy(attempts=2, wait=lambda state: 0.0)), letter(), **given)
    assert (caught.value.attempts, len(player.asked)) == (2, 2)


def test_a_retry_inside_another_policy_counts_too() -> None:
    """Wrapped as deep as may be, the mailer sees that there is one."""
    player = Player("a", ["refused"])
    inner = Retry(player, RetryPolicy(attempts=2, wait=lambda state: 0.0))
    with pytest.raises(ConnectError):
        send("blocking", RateLimit(inner, messages=1000), letter())
    assert len(player.asked) == 2


@pytest.mark.parametrize("policy", [RetryPolicy(attempts=2, wait=lambda state: 0.0), RetryPolicy.none()], ids=repr)
def test_a_policy_that_is_given_to_the_mailer_is_kept(policy: RetryPolicy) -> None:
    """Whoever asks for both layers gets both."""
    player = Player("a", ["refused"])
    with pytest.raises(ConnectError) as caught:
        send("blocking", Retry(player, RetryPolicy(attempts=2, wait=lambda state: 0.0)), letter(), retry=policy)
    assert caught.value.attempts == len(player.asked) == 2 * policy.attempts


def test_it_prints_itself_and_passes_on_what_can_be_expressed() -> None:
    """Its name is that of the transport inside, in brackets; nothing of a policy is a secret."""
    retry = Retry(FakeTransport())
    assert str(retry) == "retry(fake://)"
    assert retry == Retry(retry.transport, RetryPolicy()) != Retry(retry.transport, RetryPolicy.none())
    assert Retry(NullTransport()).capabilities == NullTransport().capabilities
    assert Retry(NullTransport()).open(SimulatedBlocking()).transport == Retry(NullTransport())


@pytest.mark.parametrize("wrong", ["null://", NullTransport, None])
def test_only_a_transport_can_be_tried_again(wrong: Any) -> None:
    """A URL becomes one elsewhere."""
    with pytest.raises(ConfigurationError):
        Retry(wrong)


# -- every step --------------------------------------------------------------------------------------------------------


def _followed(colour: Colour, player: Player, *messages: Any, most: int | None = None) -> tuple[list[Event], Any]:
    """Send a stream with somebody who follows it; return what he hears, and the outcomes."""
    edge = simulated(colour)
    outcomes: list[Outcome] = []

    async def go() -> None:
        channel = RetryChannel(player.open(edge), POLICY, edge)
        async with aclosing(stream(messages)) as source, aclosing(channel.send_many(source)) as ends:
            async for outcome in ends:
                outcomes.append(outcome)
                if len(outcomes) == most:
                    break

    run_in(colour, go)
    return edge.events, outcomes


def _story(events: list[Event]) -> list[str]:
    """Return what happened, as the message's number, the attempt's, and how it ended."""
    told: list[str] = []
    for event in events:
        number = (event.message_id or "?").partition("@")[0]
        if isinstance(event, BeforeAttempt):
            told.append(f"{number}.{event.attempt} begins")
        elif isinstance(event, AfterAttempt):
            told.append(f"{number}.{event.attempt} {event.outcome}")
        elif isinstance(event, Retrying):
            told.append(f"{number}.{event.attempt} again in {event.wait:g}")
    return told


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("lag", [0, 1, 5])
def test_each_attempt_of_a_stream_is_told_of(colour: Colour, lag: int) -> None:
    """What begins ends, once, the first attempts in the stream and the later ones between its parts."""
    player = Player("a", ["ok", "refused", "no", "ok", "ok"], lag=lag)
    events, outcomes = _followed(colour, player, *(letter(number=number) for number in range(4)))
    story = _story(events)
    begun = [each.removesuffix(" begins") for each in story if each.endswith("begins")]
    ended = [each.partition(" ")[0] for each in story if "begins" not in each and "again" not in each]
    assert sorted(begun) == sorted(ended)
    assert len(set(begun)) == len(begun) == 5
    assert story.count("1.1 again in 1") == 1
    assert [outcome.message.message_id for outcome in outcomes] == [f"{number}@example.com" for number in range(4)]
    assert sum(outcome.ok for outcome in outcomes) == sum(each.endswith("accepted") for each in story) == 3


@pytest.mark.parametrize("colour", COLOURS)
def test_a_stream_of_three_tells_its_story_in_order(colour: Colour) -> None:
    """One after the other, where nothing is taken ahead."""
    player = Player("a", ["ok", "refused", "ok", "no"])
    events, _ = _followed(colour, player, *(letter(number=number) for number in range(3)))
    assert _story(events) == [
        "0.1 begins", "0.1 accepted",
        "1.1 begins", "1.1 not_sent", "1.1 again in 1", "1.2 begins", "1.2 accepted",
        "2.1 begins", "2.1 rejected",
    ]  # fmt: skip


@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_no_attempt_is_not_told_of_as_one(colour: Colour) -> None:
    """Neither a message that came with its error, nor one that names nobody."""
    given = Outcome(message=letter(number=1), error=MessageError("broken"))
    nobody = Message(from_="ada@example.com", text="Hi", message_id="2@example.com").completed()
    events, outcomes = _followed(colour, Player(), given, nobody, letter(number=3))
    assert _story(events) == ["3.1 begins", "3.1 accepted"]
    assert [type(outcome.error) for outcome in outcomes] == [MessageError, MessageError, type(None)]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("lag", [0, 1, 4])
def test_what_was_decided_before_is_not_tried_again(colour: Colour, lag: int) -> None:
    """An outcome that comes in place of a message was somebody else's to decide, also behind one that is retried."""
    given = [
        Outcome(message=letter(number=number), error=ConnectError("the breaker is open", attempts=0))
        for number in (1, 3)
    ]
    player = Player("a", ["refused", "ok"], lag=lag)
    events, outcomes = _followed(colour, player, letter(number=0), given[0], letter(number=2), given[1])
    assert [outcome.ok for outcome in outcomes] == [True, False, True, False]
    assert [outcomes[1], outcomes[3]] == given
    assert {event.message_id for event in events} == {"0@example.com", "2@example.com"}


@pytest.mark.parametrize("colour", COLOURS)
def test_attempts_that_a_broken_off_stream_leaves_are_told_of(colour: Colour) -> None:
    """Whoever leaves a stream leaves no attempt without an end."""
    player = Player("a", ["ok"], lag=2)
    events, outcomes = _followed(colour, player, *(letter(number=number) for number in range(9)), most=2)
    begun = [event for event in events if isinstance(event, BeforeAttempt)]
    ended = [event for event in events if isinstance(event, AfterAttempt)]
    assert len(outcomes) == 2
    assert [event.message_id for event in begun] == [event.message_id for event in ended]
    assert {event.outcome for event in ended[2:]} == {"not_sent"}


@pytest.mark.parametrize("colour", COLOURS)
def test_an_attempt_says_for_whom_it_is(colour: Colour) -> None:
    """The second one is for those who are still undecided, and the events know the transport that is tried."""
    edge = simulated(colour)
    player = Player("a", [mixed("accepted", "deferred"), "ok"])

    async def go() -> Receipt:
        return await Retry(player, POLICY).open(edge).send(letter(ANN, BOB), Envelope.from_message(letter(ANN, BOB)))

    assert run_in(colour, go).attempts == 2
    before = [event for event in edge.events if isinstance(event, BeforeAttempt)]
    after = [event for event in edge.events if isinstance(event, AfterAttempt)]
    (retrying,) = [event for event in edge.events if isinstance(event, Retrying)]
    assert [(event.attempt, event.recipients, event.transport) for event in before] == [(1, 2, "a://"), (2, 1, "a://")]
    assert [path.addr_spec for path in before[1].envelope.rcpt_to] == [BOB]
    assert [(event.accepted, event.recipients) for event in after] == [(1, 2), (1, 1)]
    assert (retrying.outcome, retrying.recipients, retrying.attempt, retrying.error) == ("accepted", 1, 1, None)


@pytest.mark.parametrize("colour", COLOURS)
def test_an_attempt_that_is_interrupted_has_an_end_too(colour: Colour) -> None:
    """The interruption, and what it says that it has left."""
    edge = simulated(colour)
    player = Player("a", ["refused", KeyboardInterrupt()])

    async def go() -> Receipt:
        return await Retry(player, POLICY).open(edge).send(letter(), Envelope.from_message(letter()))

    with pytest.raises(KeyboardInterrupt) as caught:
        run_in(colour, go)
    assert _story(edge.events)[-2:] == ["1.2 begins", "1.2 unknown"]
    assert [event.error for event in edge.events if isinstance(event, AfterAttempt)][-1] is caught.value


@pytest.mark.parametrize("colour", COLOURS)
def test_nothing_is_told_to_nobody(colour: Colour) -> None:
    """Without a listener the same messages are sent, and tried again, in the same way."""
    edge = simulated(colour)
    edge.listener = None  # type: ignore[assignment]
    player = Player("a", ["ok", "refused", "ok"])

    async def go() -> list[Outcome]:
        channel = RetryChannel(player.open(edge), POLICY, edge)
        messages = [letter(number=number) for number in range(3)]
        async with aclosing(stream(messages)) as source, aclosing(channel.send_many(source)) as ends:
            return [outcome async for outcome in ends]

    assert [outcome.ok for outcome in run_in(colour, go)] == [True] * 3
    assert (edge.events, edge.slept) == ([], [1.0])


@pytest.mark.parametrize("colour", COLOURS)
def test_a_mailer_s_stream_and_its_single_messages_are_retried_alike(colour: Colour) -> None:
    """The same number of attempts, on the wire and in what the caller gets."""
    policy = RetryPolicy(attempts=4, wait=lambda state: 0.0)
    alone, among = Player("a", ["refused"]), Player("b", ["refused"])
    with pytest.raises(DeliveryError) as caught:
        send(colour, alone, letter(), retry=policy)
    (outcome,) = send_many(colour, among, [letter()], retry=policy)
    assert isinstance(outcome.error, ConnectError)
    assert caught.value.attempts == outcome.error.attempts == len(alone.asked) == len(among.asked) == 4


def _broken(state: object) -> Any:
    raise ZeroDivisionError(state)


@pytest.mark.parametrize("many", [False, True], ids=["send", "send_many"])
@pytest.mark.parametrize(
    ("field", "function"),
    [
        ("wait", _broken),
        ("wait", lambda _: "soon"),
        ("wait", lambda _: None),
        ("wait", lambda _: nan),
        ("stop", _broken),
    ],
)
def test_a_function_that_fails_takes_nobodys_outcome(
    caplog: pytest.LogCaptureFixture, many: bool, field: str, function: Any
) -> None:
    """It is as if none were given, and logged: Ann's copy is told of, which an error of the function would not tell."""
    player, edge = Player(acts=[mixed("accepted", "deferred"), "ok"]), simulated("blocking")
    channel = Retry(player, RetryPolicy(**{field: function})).open(edge)
    message = letter(ANN, BOB)
    if many:
        (outcome,) = collect(channel, [message])
        receipt = outcome.receipt
    else:
        receipt = run_sync(channel.send(message, Envelope.from_message(message)))
    assert receipt is not None
    assert [result.status for result in receipt.recipients] == ["accepted", "accepted"]
    assert player.asked == [(ANN, BOB), (BOB,)]
    assert 0.0 <= sum(edge.slept) < 0.5
    assert "a hook failed and was ignored" in caplog.text
