"""The window: it opens with each answer, and closes when the server objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.smtp.window import MAX_WINDOW, Window


def test_a_new_window_lets_one_message_out() -> None:
    """Nothing is known of a new server, so one message is risked."""
    assert Window().size == 1


def test_it_opens_by_one_with_each_answer_up_to_its_bound() -> None:
    """A round trip doubles it, because each message of the round trip opens it by one."""
    window = Window()
    sizes = []
    for _ in range(6):
        for _ in range(window.size):
            window.answered(deferred=False)
        sizes.append(window.size)
    assert sizes == [2, 4, 8, 16, 32, MAX_WINDOW]


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_it_opens_no_further_than_it_was_told(most: int) -> None:
    """The caller's bound holds, also above the default one; 1 keeps it shut."""
    window = Window(most)
    for _ in range(200):
        window.answered(deferred=False)
    assert window.size == most


def test_a_burst_of_deferred_messages_closes_it() -> None:
    """Two deferred messages in a row may be chance, three are not; as long as they go on, it stays closed."""
    window = Window()
    for _ in range(9):
        window.answered(deferred=False)
    window.answered(deferred=True)
    window.answered(deferred=True)
    assert window.size == 12
    window.answered(deferred=True)
    assert window.size == 1
    window.answered(deferred=True)
    assert window.size == 1
    window.answered(deferred=False)
    assert window.size == 2


def test_deferred_messages_among_others_do_not_close_it() -> None:
    """A deferred message here and there is about its recipient, not about our haste."""
    window = Window()
    for number in range(60):
        window.answered(deferred=number % 3 > 0)
    assert window.size == MAX_WINDOW


def test_an_objection_closes_it_at_once() -> None:
    """After a 421 or a broken connection one message is risked, and then it opens again."""
    window = Window()
    for _ in range(40):
        window.answered(deferred=False)
    window.objected()
    assert window.size == 1
    window.answered(deferred=False)
    assert window.size == 2


@given(
    most=st.none() | st.integers(1, 50),
    events=st.lists(st.sampled_from(["answered", "deferred", "objected"]), max_size=200),
)
def test_it_never_leaves_its_bounds(most: int | None, events: list[str]) -> None:
    """Whatever happens, one message may go, never more than the bound, and one answer opens it by one at most."""
    window = Window(most)
    for event in events:
        before = window.size
        if event == "objected":
            window.objected()
        else:
            window.answered(deferred=event == "deferred")
        assert 1 <= window.size <= min(before + 1, most or MAX_WINDOW)
