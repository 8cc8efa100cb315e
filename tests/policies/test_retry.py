"""Retrying, on an edge whose clock stands still until somebody sleeps on it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import timeit
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import pytest
from attrs import define, field
from tenacity import (
    RetryCallState,
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    stop_never,
    wait_chain,
    wait_exponential,
    wait_fixed,
    wait_none,
)

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    TLSError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.policies.retry_channel import RetryChannel
from mailkit.receipt import Outcome, Receipt, RecipientResult
from mailkit.transport import Capabilities, Channel, ServerInfo

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.receipt import Status

ANN, BOB, CAT = "ann@example.com", "bob@example.org", "cat@example.net"

Scripted = Exception | Receipt | Callable[[Envelope], Receipt] | BaseException


class SimulatedEdge(BlockingEdge):
    """An edge whose time passes only by sleeping, or where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.slept: list[float] = []
        self.interrupt: BaseException | None = None

    def now(self) -> float:  # noqa: D102 - the edge's
        return self.time

    async def sleep(self, seconds: float) -> None:  # noqa: D102 - the edge's
        if self.interrupt is not None:
            raise self.interrupt
        self.slept.append(seconds)
        self.time += seconds


class Nowhere:
    """A transport for the channel below."""

    capabilities = Capabilities.everything()

    def open(self, edge: Edge) -> Channel:  # noqa: D102 - the protocol's
        raise NotImplementedError

    def __str__(self) -> str:
        return "nowhere://"


@define(init=False)
class ScriptedChannel(Channel):
    """Plays one act for each attempt, the last one for ever, and notes who was asked for and when."""

    acts: list[Scripted]
    edge: SimulatedEdge
    takes: float
    asked: list[tuple[str, ...]] = field(factory=list)
    times: list[float] = field(factory=list)
    sent: list[object] = field(factory=list)
    closed: int = 0
    verified: int = 0

    def __init__(self, edge: SimulatedEdge, *acts: Scripted, takes: float = 0.0) -> None:
        super().__init__(Nowhere())
        self.acts, self.edge, self.takes = list(acts), edge, takes
        self.asked, self.times, self.sent = [], [], []
        self.closed = self.verified = 0

    async def send(self, message: Message, envelope: Envelope) -> Receipt:  # noqa: D102 - the channel's
        return self._play(message, envelope)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:  # noqa: D102 - the channel's
        return self._play(data, envelope)

    async def verify(self) -> ServerInfo:  # noqa: D102 - the channel's
        self.verified += 1
        return ServerInfo(transport="nowhere://")

    async def close(self) -> None:  # noqa: D102 - the channel's
        self.closed += 1

    def _play(self, what: object, envelope: Envelope) -> Receipt:
        self.sent.append(what)
        self.asked.append(tuple(path.addr_spec for path in envelope.rcpt_to))
        self.times.append(self.edge.time)
        self.edge.time += self.takes
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        if isinstance(act, BaseException):
            raise act
        return act(envelope) if callable(act) else act


def _result(address: str, status: Status, **facts: Any) -> RecipientResult:
    return RecipientResult(address, status=status, **facts)


def _receipt(*results: RecipientResult, **facts: Any) -> Receipt:
    return Receipt(**{"message_id": "1@example.com", "transport": "nowhere://", **facts}, recipients=results)


def _all_accepted(envelope: Envelope) -> Receipt:
    return _receipt(*(_result(path.addr_spec, "accepted", code=250) for path in envelope.rcpt_to))


def _message(*to: str) -> Message:
    return Message(from_="ada@example.com", to=to or [ANN], text="Hi", message_id="1@example.com")


class Trial:
    """A policy, a scripted channel and a clock, and one message sent through them."""

    def __init__(self, *acts: Scripted, takes: float = 0.0, **policy: Any) -> None:
        self.edge = SimulatedEdge()
        self.inner = ScriptedChannel(self.edge, *acts, takes=takes)
        self.policy = RetryPolicy(**{"wait": wait_fixed(1), **policy})
        self.channel = RetryChannel(self.inner, self.policy, self.edge)

    def send(self, *to: str) -> Receipt:
        """Send one message."""
        message = _message(*to)
        return run_sync(self.channel.send(message, Envelope.from_message(message)))

    def fail(self, *to: str) -> DeliveryError:
        """Send one message that fails."""
        with pytest.raises(DeliveryError) as caught:
            self.send(*to)
        return caught.value

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return len(self.inner.asked)


# -- how often ---------------------------------------------------------------------------------------------------------


