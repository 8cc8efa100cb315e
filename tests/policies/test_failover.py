"""Failover: who is asked next, for whom, and what is told in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.policies.cast import ANN, BOB, CAT, Player, collect, letter, mixed
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.events import BreakerChanged, FailedOver, PassedOver
from mailkit.local import NullTransport
from mailkit.message import Message
from mailkit.policies.breaker import CircuitBreaker
from mailkit.policies.circuit import Breaker
from mailkit.policies.failover import Failover
from mailkit.policies.retry import RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.transport import Transport


class Trial:
    """A failover over players, on a simulated clock."""

    def __init__(self, *acts: Sequence[Any], lag: int = 0, breaker: Breaker | None = None, **player: Any) -> None:
        self.edge = SimulatedBlocking()
        self.players = [
            Player(name=name, acts=list(each), lag=lag, **player) for name, each in zip("abcd", acts, strict=False)
        ]
        self.transport = Failover(*self.players, breaker=breaker)
        self.channel = self.transport.open(self.edge)

    @property
    def asked(self) -> list[list[tuple[str, ...]]]:
        """For whom each was asked."""
        return [player.asked for player in self.players]

    def send(self, *to: str) -> Receipt:
        """Send one message."""
        message = letter(*to)
        return run_sync(self.channel.send(message, Envelope.from_message(message)))

    def fail(self, *to: str) -> Any:
        """Send one message that fails."""
        with pytest.raises(MailkitError) as caught:
            self.send(*to)
        return caught.value

    def stream(self, count: int, **options: Any) -> list[Outcome]:
        """Send a stream of messages."""
        return collect(self.channel, [letter(number=number) for number in range(count)], **options)


def _told(ended: Receipt | DeliveryError) -> list[tuple[str, str, str | None]]:
    return [(result.address, result.status, result.transport) for result in ended.recipients]


def _takers(outcomes: Sequence[Outcome]) -> str:
    return "".join(outcome.receipt.transport[0] if outcome.receipt else "-" for outcome in outcomes)


# -- who is asked next -------------------------------------------------------------------------------------------------


def test_the_first_one_that_works_is_used() -> None:
    """Its receipt is returned as it is, and nobody else is asked."""
    trial = Trial(["ok"], ["ok"])
    receipt = trial.send()
    assert (receipt.transport, receipt.attempts, trial.asked) == ("a://", 1, [[(ANN,)], []])


@pytest.mark.parametrize("act", ["refused", "slow down", "bad password", "bad certificate", "cannot", "not set up"])
def test_where_nothing_was_sent_the_next_one_is_asked(act: str) -> None:
    """Whatever the cause: what keeps this transport from sending need not keep another one."""
    trial = Trial([act], ["ok"])
    receipt = trial.send(ANN, BOB)
    assert (receipt.transport, trial.asked) == ("b://", [[(ANN, BOB)], [(ANN, BOB)]])
    assert all(result.status == "accepted" for result in receipt.recipients)


@pytest.mark.parametrize("act", ["busy", "no", "lost", "taken and lost", "broken"])
def test_where_something_may_have_been_sent_nobody_else_is_asked(act: str) -> None:
    """Deferred, rejected, in doubt or unfit: another copy through another transport is no answer to any of them."""
    trial = Trial([act], ["ok"])
    error = trial.fail()
    assert trial.asked[1] == []
    assert "none of" not in str(error)


def test_only_those_to_whom_nothing_was_sent_go_on() -> None:
    """Each recipient stays with the transport that decided about him, and the receipt says which that is."""
    trial = Trial([mixed("accepted", "not_sent", "rejected")], [mixed("accepted")])
    receipt = trial.send(ANN, BOB, CAT)
    assert trial.asked == [[(ANN, BOB, CAT)], [(BOB,)]]
    assert _told(receipt) == [(ANN, "accepted", None), (BOB, "accepted", "b://"), (CAT, "rejected", None)]
    assert (receipt.transport, receipt.attempts) == ("a://", 2)


def test_the_receipt_of_a_later_one_says_what_the_earlier_one_decided() -> None:
    """A rejection by the first is in the receipt of the second, under the first one's name."""
    trial = Trial([mixed("rejected", "not_sent")], [mixed("accepted")])
    receipt = trial.send(ANN, BOB)
    assert receipt.transport == "b://"
    assert _told(receipt) == [(ANN, "rejected", "a://"), (BOB, "accepted", None)]


