from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import COLOURS, Colour
from tests.sending import send, send_many, send_raw

from mailkit import events
from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    MailkitError,
    MessageError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.events import AfterSend, BeforeSend, Event
from mailkit.hooks import Hooks
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.receipt import Outcome
from mailkit.testing import FakeTransport
from mailkit.transport import Capabilities, Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge

NOW = RetryPolicy(wait=lambda state: 0.0)

pytestmark = pytest.mark.parametrize("colour", COLOURS)


def _message(subject: str = "Hello", **fields: Any) -> Message:
    return Message(**{"from_": "ada@example.com", "to": "bob@example.org", "subject": subject, "text": "Hi", **fields})


def _subjects(fake: FakeTransport) -> list[str | None]:
    return [sent.subject for sent in fake.outbox]


def _titles(heard: list[Event]) -> list[str]:
    return [event.title for event in heard]


def _refuse(error: Exception, subject: str = "refused") -> Callable[[BeforeSend], None]:
    def guard(event: BeforeSend) -> None:
        if event.message is not None and event.message.subject == subject:
            raise error

    return guard


# -- who hears what ----------------------------------------------------------------------------------------------------


def test_a_message_is_told_of_before_and_after(colour: Colour) -> None:
    """Both events name the message, the envelope and the transport, and the second one what became of it."""
    heard: list[Any] = []
    receipt = send(
        colour, FakeTransport(), _message(bcc="eve@example.net"),
        hooks=Hooks(before_send=heard.append, after_send=heard.append),
    )  # fmt: skip
    before, after = heard
    assert isinstance(before, BeforeSend)
    assert isinstance(after, AfterSend)
    assert before.message_id == after.message_id == receipt.message_id
    assert (before.transport, before.recipients) == (after.transport, after.recipients) == ("fake://", 2)
    assert before.envelope is after.envelope
    assert before.message is after.message
    assert before.message is not None
    assert before.message.date is not None
    assert (after.receipt, after.error, after.outcome, after.accepted) == (receipt, None, "accepted", 2)
    assert after.duration >= 0


def test_several_functions_hear_the_same_event_in_their_order(colour: Colour) -> None:
    """Each hook may be one function or several."""
    heard: list[str] = []
    hooks = Hooks(before_send=[lambda event: heard.append("first"), lambda event: heard.append("second")])
    send(colour, FakeTransport(), _message(), hooks=hooks)
    assert heard == ["first", "second"]


def test_an_error_is_told_of_before_it_is_raised(colour: Colour) -> None:
    """The event has the error that the caller gets."""
    heard: list[AfterSend] = []
    fake = FakeTransport()
    fake.fail_next(RejectedError("550 no such user", phase="rcpt"))
    with pytest.raises(RejectedError) as caught:
        send(colour, fake, _message(), hooks=Hooks(after_send=heard.append))
    assert [(event.error, event.outcome, event.phase) for event in heard] == [(caught.value, "rejected", "rcpt")]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Message(to="bob@example.org", text="from nobody"), MessageError),
        (Message(from_="ada@example.com", text="to nobody"), MessageError),
        ("no message", MessageError),
    ],
    ids=["no author", "no recipient", "no message"],
)
def test_a_message_that_cannot_be_sent_is_told_of_once(colour: Colour, message: Any, kind: type[MailkitError]) -> None:
    """There is nothing before it, and its end is "rejected": refused here, for good."""
    heard: list[Event] = []
    with pytest.raises(kind):
        send(colour, FakeTransport(), message, hooks=Hooks(on_event=heard.append))
    assert _titles(heard) == ["mailkit.send.rejected"]
    assert isinstance(heard[0], AfterSend)
    assert heard[0].attempts == 0
    assert getattr(heard[0].message, "text", None) == getattr(message, "text", None)


