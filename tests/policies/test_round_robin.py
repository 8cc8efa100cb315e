"""Round robin: everybody has his turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import COLOURS, make_edge, run_in
from tests.policies.cast import ANN, BOB, Player, collect, letter, mixed, stream
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, MessageError, TransientError
from mailkit.local import NullTransport
from mailkit.message import Message
from mailkit.policies.circuit import Breaker
from mailkit.policies.round_robin import RoundRobin
from mailkit.policies.waves import PATIENCE, SHARE
from mailkit.receipt import Outcome
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tests.colours import Colour

    from mailkit.receipt import Receipt
    from mailkit.transport import Channel, Transport


class Trial:
    """Players that take turns, on a simulated clock."""

    def __init__(self, *acts: Sequence[Any], lag: int = 0, breaker: Breaker | None = None) -> None:
        self.edge = SimulatedBlocking()
        self.players = [Player(name=name, acts=list(each), lag=lag) for name, each in zip("abcd", acts, strict=False)]
        self.channel: Channel = RoundRobin(*self.players, breaker=breaker).open(self.edge)

    def send(self, *to: str) -> Receipt:
        """Send one message."""
        message = letter(*to)
        return run_sync(self.channel.send(message, Envelope.from_message(message)))

    def takers(self, count: int) -> str:
        """Send some messages; return who took them."""
        return "".join(self.send().transport[0] for _ in range(count))

    def stream(self, count: int, **options: Any) -> str:
        """Send a stream of messages; return who took them, in order."""
        messages = [letter(number=number) for number in range(count)]
        outcomes = collect(self.channel, messages, **options)
        assert [outcome.message for outcome in outcomes] == messages
        return "".join(outcome.receipt.transport[0] if outcome.receipt else "-" for outcome in outcomes)


def test_each_has_its_turn() -> None:
    """One after the other, and again from the first."""
    assert Trial(["ok"], ["ok"], ["ok"]).takers(7) == "abcabca"


def test_one_alone_has_every_turn() -> None:
    """That is no policy, and works."""
    assert Trial(["ok"]).takers(3) == "aaa"


def test_who_sends_nothing_hands_over_to_the_next() -> None:
    """To those whose turns come next, in their order."""
    trial = Trial(["ok"], ["refused"], ["bad password"], ["ok"])
    assert trial.takers(8) == "adddaddd"


def test_who_does_something_keeps_it() -> None:
    """A rejection is no reason to ask another one, and costs the turn."""
    trial = Trial(["no"], ["ok"])
    for _ in range(2):
        with pytest.raises(DeliveryError):
            trial.send()
        assert trial.send().transport == "b://"


def test_who_is_down_loses_its_turns() -> None:
    """Until its breaker lets a message through again."""
    trial = Trial(["ok"], ["refused"] * 2 + ["ok"], ["ok"], breaker=Breaker(failures=2))
    assert trial.takers(9) == "acc" * 3
    assert len(trial.players[1].asked) == 2
    trial.edge.time += 30
    assert trial.takers(3) == "abc"


def test_when_all_are_down_somebody_says_so() -> None:
    """Each message has one error about all of them."""
    trial = Trial(["refused"], ["refused"], breaker=Breaker(failures=1))
    for _ in range(3):
        with pytest.raises(TransientError, match="none of 2 transports"):
            trial.send()
    assert [len(player.asked) for player in trial.players] == [1, 1]


def test_threads_take_turns() -> None:
    """No turn is lost or given twice, however many threads take one."""
    edge = BlockingEdge()
    players = [Player(name=name) for name in "abc"]
    channel = RoundRobin(*players).open(edge)

    async def send() -> None:
        for _ in range(300):
            message = letter()
            await channel.send(message, Envelope.from_message(message))

    run_sync(edge.run_all([send] * 4))
    assert [len(player.asked) for player in players] == [400, 400, 400]


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3])
def test_a_stream_is_shared_out(lag: int) -> None:
    """Everybody has its share as a stream of its own, and the outcomes come in the order of the messages."""
    trial = Trial(["ok"], ["ok"], lag=lag)
    assert trial.stream(100, connections=3, window=5) == "ab" * 50
    assert [player.streams for player in trial.players] == [[50], [50]]
    assert trial.players[0].options == [(3, 5)]


def test_a_long_stream_goes_in_waves() -> None:
    """No more than a wave is in memory, however many messages there are."""
    trial = Trial(["ok"], ["ok"])
    count = 5 * SHARE
    assert trial.stream(count) == "ab" * (count // 2)
    assert [player.streams for player in trial.players] == [[SHARE, SHARE, SHARE // 2]] * 2


def test_what_one_does_not_send_the_others_do() -> None:
    """As a stream, in its place."""
    trial = Trial(["refused"], ["ok"])
    assert trial.stream(10) == "b" * 10
    assert [player.streams for player in trial.players] == [[5], [5, 5]]


def test_a_partial_message_goes_on_for_the_rest() -> None:
    """Its other recipients are sent to through the other transport."""
    trial = Trial([mixed("accepted", "not_sent")], ["ok"])
    (outcome,) = collect(trial.channel, [letter(ANN, BOB)])
    assert outcome.receipt is not None
    assert [(each.address, each.transport) for each in outcome.receipt.accepted] == [(ANN, None), (BOB, "b://")]


def test_a_stream_past_one_that_is_down() -> None:
    """It is asked as often as it takes, once it is known to be down not at all, and then by one message."""
    trial = Trial(["refused"] * 6 + ["ok"], ["ok"], breaker=Breaker())
    assert trial.stream(100) == "b" * 100
    assert len(trial.players[0].asked) == 5
    assert trial.stream(10) == "b" * 10
    assert len(trial.players[0].asked) == 5
    trial.edge.time += 30
    assert trial.stream(10) == "b" * 10
    assert len(trial.players[0].asked) == 6
    trial.edge.time += 30
    assert trial.stream(10) == "ab" * 5


def test_a_slow_source_is_not_waited_for() -> None:
    """A message that is there goes when the next one takes long, and is answered before it comes."""
    trial = Trial(["ok"], ["ok"])
    answered: list[int] = []
    seen: list[int] = []

    async def source() -> AsyncGenerator[Message, None]:
        for number in range(5):
            trial.edge.time += PATIENCE
            seen.append(len(answered))
            yield letter(number=number)

    async def go() -> None:
        async for _ in trial.channel.send_many(source()):
            answered.append(1)  # noqa: PERF401 - the source looks at it

    run_sync(go())
    assert seen == [0, 1, 2, 3, 4]


def test_a_source_that_pauses_between_bursts_is_not_waited_for_again() -> None:
    """After the first pause each message goes at once, and none waits for the next burst; later they go in waves."""
    trial = Trial(["ok"], ["ok"])
    answered: list[int] = []
    seen: list[int] = []

    async def source() -> AsyncGenerator[Message, None]:
        for number in range(200):
            if number in {3, 6}:
                seen.append(len(answered))
                trial.edge.time += 1
            yield letter(number=number)

    async def go() -> None:
        async for _ in trial.channel.send_many(source()):
            answered.append(1)  # noqa: PERF401 - the source looks at it

    run_sync(go())
    assert seen == [0, 6]
    assert trial.players[0].streams[-1] > 50


def test_given_outcomes_and_unfit_messages_keep_their_places() -> None:
    """Neither is sent, and what was decided before does not wait for a wave."""
    trial = Trial(["ok"], ["ok"])
    earlier = Outcome(message=letter(number=7), error=ConnectError("somebody else's breaker is open"))
    given: list[Message | Outcome] = [earlier, letter(), Message(to=ANN, text="Hi"), earlier, letter(number=2)]
    outcomes = collect(trial.channel, given)
    assert [type(outcome.error) for outcome in outcomes] == [
        ConnectError, type(None), MessageError, ConnectError, type(None),
    ]  # fmt: skip
    assert outcomes[0] is earlier
    assert outcomes[3] is earlier


def test_a_source_that_fails_fails_when_all_before_it_is_told() -> None:
    """What was taken is sent, and then the source's own error is raised."""
    trial = Trial(["ok"], ["ok"])
    outcomes: list[Outcome] = []

    async def source() -> AsyncGenerator[Message, None]:
        yield letter()
        yield letter(number=2)
        raise ZeroDivisionError

    async def go() -> None:
        async for outcome in trial.channel.send_many(source()):
            outcomes.append(outcome)  # noqa: PERF401 - it does not come to its end

    with pytest.raises(ZeroDivisionError):
        run_sync(go())
    assert [outcome.ok for outcome in outcomes] == [True, True]