def test_a_doubt_about_one_does_not_stop_another() -> None:
    """Who is in doubt stays in doubt, who was not sent to is, elsewhere."""
    trial = Trial([mixed("unknown", "not_sent")], [mixed("accepted")])
    receipt = trial.send(ANN, BOB)
    assert trial.asked[1] == [(BOB,)]
    assert [result.address for result in receipt.unknown] == [ANN]


def test_all_or_nothing_is_kept() -> None:
    """Where one refused recipient keeps a message from everybody, the others do not get it elsewhere."""
    trial = Trial([mixed("rejected", "not_sent")], ["ok"], is_all_or_nothing=True)
    assert isinstance(trial.fail(ANN, BOB), RejectedError)
    assert (trial.asked[1], trial.channel.is_all_or_nothing) == ([], True)
    trial = Trial([mixed("not_sent", "not_sent")], ["ok"], is_all_or_nothing=True)
    assert len(trial.send(ANN, BOB).accepted) == 2


def test_every_transport_sends_the_same() -> None:
    """Message-ID, Date and idempotency key are those of the first, also of a message that had none."""
    trial = Trial(["refused"], ["refused"], ["ok"])
    message = Message(from_="ada@example.com", to=ANN, text="Hi", idempotency_key="1")
    receipt = run_sync(trial.channel.send(message, Envelope.from_message(message)))
    sent = [player.messages[0] for player in trial.players]
    assert isinstance(sent[0], Message)
    assert sent[0].date is not None
    assert sent[0] == sent[1] == sent[2]
    assert receipt.message_id == sent[0].message_id


def test_a_message_that_one_cannot_express_goes_through_another() -> None:
    """That it was passed over, and why, is an event."""
    trial = Trial(["cannot"], ["ok"])
    trial.send()
    (event,) = trial.edge.events
    assert isinstance(event, PassedOver)
    assert (event.transport, event.reason, event.feature, event.recipients) == ("a://", "unsupported", "tags", 1)
    assert event.message_id == "1@example.com"


def test_going_on_is_an_event() -> None:
    """It says from whom to whom, for how many, and why."""
    trial = Trial([mixed("accepted", "not_sent")], ["bad password"], ["not set up"], ["ok"])
    trial.send(ANN, BOB)
    told: list[Any] = [
        (each.transport, each.to, each.recipients, each.cause)
        for each in trial.edge.events
        if isinstance(each, FailedOver)
    ]
    assert told == [("a://", "b://", 1, None), ("b://", "c://", 1, "configuration"), ("c://", "d://", 1, None)]


def test_prepared_bytes_go_the_same_way() -> None:
    """Also past a transport that cannot send any."""
    trial = Trial(["cannot"], [mixed("accepted", "not_sent")], ["ok"])
    receipt = run_sync(trial.channel.send_raw(b"Subject: x\r\n\r\n", Envelope(None, [ANN, BOB])))
    assert trial.asked == [[(ANN, BOB)], [(ANN, BOB)], [(BOB,)]]
    assert len(receipt.accepted) == 2
    assert trial.edge.events[0].message_id is None


# -- what is told in the end -------------------------------------------------------------------------------------------


def test_one_error_says_what_happened_with_each() -> None:
    """In words, and with their errors as the cause; it can be retried if, and when, one of them can."""
    trial = Trial(["refused"], ["slow down"], ["bad password"])
    error = trial.fail(ANN, BOB)
    assert isinstance(error, TransientError)
    assert str(error) == "none of 3 transports sent the message: a://: refused; b://: slow down; c://: no"
    assert (error.outcome, error.cause, error.retryable, error.retry_after) == ("not_sent", "transient", True, None)
    assert (error.transport, error.attempts, error.message_id) == (
        "failover(a:// b:// c://)",
        3,
        "1@example.com",
    )
    assert _told(error) == [(ANN, "not_sent", "c://"), (BOB, "not_sent", "c://")]
    cause = error.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert [type(each) for each in cause.exceptions] == [ConnectError, RateLimitedError, ConnectError]