def test_prepared_bytes_are_told_of_too(colour: Colour) -> None:
    """There is no message to show, and no Message-ID before it was read."""
    heard: list[Any] = []
    data = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"
    send_raw(
        colour,
        FakeTransport(),
        data,
        Envelope("ada@example.com", "bob@example.org"),
        hooks=Hooks(on_event=heard.append),
    )
    assert _titles(heard) == ["mailkit.send.begun", "mailkit.attempt.begun", "mailkit.attempt.accepted",
                              "mailkit.send.accepted"]  # fmt: skip
    assert [(event.message_id, event.message) for event in (heard[0], heard[-1])] == [
        (None, None), ("1@example.com", None),
    ]  # fmt: skip


def test_prepared_bytes_that_fail_are_told_of_too(colour: Colour) -> None:
    """The event has the error."""
    heard: list[AfterSend] = []
    fake = FakeTransport()
    fake.fail_next(RejectedError("550"))
    with pytest.raises(RejectedError):
        send_raw(
            colour, fake, b"From: a@b.example\r\n\r\nHi\r\n", Envelope(None, "bob@example.org"),
            hooks=Hooks(after_send=heard.append),
        )  # fmt: skip
    assert _titles(list(heard)) == ["mailkit.send.rejected"]


def test_retries_are_told_of(colour: Colour) -> None:
    """Each attempt, each wait, and the end of it all."""
    heard: list[Event] = []
    retries: list[Event] = []
    attempts: list[Event] = []
    fake = FakeTransport()
    fake.fail_next(ConnectError("refused"), times=2)
    hooks = Hooks(
        on_event=heard.append, on_retry=retries.append, before_attempt=attempts.append, after_attempt=attempts.append
    )
    assert send(colour, fake, _message(), retry=NOW, hooks=hooks).attempts == 3
    assert _titles(heard) == [
        "mailkit.send.begun",
        "mailkit.attempt.begun", "mailkit.attempt.not_sent", "mailkit.retry",
        "mailkit.attempt.begun", "mailkit.attempt.not_sent", "mailkit.retry",
        "mailkit.attempt.begun", "mailkit.attempt.accepted",
        "mailkit.send.accepted",
    ]  # fmt: skip
    assert retries == [event for event in heard if event.name == "mailkit.retry"]
    assert attempts == [event for event in heard if event.name.startswith("mailkit.attempt")]


# -- streams -----------------------------------------------------------------------------------------------------------


def test_each_message_of_a_stream_is_told_of(colour: Colour) -> None:
    """Good and bad ones, in their order, each once before and once after; the bad ones that cannot go only after."""
    heard: list[Event] = []
    fake = FakeTransport()
    fake.fail_next(RejectedError("550"), match=lambda message: message.subject == "2")
    messages = [_message("1"), _message("2"), Message(text="from nobody"), _message("3")]
    outcomes = send_many(colour, fake, messages, hooks=Hooks(before_send=heard.append, after_send=heard.append))
    after = [event for event in heard if isinstance(event, AfterSend)]
    before = [event for event in heard if isinstance(event, BeforeSend)]
    assert [event.outcome for event in after] == ["accepted", "rejected", "rejected", "accepted"]
    assert [(event.receipt, event.error) for event in after] == [
        (outcome.receipt, outcome.error) for outcome in outcomes
    ]
    assert [event.message.subject for event in before if event.message] == ["1", "2", "3"]
    assert [event.envelope for event in before] == [event.envelope for event in after if event.envelope]


def test_a_stream_that_is_left_tells_of_what_it_had_begun(colour: Colour) -> None:
    """Each message that was told of before is told of after, and says what is known."""
    heard: list[Event] = []
    fake = FakeTransport()
    taken = send_many(
        colour, fake, (_message(str(number)) for number in range(100)), most=2,
        hooks=Hooks(before_send=heard.append, after_send=heard.append),
    )  # fmt: skip
    before = [event.message_id for event in heard if isinstance(event, BeforeSend)]
    after = [event.message_id for event in heard if isinstance(event, AfterSend)]
    assert before == after
    assert len(taken) == 2
    assert len(after) >= 2


