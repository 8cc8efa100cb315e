"""Mail through RQ: a job that sends a message, tries again when that may help, and never loses or doubles one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mailkit.integrations.framework import importing
from mailkit.integrations.queue_courier import Again, Courier
from mailkit.integrations.queue_job import DEFAULT, MAX_SIZE, MailJob
from mailkit.integrations.queue_journal import RedisJournal
from mailkit.integrations.queue_mailers import from_mapping
from mailkit.integrations.queue_retry import QueueRetry

with importing("rq", "RQ"):
    from rq import Retry, get_current_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rq import Queue
    from rq.job import Job

    from mailkit.hooks import Hooks
    from mailkit.integrations.queue_journal import Journal
    from mailkit.message import Message
    from mailkit.transport import Transport

__all__ = ["MailQueue", "QueueRetry", "RedisJournal"]

_OFTEN = 1_000_000  # whether there is another attempt is for QueueRetry to say


class MailQueue:
    """Mail through an RQ queue: ``mail = MailQueue(queue, path="shop.mail.mail")`` in the module ``shop.mail``.

    RQ's workers import what they run by its path. A job whose worker was killed is put back into the queue, and
    `journal` then says how far it had come. A job fails, with mailkit's error, when a recipient will not get the
    message. A retry that waits needs RQ's scheduler: ``rq worker --with-scheduler``.

    Example:
        >>> from redis import Redis
        >>> from rq import Queue
        >>> mail = MailQueue(Queue(connection=Redis()), path="shop.mail.mail", mailers={"default": "memory://"})

    Args:
        queue: The queue.
        path: Where a worker finds this object: its module's name, a dot, and its own.
        mailers: URLs or transports by the names that `enqueue` gives; only workers need them. The one of ``"default"``
            is ``MAILKIT_URL`` in the environment, where it is not said.
        retry: When a job is run again.
        journal: What workers know of each other's attempts; None is one in the queue's Redis.
        defaults: What fills in what a message leaves open, when it is put into the queue.
        timeout: Seconds that one phase of a delivery may take.
        hooks: The application's functions that hear what happens.
        max_size: How many octets of JSON a job may have.

    Raises:
        ConfigurationError: `timeout` is not positive.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        path: str,
        mailers: Mapping[str, str | Transport] | None = None,
        retry: QueueRetry = QueueRetry(),  # noqa: B008 - a frozen value
        journal: Journal | None = None,
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks | None = None,
        max_size: int = MAX_SIZE,
    ) -> None:
        self._queue = queue
        self._path = path
        self._defaults = defaults
        self._max_size = max_size
        in_force = journal or RedisJournal(queue.connection)
        self._courier = Courier(
            from_mapping(mailers), retry=retry, journal=lambda: in_force, timeout=timeout, hooks=hooks
        )

    def enqueue(self, message: Message, *, mailer: str = DEFAULT, **options: Any) -> Job:
        """Put a message into the queue, with the Date, Message-ID and idempotency key that it keeps.

        Args:
            message: The message. Its attachments are read now.
            mailer: Which of the worker's mailers sends it.
            options: Those of RQ's ``enqueue``, such as ``job_id``, ``at_front`` or ``result_ttl``.

        Raises:
            ConfigurationError: `mailer` is no name.
            MessageError: The message has no author or no recipient, or is too long for a job.
        """
        job = MailJob.of(message, mailer=mailer, defaults=self._defaults)
        options.setdefault("description", repr(job))  # else RQ shows and logs what the message says, and to whom
        payload = job.payload(max_size=self._max_size)
        # RQ puts a job whose worker was killed back into the queue if it has retries left, and else drops it.
        queue: Any = self._queue
        queued: Job = queue.enqueue(f"{self._path}.deliver", args=(payload,), retry=Retry(max=_OFTEN), **options)
        return queued

    def close(self) -> None:
        """Give up the connections of this process: for workers that run many jobs in one (``SimpleWorker``)."""
        self._courier.close()

    def deliver(self, payload: dict[str, Any]) -> dict[str, Any] | Retry:
        """Try once to send what is left of a job: what RQ's workers call.

        Returns:
            What RQ keeps as the job's result, or what makes it run the job again.

        Raises:
            MailkitError: The job has failed for good.
        """
        running = get_current_job()
        try:
            done = self._courier.deliver(payload)
        except Exception:
            if running is not None:
                running.retries_left = 0
            raise
        if not isinstance(done, Again):
            return done.summary
        if running is not None:
            running.args = (done.job.payload(),)  # who is left; RQ stores the job as it puts it back
        return Retry(max=_OFTEN, interval=math.ceil(done.seconds))
