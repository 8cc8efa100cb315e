"""The rates of a pool, on a clock that only sleeping moves."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.smtp.letters import Post, letter

from mailkit import ConfigurationError, Mailer, RateLimitedError
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.smtp.pool import PoolLimits
from mailkit.smtp.rate import RateLimit
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from tests.colours import Colour


class Simulated(BlockingEdge):
    """A blocking edge whose time passes in sleep alone."""

    def __init__(self) -> None:
        super().__init__(timeout=5.0)
        self.time = 1000.0
        self.naps: list[float] = []

    def now(self) -> float:
        """The simulated time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.naps.append(seconds)
        self.time += seconds


def turns(edge: Simulated, sizes: list[int], **rates: float | None) -> list[float]:
    """Return when each of a row of messages may go, all asked for at once."""
    rate = RateLimit(edge, **({"messages": None, "recipients": None} | rates))
    return [run_sync(rate.reserve(count)) - edge.time for count in sizes]


def test_without_rates_nobody_waits() -> None:
    """Every turn is now, and no lock is taken."""
    assert turns(Simulated(), [1, 100, 1]) == [0, 0, 0]


def test_messages_go_at_an_even_pace() -> None:
    """Four a second: one every 250 ms, however many recipients each has."""
    assert turns(Simulated(), [1, 50, 1, 1], messages=4) == [0, 0.25, 0.5, 0.75]


def test_a_message_with_many_recipients_is_followed_by_a_pause() -> None:
    """Ten recipients a second: thirty of them go at once, and the next waits for three seconds."""
    assert turns(Simulated(), [1, 30, 5, 1], recipients=10) == pytest.approx([0, 0.1, 3.1, 3.6])


def test_the_slower_of_two_rates_decides() -> None:
    """Two messages and two recipients a second: a pair of recipients takes a second, one takes half of it."""
    assert turns(Simulated(), [2, 1, 1], messages=2, recipients=2) == [0, 1, 1.5]


def test_pauses_are_not_saved_up() -> None:
    """After a minute of silence there is no burst."""
    edge = Simulated()
    rate = RateLimit(edge, messages=2, recipients=None)
    assert run_sync(rate.reserve(1)) == edge.time
    edge.time += 60
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(3)] == [0, 0.5, 1]


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 3)), max_size=40), st.integers(1, 9), st.integers(1, 30))
def test_no_second_sees_more_than_the_rate(arrivals: list[tuple[int, float]], messages: int, recipients: int) -> None:
    """For any arrivals, turns come in order, no second begins more messages, and recipients never run ahead."""
    edge = Simulated()
    rate = RateLimit(edge, messages=messages, recipients=recipients)
    taken: list[tuple[float, int]] = []
    for count, pause in arrivals:
        edge.time += pause
        taken.append((run_sync(rate.reserve(count)), count))
    for (before, count), (after, _count) in pairwise(taken):
        assert after - before >= max(1 / messages, count / recipients) - 1e-6
    for moment, _count in taken:
        assert sum(1 for other, _ in taken if moment <= other < moment + 1 - 1e-6) <= messages


def test_who_would_wait_too_long_is_told_at_once() -> None:
    """The error says for how long, nothing is reserved, and the others keep their turns."""
    edge = Simulated()
    rate = RateLimit(edge, messages=0.1, recipients=None)
    run_sync(rate.wait(1, within=5))
    with pytest.raises(RateLimitedError, match=r"10\.0 s would pass before .* 0\.1 messages a second") as caught:
        run_sync(rate.wait(1, within=5))
    error = caught.value
    assert (error.retry_after, error.cause, error.phase, error.outcome) == (10.0, "throttled", "pool", "not_sent")
    assert edge.naps == []
    edge.time += 10
    run_sync(rate.wait(1, within=5))
    assert edge.naps == []


def test_a_turn_that_has_come_needs_no_sleep() -> None:
    """Time that passed between asking and waiting counts."""
    edge = Simulated()
    rate = RateLimit(edge, messages=1, recipients=None)
    run_sync(rate.wait(1, within=5))
    run_sync(rate.wait(1, within=5))
    assert edge.naps == [1.0]

    async def slow_push() -> None:
        edge.time += 7

    run_sync(rate.take_turn(1, push=slow_push, drain=slow_push))
    assert edge.naps == [1.0]


