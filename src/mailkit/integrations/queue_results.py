"""What an attempt at a mail job has brought, and what the queue keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from mailkit.errors import DeliveryError
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from mailkit.integrations.queue_job import MailJob
    from mailkit.receipt import Status

__all__ = ["error_of", "failure_of", "has_reached", "results_of", "summary_of"]


def results_of(ended: Receipt | DeliveryError, job: MailJob) -> list[RecipientResult]:
    """Return what became of each recipient, those included whom nothing was said of: nobody is lost."""
    named = {each.address: each for each in ended.recipients}
    others: Status = ended.outcome if isinstance(ended, DeliveryError) else "unknown"
    for address in job.left:
        named.setdefault(address, RecipientResult(address, status=others))
    return [named[address] for address in job.left]


def has_reached(delivery: DeliveryError, job: MailJob) -> bool:
    """Whether somebody was accepted, or may have been."""
    return any(each.status in {"accepted", "unknown"} for each in results_of(delivery, job))


def summary_of(job: MailJob, ended: Receipt | DeliveryError | None) -> dict[str, Any]:
    """Return what the queue may keep as the result of a job."""
    receipt = ended if isinstance(ended, Receipt) else None
    return {
        "message_id": job.message.message_id,
        "transport": None if receipt is None else receipt.transport,
        "provider_id": None if receipt is None else receipt.provider_id,
        "attempts": job.attempt,
    }


def failure_of(job: MailJob, *, attempts: int, because: str = "") -> DeliveryError:
    """Return the error of a job of which nothing is left; `because` is added to what it says."""
    # Whoever may have got an earlier copy is in doubt, whatever became of the later ones.
    settled = [evolve(each, status="unknown") if each.address in job.doubtful else each for each in job.settled]
    return error_of(evolve(job, attempt=attempts), settled, because)


def error_of(job: MailJob, missed: list[RecipientResult], because: str = "") -> DeliveryError:
    """Return the error that says what became of these recipients of a job."""
    recipients = len(job.message.to) + len(job.message.cc) + len(job.message.bcc)
    return error_for_recipients(
        missed,
        f"{len(missed)} of {recipients} recipients were not accepted by attempt {job.attempt}{because}",
        transport=f"mailer {job.mailer!r}",
        attempts=job.attempt,
        message_id=job.message.message_id,
    )
