from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from attrs import fields, resolve_types
from attrs.exceptions import FrozenInstanceError

from mailkit import events
from mailkit.edge.anyio import AnyioEdge
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
)
from mailkit.events import AfterAttempt, AfterSend, BeforeAttempt, BeforeSend, BreakerChanged, Event, Retrying
from mailkit.message import Message
from mailkit.receipt import Receipt, RecipientResult

if TYPE_CHECKING:
    from mailkit.receipt import Status

SECRETS = ("ada", "bob", "eve", "example", "Hello", "private words", "refused by")

MESSAGE = Message(
    from_="ada@example.com", to=["bob@example.org", "eve@example.net"], subject="Hello", text="private words"
)
ENVELOPE = Envelope.from_message(MESSAGE)
ERROR = ConnectError("refused by bob@example.org", phase="connect", attempts=2)


def _receipt(*statuses: Status, attempts: int = 1) -> Receipt:
    results = [RecipientResult(f"{number}@example.org", status=status) for number, status in enumerate(statuses)]
    return Receipt(message_id="1@host", transport="null://", recipients=results, attempts=attempts)


def _after(**how: Any) -> AfterSend:
    return AfterSend(transport="null://", recipients=2, message=MESSAGE, envelope=ENVELOPE, duration=0.5, **how)


def _interruption(left: object = None) -> BaseException:
    interruption = asyncio.CancelledError()
    if left is not None:
        interruption.__dict__["delivery"] = left
    return interruption


EVENTS = [getattr(events, name) for name in events.__all__ if name not in {"BreakerState", "Event"}]


def _made_of(kind: type[Event]) -> Event:
    """Return an event of the kind, with all that is personal in it."""
    values: dict[str, Any] = {
        "transport": "null://", "message_id": "1@host", "recipients": 2, "message": MESSAGE, "envelope": ENVELOPE,
        "receipt": None, "error": ERROR, "duration": 0.5, "attempt": 1, "wait": 1.0, "outcome": "not_sent", "to": "a://",
        "reason": "unsupported", "before": "closed", "after": "open", "limit": "10/s",
    }  # fmt: skip
    wanted = {each.name for each in fields(kind) if each.init}
    return kind(**{name: value for name, value in values.items() if name in wanted})


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_no_event_shows_personal_data(kind: type[Event]) -> None:
    """An event with a message, an envelope and an error shows neither addresses nor words, only facts."""
    shown = repr(_made_of(kind))
    assert "null://" in shown
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_an_event_is_frozen_and_has_a_name_of_its_own(kind: type[Event]) -> None:
    """No listener changes what the next one sees, and each kind can be told from the others by name."""
    event = _made_of(kind)
    with pytest.raises(FrozenInstanceError):
        event.transport = "other://"  # type: ignore[misc]
    assert not hasattr(event, "__dict__")
    assert event.name.startswith("mailkit.")
    assert [other for other in EVENTS if other.name == kind.name] == [kind]
    assert event.title.startswith(event.name)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_what_an_event_holds_is_documented(kind: type[Event]) -> None:
    """Each field of each event, its own ones, is in the docstring."""
    inherited = {each.name for each in fields(Event)}
    own = {each.name for each in fields(kind)} - inherited
    assert all(f"\n    {name}: " in (inspect.getdoc(kind) or "") for name in own)


@pytest.mark.parametrize(
    ("how", "outcome", "accepted", "attempts", "cause", "phase"),
    [
        ({"receipt": _receipt("accepted", "rejected", attempts=3)}, "accepted", 1, 3, None, None),
        ({"error": ERROR}, "not_sent", 0, 2, "transient", "connect"),
        ({"error": TransientError("busy")}, "deferred", 0, 1, "transient", None),
        ({"error": RejectedError("no")}, "rejected", 0, 1, None, None),
        ({"error": OutcomeUnknownError("lost")}, "unknown", 0, 1, None, None),
        ({"error": MessageError("broken")}, "rejected", 0, 0, None, None),
        ({"error": ConfigurationError("closed")}, "not_sent", 0, 0, None, None),
        ({"error": _interruption()}, "unknown", 0, 1, None, None),
        ({"error": _interruption(ERROR)}, "not_sent", 0, 2, "transient", "connect"),
        ({"error": _interruption(_receipt("accepted", attempts=2))}, "accepted", 1, 2, None, None),
    ],
)
def test_the_outcome_is_what_the_receipt_or_the_error_says(
    how: dict[str, Any], outcome: str, accepted: int, attempts: int, cause: str | None, phase: str | None
) -> None:
    """Whatever ends a delivery, an interruption included, the event says what is known, and no more."""
    event = _after(**how)
    assert (event.outcome, event.accepted, event.attempts) == (outcome, accepted, attempts)
    assert (event.cause, event.phase) == (cause, phase)
    assert event.title == f"mailkit.send.{outcome}"