def test_a_success_is_returned_as_it_is() -> None:
    """What works at once is neither waited for nor touched."""
    receipt = _receipt(_result(ANN, "accepted"))
    trial = Trial(receipt)
    assert trial.send() is receipt
    assert (trial.attempts, trial.edge.slept) == (1, [])


def test_a_transient_failure_is_tried_again() -> None:
    """The second attempt's receipt comes back, and counts both."""
    trial = Trial(TransientError("busy"), _all_accepted)
    receipt = trial.send()
    assert (receipt.attempts, [each.address for each in receipt.accepted]) == (2, [ANN])
    assert (trial.attempts, trial.edge.slept) == (2, [1.0])


@pytest.mark.parametrize("attempts", [1, 2, 3, 7])
def test_attempts_are_the_most_deliveries(attempts: int) -> None:
    """The first delivery counts, and the error says how many there were."""
    trial = Trial(ConnectError("refused"), attempts=attempts)
    error = trial.fail()
    assert isinstance(error, ConnectError)
    assert (trial.attempts, error.attempts) == (attempts, attempts)
    assert trial.edge.slept == [1.0] * (attempts - 1)


def test_none_tries_once() -> None:
    """The policy for whoever retries elsewhere."""
    trial = Trial(TransientError("busy"), _all_accepted, attempts=RetryPolicy.none().attempts)
    assert trial.fail().attempts == 1
    assert RetryPolicy.none() == RetryPolicy(attempts=1)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectError("refused"), True),
        (DeliveryTimeout("slow"), True),
        (ProtocolError("garbage"), True),
        (TransientError("450"), True),
        (RateLimitedError("429"), True),
        (TLSError("reset during the handshake", cause="transient"), True),
        (RejectedError("550"), False),
        (TLSError("wrong host"), False),
        (AuthenticationError("535"), False),
        (ConnectError("no such name", cause="configuration"), False),
        (TransientError("450", cause="security"), False),
        (OutcomeUnknownError("lost"), False),
        (MessageError("broken"), False),
        (UnsupportedFeatureError("no"), False),
        (ConfigurationError("closed"), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: MailkitError, *, again: bool) -> None:
    """Security, configuration, rejections, doubts and broken messages end it at once; the error itself is raised."""
    trial = Trial(error)
    with pytest.raises(MailkitError) as caught:
        trial.send()
    assert caught.value is error
    assert (trial.attempts > 1) is again


def test_a_message_that_becomes_unfit_between_two_attempts_is_an_error() -> None:
    """A file that has gone since the first attempt is not retried, and where nobody got anything it is raised."""
    gone = MessageError("the file has gone")
    trial = Trial(TransientError("busy"), gone)
    with pytest.raises(MessageError) as caught:
        trial.send()
    assert (caught.value is gone, trial.attempts) == (True, 2)


def test_who_was_accepted_before_the_message_became_unfit_is_in_the_receipt() -> None:
    """One recipient has it: that is a receipt, and the other's last fate stands in it."""
    first = _receipt(_result(ANN, "accepted"), _result(BOB, "deferred"))
    receipt = Trial(first, MessageError("the file has gone")).send(ANN, BOB)
    assert [result.status for result in receipt.recipients] == ["accepted", "deferred"]


def test_a_doubt_outlives_a_message_that_becomes_unfit() -> None:
    """Where the first attempt may have been accepted, "the file has gone" must not read as "nothing was sent"."""
    trial = Trial(OutcomeUnknownError("lost"), MessageError("the file has gone"), on_unknown="retry")
    assert isinstance(trial.fail(), OutcomeUnknownError)


# -- how long and how soon ---------------------------------------------------------------------------------------------


def test_the_deadline_includes_the_waiting() -> None:
    """No attempt begins later than it: two waits of 10 s fit into 25 s, a third does not."""
    trial = Trial(TransientError("busy"), attempts=10, deadline=25.0, wait=wait_fixed(10))
    trial.fail()
    assert trial.edge.slept == [10.0, 10.0]


def test_the_deadline_includes_the_attempts() -> None:
    """An attempt that takes 12 s leaves room for one more after a wait of 10 s, not for two."""
    trial = Trial(TransientError("busy"), takes=12.0, attempts=10, deadline=25.0, wait=wait_fixed(10))
    trial.fail()
    assert trial.inner.times == [1000.0, 1022.0]


def test_a_wait_may_end_exactly_at_the_deadline() -> None:
    """The bound is inclusive."""
    trial = Trial(TransientError("busy"), attempts=2, deadline=10.0, wait=wait_fixed(10))
    trial.fail()
    assert trial.attempts == 2


