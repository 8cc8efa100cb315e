from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.colours import COLOURS, Colour, make_edge, run_in
from tests.policies.cast import ANN, BOB, Player, collect, letter, mixed
from tests.policies.clock import SimulatedBlocking, simulated

from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, RateLimitedError, TransientError
from mailkit.events import RetryWithheld
from mailkit.policies.budget import Bucket, RetryBudget
from mailkit.policies.retry import Retry, RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from mailkit.events import Event

AT_ONCE: Any = lambda state: 0.0  # noqa: E731


def _channel(player: Player, edge: Any, **policy: Any) -> RetryChannel:
    return RetryChannel(player.open(edge), RetryPolicy(**{"wait": AT_ONCE, **policy}), edge)


def _send(channel: RetryChannel, *to: str) -> Receipt | DeliveryError:
    message = letter(*to)
    try:
        return run_sync(channel.send(message, Envelope.from_message(message)))
    except DeliveryError as error:
        return error


def _tokens(channel: RetryChannel) -> int:
    bucket = channel._persistence._bucket
    assert bucket is not None
    return bucket.tokens


def _withheld(events: list[Event]) -> list[RetryWithheld]:
    return [event for event in events if isinstance(event, RetryWithheld)]


# -- the value and the bucket ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokens", "transient", "throttled", "success"])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, None, "many"])
def test_a_budget_is_of_whole_tokens(name: str, wrong: object) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ConfigurationError, match=f"{name}="):
        RetryBudget(**{name: wrong})  # type: ignore[arg-type]


def test_the_standard_budget_is_that_of_the_aws_sdks() -> None:
    """500 tokens: 14 for a transient retry, 5 for a throttled one."""
    budget = RetryBudget()
    assert (budget.tokens, budget.transient, budget.throttled, budget.success) == (500, 14, 5, 1)
    assert budget.cost_after(ConnectError("refused")) == budget.cost_after(TransientError("busy")) == 14
    assert budget.cost_after(RateLimitedError("slow down")) == 5
    assert RetryPolicy().budget == budget


@given(st.lists(st.sampled_from(["transient", "throttled", "back", "success"])))
def test_a_bucket_never_holds_more_than_it_can_nor_less_than_nothing(steps: list[str]) -> None:
    """Whatever is taken and given: what a payment has cost is what is missing after it."""
    budget = RetryBudget(tokens=40)
    bucket = Bucket(budget, BlockingEdge())
    failures = {"transient": ConnectError("refused"), "throttled": RateLimitedError("slow down")}
    paid = 1
    for step in steps:
        before = bucket.tokens
        if step in failures:
            could = bucket.affords(failures[step])
            cost = run_sync(bucket.take(failures[step]))
            assert (cost is not None) is could
            assert bucket.tokens == before - (cost or 0)
            paid = cost or paid
        else:
            run_sync(bucket.give(paid if step == "back" else None))
            assert bucket.tokens == min(40, before + (paid if step == "back" else 1))
        assert 0 <= bucket.tokens <= 40
        assert bucket.is_full is (bucket.tokens == 40)


def test_threads_lose_no_tokens() -> None:
    """What many take and give back at once is all there in the end."""
    bucket = Bucket(RetryBudget(tokens=10_000), BlockingEdge())
    failure = ConnectError("refused")

    def work() -> None:
        for _ in range(300):
            run_sync(bucket.take(failure))
            run_sync(bucket.give(14))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bucket.tokens == 10_000


@pytest.mark.parametrize("colour", COLOURS)
def test_a_bucket_works_in_every_colour(colour: Colour) -> None:
    """Its lock is the edge's."""

    async def use() -> int:
        bucket = Bucket(RetryBudget(), make_edge(colour))
        assert await bucket.take(ConnectError("refused")) == 14
        await bucket.give()
        return bucket.tokens

    assert run_in(colour, use) == 487


# -- in action ---------------------------------------------------------------------------------------------------------


def test_retries_are_paid_for_until_nothing_is_left() -> None:
    """Two retries of 14 each fit into 30 tokens; then each message is tried once, and its error is the server's."""
    edge, player = SimulatedBlocking(), Player("a", ["refused"])
    channel = _channel(player, edge, budget=RetryBudget(tokens=30))
    errors = [_send(channel) for _ in range(3)]
    assert [error.attempts for error in errors] == [3, 1, 1]
    assert all(isinstance(error, ConnectError) for error in errors)
    assert len(player.asked) == 5
    assert _withheld(edge.events) == [
        RetryWithheld(
            message_id="1@example.com", transport="a://", recipients=1, attempt=1, outcome="not_sent", cause="transient"
        )
    ] * 2  # fmt: skip