def test_an_attempt_has_an_outcome_too() -> None:
    """The same facts as of the whole delivery, of one attempt."""
    event = AfterAttempt(transport="null://", recipients=2, attempt=1, duration=0.1, error=ERROR)
    assert (event.title, event.cause, event.phase) == ("mailkit.attempt.not_sent", "transient", "connect")


def test_the_message_and_the_envelope_can_be_reached() -> None:
    """A hook decides by what is sent and to whom."""
    before = BeforeSend(message_id="1@host", transport="null://", recipients=2, message=MESSAGE, envelope=ENVELOPE)
    assert (before.message, before.envelope) == (MESSAGE, ENVELOPE)
    attempt = BeforeAttempt(transport="null://", recipients=2, attempt=2, message=None, envelope=ENVELOPE)
    assert (attempt.message, attempt.title) == (None, "mailkit.attempt.begun")


def test_events_of_the_same_facts_are_equal() -> None:
    """So that a test can say which ones it expects, without the message and the error."""
    first, second = (
        Retrying(transport="null://", attempt=1, wait=1.0, outcome="not_sent", error=error)
        for error in (ERROR, TransientError("other"))
    )
    assert first == second
    assert first != Retrying(transport="null://", attempt=2, wait=1.0, outcome="not_sent")


def test_a_breaker_is_called_by_its_new_state() -> None:
    """What a log is searched for is that it opened."""
    assert BreakerChanged(transport="null://", before="half-open", after="open").title == "mailkit.breaker.open"


def test_the_types_of_all_fields_resolve() -> None:
    """What the annotations name exists."""
    names = {"Message": Message, "Envelope": Envelope, "Receipt": Receipt, "Status": str, "MailkitError": MailkitError}
    assert all(resolve_types(kind, localns=names) is kind for kind in EVENTS)


@pytest.mark.parametrize("edge", [BlockingEdge(), AnyioEdge()], ids=["blocking", "anyio"])
def test_an_edge_tells_its_listener(edge: BlockingEdge | AnyioEdge) -> None:
    """Nobody is told where nobody listens; who listens gets each event, in order."""
    event = Retrying(transport="null://", attempt=1, wait=1.0, outcome="not_sent")
    edge.notify(event)
    heard: list[Event] = []
    edge.listener = heard.append
    edge.notify(event)
    assert heard == [event]


class Particular:
    """A listener that says what it wants to hear of."""

    def __init__(self, *, follows: bool, follows_closely: bool) -> None:
        self.follows, self.follows_closely = follows, follows_closely

    def __call__(self, event: Event) -> None:
        """Hear it all the same."""


@pytest.mark.parametrize("edge", [BlockingEdge(), AnyioEdge()], ids=["blocking", "anyio"])
def test_an_edge_knows_what_is_of_interest(edge: BlockingEdge | AnyioEdge) -> None:
    """Nothing to nobody, every step to every plain function, and to other listeners what they say."""
    assert (edge.is_followed, edge.is_followed_closely) == (False, False)
    edge.listener = print
    assert (edge.is_followed, edge.is_followed_closely) == (True, True)
    for closely in (False, True):
        edge.listener = Particular(follows=not closely, follows_closely=closely)
        assert (edge.is_followed, edge.is_followed_closely) == (not closely, closely)


@pytest.mark.parametrize("edge", [BlockingEdge(), AnyioEdge()], ids=["blocking", "anyio"])
def test_an_edge_has_random_numbers(edge: BlockingEdge | AnyioEdge) -> None:
    """They differ, and lie in the half-open unit interval."""
    drawn = [edge.random() for _ in range(50)]
    assert len(set(drawn)) > 40
    assert all(0 <= number < 1 for number in drawn)
