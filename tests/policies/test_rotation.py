"""Taking turns: whose turn it is, and who comes next."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policies.cast import Player, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError
from mailkit.local import NullTransport
from mailkit.policies.members import open_members
from mailkit.policies.rotation import RotatingChannel, smooth_turns


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_shares_are_exact_and_spread(weights: list[int]) -> None:
    """In each round everybody has as many turns as its weight, and never is far from its share."""
    turns = smooth_turns(weights)
    shares = Counter(turns)
    total = sum(weights)
    assert all(shares[index] * total == weight * len(turns) for index, weight in enumerate(weights))
    for index, weight in enumerate(weights):
        had = 0
        for number, turn in enumerate(turns, 1):
            had += turn == index
            assert abs(had - number * weight / total) < len(weights)


@pytest.mark.parametrize("weights", [[0], [1, 0], [-1, 2], [99991, 99989]])
def test_weights_that_make_no_sense_are_refused(weights: list[int]) -> None:
    """None at all, less than none, and so many that a round would hardly end."""
    with pytest.raises(ConfigurationError):
        smooth_turns(weights)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_the_next_ones_are_those_whose_turns_come_next(turns: list[int]) -> None:
    """For each turn, everybody once: the one whose turn it is, and the others in the order of their next turns."""
    edge = SimulatedBlocking()
    members = open_members([Player(name=name) for name in "abcd"], edge)
    channel = RotatingChannel(NullTransport(), members, edge, turns)
    message = letter()
    for number in range(2 * len(turns)):
        order = channel.plan(message, Envelope.from_message(message)).order
        following = [members[turns[(number + ahead) % len(turns)]] for ahead in range(len(turns))]
        assert list(order) == list(dict.fromkeys(following))
