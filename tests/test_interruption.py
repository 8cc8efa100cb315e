from __future__ import annotations

import pytest

from mailkit import ConnectError, Message, Outcome
from mailkit.interruption import matched

A, B, C = (Message(from_="ada@example.com", to="bob@example.org", message_id=f"{name}@example.com") for name in "abc")
NAMELESS = Message(from_="ada@example.com", to="bob@example.org")


def of(message: Message) -> Outcome:
    """Return some outcome of a message."""
    return Outcome(message=message, error=ConnectError("lost"))


@pytest.mark.parametrize(
    ("taken", "told", "places"),
    [
        ([A, B, C], [A, B, C], [0, 1, 2]),
        ([A, B, C], [B, C], [None, 0, 1]),
        ([A, B, C], [C], [None, None, 0]),
        ([A, B, C], [A], [0, None, None]),
        ([A, B], [], [None, None]),
        ([], [], []),
        ([of(A), B], [B], [None, 0]),
        ([of(A), B], [A, B], [0, 1]),
        ([NAMELESS, A], [NAMELESS, A], [0, 1]),
        ([NAMELESS, A], [A], [None, 0]),
        ([A.evolve(subject="before it was redirected"), B], [A, B], [0, 1]),
    ],
    ids=lambda value: None,
)
def test_outcomes_go_to_their_messages(
    taken: list[Message | Outcome], told: list[Message], places: list[int | None]
) -> None:
    """By the message itself or its Message-ID; what was lost in front is nobody's."""
    outcomes = [of(message) for message in told]
    assert matched(taken, outcomes) == [None if place is None else outcomes[place] for place in places]
