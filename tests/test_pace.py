"""Turns at an even pace, on a clock that only sleeping moves."""

from __future__ import annotations

import os
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import RateLimitedError
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.pace import Pace


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
    rate = Pace(edge, **({"messages": None, "recipients": None} | rates))
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
    rate = Pace(edge, messages=2)
    assert run_sync(rate.reserve(1)) == edge.time
    edge.time += 60
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(3)] == [0, 0.5, 1]


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 3)), max_size=40), st.integers(1, 9), st.integers(1, 30))
def test_no_second_sees_more_than_the_rate(arrivals: list[tuple[int, float]], messages: int, recipients: int) -> None:
    """For any arrivals, turns come in order, no second begins more messages, and recipients never run ahead."""
    edge = Simulated()
    rate = Pace(edge, messages=messages, recipients=recipients)
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
    rate = Pace(edge, messages=0.1)
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
    rate = Pace(edge, messages=1)
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
    rate = Pace(edge, messages=messages)
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
    rate = Pace(edge, messages=10)
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
    rate = Pace(edge, messages=1)
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(2)] == [0, 1]
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert run_sync(rate.reserve(1)) == edge.time


def test_a_burst_goes_at_once_after_a_silence() -> None:
    """Four a second with a burst of three: three at once, then the pace; after a second of silence three again."""
    edge = Simulated()
    rate = Pace(edge, messages=4, burst=3)
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(5)] == [0, 0, 0, 0.25, 0.5]
    edge.time += 0.5 + 3 * 0.25
    assert [run_sync(rate.reserve(1)) - edge.time for _ in range(4)] == [0, 0, 0, 0.25]


def test_octets_are_counted_as_they_come() -> None:
    """A thousand octets a second: a message of 500 lets the next one wait for half a second."""
    edge = Simulated()
    rate = Pace(edge, octets=1000)
    assert [run_sync(rate.reserve(1, octets)) - edge.time for octets in (500, 2000, 1)] == [0, 0.5, 2.5]
    assert rate.bounds == "1000 octets a second"


def test_a_burst_is_counted_by_the_first_bound() -> None:
    """With recipients alone a burst is one of recipients, and a message may overdraw it."""
    edge = Simulated()
    rate = Pace(edge, recipients=10, burst=11)
    assert [run_sync(rate.reserve(count)) - edge.time for count in (10, 30, 1)] == [0, 0, pytest.approx(3.0)]


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 2)), max_size=40), st.integers(1, 9), st.integers(1, 12))
def test_no_stretch_of_time_sees_more_than_rate_and_burst(
    arrivals: list[tuple[int, float]], messages: int, burst: int
) -> None:
    """For any arrivals, no stretch of time has more turns in it than its length at the rate, and the burst."""
    edge = Simulated()
    rate = Pace(edge, messages=messages, burst=burst)
    turns: list[float] = []
    for count, pause in arrivals:
        edge.time += pause
        turns += [run_sync(rate.reserve(1)) for _ in range(count)]
    assert turns == sorted(turns)
    for index, first in enumerate(turns):
        for number, last in enumerate(turns[index:], 1):
            assert number <= (last - first) * messages + burst + 1e-6


def test_a_turn_that_was_missed_counts_from_when_it_is_used() -> None:
    """Two a second: who begins a second late is not followed by the next at once, however long he was kept."""
    edge = Simulated()
    rate = Pace(edge, messages=2)
    assert run_sync(rate.reserve(1)) == 1000
    second = run_sync(rate.reserve(1))
    edge.time = 1003.0  # it took that long to have the first one answered
    run_sync(rate.keep(second, 1))
    assert (edge.time, edge.naps) == (1003.0, [])
    assert run_sync(rate.reserve(1)) == 1003.5


def test_a_turn_that_is_yet_to_come_is_waited_for() -> None:
    """Nothing is counted twice where there was time."""
    edge = Simulated()
    rate = Pace(edge, messages=2)
    run_sync(rate.reserve(1))
    second = run_sync(rate.reserve(1))
    run_sync(rate.keep(second, 1))
    assert (edge.time, edge.naps) == (1000.5, [0.5])
    assert run_sync(rate.reserve(1)) == 1001.0
