"""Circuit breakers: what opens them, what does not, and how they close again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.policies.cast import ANN, BOB, Player, collect, letter, mixed, send
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, MailkitError, MessageError
from mailkit.events import BreakerChanged
from mailkit.local import NullTransport
from mailkit.message import Message
from mailkit.policies.breaker import CircuitBreaker
from mailkit.policies.failover import Failover
from mailkit.policies.retry import RetryPolicy
from mailkit.receipt import Outcome
from mailkit.testing import Delivered, FakeTransport, TransportContract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.receipt import Receipt
    from mailkit.transport import Transport


class Trial:
    """A breaker round a player, on a simulated clock."""

    def __init__(self, *acts: Any, lag: int = 0, **settings: Any) -> None:
        self.edge = SimulatedBlocking()
        self.player = Player(acts=list(acts), lag=lag)
        self.transport = CircuitBreaker(self.player, **settings)
        self.channel = self.transport.open(self.edge)

    @property
    def state(self) -> str:
        """Whether it lets messages through."""
        return self.channel.circuit.state

    @property
    def asked(self) -> int:
        """How often the transport was asked."""
        return len(self.player.asked)

    def send(self, *to: str) -> Receipt | BaseException:
        """Send one message; return how it ended."""
        message = letter(*to)
        try:
            return run_sync(self.channel.send(message, Envelope.from_message(message)))
        except BaseException as error:  # noqa: BLE001 - interruptions too
            return error

    def changes(self) -> list[str]:
        """Return what the listener was told of the breaker."""
        return [f"{event.before} {event.after}" for event in self.edge.events if isinstance(event, BreakerChanged)]


# -- what opens it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", ["refused", "lost"])
def test_failures_in_a_row_open_it(failure: str) -> None:
    """Four of them do not, the fifth does, and the sixth message is not sent without the transport being asked."""
    trial = Trial(failure)
    for _ in range(4):
        trial.send()
    assert trial.state == "closed"
    trial.send()
    assert trial.state == "open"
    error = trial.send(ANN, BOB)
    assert isinstance(error, ConnectError)
    assert (error.outcome, error.cause, error.phase, error.attempts) == ("not_sent", "transient", "breaker", 0)
    assert (error.retry_after, error.retryable, error.transport) == (30.0, True, "a://")
    assert [(each.address, each.status) for each in error.recipients] == [(ANN, "not_sent"), (BOB, "not_sent")]
    assert error.message_id == "1@example.com"
    assert failure in str(error)
    assert trial.asked == 5


@pytest.mark.parametrize("failure", ["bad password", "bad certificate", "not set up"])
def test_what_only_a_change_of_settings_can_end_opens_it_at_once(failure: str) -> None:
    """One refused login is enough: more of them lock accounts."""
    trial = Trial(failure)
    trial.send()
    trial.send()
    assert (trial.state, trial.asked) == ("open", 1)


@pytest.mark.parametrize(
    "act",
    ["busy", "no", "slow down", "broken", "cannot", KeyboardInterrupt(), asyncio.CancelledError(),
     mixed("rejected", "not_sent"), mixed("deferred", "not_sent")],
)  # fmt: skip
def test_what_is_no_failure_of_the_transport_never_opens_it(act: Any) -> None:
    """Rejections, deferrals, throttling, unfit messages and interruptions say nothing of the transport."""
    trial = Trial(act, failures=1)
    for _ in range(10):
        trial.send(ANN, BOB)
    assert (trial.state, trial.asked) == ("closed", 10)


def test_a_failure_that_moves_nothing_does_not_end_a_row() -> None:
    """A rejection between failures neither counts nor forgives."""
    trial = Trial("refused", "no", "refused", failures=2)
    for _ in range(3):
        trial.send()
    assert trial.state == "open"


@pytest.mark.parametrize("success", ["ok", mixed("accepted", "not_sent"), mixed("rejected", "accepted")])
def test_a_success_forgives_the_failures_before_it(success: Any) -> None:
    """Failures that are not in a row do not open it, and one accepted recipient is a success."""
    trial = Trial(*["refused", success] * 4, "ok", failures=2)
    for _ in range(8):
        trial.send(ANN, BOB)
    assert trial.state == "closed"


def test_one_lost_connection_counts_once() -> None:
    """Errors with one cause are one failure, however many messages were on the connection."""
    lost = OSError("reset")

    def error() -> ConnectError:
        each = ConnectError("lost")
        each.__cause__ = lost
        return each

    trial = Trial(error(), error(), error(), ConnectError("refused"), "ok", failures=2)
    for _ in range(3):
        trial.send()
    assert trial.state == "closed"
    trial.send()
    assert trial.state == "open"


def test_another_open_breaker_inside_is_no_failure() -> None:
    """What says that nobody was asked does not count."""
    edge = SimulatedBlocking()
    outer = CircuitBreaker(CircuitBreaker(Player(acts=["refused"]), failures=1), failures=2).open(edge)
    message = letter()
    for _ in range(5):
        with pytest.raises(ConnectError):
            run_sync(outer.send(message, Envelope.from_message(message)))
    assert outer.circuit.state == "closed"


# -- how long it is open -----------------------------------------------------------------------------------------------


def test_it_is_open_until_it_is_time_to_find_out() -> None:
    """The error says how long that is."""
    trial = Trial("refused", "ok", failures=1, reset_after=60.0)
    trial.send()
    trial.edge.time += 45
    error = trial.send()
    assert isinstance(error, DeliveryError)
    assert error.retry_after == 15.0
    trial.edge.time += 14.9
    assert isinstance(trial.send(), ConnectError)
    assert trial.asked == 1


def test_a_longer_retry_after_counts() -> None:
    """Who asks to be left alone for two minutes is left alone for two minutes, and for no less than ours."""
    trial = Trial(ConnectError("421", retry_after=120.0), ConnectError("421", retry_after=1.0), failures=1)
    trial.send()
    trial.edge.time += 119
    trial.send()
    assert trial.asked == 1
    trial.edge.time += 1
    trial.send()
    assert trial.asked == 2
    trial.edge.time += 29
    trial.send()
    assert trial.asked == 2


@pytest.mark.parametrize("probe", ["ok", mixed("accepted", "rejected")])
def test_a_message_that_arrives_closes_it(probe: Any) -> None:
    """Half-open, one message finds out; then all go through, and failures are counted from none."""
    trial = Trial("refused", "refused", probe, "refused", "ok", failures=2)
    trial.send()
    trial.send()
    trial.edge.time += 30
    trial.send(ANN, BOB)
    assert trial.state == "closed"
    trial.send()
    assert (trial.state, trial.asked) == ("closed", 4)
    assert trial.changes() == ["closed open", "open half-open", "half-open closed"]


@pytest.mark.parametrize("probe", ["refused", "lost", "bad password"])
def test_a_message_that_fails_keeps_it_open(probe: str) -> None:
    """One failure is enough then, and it stays open as long again."""
    trial = Trial("refused", "refused", probe, failures=2)
    trial.send()
    trial.send()
    trial.edge.time += 30
    trial.send()
    trial.send()
    assert (trial.state, trial.asked) == ("open", 3)
    trial.edge.time += 30
    trial.send()
    assert trial.asked == 4


@pytest.mark.parametrize("probe", ["no", "busy", "slow down", "broken", KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_message_that_says_nothing_leaves_the_next_one_to_find_out(probe: Any) -> None:
    """A rejected probe neither closes nor opens it, and does not keep it half-open for ever."""
    trial = Trial("refused", probe, probe, "ok", failures=1)
    trial.send()
    trial.edge.time += 30
    trial.send()
    assert trial.state == "half-open"
    trial.send()
    trial.send()
    assert (trial.state, trial.asked) == ("closed", 4)


def test_only_one_message_finds_out() -> None:
    """Another one, on its way at the same time, is not sent and told that somebody finds out."""
    trial = Trial("refused", "ok", failures=1)
    trial.send()
    trial.edge.time += 30
    permit = trial.channel.circuit.admit()
    assert permit is not None
    error = trial.send()
    assert isinstance(error, ConnectError)
    assert (error.retry_after, trial.asked) == (None, 1)
    assert "one message is finding out" in str(error)
    assert not trial.channel.circuit.may_pass
    trial.channel.circuit.enter(permit, "nothing")
    trial.send()
    assert trial.state == "closed"


def test_a_message_that_never_ends_does_not_keep_it_half_open() -> None:
    """After as long again another one finds out, and what the first one says then is about the past."""
    trial = Trial("refused", "ok", failures=1)
    trial.send()
    trial.edge.time += 30
    lost = trial.channel.circuit.admit()
    assert lost is not None
    trial.edge.time += 29
    assert isinstance(trial.send(), ConnectError)
    trial.edge.time += 1
    assert trial.channel.circuit.may_pass
    trial.send()
    assert trial.state == "closed"
    trial.channel.circuit.enter(lost, "failed", ConnectError("refused"))
    assert trial.state == "closed"
    assert trial.changes() == ["closed open", "open half-open", "half-open closed"]


def test_what_was_let_through_before_says_nothing_of_now() -> None:
    """A message that was on its way when the breaker opened neither closes nor extends it."""
    trial = Trial("refused", failures=1)
    early, late = trial.channel.circuit.admit(), trial.channel.circuit.admit()
    assert early is not None
    assert late is not None
    trial.send()
    trial.channel.circuit.enter(early, "works")
    trial.channel.circuit.enter(late, "failed", ConnectError("refused"))
    assert trial.state == "open"
    assert trial.changes() == ["closed open"]


def test_threads_open_it_once_and_find_out_once() -> None:
    """However many threads fail or find out at the same time, the state changes once."""
    edge = BlockingEdge()
    events: list[Any] = []
    edge.listener = events.append
    player = Player(acts=["refused"])
    channel = CircuitBreaker(player, failures=1, reset_after=1e-6).open(edge)
    message = letter()

    async def send_many() -> None:
        for _ in range(200):
            with pytest.raises(ConnectError):
                await channel.send(message, Envelope.from_message(message))

    run_sync(edge.run_all([send_many] * 4))
    changes = [f"{event.before} {event.after}" for event in events]
    assert changes[0] == "closed open"
    assert changes.count("closed open") == 1
    assert changes.count("half-open open") in {changes.count("open half-open"), changes.count("open half-open") - 1}


def test_the_listener_is_told_why() -> None:
    """The event has the failure, how many there were, and how long it will be open."""
    trial = Trial("bad password", reset_after=7.0)
    trial.send()
    (event,) = trial.edge.events
    assert isinstance(event, BreakerChanged)
    assert (event.title, event.failures, event.wait, event.cause) == ("mailkit.breaker.open", 1, 7.0, "configuration")
    assert isinstance(event.error, ConnectError)
    trial = Trial("not set up")
    trial.send()
    (event,) = trial.edge.events
    assert isinstance(event, BreakerChanged)
    assert (event.cause, type(event.error)) == ("configuration", ConfigurationError)


def test_nobody_listening_costs_nothing() -> None:
    """Without a listener no event is made."""
    edge = SimulatedBlocking()
    edge.listener = None  # type: ignore[assignment]
    with pytest.raises(ConnectError):
        send(CircuitBreaker(Player(acts=["refused"]), failures=1), edge)
    assert edge.events == []


def test_a_long_failure_is_shortened() -> None:
    """A reply of a thousand characters is not repeated with every message."""
    trial = Trial(ConnectError("x" * 1000), failures=1)
    trial.send()
    assert len(str(trial.send())) < 400


def test_prepared_bytes_move_it_too() -> None:
    """``send_raw`` counts, and is refused while it is open."""
    trial = Trial("refused", failures=1)
    for _ in range(2):
        with pytest.raises(ConnectError):
            run_sync(trial.channel.send_raw(b"", Envelope(None, [ANN])))
    assert (trial.state, trial.asked) == ("open", 1)


def test_verifying_goes_past_it() -> None:
    """Whoever verifies wants to know how things are now."""
    trial = Trial("refused", failures=1)
    trial.send()
    assert run_sync(trial.channel.verify()).transport == "a://"
    assert trial.player.verified == 1


def test_retrying_waits_until_it_is_time() -> None:
    """A retry policy round a breaker waits at least as long as the breaker is open, where that fits its deadline."""
    from mailkit.policies.retry_channel import RetryChannel

    trial = Trial("refused", "ok", failures=1, reset_after=10.0)
    message = letter()
    channel = RetryChannel(trial.channel, RetryPolicy(wait=lambda _: 0.0), trial.edge)
    receipt = run_sync(channel.send(message, Envelope.from_message(message)))
    assert (receipt.attempts, trial.edge.slept, trial.asked) == (2, [0.0, 10.0], 2)


# -- streams -----------------------------------------------------------------------------------------------------------


def _told(outcomes: Sequence[Outcome]) -> list[str]:
    return [
        "ok" if outcome.ok else "breaker" if getattr(outcome.error, "phase", "") == "breaker" else "failed"
        for outcome in outcomes
    ]


@pytest.mark.parametrize("lag", [0, 1, 5])
def test_a_stream_is_one_stream(lag: int) -> None:
    """What works goes through the transport's own stream, with its connections and its window."""
    trial = Trial("ok", lag=lag)
    outcomes = collect(trial.channel, [letter(number=number) for number in range(20)], connections=3, window=7)
    assert all(outcome.ok for outcome in outcomes)
    assert (trial.player.streams, trial.player.options) == ([20], [(3, 7)])


