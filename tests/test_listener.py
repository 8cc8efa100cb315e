from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import MessageError
from mailkit.events import AfterSend, BeforeSend, Event, FailedOver, Retrying, Suppressed
from mailkit.hooks import Hooks
from mailkit.listener import Listener
from mailkit.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

ENVELOPE = Envelope("ada@example.com", "bob@example.org")
BEFORE = BeforeSend(transport="null://", message=None, envelope=ENVELOPE)
AFTER = AfterSend(transport="null://", message=None, envelope=ENVELOPE, duration=1.0)
RETRYING = Retrying(transport="null://", attempt=1, wait=1.0, outcome="not_sent")
FAILED_OVER = FailedOver(transport="null://", to="other://")


class Story:
    """What several hooks have heard, in the order in which they have."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Event]] = []

    def hook(self, name: str, error: BaseException | None = None) -> Callable[[Any], None]:
        """Return a hook that notes what it hears, and may fail."""

        def hear(event: Event) -> None:
            self.told.append((name, event))
            if error is not None:
                raise error

        return hear


def test_each_hook_hears_its_own_events_and_one_hears_all() -> None:
    """Who hears everything hears it first, so that he knows of a message before it may be refused."""
    story = Story()
    names = ("before_send", "after_send", "before_attempt", "after_attempt", "on_retry", "on_failover", "on_event")
    listener = Listener(Hooks(**{name: story.hook(name) for name in names}))  # type: ignore[arg-type]
    given = [BEFORE, RETRYING, FAILED_OVER, AFTER, Suppressed(transport="null://")]
    for event in given:
        listener(event)
    assert story.told == [
        ("on_event", BEFORE), ("before_send", BEFORE),
        ("on_event", RETRYING), ("on_retry", RETRYING),
        ("on_event", FAILED_OVER), ("on_failover", FAILED_OVER),
        ("on_event", AFTER), ("after_send", AFTER),
        ("on_event", given[-1]),
    ]  # fmt: skip


def test_the_first_refusal_ends_it() -> None:
    """The next guard is not asked any more: the message does not go."""
    story = Story()
    refusal = MessageError("no")
    listener = Listener(Hooks(before_send=[story.hook("first", refusal), story.hook("second")]))
    with pytest.raises(MessageError) as caught:
        listener(BEFORE)
    assert caught.value is refusal
    assert story.told == [("first", BEFORE)]


def test_what_is_no_error_of_a_hook_goes_through() -> None:
    """KeyboardInterrupt is not for us to keep."""
    listener = Listener(Hooks(after_send=Story().hook("after", KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        listener(AFTER)


@pytest.mark.parametrize(
    ("name", "follows", "closely"),
    [
        ("before_send", True, False), ("after_send", True, False), ("on_retry", False, False),
        ("on_failover", False, False), ("before_attempt", True, True), ("after_attempt", True, True),
        ("on_event", True, True),
    ],
)  # fmt: skip
def test_who_listens_decides_what_is_told(name: str, follows: bool, closely: bool) -> None:
    """Nothing is told of what goes well for the sake of a hook that hears of failures alone."""
    edge = BlockingEdge()
    edge.listener = Listener(Hooks(**{name: id}, log="off"))  # type: ignore[arg-type]
    assert (edge.is_followed, edge.is_followed_closely) == (follows, closely)


def test_a_guard_is_shown_the_message() -> None:
    """What it returns does not matter, unless it is another message."""
    message = Message(from_="ada@example.com", to="bob@example.org", text="Hi")
    before = BeforeSend(transport="null://", message=message, envelope=ENVELOPE)
    Listener(Hooks(before_send=[lambda event: False, lambda event: None]))(before)
    with pytest.raises(MessageError, match="cannot change"):
        Listener(Hooks(before_send=lambda event: event.message))(before)
