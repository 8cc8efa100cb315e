"""Whatever goes wrong: nobody gets a message twice, and nobody is lost in silence.

Members of every kind play random acts, for single messages and streams; a ledger says whom each of them really took.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.policies.cast import ANN, BOB, CAT, WHOLE, Player, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConnectError, DeliveryError, MailkitError
from mailkit.policies.breaker import CircuitBreaker
from mailkit.policies.circuit import Breaker
from mailkit.policies.failover import Failover
from mailkit.policies.retry import Retry, RetryPolicy
from mailkit.policies.round_robin import RoundRobin
from mailkit.policies.route import Route
from mailkit.policies.weighted import Weighted
from mailkit.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mailkit.message import Message
    from mailkit.transport import Transport

LAG = 3
AT_ONCE = RetryPolicy(wait=lambda _: 0.0)

statuses = st.sampled_from(["accepted", "deferred", "rejected", "not_sent", "unknown"])
acts = st.one_of(
    st.just("ok"),
    st.sampled_from(sorted(WHOLE)),
    st.sampled_from(["refused", "slow down", "bad password"]),
    st.tuples(statuses, statuses, statuses),
)
players = st.builds(
    Player, acts=st.lists(acts, min_size=1, max_size=8), lag=st.integers(0, LAG), is_all_or_nothing=st.booleans()
)
recipients = st.lists(st.sampled_from([ANN, BOB, CAT]), min_size=1, max_size=3, unique=True)

POLICIES: dict[str, Callable[[list[Player], Breaker | None], Transport]] = {
    "failover": lambda cast, breaker: Failover(*cast, breaker=breaker),
    "roundrobin": lambda cast, breaker: RoundRobin(*cast, breaker=breaker),
    "weighted": lambda cast, breaker: Weighted(
        [(player, number + 1) for number, player in enumerate(cast)], breaker=breaker
    ),
    "route": lambda cast, _: Route({"example.com": cast[0], "example.org": cast[-1]}, default=cast[1]),
    "breaker": lambda cast, breaker: CircuitBreaker(cast[0], failures=breaker.failures if breaker else 5),
    "failover of roundrobin": lambda cast, breaker: Failover(
        RoundRobin(*cast[:2], breaker=breaker), cast[2], breaker=breaker
    ),
    "roundrobin of failover": lambda cast, breaker: RoundRobin(
        Failover(*cast[:2], breaker=breaker), cast[2], breaker=breaker
    ),
    "breaker of failover": lambda cast, breaker: CircuitBreaker(Failover(*cast, breaker=breaker), failures=2),
    "route of failover": lambda cast, breaker: Route(
        {"example.com": Failover(*cast[:2], breaker=breaker)}, default=cast[2]
    ),
    "retry": lambda cast, _: Retry(cast[0], AT_ONCE),
    "retry of failover": lambda cast, breaker: Retry(Failover(*cast, breaker=breaker), AT_ONCE),
    "failover of retry": lambda cast, breaker: Failover(*(Retry(each, AT_ONCE) for each in cast), breaker=breaker),
    "retry of breaker": lambda cast, _: Retry(CircuitBreaker(cast[0], failures=1), AT_ONCE),
    "breaker of retry": lambda cast, _: CircuitBreaker(Retry(cast[0], AT_ONCE), failures=1),
    "retry of route": lambda cast, _: Retry(Route({"example.com": cast[0]}, default=cast[1]), AT_ONCE),
    "retry of roundrobin": lambda cast, breaker: Retry(RoundRobin(*cast, breaker=breaker), AT_ONCE),
    "failover of route": lambda cast, breaker: Failover(
        Route({"example.com": cast[0]}, default=cast[1]), cast[2], breaker=breaker
    ),
}


class Case:
    """A policy over three players, and what became of messages that were sent through it."""

    def __init__(self, policy: str, cast: list[Player], breaker: Breaker | None) -> None:
        for name, player in zip("abc", cast, strict=True):
            player.name = name
        self.cast = cast
        self.edge = SimulatedBlocking()
        self.transport = POLICIES[policy](cast, breaker)
        self.channel = self.transport.open(self.edge)

    def check(self, message: Message, ended: Receipt | MailkitError) -> None:
        """Compare what was told about a message with the ledger."""
        paths = [path.addr_spec for path in Envelope.from_message(message).rcpt_to]
        copies = Counter(
            path for player in self.cast for message_id, path in player.took if message_id == message.message_id
        )
        assert max(copies.values(), default=0) <= 1, "somebody has it twice"
        if not isinstance(ended, Receipt | DeliveryError):
            assert not copies, "somebody has it, and the error says that it was not sent"
            return
        assert [result.address for result in ended.recipients] == paths, "somebody is missing, or is there twice"
        for result in ended.recipients:
            if result.status == "accepted":
                assert copies[result.address] == 1
            elif result.status != "unknown":
                assert not copies[result.address], f"{result} has it"
        told = {result.status for result in ended.recipients}
        if isinstance(ended, Receipt):
            assert "accepted" in told
        else:
            worst = next(each for each in ("unknown", "rejected", "deferred", "not_sent") if each in told)
            assert ended.outcome == worst
            assert "accepted" not in told
            assert str(ended)


def _ended(run: Callable[[], Receipt]) -> Receipt | MailkitError:
    try:
        return run()
    except MailkitError as error:
        return error


common = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
casts = st.lists(players, min_size=3, max_size=3)
breakers = st.sampled_from([None, Breaker(), Breaker(failures=1, reset_after=10.0)])


@pytest.mark.parametrize("policy", sorted(POLICIES))
@common
@given(cast=casts, breaker=breakers, letters=st.lists(recipients, min_size=1, max_size=6), wait=st.floats(0, 40))
def test_single_messages(
    policy: str, cast: list[Player], breaker: Breaker | None, letters: list[list[str]], wait: float
) -> None:
    """Each recipient of each message is told about, and has at most one copy."""
    case = Case(policy, cast, breaker)
    for number, to in enumerate(letters):
        message = letter(*to, number=number)
        ended = _ended(lambda: run_sync(case.channel.send(message, Envelope.from_message(message))))  # noqa: B023
        case.check(message, ended)
        case.edge.time += wait


@pytest.mark.parametrize("policy", sorted(POLICIES))
@common
@given(
    cast=casts,
    breaker=breakers,
    letters=st.lists(recipients, min_size=1, max_size=14),
    wait=st.sampled_from([0.0, 8.0]),
)
def test_streams(
    policy: str, cast: list[Player], breaker: Breaker | None, letters: list[list[str]], wait: float
) -> None:
    """The same in a stream, whose outcomes come in order, while only few messages are in memory."""
    case = Case(policy, cast, breaker)
    given_before = Outcome(message=letter(ANN, number=-1), error=ConnectError("was refused before"))
    messages: list[Any] = [letter(*to, number=number) for number, to in enumerate(letters)]
    messages.insert(len(messages) // 2, given_before)
    taken = 0

    async def source() -> AsyncGenerator[Message | Outcome, None]:
        nonlocal taken
        for message in messages:
            taken += 1
            case.edge.time += wait
            yield message

    async def go() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with aclosing(source()) as items, aclosing(case.channel.send_many(items)) as ends:
            async for outcome in ends:
                outcomes.append(outcome)
                if policy == "failover":
                    assert taken - len(outcomes) <= 2 * LAG + 2
        return outcomes

    outcomes = run_sync(go())
    assert [outcome.message for outcome in outcomes] == [
        each.message if isinstance(each, Outcome) else each for each in messages
    ]
    for outcome, message in zip(outcomes, messages, strict=True):
        if message is given_before:
            assert outcome.error is given_before.error
        else:
            ended = outcome.receipt or outcome.error
            assert ended is not None
            case.check(outcome.message, ended)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@common
@given(
    cast=casts,
    breaker=breakers,
    letters=st.lists(recipients, min_size=1, max_size=8),
    who=st.integers(0, 2),
    when=st.integers(0, 6),
)
def test_interrupted_streams(
    policy: str, cast: list[Player], breaker: Breaker | None, letters: list[list[str]], who: int, when: int
) -> None:
    """An interruption says of every message that was taken what became of it, and says nothing that is not so."""
    cast[who].acts[:] = [*(cast[who].acts * 2)[:when], KeyboardInterrupt()]
    case = Case(policy, cast, breaker)
    messages = [letter(*to, number=number) for number, to in enumerate(letters)]
    taken: list[Message] = []
    outcomes: list[Outcome] = []

    async def source() -> AsyncGenerator[Message, None]:
        for message in messages:
            taken.append(message)
            yield message

    async def go() -> None:
        async with aclosing(source()) as items, aclosing(case.channel.send_many(items)) as ends:
            async for outcome in ends:
                outcomes.append(outcome)

    try:
        run_sync(go())
    except KeyboardInterrupt as interruption:
        outcomes += interruption.__dict__["outcomes"]
        assert [outcome.message for outcome in outcomes] == taken
    else:
        assert len(outcomes) == len(messages)
    for outcome in outcomes:
        ended = outcome.receipt or outcome.error
        assert ended is not None
        if isinstance(ended, DeliveryError) and not ended.recipients:
            assert not any(message_id == outcome.message.message_id for player in cast for message_id, _ in player.took)
        else:
            case.check(outcome.message, ended)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@common
@given(cast=casts, breaker=breakers, to=recipients, act=acts)
def test_prepared_bytes(policy: str, cast: list[Player], breaker: Breaker | None, to: list[str], act: Any) -> None:
    """Bytes are delivered by the same rules."""
    cast[0].acts.insert(0, act)
    case = Case(policy, cast, breaker)
    ended = _ended(lambda: run_sync(case.channel.send_raw(b"", Envelope(None, to))))
    copies = Counter(path for player in cast for _, path in player.took)
    assert max(copies.values(), default=0) <= 1
    told = {result.address: result.status for result in getattr(ended, "recipients", ())}
    assert all(told[path] in {"accepted", "unknown"} for path in copies)