def test_nobody_is_told_of_what_goes_well_where_nobody_asks(colour: Colour) -> None:
    """A hook for retries alone hears of retries alone, also in a stream."""
    heard: list[Event] = []
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"), match=lambda message: message.subject == "1")
    outcomes = send_many(
        colour, fake, [_message("0"), _message("1"), _message("2")], retry=NOW, hooks=Hooks(on_retry=heard.append)
    )
    assert [outcome.ok for outcome in outcomes] == [True] * 3
    assert _titles(heard) == ["mailkit.retry"]


class _Interrupted:
    """A transport whose streams are interrupted after the third message was taken, and which may say what it leaves."""

    capabilities = Capabilities.everything()

    def __init__(self, outcomes: tuple[Outcome, ...] | None) -> None:
        self.interruption = KeyboardInterrupt()
        if outcomes is not None:
            self.interruption.__dict__["outcomes"] = outcomes

    def open(self, edge: Edge) -> Channel:
        channel = Channel(self)
        channel.send_many = self.stream  # type: ignore[method-assign,assignment]
        return channel

    async def stream(self, messages: Any, **options: Any) -> Any:
        taken = [await anext(messages) for _ in range(3)]
        yield Outcome(message=taken[0], error=RejectedError("550"))
        raise self.interruption

    def __str__(self) -> str:
        return "interrupted://"


@pytest.mark.parametrize("says", [True, False])
def test_an_interruption_of_a_stream_is_told_of_for_each_message(colour: Colour, says: bool) -> None:
    """With what is left of each where that is known; else it is unknown what became of them, and the cause is it."""
    heard: list[AfterSend] = []
    messages = [_message(str(number)) for number in range(5)]
    left = tuple(Outcome(message=message, error=ConnectError("not written")) for message in messages[1:3])
    transport = _Interrupted(left if says else None)
    with pytest.raises(KeyboardInterrupt):
        send_many(colour, transport, messages, retry=RetryPolicy.none(), hooks=Hooks(after_send=heard.append))
    assert [event.message.subject for event in heard if event.message] == ["0", "1", "2"]
    assert [event.outcome for event in heard] == ["rejected", *(["not_sent"] * 2 if says else ["unknown"] * 2)]
    assert says or [event.error for event in heard[1:]] == [transport.interruption] * 2


def test_an_interruption_of_one_message_is_told_of(colour: Colour) -> None:
    """It goes on as it came, once its end was told of."""
    heard: list[AfterSend] = []
    interruption = KeyboardInterrupt()

    class Interrupted(_Interrupted):
        def open(self, edge: Edge) -> Channel:
            channel = Channel(self)
            channel.send = self.one  # type: ignore[method-assign]
            return channel

        async def one(self, message: Message, envelope: Envelope) -> Any:
            raise interruption

    with pytest.raises(KeyboardInterrupt):
        send(colour, Interrupted(None), _message(), hooks=Hooks(after_send=heard.append, after_attempt=heard.append))
    assert [(event.outcome, event.error) for event in heard] == [("unknown", interruption)] * 2


class _Distant:
    """Hears of messages, and does not want to know of their attempts."""

    follows_closely = False

    def __call__(self, event: Event) -> None:
        """Hear of it."""

    def __repr__(self) -> str:
        return "distant"