@pytest.mark.parametrize(
    ("acts", "kind", "cause", "retry_after"),
    [
        (["slow down", "bad password"], RateLimitedError, "throttled", 7.0),
        (["bad certificate", "bad password"], DeliveryError, "configuration", None),
        (["bad certificate", "bad certificate"], DeliveryError, "security", None),
        (["bad password", "cannot"], DeliveryError, "configuration", None),
        (["slow down", RateLimitedError("", retry_after=3.0)], RateLimitedError, "throttled", 3.0),
    ],
)  # fmt: skip
def test_the_error_says_what_may_help(acts: list[Any], kind: type, cause: str, retry_after: float | None) -> None:
    """The most hopeful cause, and the shortest wait."""
    error = Trial(*[[act] for act in acts]).fail()
    assert (type(error), error.cause, error.retry_after) == (kind, cause, retry_after)
    assert {result.retry_after for result in error.recipients} == {retry_after}


def test_the_error_says_the_worst_of_recipients_that_fared_differently() -> None:
    """One was rejected by the first, the others were sent nothing by anybody."""
    error = Trial([mixed("rejected", "not_sent")], ["refused"]).fail(ANN, BOB)
    assert isinstance(error, RejectedError)
    assert _told(error) == [(ANN, "rejected", "a://"), (BOB, "not_sent", "b://")]
    assert error.attempts == 2


def test_a_receipt_names_those_to_whom_nobody_sent() -> None:
    """One accepted recipient makes a receipt, whatever became of the others."""
    receipt = Trial([mixed("accepted", "not_sent")], ["refused"]).send(ANN, BOB)
    assert _told(receipt) == [(ANN, "accepted", None), (BOB, "not_sent", "b://")]


def test_the_only_one_raises_its_own_error() -> None:
    """Of one transport there is nothing to add."""
    error = Trial(["refused"]).fail()
    assert (str(error), error.transport) == ("refused", "a://")


def test_what_nobody_can_express_is_unsupported() -> None:
    """Nothing was sent to anybody, and the error says who cannot do what."""
    error = Trial(["cannot"], ["cannot"]).fail()
    assert isinstance(error, UnsupportedFeatureError)
    assert (error.feature, error.transport) == ("tags", "failover(a:// b://)")
    assert "a://: cannot express tags; b://: cannot express tags" in str(error)


def test_what_is_not_set_up_anywhere_is_a_configuration_error() -> None:
    """Also where another one could not have expressed the message."""
    assert isinstance(Trial(["not set up"], ["cannot"]).fail(), ConfigurationError)


def test_a_message_that_becomes_unfit_on_its_way() -> None:
    """Where nobody has it the error says what is wrong with it; where somebody may have it, what became of it there."""
    assert isinstance(Trial(["refused"], ["broken"]).fail(), MessageError)
    receipt = Trial([mixed("accepted", "not_sent")], ["broken"]).send(ANN, BOB)
    assert _told(receipt) == [(ANN, "accepted", None), (BOB, "not_sent", None)]
    error = Trial([mixed("unknown", "not_sent")], ["broken"]).fail(ANN, BOB)
    assert isinstance(error, OutcomeUnknownError)


def test_a_doubt_is_safe_to_repeat_with_one_transport_alone() -> None:
    """The key that makes it safe is not known to the next one, which may be asked the next time."""
    assert Trial(["lost"], ["ok"]).fail().retryable is False
    assert Trial(["lost"]).fail().retryable is True
    (outcome, *_) = Trial(["lost"], ["ok"]).stream(1)
    assert isinstance(outcome.error, OutcomeUnknownError)
    assert not outcome.error.idempotent