@pytest.mark.parametrize(("messages", "done"), [(1, ["drain"]), (100, ["push"])])
def test_a_stream_uses_its_pause(messages: int, done: list[str]) -> None:
    """In a long pause everything is answered, in a short one it is only written; without one neither happens."""
    edge = Simulated()
    rate = RateLimit(edge, messages=messages, recipients=None)
    did: list[str] = []

    async def push() -> None:
        did.append("push")

    async def drain() -> None:
        did.append("drain")

    run_sync(rate.take_turn(1, push=push, drain=drain))
    assert did == []
    run_sync(rate.take_turn(1, push=push, drain=drain))
    assert did == done
    assert edge.naps == pytest.approx([1 / messages])


def test_threads_get_different_turns() -> None:
    """Twenty threads that ask at once get twenty turns at the pace, none of them twice."""
    edge = Simulated()
    rate = RateLimit(edge, messages=10, recipients=None)
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(run_sync(rate.reserve(1)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == pytest.approx([edge.time + number / 10 for number in range(20)])


def test_a_forked_process_has_a_pace_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first turn is now, whatever its parent has reserved: a lock of the parent's is never waited for."""
    edge = Simulated()
    rate = RateLimit(edge, messages=1, recipients=None)
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(2)] == [0, 1]
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert run_sync(rate.reserve(1)) == edge.time


@pytest.mark.parametrize("field", ["messages_per_second", "recipients_per_second"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_a_rate_is_positive(field: str, value: float) -> None:
    """Nothing at all, or less, is a configuration error."""
    with pytest.raises(ConfigurationError, match="positive"):
        PoolLimits(**{field: value})  # type: ignore[arg-type]


def test_a_url_carries_the_rates() -> None:
    """Both are parameters, and what is no number is refused with what it should be."""
    from mailkit.url import transport_from_url

    transport = transport_from_url("smtp://mail.example.com?messages_per_second=2.5&recipients_per_second=100")
    assert isinstance(transport, SMTP)
    assert transport.pool == PoolLimits(messages_per_second=2.5, recipients_per_second=100.0)
    with pytest.raises(ConfigurationError, match="positive number a second"):
        transport_from_url("smtp://mail.example.com?messages_per_second=many")


def test_single_messages_keep_to_the_rate(colour: Colour) -> None:
    """Five messages at twenty a second take 200 ms, on one connection."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(messages_per_second=20)) as post:
        began = post.edge.now()
        for number in range(5):
            post.send(letter(number))
        assert post.edge.now() - began >= 0.2
        assert len(server.connections) == 1


def test_a_message_that_would_wait_too_long_is_not_sent(colour: Colour) -> None:
    """The second of two messages at one in ten seconds: throttled, nothing is written, and it says for how long."""
    limits = PoolLimits(messages_per_second=0.1, acquire_timeout=1.0)
    with SMTPServer() as server, Post.to(server, colour, pool=limits) as post:
        post.send(letter(1))
        error: Any = post.attempt(letter(2))
        assert isinstance(error, RateLimitedError)
        assert (error.outcome, error.cause, error.retryable) == ("not_sent", "throttled", True)
        assert error.retry_after is not None
        assert 8 < error.retry_after <= 10
        assert {result.status for result in error.recipients} == {"not_sent"}
        assert len(server.messages) == 1


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("without", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")])
def test_a_stream_keeps_to_the_rate(connections: int, without: tuple[str, ...]) -> None:
    """Over one or several connections together, twenty messages at a hundred a second take at least 190 ms."""
    with SMTPServer(without=without) as server:
        transport = SMTP(server.host, port=server.port, pool=PoolLimits(messages_per_second=100))
        with Mailer(transport) as mailer:
            began = mailer_now()
            outcomes = list(mailer.send_many([letter(number) for number in range(20)], connections=connections))
            assert mailer_now() - began >= 0.19
        assert all(outcome.ok for outcome in outcomes)
        assert len(server.messages) == 20


def mailer_now() -> float:
    """Return the time on the edges' clock."""
    return BlockingEdge().now()