def test_a_stream_costs_no_more_failures_than_it_takes() -> None:
    """A server that is down is asked five times, and the rest of the stream has its outcomes at once, in order."""
    trial = Trial("refused")
    messages = [letter(number=number) for number in range(1000)]
    outcomes = collect(trial.channel, messages)
    assert [outcome.message for outcome in outcomes] == messages
    assert _told(outcomes) == ["failed"] * 5 + ["breaker"] * 995
    assert trial.asked == 5


def test_a_stream_goes_on_after_one_message_found_out() -> None:
    """The probe goes alone: those behind it wait for its end, and are then sent or refused with it."""
    trial = Trial("refused", "ok", "refused", "refused", "ok", lag=3, failures=1)
    trial.send()
    messages: list[Message | Outcome] = []

    class Later(list[Any]):
        def __iter__(self) -> Any:
            for number in range(6):
                if number == 2:
                    trial.edge.time += 30
                yield letter(number=number)

    outcomes = collect(trial.channel, Later(messages))
    assert _told(outcomes) == ["breaker", "breaker", "ok", "failed", "failed", "ok"]
    assert trial.player.streams == [1, 3]


def test_a_probe_that_fails_in_a_stream_keeps_it_open() -> None:
    """One message more is lost in half a minute, not the stream."""
    trial = Trial("refused", lag=2, failures=1)
    trial.send()
    trial.edge.time += 30
    outcomes = collect(trial.channel, [letter(number=number) for number in range(10)])
    assert _told(outcomes) == ["failed"] + ["breaker"] * 9
    assert trial.asked == 2


