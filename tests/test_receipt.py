from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from mailkit.errors import DeliveryError, OutcomeUnknownError, RejectedError, TransientError
from mailkit.message import Message
from mailkit.receipt import Outcome, Progress, Receipt, RecipientResult, error_for_recipients
from mailkit.reply import Reply

if TYPE_CHECKING:
    from mailkit.receipt import Status

ACCEPTED = RecipientResult("ann@example.com", status="accepted", code=250, text="ok")
DEFERRED = RecipientResult(
    "bob@example.com", status="deferred", code=450, enhanced_code="4.2.1", text="busy", phase="rcpt", retry_after=60.0
)
REJECTED = RecipientResult(
    "cat@example.com", status="rejected", code=550, enhanced_code="5.1.1", text="no such user", phase="rcpt"
)
NOT_SENT = RecipientResult("dan@example.com", status="not_sent", phase="connect")
UNKNOWN = RecipientResult("eve@example.com", status="unknown", phase="content")


def _receipt(*recipients: RecipientResult, attempts: int = 1) -> Receipt:
    return Receipt(
        message_id="1@example.com", transport="smtp://mail.example.com:587", recipients=recipients, attempts=attempts
    )


def test_recipients_are_sorted_by_what_became_of_them() -> None:
    """Accepted, refused and unknown share out the recipients, each in the envelope's order."""
    whole = _receipt(ACCEPTED, DEFERRED, REJECTED, NOT_SENT, UNKNOWN)
    assert whole.accepted == (ACCEPTED,)
    assert whole.refused == (DEFERRED, REJECTED, NOT_SENT)
    assert whole.unknown == (UNKNOWN,)


def test_an_error_names_the_first_ten_recipients() -> None:
    """A message to a thousand leaves a line that can be read, and the error has all of them."""
    refused = [RecipientResult(f"u{number}@example.com", status="rejected", code=550) for number in range(1000)]
    error = error_for_recipients(refused, "no luck", transport="null://")
    assert str(error).endswith("; u9@example.com: rejected (550); and 990 more, each in .recipients")
    assert error.recipients == tuple(refused)
    ten = error_for_recipients(refused[:10], "no luck", transport="null://")
    assert str(ten).endswith("; u9@example.com: rejected (550)")


def test_recipients_may_be_any_iterable() -> None:
    """A list becomes a tuple, so that the receipt can never change."""
    made = Receipt(message_id="1@example.com", transport="null://", recipients=[ACCEPTED])
    assert made.recipients == (ACCEPTED,)
    assert hash(made)


def test_a_receipt_without_refusals_is_returned() -> None:
    """``raise_for_refused`` can stand behind ``send`` in one expression."""
    whole = _receipt(ACCEPTED, ACCEPTED)
    assert whole.raise_for_refused() is whole


@pytest.mark.parametrize(
    ("missed", "kind", "outcome", "retryable"),
    [
        ((DEFERRED,), TransientError, "deferred", True),
        ((NOT_SENT,), TransientError, "not_sent", True),
        ((NOT_SENT, DEFERRED), TransientError, "deferred", True),
        ((REJECTED,), RejectedError, "rejected", False),
        ((DEFERRED, REJECTED, NOT_SENT), RejectedError, "rejected", False),
        ((UNKNOWN,), OutcomeUnknownError, "unknown", False),
        ((REJECTED, UNKNOWN, DEFERRED), OutcomeUnknownError, "unknown", False),
    ],
)
def test_a_partial_refusal_is_raised_as_the_worst_of_it(
    missed: tuple[RecipientResult, ...], kind: type[DeliveryError], outcome: str, *, retryable: bool
) -> None:
    """Unknown is worse than rejected, which is worse than deferred, which is worse than not sent."""
    with pytest.raises(kind) as caught:
        _receipt(ACCEPTED, *missed, attempts=2).raise_for_refused()
    error = caught.value
    assert type(error) is kind
    assert (error.outcome, error.retryable) == (outcome, retryable)
    assert error.recipients == missed
    assert (error.transport, error.message_id, error.attempts) == ("smtp://mail.example.com:587", "1@example.com", 2)


def test_the_error_counts_and_names_who_was_missed() -> None:
    """The message says how many of how many, and for each of them what the server said."""
    with pytest.raises(RejectedError) as caught:
        _receipt(ACCEPTED, DEFERRED, REJECTED).raise_for_refused()
    assert str(caught.value) == (
        "2 of 3 recipients were not accepted: "
        "bob@example.com: deferred (450 4.2.1 busy); cat@example.com: rejected (550 5.1.1 no such user)"
    )


def test_the_error_has_the_reply_and_the_phase_of_the_worst() -> None:
    """What decided is what the worst recipient was told; how long to wait is what the most patient one asked for."""
    error = error_for_recipients([DEFERRED, REJECTED], "no", transport="null://")
    assert error.reply == Reply(550, "no such user", enhanced_code="5.1.1")
    assert (error.phase, error.retry_after) == ("rcpt", 60.0)
    lost = error_for_recipients([UNKNOWN, NOT_SENT], "no", transport="null://")
    assert (lost.reply, lost.phase, lost.retry_after, lost.attempts) == (None, "content", None, 1)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (ACCEPTED, "ann@example.com: accepted (250 ok)"),
        (DEFERRED, "bob@example.com: deferred (450 4.2.1 busy)"),
        (NOT_SENT, "dan@example.com: not_sent"),
    ],
)
def test_a_result_shows_what_the_server_said(result: RecipientResult, shown: str) -> None:
    """As text it is one line for a person to read."""
    assert str(result) == shown


@pytest.mark.parametrize("status", ["accepted", "deferred", "rejected", "not_sent", "unknown"])
def test_every_status_is_in_exactly_one_group(status: Status) -> None:
    """No status is forgotten, and none counts twice."""
    made = _receipt(RecipientResult("ann@example.com", status=status))
    assert len((*made.accepted, *made.refused, *made.unknown)) == 1


def test_results_and_receipts_are_values() -> None:
    """They pickle, for task queues that return them."""
    made = _receipt(ACCEPTED, UNKNOWN)
    assert pickle.loads(pickle.dumps(made)) == made


def test_an_outcome_is_ok_with_a_receipt() -> None:
    """An outcome with a receipt is ok, one with an error is not."""
    message = Message(from_="ann@example.com")
    assert Outcome(message=message, receipt=_receipt(ACCEPTED)).ok
    failed = Outcome(message=message, error=TransientError("later"))
    assert not failed.ok
    progress = Progress(done=2, failed=1, latest=failed)
    assert (progress.done, progress.failed, progress.latest.ok) == (2, 1, False)