def test_without_a_deadline_the_attempts_alone_decide() -> None:
    """Hours of waiting are fine for whoever asks for them."""
    trial = Trial(TransientError("busy"), attempts=3, deadline=None, wait=wait_fixed(7200))
    trial.fail()
    assert trial.edge.slept == [7200.0, 7200.0]


def test_retry_after_is_a_floor() -> None:
    """The server's wish is waited for where it is longer than the policy's wait, which counts where it is longer."""
    errors = [RateLimitedError("slow down", retry_after=5.0), RateLimitedError("slow down", retry_after=0.25)]
    trial = Trial(*errors, _all_accepted)
    trial.send()
    assert trial.edge.slept == [5.0, 1.0]


def test_retry_after_beyond_the_deadline_is_raised_at_once() -> None:
    """Nobody waits for what cannot happen in time, and the error carries the wish."""
    trial = Trial(RateLimitedError("tomorrow", retry_after=86400.0))
    error = trial.fail()
    assert (trial.attempts, trial.edge.slept, error.retry_after) == (1, [], 86400.0)


# -- tenacity's objects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "slept"),
    [
        (wait_fixed(3), [3.0, 3.0, 3.0]),
        (wait_none(), [0.0, 0.0, 0.0]),
        (wait_exponential(multiplier=2, max=7), [2.0, 4.0, 7.0]),
        (wait_fixed(1) + wait_fixed(2), [3.0, 3.0, 3.0]),
        (wait_chain(wait_fixed(1), wait_fixed(5)), [1.0, 5.0, 5.0]),
        (lambda state: 4.0 if isinstance(state.outcome.exception(), TransientError) else 9.0, [4.0, 4.0, 4.0]),
        (lambda state: state.attempt_number * 1.5, [1.5, 3.0, 4.5]),
        (lambda state: state.seconds_since_start + 1, [1.0, 2.0, 4.0]),
        (lambda state: state.idle_for + 1, [1.0, 2.0, 4.0]),
    ],
)
def test_waits_of_tenacity_are_honoured(wait: Any, slept: list[float]) -> None:
    """Its wait objects, their sums and plain functions see the attempts, the error and the edge's clock."""
    trial = Trial(TransientError("busy"), attempts=4, deadline=None, wait=wait)
    trial.fail()
    assert trial.edge.slept == slept


@pytest.mark.parametrize(
    ("stop", "attempts"),
    [
        (stop_after_attempt(2), 2),
        (stop_after_delay(2.5), 4),
        (stop_before_delay(2.5), 3),
        (stop_never, 6),
        (stop_after_attempt(5) | stop_after_delay(1), 2),
        (stop_after_attempt(3) & stop_after_delay(1), 3),
        (lambda state: state.upcoming_sleep > 0.5, 1),
        (lambda state: state.outcome.failed and state.attempt_number == 3, 3),
    ],
)
def test_stops_of_tenacity_are_honoured(stop: Any, attempts: int) -> None:
    """Its stop objects, combined or plain functions, end the attempts earlier, on the edge's clock."""
    trial = Trial(TransientError("busy"), attempts=6, deadline=None, stop=stop)
    assert trial.fail().attempts == attempts


def test_a_partial_receipt_is_no_failure_to_tenacity() -> None:
    """Where some were accepted, ``outcome`` holds no exception for waits that look at it."""
    seen: list[bool] = []

    def wait(state: RetryCallState) -> float:
        assert state.outcome is not None
        seen.append(state.outcome.failed)
        return 0.0

    partial = _receipt(_result(ANN, "accepted"), _result(BOB, "deferred"))
    Trial(partial, TransientError("busy"), _all_accepted, wait=wait).send(ANN, BOB)
    assert seen == [False, True]


# -- for whom ----------------------------------------------------------------------------------------------------------


def test_only_the_undecided_are_tried_again() -> None:
    """Who has it does not get it twice, who was rejected is left alone, and the receipt keeps the envelope's order."""
    first = _receipt(
        _result(ANN, "deferred", code=450),
        _result(BOB, "accepted", code=250),
        _result(CAT, "rejected", code=550),
        message_id="first@example.com",
        provider_id="queue-1",
    )
    second = _receipt(_result(ANN, "accepted", code=250), message_id="second@example.com", provider_id="queue-2")
    trial = Trial(first, second)
    receipt = trial.send(ANN, BOB, CAT)
    assert trial.inner.asked == [(ANN, BOB, CAT), (ANN,)]
    assert [(each.address, each.status) for each in receipt.recipients] == [
        (ANN, "accepted"), (BOB, "accepted"), (CAT, "rejected"),
    ]  # fmt: skip
    assert (receipt.attempts, receipt.message_id, receipt.provider_id) == (2, "first@example.com", "queue-1")