def test_retrying_a_failover_never_sends_a_doubtful_message_elsewhere() -> None:
    """A doubt with a key that the first one honours, then the first one down: the second one is not asked."""
    trial = Trial(["lost", "refused"], ["ok"])
    message = letter()
    channel = RetryChannel(trial.channel, RetryPolicy(wait=lambda _: 0.0), trial.edge)
    with pytest.raises(OutcomeUnknownError):
        run_sync(channel.send(message, Envelope.from_message(message)))
    assert trial.asked == [[(ANN,)], []]


def test_a_failover_over_retries_says_that_somebody_retries() -> None:
    """So a mailer adds no retries of its own accord."""
    from mailkit import Retry

    edge = SimulatedBlocking()
    assert Failover(NullTransport(), Retry(NullTransport())).open(edge).retries_by_itself
    assert not Failover(NullTransport()).open(edge).retries_by_itself


# -- breakers ----------------------------------------------------------------------------------------------------------


def test_a_transport_that_is_down_is_not_asked_for_every_message() -> None:
    """Its breaker opens after five failures, and it is passed over until it is time to find out."""
    trial = Trial(["refused"] * 5 + ["ok"], ["ok"], breaker=Breaker())
    assert [trial.send().transport for _ in range(10)] == ["b://"] * 10
    assert len(trial.asked[0]) == 5
    passed = [event for event in trial.edge.events if isinstance(event, PassedOver)]
    assert {(event.transport, event.reason) for event in passed} == {("a://", "breaker")}
    trial.edge.time += 30
    assert [trial.send().transport for _ in range(3)] == ["a://"] * 3


def test_a_message_that_says_nothing_leaves_the_next_one_to_find_out() -> None:
    """A rejection by the first one is no proof that it works, so the next message goes there as well."""
    trial = Trial(["refused", "no", "ok"], ["ok"], breaker=Breaker(failures=1))
    assert trial.send().transport == "b://"
    trial.edge.time += 30
    assert isinstance(trial.fail(), RejectedError)
    assert [trial.send().transport for _ in range(2)] == ["a://", "a://"]


def test_an_error_says_who_was_not_asked() -> None:
    """All breakers open: nothing was tried, and it may be tried when the first of them lets a message through."""
    trial = Trial(["bad password"], ["refused"], breaker=Breaker(failures=1))
    trial.fail()
    trial.edge.time += 10
    error = trial.fail()
    assert (error.attempts, error.retry_after, error.retryable) == (0, 20.0, True)
    assert "a:// was not asked" in str(error)
    assert "b:// was not asked" in str(error)


def test_a_circuit_breaker_of_one_s_own_is_kept() -> None:
    """A member may have other numbers than the others."""
    edge = SimulatedBlocking()
    player = Player(acts=["refused"])
    channel = Failover(CircuitBreaker(player, failures=2), NullTransport()).open(edge)
    for number in range(4):
        message = letter(number=number)
        run_sync(channel.send(message, Envelope.from_message(message)))
    assert len(player.asked) == 2
    assert [type(event) for event in edge.events].count(BreakerChanged) == 1


def test_a_transport_that_asks_to_be_left_alone_is() -> None:
    """Who says that it is asked too often, and for how long, is passed over for so long, unless nobody else works."""
    trial = Trial(["slow down", "ok"], ["ok", "ok", "refused", "ok"])
    assert [trial.send().transport for _ in range(2)] == ["b://", "b://"]
    assert len(trial.asked[0]) == 1
    passed = [event for event in trial.edge.events if isinstance(event, PassedOver)]
    assert [(event.transport, event.reason) for event in passed] == [("a://", "throttled")]
    assert trial.send().transport == "a://"
    trial.edge.time += 7
    assert trial.send().transport == "a://"


