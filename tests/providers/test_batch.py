"""Waves: how a stream of messages is put into requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Envelope, Message, MessageError, Outcome
from mailkit.providers.batch import PATIENCE, Caps, Item, Wave

if TYPE_CHECKING:
    from collections.abc import Hashable

_MESSAGE = Message(from_="ada@example.com", to="bob@example.org", text="Hi")


def _item(size: int = 10, recipients: int = 1) -> Item:
    envelope = Envelope("ada@example.com", [f"user{number}@example.org" for number in range(recipients)])
    return Item(_MESSAGE.evolve(), envelope, body=b"x" * size)


def _caps(
    items: int = 3, size: int = 1000, recipients: int | None = None, requests: int = 2, *, distinct: bool = False
) -> Caps:
    return Caps(items=items, size=size, recipients=recipients, requests=requests, distinct=distinct)


@pytest.mark.parametrize(
    ("caps", "items", "requests"),
    [
        (_caps(items=3), [_item()] * 4, [3, 1]),
        (_caps(size=40), [_item(10)] * 4, [3, 1]),
        (_caps(items=9, recipients=5), [_item(recipients=2)] * 3, [2, 1]),
        (_caps(size=5), [_item(10)] * 2, [1, 1]),  # what is larger than the cap goes alone, and the vendor says so
    ],
)
def test_caps(caps: Caps, items: list[Item], requests: list[int]) -> None:
    """A request is full when the next message would be beyond one of the caps."""
    wave = Wave(caps, 0.0)
    for item in items:
        assert wave.has_room(item, ())
        wave.add(item, ())
    assert [len(request) for request in wave.requests] == requests


def test_the_same_recipient_twice() -> None:
    """Where recipients have to be different ones, a second message to one of them is in another request."""
    wave = Wave(_caps(items=9, requests=2, distinct=True), 0.0)
    again = Envelope("ada@example.com", ["eve@example.net", "USER1@example.org"])
    wave.add(_item(recipients=2), ())
    wave.add(Item(_MESSAGE, again), ())
    assert [len(request) for request in wave.requests] == [1, 1]
    assert not wave.has_room(Item(_MESSAGE, again), ())
    assert wave.has_room(Item(_MESSAGE, Envelope("ada@example.com", ["fay@example.net"])), ())


def test_groups_do_not_mix() -> None:
    """Each group has its request, a message without a group one for itself; beyond the requests there is no room."""
    wave = Wave(_caps(), 0.0)
    for group in ("a", None, "a"):
        wave.add(_item(), group)
    assert [len(request) for request in wave.requests] == [2, 1]
    assert wave.has_room(_item(), "a")
    assert not wave.has_room(_item(), "b")
    assert not wave.has_room(_item(), None)


def test_when_a_wave_is_due() -> None:
    """When its requests are full, when it holds very many, when it waited too long, when there is nothing to send."""
    failed = Outcome(message=_MESSAGE, error=MessageError("no"))
    wave = Wave(_caps(items=1, requests=1), 0.0)
    wave.settle(failed)
    assert wave.is_due(0.0)
    wave.add(_item(), None)
    assert wave.is_due(0.0)
    slow = Wave(_caps(items=3, requests=1), 0.0)
    slow.add(_item(), ())
    assert not slow.is_due(PATIENCE / 2)
    assert slow.is_due(PATIENCE)
    for _ in range(5):
        slow.settle(failed)
    assert slow.is_due(0.0)


_GROUPS = st.sampled_from(["failed", "alone", "a", "b"])


@given(st.lists(_GROUPS, max_size=30), st.integers(1, 4), st.integers(1, 3))
def test_outcomes_come_in_the_order_of_the_messages(given_: list[str], items: int, requests: int) -> None:
    """However they are grouped, each message's outcome is in its place."""
    wave = Wave(_caps(items=items, requests=requests), 0.0)
    expected: list[Message] = []
    for kind in given_:
        item = _item()
        group: Hashable | None = None if kind == "alone" else kind
        if kind == "failed":
            wave.settle(Outcome(message=item.message, error=MessageError("no")))
        elif wave.has_room(item, group):
            wave.add(item, group)
        else:
            continue
        expected.append(item.message)
    assert all(len(request) <= items for request in wave.requests)
    assert len(wave.requests) <= requests
    answers = [[Outcome(message=item.message) for item in request] for request in wave.requests]
    assert [id(outcome.message) for outcome in wave.outcomes(answers)] == [id(message) for message in expected]