def test_outcomes_that_were_given_are_passed_on_and_move_nothing() -> None:
    """What an outer policy has decided is neither sent nor counted, also while the breaker is open."""
    trial = Trial("refused", failures=1)
    earlier = Outcome(message=letter(number=7), error=ConnectError("refused by somebody else"))
    outcomes = collect(trial.channel, [earlier, earlier])
    assert outcomes == [earlier, earlier]
    assert trial.state == "closed"
    trial.send()
    assert collect(trial.channel, [earlier]) == [earlier]


def test_an_unfit_message_is_told_so_by_an_open_breaker() -> None:
    """Waiting would not help it."""
    trial = Trial("refused", failures=1)
    trial.send()
    (outcome,) = collect(trial.channel, [Message(text="Hi", to=ANN)])
    assert isinstance(outcome.error, MessageError)


@pytest.mark.parametrize("most", [1, 2])
def test_a_stream_that_is_left_gives_the_probe_back(most: int) -> None:
    """Nobody listens to how the probe ends, so the next message finds out."""
    trial = Trial("refused", "ok", failures=1, lag=1)
    trial.send()
    earlier = Outcome(message=letter(number=7), error=MessageError("was wrong before"))
    trial.edge.time += 30
    collect(trial.channel, [earlier, letter(), letter()], most=most)
    assert isinstance(trial.send(), Exception) is False
    assert trial.state == "closed"