def test_an_interrupted_wave_says_what_it_leaves() -> None:
    """Everything that was taken is told about, in order: what was sent, what was not, by whomever."""
    trial = Trial(["ok", "ok", KeyboardInterrupt()], ["ok"])
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.stream(8)
    left: tuple[Outcome, ...] = caught.value.__dict__["outcomes"]
    assert [outcome.message.message_id for outcome in left] == [f"{number}@example.com" for number in range(8)]
    took = {message_id for player in trial.players for message_id, _ in player.took}
    assert {outcome.message.message_id for outcome in left if outcome.ok} == took
    assert all(outcome.error is None or outcome.error.outcome == "not_sent" for outcome in left)  # type: ignore[attr-defined]


@pytest.mark.parametrize("most", [1, 3])
def test_a_stream_that_is_left_early_ends(most: int) -> None:
    """Nobody sends what nobody asks for any more."""
    trial = Trial(["ok"], ["ok"])
    outcomes = collect(trial.channel, [letter(number=number) for number in range(9)], most=most)
    assert len(outcomes) == most


# -- as a value --------------------------------------------------------------------------------------------------------


def test_it_is_a_value() -> None:
    """It can be compared, and says what it is."""
    assert RoundRobin(NullTransport()) == RoundRobin(NullTransport())
    assert str(RoundRobin(NullTransport(), NullTransport(), breaker=None)) == "roundrobin(null:// null://)?breaker=off"
    assert RoundRobin(NullTransport()).capabilities == NullTransport().capabilities
    with pytest.raises(ConfigurationError, match="RoundRobin"):
        RoundRobin()