def test_the_receipt_of_a_later_attempt_names_the_message_where_the_first_had_none() -> None:
    """The first attempt that brought a receipt gives its ids."""
    trial = Trial(ConnectError("refused"), _receipt(_result(ANN, "accepted"), provider_id="queue-2"))
    receipt = trial.send()
    assert (receipt.provider_id, receipt.attempts) == ("queue-2", 2)


def test_a_recipient_who_stays_deferred_is_so_in_the_receipt() -> None:
    """One accepted recipient makes a receipt, whatever the last attempt ends in."""
    first = _receipt(_result(ANN, "accepted"), _result(BOB, "deferred", text="busy"))
    last = TransientError("busy", recipients=[_result(BOB, "deferred", text="still busy")])
    receipt = Trial(first, last).send(ANN, BOB)
    assert (receipt.attempts, [each.text for each in receipt.refused]) == (3, ["still busy"])


def test_a_greylisted_recipient_is_left_alone_while_others_are_tried_again() -> None:
    """Who wants 300 s of peace is not asked twice within 30 s, and does not keep the others waiting."""
    first = _receipt(_result(ANN, "deferred", retry_after=300.0), _result(BOB, "deferred"), _result(CAT, "accepted"))
    trial = Trial(first, _all_accepted)
    receipt = trial.send(ANN, BOB, CAT)
    assert trial.inner.asked[1:] == [(BOB,)]
    assert trial.edge.slept == [1.0]
    assert [each.status for each in receipt.recipients] == ["deferred", "accepted", "accepted"]
    assert receipt.refused[0].retry_after == 300.0


def test_one_greylisted_recipient_does_not_hold_up_the_others_of_an_error() -> None:
    """Neither where nobody was accepted: the error's own wish is only the most patient recipient's."""
    results = [_result(ANN, "deferred", retry_after=300.0), _result(BOB, "deferred", retry_after=2.0)]
    trial = Trial(
        RateLimitedError("greylisted", outcome="deferred", retry_after=300.0, recipients=results), _all_accepted
    )
    receipt = trial.send(ANN, BOB)
    assert (trial.inner.asked[1:], trial.edge.slept) == ([(BOB,)], [2.0])
    assert [each.status for each in receipt.recipients] == ["deferred", "accepted"]


def test_only_greylisted_recipients_are_raised_at_once() -> None:
    """Greylisting is not for one call to sit out; whoever sends again later knows for how long to wait."""
    error = RateLimitedError(
        "greylisted", outcome="deferred", retry_after=300.0, recipients=[_result(ANN, "deferred", retry_after=300.0)]
    )
    trial = Trial(error)
    assert trial.fail() is error
    assert (trial.attempts, trial.edge.slept, error.retry_after) == (1, [], 300.0)


def test_a_recipient_s_short_wish_is_waited_for() -> None:
    """Two seconds fit: it is asked again after them."""
    trial = Trial(_receipt(_result(ANN, "accepted"), _result(BOB, "not_sent", retry_after=2.0)), _all_accepted)
    assert not trial.send(ANN, BOB).refused
    assert trial.edge.slept == [2.0]


def test_a_rejection_does_not_end_it_for_those_who_were_deferred() -> None:
    """The error says the worst, and the others of the message still have a chance."""
    first = RejectedError("550", recipients=[_result(ANN, "rejected", code=550), _result(BOB, "deferred", code=450)])
    trial = Trial(first, _all_accepted)
    receipt = trial.send(ANN, BOB)
    assert trial.inner.asked == [(ANN, BOB), (BOB,)]
    assert [(each.address, each.status) for each in receipt.recipients] == [(ANN, "rejected"), (BOB, "accepted")]


def test_an_earlier_rejection_is_not_forgotten_by_a_later_error() -> None:
    """A later "busy" for one does not make the whole message retryable when the other was rejected."""
    first = RejectedError("550", recipients=[_result(ANN, "rejected", code=550), _result(BOB, "deferred", code=450)])
    last = TransientError("busy", recipients=[_result(BOB, "deferred", code=451, text="busy")], transport="nowhere://")
    error = Trial(first, last).fail(ANN, BOB)
    assert isinstance(error, RejectedError)
    assert [(each.address, each.status, each.code) for each in error.recipients] == [
        (ANN, "rejected", 550), (BOB, "deferred", 451),
    ]  # fmt: skip
    assert (error.attempts, error.transport, error.__cause__) == (3, "nowhere://", last)


