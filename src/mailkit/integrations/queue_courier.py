"""One attempt at a mail job, and what the queue is to do after it: nothing more, or run what is left of it again.

No job is lost, because the queue keeps it until its worker is done; and nobody gets a second copy of it, because a
journal says what became of the attempt where the queue delivers it a second time. Where that was cut short after its
commit point, nobody knows what became of the message: a doubt as after a lost answer.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from mailkit.commit_point import before_commit
from mailkit.edge import run_sync
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError, MailkitError, OutcomeUnknownError
from mailkit.integrations.queue_commit import CommitPoint
from mailkit.integrations.queue_job import MailJob
from mailkit.integrations.queue_journal import write_or_log
from mailkit.integrations.queue_mailers import QueueMailers
from mailkit.integrations.queue_results import error_of, failure_of, has_reached, results_of, summary_of
from mailkit.receipt import Receipt, RecipientResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailkit.hooks import Hooks
    from mailkit.integrations.queue_journal import Journal
    from mailkit.integrations.queue_retry import QueueRetry
    from mailkit.post import Post
    from mailkit.receipt import Status
    from mailkit.transport import Transport

__all__ = ["Again", "Courier", "Done"]

_CERTAINLY_NOT: Final[frozenset[Status]] = frozenset(("not_sent", "deferred"))


@frozen
class Done:
    """Every recipient was accepted, in this attempt or an earlier one.

    Args:
        summary: What the queue may keep as the job's result, as JSON has it.
    """

    summary: dict[str, Any]


@frozen
class Again:
    """There is to be another attempt.

    Args:
        job: The job, for the recipients that are left.
        seconds: How long to wait before.
        error: Why.
    """

    job: MailJob
    seconds: float
    error: MailkitError


class Courier:
    """What a worker does with mail jobs.

    Args:
        find: Returns a mailer's URL or transport by its name, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: When there is another attempt.
        journal: Returns what became of earlier attempts; None relies on what the queue says of redeliveries.
        timeout: Seconds that one phase may take.
        hooks: The application's functions that hear what happens.

    Raises:
        ConfigurationError: `timeout` is not positive.
    """

    def __init__(
        self,
        find: Callable[[str], str | Transport | None],
        *,
        retry: QueueRetry,
        journal: Callable[[], Journal | None],
        timeout: float = 30.0,
        hooks: Hooks | None = None,
    ) -> None:
        if not 0 < timeout < float("inf"):
            raise ConfigurationError(f"timeout={timeout!r} is not a positive, finite number of seconds")
        self._mailers = QueueMailers(find, retry=retry.in_process(), timeout=timeout, hooks=hooks)
        self._retry = retry
        self._find_journal = journal

    def deliver(self, payload: Mapping[str, Any], *, redelivered: bool = False) -> Done | Again:
        """Try once to send what is left of a job.

        Args:
            payload: The job, as :meth:`MailJob.payload` wrote it.
            redelivered: Whether the queue says that it delivered this attempt before. Only asked without a journal.

        Returns:
            What the queue is to do.

        Raises:
            MessageError: The message cannot be sent.
            ConfigurationError: This worker cannot send it.
            DeliveryError: Some recipients have not got it and will not; ``recipients`` says what became of each.
        """
        job = MailJob.from_payload(payload)
        post = self._mailers.post(job.mailer)
        while True:
            try:
                note = self._claim(job, post, redelivered=redelivered)
                if note is not None and "ended" in note:
                    return self._repeated(job, note)
            except ConnectError as error:
                return self._postponed(job, error)
            if note is None:
                return self._attempt(job, post)
            # Another delivery of this attempt was begun, and nobody has seen its end.
            seconds = note["begun"] + self._retry.lost_after - time.time()
            if seconds > 0:
                return Again(job, seconds, ConnectError("another worker may still be at it", phase="worker"))
            try:
                in_doubt = self._may_be_committed(job, note)
            except ConnectError as error:
                return self._postponed(job, error)
            may_repeat = not in_doubt or self._retry.repeats_unknown or _honours_keys(post)
            if job.attempt >= self._retry.attempts or not may_repeat:
                raise self._lost(job, in_doubt=in_doubt)
            job = evolve(job, attempt=job.attempt + 1, doubtful=_union(job.doubtful, job.left if in_doubt else ()))
            redelivered = False

    def close(self) -> None:
        """Give up the connections of this process; the next job opens others."""
        self._mailers.close()

    def _attempt(self, job: MailJob, post: Post) -> Done | Again:
        journal = self._find_journal()
        commit = CommitPoint(journal, _key(job)) if journal is not None else None
        ended: Receipt | MailkitError
        try:
            with nullcontext() if commit is None else before_commit(commit.pass_):
                ended = run_sync(post.send(job.message, job.envelope))
        except MailkitError as error:
            ended = error
        except BaseException as interruption:
            delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
            if isinstance(delivery, DeliveryError) and not has_reached(delivery, job):
                self._forget(job, commit)
            raise
        if commit is not None and not commit.is_passed:
            if commit.given_up:
                # Who has taken over may be lost in its turn before the queue knows of the next attempt.
                later = ConnectError("another worker has taken over", phase="worker")
                return Again(job, self._retry.lost_after, later)
            if commit.lost is not None:
                self._forget(job, commit)
                return self._postponed(job, commit.lost)
        if isinstance(ended, MailkitError) and not isinstance(ended, DeliveryError):
            self._forget(job, commit)  # nothing was written
            raise ended
        return self._settled(job, ended, commit, is_all_or_nothing=post.channel().is_all_or_nothing)

    def _settled(
        self, job: MailJob, ended: Receipt | DeliveryError, commit: CommitPoint | None, *, is_all_or_nothing: bool
    ) -> Done | Again:
        results = results_of(ended, job)
        left = self._left(job, ended, results)
        if is_all_or_nothing and any(each.address not in left and each.status != "accepted" for each in results):
            left = ()  # or some would get what is to be given to all or to nobody
        missed = [each for each in results if each.status != "accepted" and each.address not in left]
        doubtful = [each.address for each in results if each.status == "unknown" and each.address in left]
        rest = evolve(
            job,
            attempt=job.attempt + 1,
            left=left,
            settled=(*job.settled, *missed),
            doubtful=_union(job.doubtful, doubtful),
        )
        if left:
            undecided = [each for each in results if each.address in left]
            seconds = self._pause(job, ended, undecided)
            self._note(job, {"ended": "again", "seconds": seconds, **rest.progress()})
            return Again(rest, seconds, ended if isinstance(ended, DeliveryError) else error_of(job, undecided))
        if not rest.settled:
            summary = summary_of(job, ended)
            self._note(job, {"ended": "done", "summary": summary})
            return Done(summary)
        if any(each.status in {"accepted", "unknown"} for each in results):
            self._note(job, {"ended": "failed", **rest.progress()})
        else:
            # Whoever puts the job back into the queue, when a password was corrected, say, may.
            self._forget(job, commit)
        if isinstance(ended, DeliveryError) and not job.settled and not job.doubtful:
            ended.attempts = job.attempt
            raise ended
        raise failure_of(rest, attempts=job.attempt)

    def _left(self, job: MailJob, ended: Receipt | DeliveryError, results: list[RecipientResult]) -> tuple[str, ...]:
        """Return who is to be tried again."""
        if job.attempt >= self._retry.attempts:
            return ()
        repeatable = _CERTAINLY_NOT
        if self._retry.repeats_unknown or (isinstance(ended, DeliveryError) and ended.idempotent):
            repeatable |= {"unknown"}
        if isinstance(ended, DeliveryError) and not self._retry.in_process().allows(ended):
            return ()
        return tuple(each.address for each in results if each.status in repeatable)

    def _pause(self, job: MailJob, ended: Receipt | DeliveryError, left: list[RecipientResult]) -> float:
        """Return the seconds until the next attempt: what was asked for is the least (RFC 9110 §10.2.3)."""
        cause = ended.cause if isinstance(ended, DeliveryError) else None
        asked = [each.retry_after for each in left]
        if isinstance(ended, DeliveryError):
            asked.append(ended.retry_after)
        jitter = self._retry.seconds(job.attempt, cause, _random())
        return max([jitter, *(seconds for seconds in asked if seconds is not None)])

    def _postponed(self, job: MailJob, error: ConnectError) -> Again:
        """Return what is to be done when the journal could not be asked, and nothing was sent: the same attempt."""
        if job.postponed >= self._retry.attempts:
            raise error
        postponed = evolve(job, postponed=job.postponed + 1)
        return Again(postponed, self._retry.seconds(postponed.postponed, error.cause, _random()), error)

    def _repeated(self, job: MailJob, note: Mapping[str, Any]) -> Done | Again:
        """Do once more what an attempt was ended with, before the queue was told."""
        if note["ended"] == "done":
            return Done(note["summary"])
        rest = evolve(job.after(note), attempt=job.attempt + 1)
        if note["ended"] == "failed":
            raise failure_of(rest, attempts=job.attempt)
        journal = self._find_journal()
        if journal is not None and journal.read(_key(rest)) is not None:
            return Done(summary_of(job, None))  # the next attempt has come into the queue, and has begun
        return Again(
            rest, note["seconds"], error_of(job, [RecipientResult(each, status="deferred") for each in rest.left])
        )

    def _lost(self, job: MailJob, *, in_doubt: bool) -> DeliveryError:
        """Return the error of a job that is not run again after a worker was lost."""
        status: Status = "unknown" if in_doubt else "not_sent"
        results = [RecipientResult(address, status=status, phase="worker") for address in job.left]
        rest = evolve(job, settled=(*job.settled, *results), left=())
        self._note(job, {"ended": "failed", **rest.progress()})
        if not in_doubt:
            because = ", whose worker was killed before they could be. See what kills it, then enqueue the message anew"
            return failure_of(rest, attempts=job.attempt, because=because)
        return OutcomeUnknownError(
            f"attempt {job.attempt} at {job.message.message_id} was begun by a worker that was killed, or is still at "
            "it: whether the message was accepted is not known. Look into the server's log; to send it again enqueue "
            'it anew, or choose on_unknown="retry", which prefers two copies to none',
            phase="worker",
            recipients=rest.settled,
            attempts=job.attempt,
            message_id=job.message.message_id,
        )

    def _claim(self, job: MailJob, post: Post, *, redelivered: bool) -> dict[str, Any] | None:
        """Begin the attempt; return what is known of it where another worker has."""
        journal = self._find_journal()
        if journal is None:
            return {"begun": float("-inf")} if redelivered else None
        begun = {"begun": time.time(), "notes_commit": post.channel().announces_commit}
        note = journal.claim(_key(job), json.dumps(begun))
        return None if note is None else json.loads(note)

    def _may_be_committed(self, job: MailJob, note: Mapping[str, Any]) -> bool:
        """Whether somebody may get the message from a worker that was lost; where not, see to it that it stays so."""
        journal = self._find_journal()
        return journal is None or not note.get("notes_commit") or not CommitPoint(journal, _key(job)).give_up()

    def _note(self, job: MailJob, note: Mapping[str, Any]) -> None:
        journal = self._find_journal()
        if journal is not None:
            write_or_log(lambda: journal.write(_key(job), json.dumps(note)))

    def _forget(self, job: MailJob, commit: CommitPoint | None) -> None:
        journal = self._find_journal()
        if commit is not None:
            commit.forget()  # first, because an attempt that has no such note is one of which nothing was sent
        if journal is not None:
            write_or_log(lambda: journal.forget(_key(job)))


def _random() -> float:
    return random.random()  # noqa: S311 - no secret


def _key(job: MailJob) -> str:
    return f"{job.id}:{job.attempt}"


def _union(some: tuple[str, ...], others: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *others)))


def _honours_keys(post: Post) -> bool:
    """Whether the other side itself sees to it that a message which comes twice is one."""
    return getattr(post.channel().transport, "idempotency_header", None) is not None