def test_being_throttled_costs_less() -> None:
    """Six retries of 5 fit where two of 14 would."""
    edge, player = SimulatedBlocking(), Player("a", ["slow down"])
    channel = _channel(player, edge, budget=RetryBudget(tokens=30), deadline=None, attempts=100)
    error = _send(channel)
    assert isinstance(error, RateLimitedError)
    assert error.attempts == 7
    assert _tokens(channel) == 0


def test_a_retry_that_succeeds_gives_back_what_it_has_cost() -> None:
    """Only that one: what failed before it stays spent."""
    edge, player = SimulatedBlocking(), Player("a", ["refused", "refused", "ok"])
    channel = _channel(player, edge)
    assert _send(channel).attempts == 3
    assert _tokens(channel) == 500 - 14


def test_a_success_at_once_adds_a_token() -> None:
    """Up to what there was at the beginning: single messages, streams and prepared bytes alike."""
    edge, player = SimulatedBlocking(), Player("a", ["refused", "refused", "refused", "ok"])
    channel = _channel(player, edge)
    _send(channel)
    assert _tokens(channel) == 500 - 28
    _send(channel)
    assert _tokens(channel) == 500 - 27
    collect(channel, [letter(number=number) for number in range(3)])
    assert _tokens(channel) == 500 - 24
    run_sync(channel.send_raw(b"", Envelope(None, ANN)))
    assert _tokens(channel) == 500 - 23
    collect(channel, [letter(number=number) for number in range(40)])
    assert _tokens(channel) == 500


def test_without_a_budget_every_retry_is_made() -> None:
    """``budget=None`` is for whoever bounds his retries elsewhere."""
    edge, player = SimulatedBlocking(), Player("a", ["refused"])
    channel = _channel(player, edge, budget=None)
    assert [_send(channel).attempts for _ in range(40)] == [3] * 40
    collect(channel, [letter()])
    player.acts = ["ok"]
    assert _send(channel).attempts == 1
    assert not _withheld(edge.events)


def test_who_was_reached_stays_reached_where_the_others_cannot_be_paid_for() -> None:
    """A partial receipt comes back as it is, and it is told that its rest was not tried again."""
    edge, player = SimulatedBlocking(), Player("a", [mixed("accepted", "deferred")])
    channel = _channel(player, edge, budget=RetryBudget(tokens=13))
    receipt = _send(channel, ANN, BOB)
    assert isinstance(receipt, Receipt)
    assert [result.status for result in receipt.recipients] == ["accepted", "deferred"]
    (event,) = _withheld(edge.events)
    assert (event.recipients, event.outcome, event.cause) == (1, "accepted", None)


def test_each_mailer_has_a_bucket_of_its_own() -> None:
    """The policy is a value; what one channel has spent the next one has."""
    edge, player = SimulatedBlocking(), Player("a", ["refused"])
    retry = Retry(player, RetryPolicy(wait=AT_ONCE, budget=RetryBudget(tokens=28)))
    message = letter()
    for _ in range(2):
        with pytest.raises(ConnectError) as caught:
            run_sync(retry.open(edge).send(message, Envelope.from_message(message)))
        assert caught.value.attempts == 3


def test_an_empty_bucket_leaves_a_stream_its_pipeline() -> None:
    """Where nothing can be paid for nothing is held up: the messages of an outage go through in one stream."""
    edge, player = SimulatedBlocking(), Player("a", ["refused"], lag=2)
    channel = _channel(player, edge, budget=RetryBudget(tokens=28))
    outcomes = collect(channel, [letter(number=number) for number in range(20)])
    attempts = [outcome.error.attempts for outcome in outcomes if isinstance(outcome.error, DeliveryError)]
    assert attempts == [3, *[1] * 19]
    assert len(player.streams) == 2
    assert len(_withheld(edge.events)) == 19


def test_tokens_that_others_take_in_between_are_not_there() -> None:
    """Between looking whether a retry can be paid for and paying for it others may have come."""
    edge, player = SimulatedBlocking(), Player("a", ["refused"])
    channel = _channel(player, edge, budget=RetryBudget(tokens=14))
    bucket = channel._persistence._bucket
    assert bucket is not None
    bucket.affords = lambda ended: True  # type: ignore[method-assign]
    outcomes = collect(channel, [letter(number=number) for number in range(2)])
    assert [outcome.error.attempts for outcome in outcomes if isinstance(outcome.error, DeliveryError)] == [2, 1]
    assert len(_withheld(edge.events)) == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_an_outage_is_not_amplified(colour: Colour) -> None:
    """1,000 messages into an outage are 1,035 deliveries in every colour, not 3,000."""
    edge, player = simulated(colour), Player("a", ["refused"])

    async def send_all() -> None:
        channel = _channel(player, edge)
        for number in range(1000):
            message = letter(number=number)
            with pytest.raises(ConnectError):
                await channel.send(message, Envelope.from_message(message))

    run_in(colour, send_all)
    assert len(player.asked) == 1000 + 500 // 14