def test_an_error_without_recipients_is_about_all_of_them() -> None:
    """A transport that says nothing of the recipients gets them filled in, in the envelope's order."""
    error = ConnectError("refused", phase="connect")
    assert Trial(error).fail(BOB, ANN) is error
    assert [(each.address, each.status, each.phase) for each in error.recipients] == [
        (BOB, "not_sent", "connect"), (ANN, "not_sent", "connect"),
    ]  # fmt: skip


def test_a_receipt_that_names_nobody_is_final() -> None:
    """Who is not named in a receipt is not sent a second copy on suspicion."""
    receipt = _receipt(_result(ANN, "accepted"))
    trial = Trial(receipt)
    assert trial.send(ANN, BOB) is receipt
    assert trial.attempts == 1


# -- all or nothing ----------------------------------------------------------------------------------------------------


class AllOrNothingChannel(ScriptedChannel):
    """A channel on which one refused recipient keeps a message from everybody."""

    is_all_or_nothing = True


def _all_or_nothing(*acts: Scripted, **policy: Any) -> Trial:
    trial = Trial(_all_accepted, **policy)
    trial.inner = AllOrNothingChannel(trial.edge, *acts)
    trial.channel = RetryChannel(trial.inner, trial.policy, trial.edge)
    return trial


def test_all_or_nothing_sends_nothing_to_the_others_of_one_who_was_rejected() -> None:
    """Where all are to get a message or nobody, it is not tried again for some when one was rejected."""
    refusal = RejectedError("no", recipients=[_result(ANN, "rejected", code=550), _result(BOB, "not_sent")])
    trial = _all_or_nothing(refusal, _all_accepted)
    error = trial.fail(ANN, BOB)
    assert [(result.address, result.status) for result in error.recipients] == [(ANN, "rejected"), (BOB, "not_sent")]
    assert trial.attempts == 1


def test_all_or_nothing_does_not_go_on_without_one_who_is_to_be_left_alone() -> None:
    """Where all are to get a message or nobody, a wish to wait beyond the deadline ends it for all."""
    greylisted = _result(ANN, "deferred", code=450, retry_after=300.0)
    trial = _all_or_nothing(TransientError("later", recipients=[greylisted, _result(BOB, "not_sent")]), _all_accepted)
    trial.fail(ANN, BOB)
    assert trial.attempts == 1


def test_all_or_nothing_tries_all_of_them_again() -> None:
    """Where all are to get a message or nobody, it is tried again for all when nobody was rejected."""
    deferral = TransientError("later", recipients=[_result(ANN, "deferred", code=450), _result(BOB, "not_sent")])
    trial = _all_or_nothing(deferral, _all_accepted)
    assert len(trial.send(ANN, BOB).accepted) == 2
    assert trial.inner.asked == [(ANN, BOB), (ANN, BOB)]


def test_all_or_nothing_goes_on_for_one_whom_the_others_were_not_kept_for() -> None:
    """Where the others have got a message all the same (LMTP answers for each), the rest is tried again."""
    half = _receipt(_result(ANN, "accepted", code=250), _result(BOB, "deferred", code=450))
    trial = _all_or_nothing(half, _all_accepted)
    assert len(trial.send(ANN, BOB).accepted) == 2
    assert trial.inner.asked == [(ANN, BOB), (BOB,)]
    assert trial.channel.is_all_or_nothing


def test_who_is_not_named_in_a_receipt_is_not_tried_again() -> None:
    """Of a receipt that leaves somebody out, only those whom it names as undecided are asked for once more."""
    trial = Trial(_receipt(_result(BOB, "deferred")), _all_accepted)
    receipt = trial.send(ANN, BOB)
    assert trial.inner.asked == [(ANN, BOB), (BOB,)]
    assert [(each.address, each.status) for each in receipt.recipients] == [(BOB, "accepted")]


# -- doubts ------------------------------------------------------------------------------------------------------------


def test_an_unknown_outcome_is_raised_by_default() -> None:
    """At most once: what may have been accepted is not sent again."""
    error = OutcomeUnknownError("lost", recipients=[_result(ANN, "unknown")])
    trial = Trial(error, _all_accepted)
    assert trial.fail() is error
    assert trial.attempts == 1


def test_an_unknown_outcome_is_retried_where_that_is_asked_for() -> None:
    """At least once: the same message, with the same Message-ID and Date, goes out again."""
    trial = Trial(OutcomeUnknownError("lost"), _all_accepted, on_unknown="retry")
    assert trial.send().attempts == 2
    first, second = trial.inner.sent
    assert first is second


