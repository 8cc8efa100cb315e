from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policies.cast import Player, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.edge import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.policies.jitter import FullJitter
from mailkit.policies.retry import Retry, RetryPolicy

LAST = 1 - 2**-53
"""The largest number that a random one can be."""


@pytest.mark.parametrize(
    ("cause", "waits"),
    [
        ("transient", [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0]),
        (None, [0.1, 0.2, 0.4, 0.8]),
        ("throttled", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
    ],
)
def test_the_bound_doubles_up_to_the_cap(cause: Any, waits: list[float]) -> None:
    """Where we are told to slow down it begins higher and ends higher."""
    bounds = [FullJitter().seconds(attempt, cause, lambda: LAST) for attempt in range(1, len(waits) + 1)]
    assert bounds == pytest.approx(waits)


@given(st.integers(1, 10**9), st.sampled_from(["transient", "throttled", None]), st.floats(0, LAST))
def test_every_wait_is_within_its_bounds(attempt: int, cause: Any, drawn: float) -> None:
    """However many attempts there have been, no number overflows, and the cap holds."""
    assert 0 <= FullJitter().seconds(attempt, cause, lambda: drawn) <= (60 if cause == "throttled" else 20)


@pytest.mark.parametrize(
    "wrong", [(0, 1), (-1, 1), (2, 1), (1, float("inf")), (float("nan"), 1), (1, float("nan"))], ids=str
)
@pytest.mark.parametrize("name", ["transient", "throttled"])
def test_a_jitter_that_makes_no_sense_is_refused(name: str, wrong: tuple[float, float]) -> None:
    """A base is positive and at most its cap, which is finite."""
    with pytest.raises(ConfigurationError):
        FullJitter(**{name: wrong})


class Diced(SimulatedBlocking):
    """An edge whose random numbers come from a seed."""

    def __init__(self, seed: int = 7) -> None:
        super().__init__()
        self.dice = random.Random(seed)

    def random(self) -> float:
        """The next one."""
        return self.dice.random()


def _slept(wait: FullJitter | None, act: str, attempts: int = 9) -> list[float]:
    edge = Diced()
    policy = RetryPolicy(attempts=attempts, deadline=None, wait=wait)
    with pytest.raises(DeliveryError):
        run_sync(Retry(Player("a", [act]), policy).open(edge).send(letter(), Envelope.from_message(letter())))
    return edge.slept


def test_the_edge_s_random_numbers_decide() -> None:
    """So a test that fixes them fixes every wait."""
    dice = random.Random(7)
    assert _slept(FullJitter(), "refused") == pytest.approx(
        [dice.random() * min(0.1 * 2**number, 20) for number in range(8)]
    )


def test_the_default_wait_is_what_tenacity_s_would_be() -> None:
    """Without `wait`: full jitter below 0.5 s, 1 s, 2 s … 10 s, whatever the cause, and no number of `random`'s own."""
    state = random.getstate()
    dice = random.Random(7)
    waits = [dice.random() * min(0.5 * 2**number, 10) for number in range(8)]
    assert _slept(None, "refused") == _slept(None, "busy") == pytest.approx(waits)
    assert random.getstate() == state


def test_retry_after_is_a_floor_under_the_jitter() -> None:
    """Seven seconds were asked for, and the first two waits that are drawn are shorter."""
    assert _slept(FullJitter(throttled=(0.5, 1.0)), "slow down", attempts=3) == [7.0, 7.0]