def test_an_interrupted_stream_says_what_it_leaves_and_gives_the_probe_back() -> None:
    """The outcomes of those that were taken go along, and the breaker stays half-open."""
    trial = Trial("refused", KeyboardInterrupt(), "ok", failures=1)
    trial.send()
    trial.edge.time += 30
    with pytest.raises(KeyboardInterrupt) as caught:
        collect(trial.channel, [letter(number=1), letter(number=2)])
    assert [outcome.message.message_id for outcome in caught.value.__dict__["outcomes"]] == ["1@example.com"]
    assert trial.state == "half-open"
    trial.send()
    assert trial.state == "closed"


# -- as a value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"failures": -1}, {"reset_after": 0.0}, {"reset_after": -1.0},
              {"reset_after": float("inf")}, {"reset_after": float("nan")}],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """At least one failure, and a positive number of seconds."""
    with pytest.raises(ConfigurationError, match="circuit breaker"):
        CircuitBreaker(NullTransport(), **wrong)


def test_it_is_a_value() -> None:
    """It can be compared, and says what is unusual about it."""
    assert CircuitBreaker(NullTransport()) == CircuitBreaker(NullTransport(), failures=5, reset_after=30.0)
    assert str(CircuitBreaker(NullTransport())) == "breaker(null://)"
    assert str(CircuitBreaker(NullTransport(), failures=2)) == "breaker(null://)?failures=2"


class TestContract(TransportContract):
    """A breaker keeps every promise of a transport."""

    def make_transport(self) -> Transport:
        """A breaker round a fake, inside of another policy as well."""
        self.fake = FakeTransport()
        return CircuitBreaker(Failover(CircuitBreaker(self.fake)))

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"


def test_mailkit_s_errors_are_all_that_comes_out() -> None:
    """Whatever is played, a typed error or an interruption comes out."""
    for act in ("refused", "slow down", "bad password", "no", "lost", "broken", "cannot", "not set up"):
        assert isinstance(Trial(act).send(), MailkitError)