def test_a_doubt_with_an_idempotency_key_is_retried_by_default() -> None:
    """The other side itself sees to it that there is no second copy."""
    trial = Trial(OutcomeUnknownError("lost", idempotent=True), _all_accepted)
    assert trial.send().attempts == 2


@pytest.mark.parametrize("safe", [False, True])
def test_a_doubt_stays_as_safe_as_it_was(safe: bool) -> None:
    """After attempts that surely failed, it says whether sending once more could make a second copy."""
    first = OutcomeUnknownError("lost", idempotent=safe)
    error = Trial(first, ConnectError("refused"), on_unknown="retry").fail()
    assert isinstance(error, OutcomeUnknownError)
    assert (error.idempotent, error.retryable) == (safe, safe)


def test_a_doubt_beside_a_deferral_retries_the_deferred_alone() -> None:
    """By default nobody in doubt is sent a second copy, and nobody certain is given up for it."""
    error = OutcomeUnknownError("lost", recipients=[_result(ANN, "unknown"), _result(BOB, "deferred")])
    trial = Trial(error, _all_accepted)
    receipt = trial.send(ANN, BOB)
    assert trial.inner.asked == [(ANN, BOB), (BOB,)]
    assert [each.status for each in receipt.recipients] == ["unknown", "accepted"]


@pytest.mark.parametrize(
    "later",
    [
        ConnectError("refused"),
        ConnectError("refused", recipients=[_result(ANN, "not_sent")]),
        TransientError("busy", recipients=[_result(ANN, "deferred", code=450)]),
        RejectedError("no", recipients=[_result(ANN, "rejected", code=550)]),
    ],
)
@pytest.mark.parametrize(
    "first", [OutcomeUnknownError("lost"), OutcomeUnknownError("", recipients=[_result(ANN, "unknown")])]
)
def test_what_was_in_doubt_once_stays_in_doubt(first: DeliveryError, later: DeliveryError) -> None:
    """A second attempt that surely failed says nothing of the first: the outcome is unknown, never "not sent"."""
    error = Trial(first, later, on_unknown="retry").fail()
    assert isinstance(error, OutcomeUnknownError)
    assert not error.retryable
    assert [each.status for each in error.recipients] == ["unknown"]
    assert error.__cause__ is later


def test_a_doubt_of_one_recipient_stays_beside_the_other_s_success() -> None:
    """In a receipt as well: LMTP answers for each recipient."""
    first = _receipt(_result(ANN, "accepted"), _result(BOB, "unknown"))
    receipt = Trial(first, ConnectError("refused"), on_unknown="retry").send(ANN, BOB)
    assert [each.status for each in receipt.recipients] == ["accepted", "unknown"]


def test_a_doubt_ends_with_a_later_success() -> None:
    """What was accepted in the end was accepted."""
    first = OutcomeUnknownError("lost", recipients=[_result(ANN, "unknown")])
    assert [each.status for each in Trial(first, _all_accepted, on_unknown="retry").send().recipients] == ["accepted"]


# -- interruptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interrupted_wait_says_what_became_of_the_message(interruption: BaseException) -> None:
    """What the attempts have brought so far goes along with the interruption."""
    trial = Trial(_receipt(_result(ANN, "accepted"), _result(BOB, "deferred")))
    trial.edge.interrupt = interruption
    with pytest.raises(type(interruption)) as caught:
        trial.send(ANN, BOB)
    delivery: Receipt = cast("Any", caught.value).delivery
    assert [each.status for each in delivery.recipients] == ["accepted", "deferred"]
    assert delivery.attempts == 1


def test_an_interrupted_attempt_says_what_became_of_all_recipients() -> None:
    """What the transport noted of its own attempt is merged with the attempts before it."""
    interruption = KeyboardInterrupt()
    below = [_result(ANN, "deferred"), _result(BOB, "unknown")]
    interruption.__dict__["delivery"] = OutcomeUnknownError("lost", recipients=below)
    first = TransientError("busy", recipients=[_result(ANN, "deferred"), _result(BOB, "deferred")])
    trial = Trial(first, interruption)
    with pytest.raises(KeyboardInterrupt) as caught:
        trial.send(ANN, BOB)
    delivery: DeliveryError = cast("Any", caught.value).delivery
    assert isinstance(delivery, OutcomeUnknownError)
    assert [each.status for each in delivery.recipients] == ["deferred", "unknown"]
    assert delivery.attempts == 2


# -- the other ways to send --------------------------------------------------------------------------------------------