def test_a_stream_leaves_alone_who_asks_for_it() -> None:
    """And comes back when the time is over."""
    trial = Trial(["ok", "slow down", "ok"], ["ok"])

    class Slow(list[Any]):
        def __iter__(self) -> Any:
            for number in range(8):
                trial.edge.time += 2
                yield letter(number=number)

    assert _takers(collect(trial.channel, Slow())) == "abbbbbaa"
    assert len(trial.asked[0]) == 4


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3])
def test_a_stream_through_one_that_works_is_one_stream(lag: int) -> None:
    """Its pipelining, its batches and its connections are as without failover."""
    trial = Trial(["ok"], ["ok"], lag=lag)
    assert _takers(trial.stream(50, connections=2, window=9)) == "a" * 50
    assert (trial.players[0].streams, trial.players[0].options) == ([50], [(2, 9)])
    assert trial.players[1].streams == []


@pytest.mark.parametrize("lag", [0, 2])
def test_messages_that_were_not_sent_keep_their_places(lag: int) -> None:
    """They go through the next one as a stream, those behind them wait, and then the first one goes on."""
    trial = Trial(["ok", "refused", "refused", "ok"], ["ok"], lag=lag)
    outcomes = trial.stream(7)
    assert [outcome.message.message_id for outcome in outcomes] == [f"{number}@example.com" for number in range(7)]
    assert _takers(outcomes) == "abbaaaa"
    assert sum(trial.players[1].streams) == 2
    if lag:
        assert trial.players[1].streams == [2]


def test_a_partial_message_of_a_stream_goes_on_for_the_rest() -> None:
    """Its other recipients are sent to through the next one, and the receipt is merged."""
    trial = Trial([mixed("accepted", "not_sent"), "ok"], ["ok"])
    outcomes = collect(trial.channel, [letter(ANN, BOB), letter(CAT, number=2)])
    assert outcomes[0].receipt is not None
    assert _told(outcomes[0].receipt) == [(ANN, "accepted", None), (BOB, "accepted", "b://")]
    assert trial.asked == [[(ANN, BOB), (CAT,)], [(BOB,)]]
    assert trial.players[1].streams == []


def test_a_partial_message_of_a_stream_that_fails_again_goes_on_again() -> None:
    """As long as there is somebody to ask."""
    trial = Trial([mixed("accepted", "not_sent")], ["refused"], ["broken"])
    (outcome,) = collect(trial.channel, [letter(ANN, BOB)])
    assert outcome.receipt is not None
    assert _told(outcome.receipt) == [(ANN, "accepted", None), (BOB, "not_sent", "b://")]


def test_a_stream_past_a_transport_that_is_down() -> None:
    """Five failures, and the rest of the stream goes through the second one, as one stream."""
    trial = Trial(["refused"], ["ok"], breaker=Breaker())
    assert _takers(trial.stream(1000)) == "b" * 1000
    assert len(trial.asked[0]) == 5
    assert trial.players[1].streams == [1] * 5 + [995]


def test_a_stream_comes_back_to_the_first_transport() -> None:
    """When it is time one message finds out whether the first works again, without being lost if it does not."""
    trial = Trial(["refused", "refused", "ok"], ["ok"], breaker=Breaker(failures=1))

    class Slow(list[Any]):
        def __iter__(self) -> Any:
            for number in range(12):
                trial.edge.time += 10
                yield letter(number=number)

    outcomes = collect(trial.channel, Slow())
    assert _takers(outcomes) == "bbbb" + "bbbb" + "aaaa"
    assert [outcome.message.message_id for outcome in outcomes] == [f"{number}@example.com" for number in range(12)]
    assert len(trial.asked[0]) == 6


def test_a_stream_that_nobody_sends() -> None:
    """Each message has the error that says what happened with each transport."""
    trial = Trial(["refused"], ["bad password"], breaker=Breaker(failures=2))
    outcomes = trial.stream(20)
    assert all(isinstance(outcome.error, DeliveryError) and outcome.error.outcome == "not_sent" for outcome in outcomes)
    assert (len(trial.asked[0]), len(trial.asked[1])) == (2, 1)


