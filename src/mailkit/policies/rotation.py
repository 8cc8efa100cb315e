"""Taking turns: whom to ask first for each message, and whom instead."""

from __future__ import annotations

from functools import cached_property
from itertools import count
from math import gcd
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError
from mailkit.policies.waves import WaveChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.journey import Journey
    from mailkit.policies.members import Member
    from mailkit.transport import Transport

__all__ = ["RotatingChannel", "smooth_turns"]

MAX_TURNS: Final = 10_000
"""How many turns it may take until all weights are served, when they are reduced."""


def smooth_turns(weights: Sequence[int]) -> tuple[int, ...]:
    """Return the order of turns in which each index comes as often as its weight says, as evenly as can be.

    This is smooth weighted round robin: at each turn everybody gains his weight, and who has most takes the turn and
    pays the sum of all weights. Nothing is random, so the shares are exact after each round.

    Example:
        >>> smooth_turns([5, 1, 1])
        (0, 0, 1, 0, 2, 0, 0)

    Raises:
        ConfigurationError: A weight is not positive, or they take too many turns.
    """
    if any(weight < 1 for weight in weights):
        raise ConfigurationError("a weight is a positive whole number: leave out who is to get nothing")
    divisor = gcd(*weights)
    reduced = [weight // divisor for weight in weights]
    if sum(reduced) > MAX_TURNS:
        raise ConfigurationError(
            f"these weights take {sum(reduced)} turns until everybody had his share, at most {MAX_TURNS}: use smaller "
            "or rounder ones"
        )
    credit = [0] * len(reduced)
    turns: list[int] = []
    for _ in range(sum(reduced)):
        credit = [each + weight for each, weight in zip(credit, reduced, strict=True)]
        chosen = max(range(len(credit)), key=credit.__getitem__)
        credit[chosen] -= sum(reduced)
        turns.append(chosen)
    return tuple(turns)


class RotatingChannel(WaveChannel):
    """A channel over several others that take turns.

    Args:
        transport: The value that opened it.
        members: The others, opened.
        edge: What all I/O goes through.
        turns: Whose turn it is, by index, again and again.
    """

    def __init__(self, transport: Transport, members: Sequence[Member], edge: Edge, turns: Sequence[int]) -> None:
        super().__init__(transport, members, edge)
        self._turns = tuple(turns)
        self._number = count()  # one step of it is atomic, so that threads need no lock here

    def plan(self, message: Message | None, envelope: Envelope) -> Journey:
        """Return the way of a message: to whose turn it is, then to those whose turns come next.

        Who is to be left alone loses his turn, unless everybody is.
        """
        order = self._orders[next(self._number) % len(self._turns)]
        return self.journey(message, envelope, self.available(order, message, envelope))

    @cached_property
    def _orders(self) -> tuple[tuple[Member, ...], ...]:
        """For each turn, everybody in the order of his next one."""
        following = [self._members[index] for index in self._turns]
        orders: list[tuple[Member, ...]] = []
        order: tuple[Member, ...] = tuple(dict.fromkeys(following))
        for member in reversed(following):
            order = (member, *(other for other in order if other is not member))
            orders.append(order)
        return tuple(reversed(orders))
