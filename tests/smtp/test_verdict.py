"""From results to a receipt, or to the error that says it best."""

from __future__ import annotations

from typing import Any

import pytest

from mailkit import (
    AuthenticationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    OutcomeUnknownError,
    RateLimitedError,
    Receipt,
    RecipientResult,
    RejectedError,
    Reply,
    TLSError,
    TransientError,
)
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.verdict import verdict

LOST = ConnectError("the connection was lost")


def result(status: Any, code: int | None = None, enhanced: str | None = None, **more: Any) -> RecipientResult:
    """Return the result of some recipient."""
    return RecipientResult("bob@example.org", status=status, code=code, enhanced_code=enhanced, **more)


def judged(*results: RecipientResult, error: DeliveryError | None = None, reply: Reply | None = None) -> Any:
    """Return the verdict."""
    return verdict(Delivered(results, error, reply), transport="smtp://mx.test:587", message_id="one@example.com")


def test_who_has_not_logged_in_is_told_to() -> None:
    """A 530 to MAIL is no word on the message but on the session, so another server may take it."""
    error = judged(result("not_sent", 530, "5.7.0", phase="mail"))
    assert isinstance(error, AuthenticationError)
    assert (error.outcome, error.cause, error.reply and error.reply.code) == ("not_sent", "configuration", 530)
    assert "give a username and a password" in str(error)


def test_one_accepted_recipient_makes_a_receipt() -> None:
    """Whatever became of the others, and of the connection."""
    receipt = judged(result("rejected", 550), result("accepted", 250), result("unknown"), error=LOST)
    assert isinstance(receipt, Receipt)
    assert (receipt.message_id, receipt.transport) == ("one@example.com", "smtp://mx.test:587")
    assert [each.status for each in receipt.recipients] == ["rejected", "accepted", "unknown"]
    assert receipt.provider_id is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ok: queued as 4F2A91", "4F2A91"),
        ("OK id=1tXyzA-000abc-2B", "1tXyzA-000abc-2B"),
        ("a1b2c3 Message accepted for delivery", "a1b2c3"),
        ("Ok 0100018f-6d7e", "0100018f-6d7e"),
        ("thank you", None),
        ("", None),
    ],
)
def test_the_queue_id(text: str, expected: str | None) -> None:
    """What well-known servers call the message is found; of others nothing is guessed."""
    assert judged(result("accepted", 250), reply=Reply(250, text)).provider_id == expected


@pytest.mark.parametrize(
    ("results", "error", "kind", "outcome", "cause", "phase"),
    [
        ([("unknown", None)], LOST, OutcomeUnknownError, "unknown", None, "content"),
        ([("unknown", None), ("rejected", 550)], LOST, OutcomeUnknownError, "unknown", None, "content"),
        ([("rejected", 550), ("deferred", 451)], None, RejectedError, "rejected", None, "rcpt"),
        ([("deferred", 451), ("not_sent", None)], None, TransientError, "deferred", "transient", "rcpt"),
        ([("not_sent", 421)], LOST, TransientError, "not_sent", "transient", "rcpt"),
        ([("not_sent", None)], None, TransientError, "not_sent", "transient", "rcpt"),
        ([("not_sent", None)], LOST, ConnectError, "not_sent", "transient", "rcpt"),
        ([("not_sent", None)], TLSError("bad", phase="tls"), TLSError, "not_sent", "security", "tls"),
        ([("not_sent", None)], DeliveryTimeout("slow"), DeliveryTimeout, "not_sent", "transient", "rcpt"),
        (
            [("not_sent", None)],
            AuthenticationError("no", phase="auth", reply=Reply(535)),
            AuthenticationError,
            "not_sent",
            "configuration",
            "auth",
        ),
        # A refusal of the connection is not one of the message: its outcome survives.
        (
            [("not_sent", None)],
            RejectedError("554", outcome="not_sent", cause="configuration", phase="greeting"),
            RejectedError,
            "not_sent",
            "configuration",
            "greeting",
        ),
        (
            [("not_sent", None)],
            TransientError("4", outcome="not_sent"),
            TransientError,
            "not_sent",
            "transient",
            "rcpt",
        ),
    ],
)
def test_the_worst_that_is_known_is_the_error(
    results: list[tuple[str, int | None]],
    error: DeliveryError | None,
    kind: type[DeliveryError],
    outcome: str,
    cause: str | None,
    phase: str,
) -> None:
    """Unknown, then rejected, deferred, not sent; what broke the connection only where nothing else is known."""
    judgement = judged(*(result(status, code, phase="rcpt") for status, code in results), error=error)
    assert type(judgement) is kind
    assert (judgement.outcome, judgement.cause, judgement.phase) == (outcome, cause, phase)
    assert (judgement.transport, judgement.message_id) == ("smtp://mx.test:587", "one@example.com")
    assert len(judgement.recipients) == len(results)
    assert judgement.__cause__ is error
    assert judgement is not error


def test_the_deciding_reply_is_told() -> None:
    """The first reply that decided is the error's, with its enhanced code and its text."""
    error = judged(result("not_sent"), result("rejected", 550, "5.1.1", text="no such user", phase="rcpt"))
    assert error.reply == Reply(550, "no such user", enhanced_code="5.1.1")
    assert error.phase == "rcpt"
    assert "no such user" in str(error)


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["4.7.1"], RateLimitedError),
        (["4.7.0", "4.7.1"], RateLimitedError),
        (["4.7.28"], RateLimitedError),
        (["4.7.1", "4.2.1"], TransientError),
        (["4.2.1"], TransientError),
        ([None], TransientError),
        (["4.70.1"], TransientError),
    ],
)
def test_a_policy_is_a_limit_of_rate(codes: list[str | None], kind: type[DeliveryError]) -> None:
    """Where every deferral is a policy's (4.7.x), waiting helps more than trying again soon."""
    error = judged(*(result("deferred", 450, code) for code in codes))
    assert type(error) is kind
    assert error.outcome == "deferred"


def test_the_longest_wait_is_the_messages() -> None:
    """Of several recipients with a time to wait, the message waits for the longest."""
    error = judged(
        result("deferred", 450, "4.7.1", retry_after=60.0), result("deferred", 450, "4.7.1", retry_after=300.0)
    )
    assert error.retry_after == 300.0
    assert judged(result("deferred", 450, "4.7.0")).retry_after is None
