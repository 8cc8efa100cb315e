"""What an interruption leaves behind: cancellation and KeyboardInterrupt say what became of the message, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import ConnectError
from mailkit.receipt import RecipientResult, told
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.envelope import Envelope

__all__ = ["annotate", "results_of", "untouched"]


def untouched(envelope: Envelope, phase: str | None) -> tuple[RecipientResult, ...]:
    """Return the results of a message that no connection could be had for."""
    return tuple(RecipientResult(path.addr_spec, status="not_sent", phase=phase) for path in envelope.rcpt_to)


def annotate(
    interruption: BaseException, results: Iterable[RecipientResult], *, transport: str, message_id: str
) -> None:
    """Attach to an interruption what became of the message that it interrupted.

    Its attribute ``delivery`` is the receipt that would have been returned, or the error that would have been raised,
    and a note says the same to whoever reads the traceback.
    """
    delivered = Delivered(tuple(results), ConnectError("the delivery was interrupted"))
    interruption.add_note(
        f"mailkit: the delivery of {message_id or 'a message'} was interrupted, which left: {told(delivered.results)}"
    )
    interruption.__dict__["delivery"] = verdict(delivered, transport=transport, message_id=message_id)


def results_of(interruption: BaseException) -> tuple[RecipientResult, ...]:
    """Return what :func:`annotate` has attached, nothing where it has not."""
    recipients: tuple[RecipientResult, ...] = getattr(getattr(interruption, "delivery", None), "recipients", ())
    return recipients