def test_outcomes_that_were_given_stay_as_they_are() -> None:
    """What an outer policy did not let through is not sent, though it looks as if it might be."""
    trial = Trial(["ok"], ["ok"])
    earlier = Outcome(message=letter(number=7), error=ConnectError("somebody else's breaker is open"))
    outcomes = collect(trial.channel, [earlier, letter(), earlier])
    assert (outcomes[0], outcomes[2], outcomes[1].ok) == (earlier, earlier, True)
    assert trial.asked == [[(ANN,)], []]


def test_unfit_messages_of_a_stream_stop_nobody() -> None:
    """One without an author is refused before any transport sees it."""
    trial = Trial(["ok"], ["ok"])
    outcomes = collect(trial.channel, [letter(), Message(to=ANN, text="Hi"), letter(number=2)])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), MessageError, type(None)]


def test_an_interruption_of_the_first_says_what_it_leaves() -> None:
    """What was kept comes first, then what the transport had, and no doubt among it is safe to repeat elsewhere."""
    trial = Trial(["refused", KeyboardInterrupt()], ["ok"], lag=2)
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.stream(9)
    left: tuple[Outcome, ...] = caught.value.__dict__["outcomes"]
    assert [outcome.message.message_id for outcome in left] == ["0@example.com", "1@example.com", "2@example.com"]
    assert all(isinstance(outcome.error, DeliveryError) and outcome.error.outcome == "not_sent" for outcome in left)


def test_an_interruption_leaves_what_was_decided_before_as_it_was() -> None:
    """An outcome that was on its way through the transport's stream is told unchanged."""
    trial = Trial(["ok", KeyboardInterrupt()], ["ok"], lag=1)
    earlier = Outcome(message=letter(number=7), error=MessageError("was wrong before"))
    with pytest.raises(KeyboardInterrupt) as caught:
        collect(trial.channel, [letter(), letter(number=2), earlier])
    assert caught.value.__dict__["outcomes"][1] is earlier


def test_an_interruption_of_the_next_one_says_what_it_leaves() -> None:
    """Those that were kept in their places are told about, and so are those behind them."""
    trial = Trial(["refused", "refused", "ok"], ["ok", KeyboardInterrupt()], lag=2)
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.stream(9)
    left: tuple[Outcome, ...] = caught.value.__dict__["outcomes"]
    assert [outcome.message.message_id for outcome in left] == ["0@example.com", "1@example.com", "2@example.com"]
    assert _takers(left) == "b-a"


def test_an_interruption_says_what_became_of_the_message_everywhere() -> None:
    """What the first transport decided goes along with what the second one left."""
    interruption = KeyboardInterrupt()
    interruption.__dict__["delivery"] = OutcomeUnknownError(
        "lost", recipients=[RecipientResult(BOB, status="unknown")], idempotent=True
    )
    trial = Trial([mixed("accepted", "not_sent")], [interruption], ["ok"])
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.send(ANN, BOB)
    delivery: Receipt = caught.value.__dict__["delivery"]
    assert [result.status for result in delivery.recipients] == ["accepted", "unknown"]
    assert trial.asked[2] == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interruption_that_says_nothing_leaves_a_doubt(interruption: type[BaseException]) -> None:
    """Whoever was asked may have it, and nobody must read that nothing was sent."""
    trial = Trial(["refused"], [interruption()])
    with pytest.raises(interruption) as caught:
        trial.send()
    delivery = caught.value.__dict__["delivery"]
    assert isinstance(delivery, OutcomeUnknownError)
    assert not delivery.idempotent