def test_raw_bytes_are_retried_like_messages() -> None:
    """The same bytes, for those who are still undecided."""
    trial = Trial(_receipt(_result(ANN, "accepted"), _result(BOB, "deferred")), _all_accepted)
    receipt = run_sync(trial.channel.send_raw(b"Subject: x\r\n\r\n", Envelope(None, [ANN, BOB])))
    assert trial.inner.sent == [b"Subject: x\r\n\r\n"] * 2
    assert trial.inner.asked == [(ANN, BOB), (BOB,)]
    assert not receipt.refused


def test_verifying_and_closing_are_done_once() -> None:
    """Whoever verifies wants to know how things are now."""
    trial = Trial(TransientError("busy"))
    assert run_sync(trial.channel.verify()).transport == "nowhere://"
    run_sync(trial.channel.close())
    assert (trial.inner.verified, trial.inner.closed) == (1, 1)
    assert trial.channel.transport is trial.inner.transport


class StreamingChannel(ScriptedChannel):
    """Answers a stream with prepared outcomes, as many messages behind as `lag`, and single messages by the script."""

    outcomes: dict[str, Outcome]
    lag: int
    segments: list[list[str]]
    options: list[tuple[int, int | None]]
    closed_segments: int

    async def send_many(  # noqa: D102 - the channel's
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> Any:
        self.segments.append([])
        self.options.append((connections, window))
        taken: deque[Message | Outcome] = deque()
        try:
            async for message in messages:
                taken.append(message)
                if len(taken) > self.lag:
                    yield self._outcome(taken.popleft())
            while taken:
                yield self._outcome(taken.popleft())
        finally:
            self.closed_segments += 1

    def _outcome(self, item: Message | Outcome) -> Outcome:
        if isinstance(item, Outcome):
            return item
        self.segments[-1].append(item.subject or "")
        return self.outcomes[item.subject or ""]


def _stream(
    *outcomes: Outcome, lag: int = 0, acts: tuple[Scripted, ...] = (_all_accepted,)
) -> tuple[Any, StreamingChannel]:
    """Return a function that sends the outcomes' messages as a stream, and the channel below."""
    edge = SimulatedEdge()
    inner = StreamingChannel(edge, *acts)
    inner.outcomes = {outcome.message.subject or "": outcome for outcome in outcomes}
    inner.lag, inner.segments, inner.options, inner.closed_segments = lag, [], [], 0
    channel = RetryChannel(inner, RetryPolicy(wait=wait_fixed(1)), edge)

    async def source() -> AsyncIterator[Message]:
        for outcome in outcomes:
            yield outcome.message

    def start() -> Any:
        return channel.send_many(source(), connections=3, window=5)

    return start, inner


async def _collect(start: Any, most: int | None = None) -> list[Outcome]:
    taken: list[Outcome] = []
    async with aclosing(start()) as outcomes:
        async for outcome in outcomes:
            taken.append(outcome)
            if len(taken) == most:
                break
    return taken


def _numbered(number: int) -> Message:
    return _message(f"{number}@example.com").evolve(subject=str(number))


def _good(number: int) -> Outcome:
    return Outcome(message=_numbered(number), receipt=_receipt(_result(f"{number}@example.com", "accepted")))


def _busy(number: int) -> Outcome:
    return Outcome(message=_numbered(number), error=TransientError("busy"))


@pytest.mark.parametrize("lag", [0, 1, 3, 100])
def test_a_stream_retries_what_is_undecided_in_its_place(lag: int) -> None:
    """The order is the stream's, also while one message is waited for, and final outcomes are passed on untouched."""
    ok, busy = _good(0), _busy(1)
    broken = Outcome(message=_numbered(2), error=MessageError("broken"))
    lost = Outcome(message=_numbered(3), error=OutcomeUnknownError("lost"))
    partial = Outcome(
        message=_numbered(4), receipt=_receipt(_result("4@example.com", "deferred"), _result(ANN, "accepted"))
    )
    refused = Outcome(message=_numbered(5), error=RejectedError("no"))
    given = [ok, busy, broken, lost, partial, refused, _good(6)]
    start, inner = _stream(*given, lag=lag)
    outcomes = run_sync(_collect(start))
    assert [outcome.message for outcome in outcomes] == [outcome.message for outcome in given]
    assert [outcome.ok for outcome in outcomes] == [True, True, False, False, True, False, True]
    assert all(outcomes[index] is given[index] for index in (0, 2, 3, 5, 6))
    assert inner.asked == [("1@example.com",), ("4@example.com",)]
    assert [outcomes[index].receipt.attempts for index in (1, 4)] == [2, 2]  # type: ignore[union-attr]
    assert set(inner.options) == {(3, 5)}


def test_no_message_is_tried_again_while_the_stream_goes_on() -> None:
    """The stream below ends before the retry, so that its connections are free, and begins anew with what is left."""
    start, inner = _stream(_good(0), _busy(1), _good(2), _good(3), _good(4), lag=1)
    order: list[str] = []
    inner.acts = [lambda envelope: order.append(f"retry after {inner.closed_segments}") or _all_accepted(envelope)]  # type: ignore[func-returns-value]
    assert [outcome.message.subject for outcome in run_sync(_collect(start))] == list("01234")
    assert order == ["retry after 1"]
    assert inner.segments == [["0", "1", "2"], ["3", "4"]]


def test_a_stream_that_fails_all_over_ends_once() -> None:
    """Every message undecided, one after the other: each is tried three times, and the source is read to its end."""
    refused = [ConnectError("refused") for _ in range(10)]
    start, inner = _stream(*(_busy(number) for number in range(5)), acts=tuple(refused))
    outcomes = run_sync(_collect(start))
    assert [type(outcome.error) for outcome in outcomes] == [ConnectError] * 5
    assert [cast("DeliveryError", outcome.error).attempts for outcome in outcomes] == [3] * 5
    assert len(inner.asked) == 10


def test_a_channel_that_takes_no_messages_ends_the_stream() -> None:
    """It is not asked again and again for what it never wanted."""

    class Deaf(ScriptedChannel):
        async def send_many(self, messages: Any, *, connections: int = 1, window: int | None = None) -> Any:
            del messages, connections, window
            yield _busy(1)

    edge = SimulatedEdge()
    channel = RetryChannel(Deaf(edge, _all_accepted), RetryPolicy(wait=wait_none()), edge)

    async def nothing() -> AsyncIterator[Message]:
        return
        yield

    outcomes = run_sync(_collect(lambda: channel.send_many(nothing())))
    assert [outcome.ok for outcome in outcomes] == [True]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_stream_that_is_left_early_is_closed(most: int) -> None:
    """The channel below learns at once that nobody listens any more."""
    start, inner = _stream(_good(0), _busy(1), _good(2), _good(3), _good(4))
    assert len(run_sync(_collect(start, most=most))) == most
    assert inner.closed_segments == len(inner.segments)


def test_an_interrupted_stream_hands_over_what_it_had_taken() -> None:
    """The outcomes that were not yet yielded go along with the interruption, those of the channel below included."""
    start, inner = _stream(_good(0), _busy(1), _good(2), lag=1, acts=(KeyboardInterrupt(),))
    with pytest.raises(KeyboardInterrupt) as caught:
        run_sync(_collect(start))
    assert [outcome.message.subject for outcome in cast("Any", caught.value).outcomes] == ["1", "2"]
    assert inner.closed_segments == 1


def test_an_interrupted_attempt_of_a_stream_says_who_has_the_message() -> None:
    """Where the first attempt reached somebody, what is left of the message is a receipt."""
    partial = Outcome(
        message=_numbered(0), receipt=_receipt(_result("0@example.com", "deferred"), _result(ANN, "accepted"))
    )
    start, _ = _stream(partial, acts=(KeyboardInterrupt(),))
    with pytest.raises(KeyboardInterrupt) as caught:
        run_sync(_collect(start))
    (left,) = cast("Any", caught.value).outcomes
    assert [each.status for each in left.receipt.recipients] == ["deferred", "accepted"]
    assert left.message is partial.message


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_success_does_not_load_tenacity() -> None:
    """The retry library is imported when something fails for the first time."""
    code = (
        "import sys\n"
        "from mailkit import Mailer, Message\n"
        "with Mailer('memory://') as mailer:\n"
        "    mailer.send(Message(from_='a@example.com', to='b@example.org', text='Hi'))\n"
        "    list(mailer.send_many([Message(from_='a@example.com', to='b@example.org', text='Hi')]))\n"
        "sys.exit('tenacity' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_success_costs_microseconds() -> None:
    """Wrapping a delivery that works costs less than 50 µs (some 3 µs on a quiet machine)."""
    edge = SimulatedEdge()
    receipt = _receipt(_result(ANN, "accepted"))

    class Plain(Channel):
        async def send(self, message: Message, envelope: Envelope) -> Receipt:
            return receipt

    plain = Plain(Nowhere())
    wrapped = RetryChannel(plain, RetryPolicy(), edge)
    message = _message()
    envelope = Envelope.from_message(message)

    def seconds(channel: Channel) -> float:
        def send() -> object:
            return run_sync(channel.send(message, envelope))

        return min(timeit.repeat(send, timer=time.thread_time, number=200, repeat=5)) / 200

    assert seconds(wrapped) - seconds(plain) < 50e-6
