"""Mail through Celery: a task that sends a message, tries again when that may help, and never loses or doubles one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import ConnectError
from mailkit.integrations.framework import importing
from mailkit.integrations.queue_courier import Again, Courier
from mailkit.integrations.queue_job import DEFAULT, MAX_SIZE, MailJob
from mailkit.integrations.queue_journal import RedisJournal
from mailkit.integrations.queue_mailers import from_mapping
from mailkit.integrations.queue_retry import QueueRetry

with importing("celery", "Celery"):
    from celery.signals import worker_process_shutdown
    from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from celery import Celery, Task
    from celery.result import AsyncResult
    from redis import Redis

    from mailkit.hooks import Hooks
    from mailkit.integrations.queue_journal import Journal
    from mailkit.message import Message
    from mailkit.transport import Transport

__all__ = ["MailQueue", "QueueRetry", "RedisJournal"]

TASK: Final = "mailkit.deliver"


class MailQueue:
    """Mail through a Celery application: ``mail = MailQueue(app)`` beside its tasks, for all of its processes.

    A job is acknowledged when it is done, and delivered to another worker when its own was killed; `journal` then says
    how far it had come. A job fails (``FAILURE``) with mailkit's error when a recipient will not get the message.

    Example:
        >>> from celery import Celery
        >>> from mailkit import Message
        >>> app = Celery("shop", broker="memory://")
        >>> mail = MailQueue(app, mailers={"default": "memory://"})
        >>> result = mail.enqueue(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))

    Args:
        app: The application.
        mailers: URLs or transports by the names that `enqueue` gives; only workers need them. The one of ``"default"``
            is ``MAILKIT_URL`` in the environment, where it is not said.
        retry: When a job is run again.
        journal: What workers know of each other's attempts. None is one in the broker, where that is Redis; with any
            other broker a redelivered job is one of unknown outcome.
        defaults: What fills in what a message leaves open, when it is put into the queue.
        timeout: Seconds that one phase of a delivery may take.
        hooks: The application's functions that hear what happens.
        name: The name of the task.
        max_size: How many octets of JSON a job may have.

    Raises:
        ConfigurationError: `timeout` is not positive.
    """

    def __init__(
        self,
        app: Celery,
        *,
        mailers: Mapping[str, str | Transport] | None = None,
        retry: QueueRetry = QueueRetry(),  # noqa: B008 - a frozen value
        journal: Journal | None = None,
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks | None = None,
        name: str = TASK,
        max_size: int = MAX_SIZE,
    ) -> None:
        self._app = app
        self._journal = journal
        self._defaults = defaults
        self._max_size = max_size
        courier = self._courier = Courier(
            from_mapping(mailers), retry=retry, journal=self._find_journal, timeout=timeout, hooks=hooks
        )

        def deliver(task: Task[Any, Any], job: dict[str, Any]) -> dict[str, Any]:
            done = courier.deliver(job, redelivered=bool((task.request.delivery_info or {}).get("redelivered")))
            if isinstance(done, Again):
                rest = done.job
                raise task.retry(args=(rest.payload(),), exc=done.error, countdown=done.seconds, **_shown_as(rest))
            return done.summary

        # A lost worker's message goes back to the queue, and so that it can, it is acknowledged only when it is done.
        register = app.task(
            name=name,
            bind=True,
            shared=False,
            serializer="json",
            acks_late=True,
            reject_on_worker_lost=True,
            max_retries=None,
        )
        self.task: Any = register(deliver)
        """The task, for signatures and options of one's own; it takes a job as `enqueue` makes it."""
        worker_process_shutdown.connect(self._on_shutdown)

    def enqueue(self, message: Message, *, mailer: str = DEFAULT, **options: Any) -> AsyncResult[dict[str, Any]]:
        """Put a message into the queue, with the Date, Message-ID and idempotency key that it keeps.

        Args:
            message: The message. Its attachments are read now.
            mailer: Which of the worker's mailers sends it.
            options: Those of Celery's ``apply_async``, such as ``countdown``, ``queue`` or ``priority``.

        Raises:
            ConfigurationError: `mailer` is no name.
            MessageError: The message has no author or no recipient, or is too long for a job.
        """
        job = MailJob.of(message, mailer=mailer, defaults=self._defaults)
        payload = job.payload(max_size=self._max_size)
        result: AsyncResult[dict[str, Any]] = self.task.apply_async((payload,), **{**_shown_as(job), **options})
        return result

    def close(self) -> None:
        """Give up the connections of this process; a worker's processes do so when they end."""
        self._courier.close()

    def _on_shutdown(self, **_: object) -> None:
        self.close()

    def _find_journal(self) -> Journal | None:
        if self._journal is None and self._app.connection_for_write().transport.driver_type == "redis":
            self._journal = RedisJournal(self._borrow_redis)
        return self._journal

    @contextmanager
    def _borrow_redis(self) -> Generator[Redis, None, None]:
        from redis import Redis

        with self._app.pool.acquire(block=True) as connection:
            borrowed: Any = connection
            try:
                pool = borrowed.default_channel.pool
            except OperationalError as error:
                raise ConnectError(
                    f"the broker, which has the journal of mail jobs, cannot be reached: {error}", phase="journal"
                ) from error
            yield Redis(connection_pool=pool)


def _shown_as(job: MailJob) -> dict[str, Any]:
    """Return what Celery logs and shows as a task's arguments: nothing of what a message says, or to whom."""
    return {"argsrepr": f"({job!r},)"}