class TestContract(TransportContract):
    """Round robin keeps every promise of a transport."""

    def make_transport(self) -> Transport:
        """Turns of one fake, so that what arrives has an order."""
        self.fake = FakeTransport()
        return RoundRobin(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"


# -- in every colour ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
def test_shares_are_on_their_way_at_the_same_time(colour: Colour) -> None:
    """In threads or in tasks: each transport waits for the other one to have begun."""
    edge = make_edge(colour)
    begun: list[str] = []

    class Waiting(Player):
        async def wait(self) -> None:
            begun.append(self.name)
            for _ in range(30_000):
                if len(set(begun)) == 2:
                    return
                await edge.sleep(0.001)
            raise AssertionError("the other one has not begun")

    players = [Waiting(name="a"), Waiting(name="b")]

    async def go() -> list[Outcome]:
        channel = RoundRobin(*players).open(edge)
        for member in channel._members:  # type: ignore[attr-defined]
            _wait_before(member.channel)
        outcomes = [outcome async for outcome in channel.send_many(stream(letter(number=each) for each in range(20)))]
        await edge.close()
        return outcomes

    outcomes = run_in(colour, go)
    assert "".join(outcome.receipt.transport[0] for outcome in outcomes if outcome.receipt) == "ab" * 10


def _wait_before(channel: Any) -> None:
    """Let a channel wait before each of its streams."""
    many, player = channel.send_many, channel._channel.transport

    async def send_many(messages: Any, **options: Any) -> Any:
        await player.wait()
        async for outcome in many(messages, **options):
            yield outcome

    channel.send_many = send_many


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_wave_says_what_it_leaves(colour: Colour) -> None:
    """What one transport has sent, and what the other one had begun with, is told of the cancellation."""
    import anyio

    players = [Player(name="a"), Player(name="b")]
    left: list[Outcome] = []

    async def go() -> None:
        edge = make_edge(colour)
        channel = RoundRobin(*players).open(edge)
        with anyio.CancelScope() as scope:
            stuck: Any = channel._members[1].channel  # type: ignore[attr-defined]
            many = stuck.send_many

            async def send_many(messages: Any, **options: Any) -> Any:
                number = 0
                async with carrying_on(many(messages, **options)) as outcomes:
                    async for outcome in outcomes:
                        number += 1
                        if number == 3:
                            scope.cancel()
                            await edge.sleep(60)
                        yield outcome

            stuck.send_many = send_many
            try:
                async for outcome in channel.send_many(stream(letter(number=each) for each in range(20))):
                    left.append(outcome)  # noqa: PERF401 - it does not come to its end
            except BaseException as interruption:
                left.extend(interruption.__dict__["outcomes"])
                raise
        await edge.close()

    run_in(colour, go)
    assert [outcome.message.message_id for outcome in left] == [f"{number}@example.com" for number in range(20)]
    took = {message_id for player in players for message_id, _ in player.took}
    for outcome in left:
        ended = outcome.receipt or outcome.error
        if outcome.message.message_id in took:
            assert getattr(ended, "outcome", "accepted") in {"accepted", "unknown"}
        else:
            assert getattr(ended, "outcome", "accepted") in {"not_sent", "unknown"}