@pytest.mark.parametrize(
    ("hooks", "wanted"),
    [
        ({"after_send": id}, {"AfterSend"}),
        ({"on_event": _Distant()}, {"BeforeSend", "AfterSend"}),
        ({"after_attempt": id}, {"BeforeAttempt", "AfterAttempt"}),
        ({"on_event": [_Distant(), id]}, {"BeforeSend", "BeforeAttempt"}),
    ],
    ids=["messages", "distant", "attempts", "both"],
)
def test_no_event_is_made_for_nobody(
    colour: Colour, hooks: dict[str, Any], wanted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wants to hear of messages pays nothing for the events of attempts."""
    made: set[str] = set()
    for name in ("BeforeSend", "AfterSend", "BeforeAttempt", "AfterAttempt"):
        kind = getattr(events, name)
        original = kind.__init__
        monkeypatch.setattr(
            kind, "__init__", lambda self, _name=name, _init=original, **how: (made.add(_name), _init(self, **how))[1]
        )
    send(colour, FakeTransport(), _message(), hooks=Hooks(**hooks, log="off"))
    assert wanted <= made
    assert ("BeforeAttempt" in made) is ("BeforeAttempt" in wanted)


# -- refusing ----------------------------------------------------------------------------------------------------------


def test_a_hook_can_refuse_a_message(colour: Colour) -> None:
    """Its error is raised as it is; nothing was opened for it, and its end is told of."""
    heard: list[Event] = []
    fake = FakeTransport()
    error = MessageError("not to strangers")
    with pytest.raises(MessageError) as caught:
        send(colour, fake, _message("refused"), hooks=Hooks(before_send=_refuse(error), on_event=heard.append))
    assert caught.value is error
    assert not fake.outbox
    assert _titles(heard) == ["mailkit.send.begun", "mailkit.send.rejected"]


def test_a_refused_message_does_not_stop_a_stream(colour: Colour) -> None:
    """The error is its outcome, in its place."""
    fake = FakeTransport()
    error = UnsupportedFeatureError("not with us")
    outcomes = send_many(
        colour, fake, [_message("1"), _message("refused"), _message("2")], hooks=Hooks(before_send=_refuse(error))
    )
    assert [outcome.error for outcome in outcomes] == [None, error, None]
    assert _subjects(fake) == ["1", "2"]


def test_a_guard_that_fails_lets_nothing_pass(colour: Colour) -> None:
    """Its exception is the cause of a MessageError that names the hook; the words of the exception stay in it."""
    fake = FakeTransport()
    with pytest.raises(MessageError, match=r"guard failed before it: KeyError$") as caught:
        send(colour, fake, _message("refused"), hooks=Hooks(before_send=_refuse(KeyError("bob@example.org"))))
    assert isinstance(caught.value.__cause__, KeyError)
    (outcome,) = send_many(colour, fake, [_message("refused")], hooks=Hooks(before_send=_refuse(KeyError("x"))))
    assert isinstance(outcome.error, MessageError)
    assert not fake.outbox


def test_a_hook_cannot_change_a_message(colour: Colour) -> None:
    """Who returns another one believes that it is sent: he is told that it is not, and nothing is."""
    fake = FakeTransport()
    changing: Any = lambda event: event.message.evolve(subject="Changed")  # noqa: E731
    with pytest.raises(MessageError, match="cannot change"):
        send(colour, fake, _message(), hooks=Hooks(before_send=changing))
    assert not fake.outbox


# -- hooks that fail ---------------------------------------------------------------------------------------------------


def _broken(event: Event) -> None:
    raise ZeroDivisionError(event.title)


@pytest.mark.parametrize("hook", ["after_send", "before_attempt", "after_attempt", "on_retry", "on_event"])
def test_a_hook_that_fails_changes_nothing(colour: Colour, hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """The message is sent once, the receipt comes back, the next hook is called, and the failure is logged."""
    fake = FakeTransport()
    fake.fail_next(TransientError("busy"))
    heard: list[Event] = []
    receipt = send(colour, fake, _message(), retry=NOW, hooks=Hooks(**{hook: [_broken, heard.append]}))
    assert (receipt.attempts, len(fake.outbox)) == (2, 1)
    failures = [record for record in caplog.records if record.name == "mailkit.hooks"]
    assert len(failures) == len(heard) > 0
    assert {(record.levelno, record.exc_info[0]) for record in failures if record.exc_info} == {
        (logging.ERROR, ZeroDivisionError)
    }
    assert failures[0].getMessage().startswith("a hook failed and was ignored: hook=_broken event=mailkit.")


def test_a_hook_that_fails_leaves_an_error_as_it_is(colour: Colour) -> None:
    """Neither is the delivery's error replaced, nor swallowed."""
    fake = FakeTransport()
    fake.fail_next(RejectedError("550"))
    with pytest.raises(RejectedError):
        send(colour, fake, _message(), hooks=Hooks(after_send=_broken))


def test_a_hook_that_fails_does_not_stop_a_stream(colour: Colour) -> None:
    """Every message is sent once, and has its outcome."""
    fake = FakeTransport()
    outcomes = send_many(colour, fake, [_message("1"), _message("2")], hooks=Hooks(after_send=_broken))
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert _subjects(fake) == ["1", "2"]


def _interrupting(interruption: BaseException, subject: str = "Hello") -> Callable[[Any], None]:
    def interrupt(event: Any) -> None:
        if event.message.subject == subject:
            raise interruption

    return interrupt


def test_an_interruption_in_a_hook_says_what_became_of_the_message(colour: Colour) -> None:
    """KeyboardInterrupt may come while a hook is at work: the receipt is not lost with it."""
    with pytest.raises(KeyboardInterrupt) as caught:
        send(colour, FakeTransport(), _message(), hooks=Hooks(after_send=_interrupting(KeyboardInterrupt())))
    assert caught.value.__dict__["delivery"].accepted
    fake = FakeTransport()
    error = RejectedError("550")
    fake.fail_next(error)
    with pytest.raises(KeyboardInterrupt) as caught:
        send(colour, fake, _message(), hooks=Hooks(after_send=_interrupting(KeyboardInterrupt())))
    assert isinstance(caught.value.__dict__["delivery"], RejectedError)
    with pytest.raises(KeyboardInterrupt) as caught:
        send(colour, FakeTransport(), _message(to=()), hooks=Hooks(after_send=_interrupting(KeyboardInterrupt())))
    assert "delivery" not in caught.value.__dict__


@pytest.mark.parametrize("where", ["after_send", "on_progress"])
def test_an_interruption_while_an_outcome_is_told_of_has_it(colour: Colour, where: str) -> None:
    """In a stream the outcome that was not yet yielded goes along with it, before those that follow."""
    fake = FakeTransport()
    messages = [_message(str(number)) for number in range(4)]
    interruption = KeyboardInterrupt()

    def interrupt(progress: Any) -> None:
        if progress.done == 2:
            raise interruption

    options: dict[str, Any] = {"hooks": Hooks(after_send=_interrupting(interruption, "1"))}
    if where == "on_progress":
        options = {"on_progress": interrupt}
    with pytest.raises(KeyboardInterrupt) as caught:
        send_many(colour, fake, messages, retry=RetryPolicy.none(), **options)
    left = caught.value.__dict__["outcomes"]
    assert left[0].message is messages[1]
    assert left[0].ok
    assert len(left) == len({id(outcome.message) for outcome in left})


# -- the value ---------------------------------------------------------------------------------------------------------


async def _later(event: Event) -> None:
    del event


class _Awaited:
    async def __call__(self, event: Event) -> None:
        del event


@pytest.mark.parametrize(
    "wrong",
    [{"on_event": _later}, {"after_send": [_later]}, {"on_retry": _Awaited()}, {"before_send": partial(_later)},
     {"after_send": ["no function"]}, {"on_failover": 7}, {"log": "everything"}],
    ids=["async", "async in a list", "async object", "async partial", "no function", "number", "log"],
)  # fmt: skip
def test_what_cannot_be_called_is_no_hook(colour: Colour, wrong: dict[str, Any]) -> None:
    """Neither are async functions, which nobody would await: the error comes when the hooks are made."""
    with pytest.raises(ConfigurationError):
        Hooks(**wrong)


def test_a_bare_function_is_not_taken_for_hooks(colour: Colour) -> None:
    """The error says where to put it."""
    with pytest.raises(ConfigurationError, match="before_send"):
        send(colour, "null://", _message(), hooks=print)