def test_an_interruption_that_says_nothing_leaves_doubts_in_a_stream_too() -> None:
    """Of those that the transport had taken; those behind them were not sent."""

    class Silent(Player):
        def open(self, edge: Any) -> Any:
            channel = super().open(edge)
            many = channel.send_many

            async def send_many(messages: Any, **options: Any) -> Any:
                try:
                    async for outcome in many(messages, **options):
                        yield outcome
                except KeyboardInterrupt as interruption:
                    interruption.__dict__.pop("outcomes")
                    raise

            channel.send_many = send_many  # type: ignore[method-assign]
            return channel

    edge = SimulatedBlocking()
    first = Player(name="a", acts=["refused"], lag=4)
    transport = Failover(first, Silent(name="b", acts=["ok", KeyboardInterrupt()]), breaker=None)
    with pytest.raises(KeyboardInterrupt) as caught:
        collect(transport.open(edge), [letter(number=number) for number in range(9)])
    left: tuple[Outcome, ...] = caught.value.__dict__["outcomes"]
    ends = [outcome.receipt or outcome.error for outcome in left]
    assert [getattr(end, "outcome", "accepted") for end in ends] == [
        "accepted",
        "unknown",
        "not_sent",
        "not_sent",
        "not_sent",
    ]


def test_a_partial_message_that_is_interrupted_in_a_stream() -> None:
    """What the first transport accepted is not forgotten."""
    trial = Trial([mixed("accepted", "not_sent")], [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt) as caught:
        collect(trial.channel, [letter(ANN, BOB)])
    (left,) = caught.value.__dict__["outcomes"]
    assert [result.status for result in left.receipt.recipients] == ["accepted", "unknown"]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_stream_that_is_left_early_is_closed(most: int) -> None:
    """Those who stop listening get no more."""
    trial = Trial(["ok", "refused", "ok"], ["ok"], lag=1)
    assert len(trial.stream(9, most=most)) == most


def test_a_stream_holds_few_messages() -> None:
    """However many there are, only those that are on their way are in memory."""
    trial = Trial(["refused", "ok"] * 50, ["ok"], lag=5)
    taken = 0
    seen: list[int] = []

    class Counted(list[Any]):
        def __iter__(self) -> Any:
            nonlocal taken
            for number in range(100):
                taken += 1
                seen.append(taken - sum(map(len, trial.asked)))
                yield letter(number=number)

    assert len(collect(trial.channel, Counted())) == 100
    assert max(seen) <= 7


# -- the other ways ----------------------------------------------------------------------------------------------------


def test_all_are_verified_and_closed() -> None:
    """The first one's findings are returned, and one that cannot be closed does not keep the others open."""
    trial = Trial(["ok"], ["ok"], ["ok"])
    assert run_sync(trial.channel.verify()).transport == "a://"
    assert [player.verified for player in trial.players] == [1, 1, 1]

    async def fail() -> None:
        raise RuntimeError("cannot be closed")

    second: Any = trial.channel
    second._members[1].channel.close = fail
    with pytest.raises(RuntimeError):
        run_sync(trial.channel.close())
    assert [player.closed for player in trial.players] == [1, 0, 1]


def test_it_can_do_what_one_of_them_can() -> None:
    """Field by field, the most."""
    one = Player(capabilities=Capabilities(attachments=True, tags=1, html=False))
    other = Player(capabilities=Capabilities(tags=5, send_at=True, reply_to=0, html=False))
    assert Failover(one, other).capabilities == Capabilities(
        attachments=True, tags=5, send_at=True, reply_to=1, html=False
    )


@pytest.mark.parametrize("wrong", [(), ("smtp://host",), (NullTransport,), (NullTransport(), None)])
def test_what_is_no_transport_is_refused(wrong: tuple[Any, ...]) -> None:
    """A URL is none, and a class is none; the error says what to do."""
    with pytest.raises(ConfigurationError, match="Failover"):
        Failover(*wrong)


def test_it_is_a_value() -> None:
    """It can be compared, hashed, and says what it is without secrets."""
    assert Failover(NullTransport(), NullTransport()) == Failover(NullTransport(), NullTransport())
    assert hash(Failover(NullTransport())) == hash(Failover(NullTransport()))
    assert str(Failover(NullTransport(), breaker=Breaker(failures=2))) == "failover(null://)?failures=2"


class TestContract(TransportContract):
    """A failover keeps every promise of a transport, whether or not the first one works."""

    def make_transport(self) -> Transport:
        """One that is never needed, behind a fake."""
        self.fake = FakeTransport()
        return Failover(self.fake, NullTransport())

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"
