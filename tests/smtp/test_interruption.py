"""What is attached to an interruption."""

from __future__ import annotations

from mailkit import ConnectError, Envelope, OutcomeUnknownError, Receipt, RecipientResult
from mailkit.smtp.interruption import annotate, results_of, untouched


def test_a_message_that_no_connection_was_had_for() -> None:
    """Every recipient is not sent, in the phase that failed."""
    results = untouched(Envelope("ada@example.com", ["bob@example.org", "eve@example.net"]), "pool")
    assert [(result.address, result.status, result.phase) for result in results] == [
        ("bob@example.org", "not_sent", "pool"),
        ("eve@example.net", "not_sent", "pool"),
    ]


def annotated(*statuses: str, message_id: str = "one@example.com") -> KeyboardInterrupt:
    """Annotate an interrupt with results."""
    interruption = KeyboardInterrupt()
    results = [RecipientResult(f"r{n}@example.org", status=status) for n, status in enumerate(statuses)]  # type: ignore[arg-type]
    annotate(interruption, results, transport="smtp://mx.test:25", message_id=message_id)
    return interruption


def test_the_delivery_is_attached_and_noted() -> None:
    """The attribute is the receipt or the error that there would have been, the note tells the same in words."""
    assert type(annotated("not_sent").delivery) is ConnectError  # type: ignore[attr-defined]
    assert type(annotated("not_sent", "unknown").delivery) is OutcomeUnknownError  # type: ignore[attr-defined]
    assert type(annotated("accepted", "unknown").delivery) is Receipt  # type: ignore[attr-defined]
    (note,) = annotated("unknown").__notes__
    assert note == "mailkit: the delivery of one@example.com was interrupted, which left: r0@example.org: unknown"
    assert "of a message was" in annotated("unknown", message_id="").__notes__[0]


def test_the_results_can_be_had_back() -> None:
    """From an interruption that was annotated come its results, from another none."""
    assert [result.status for result in results_of(annotated("accepted", "unknown"))] == ["accepted", "unknown"]
    assert results_of(KeyboardInterrupt()) == ()
