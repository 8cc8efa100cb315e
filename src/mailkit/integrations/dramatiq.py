"""Mail through Dramatiq: an actor that sends a message, tries again when that may help, and loses none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mailkit.integrations.framework import importing
from mailkit.integrations.queue_courier import Again, Courier
from mailkit.integrations.queue_job import DEFAULT, MAX_SIZE, MailJob
from mailkit.integrations.queue_journal import RedisJournal
from mailkit.integrations.queue_mailers import from_mapping
from mailkit.integrations.queue_retry import QueueRetry

with importing("dramatiq", "Dramatiq"):
    import dramatiq
    from dramatiq.middleware import Middleware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.hooks import Hooks
    from mailkit.integrations.queue_journal import Journal
    from mailkit.message import Message
    from mailkit.transport import Transport

__all__ = ["MailQueue", "QueueRetry", "RedisJournal"]

ACTOR: Final = "mailkit_deliver"


class MailQueue:
    """Mail through a Dramatiq broker: ``mail = MailQueue()`` in a module that the workers import, beside its actors.

    Dramatiq acknowledges a message when it is done, and delivers it to another worker when its own was killed;
    `journal` then says how far it had come. A message fails, and is dead, when a recipient will not get the mail.

    Example:
        >>> from dramatiq.brokers.stub import StubBroker
        >>> from mailkit import Message
        >>> mail = MailQueue(StubBroker(), mailers={"default": "memory://"})
        >>> queued = mail.enqueue(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))

    Args:
        broker: The broker; Dramatiq's global one where None.
        mailers: URLs or transports by the names that `enqueue` gives; only workers need them. The one of ``"default"``
            is ``MAILKIT_URL`` in the environment, where it is not said.
        retry: When a job is run again; Dramatiq's own numbers (``max_retries``, backoff) do not count.
        journal: What workers know of each other's attempts. None is one in the broker, where that is Redis; with any
            other broker that delivers twice, a killed worker's mail may be sent twice.
        defaults: What fills in what a message leaves open, when it is put into the queue.
        timeout: Seconds that one phase of a delivery may take.
        hooks: The application's functions that hear what happens.
        name: The name of the actor.
        max_size: How many octets of JSON a job may have.
        options: Further options of the actor, such as ``queue_name``, ``priority`` or ``time_limit``.

    Raises:
        ConfigurationError: `timeout` is not positive.
    """

    def __init__(
        self,
        broker: dramatiq.Broker | None = None,
        *,
        mailers: Mapping[str, str | Transport] | None = None,
        retry: QueueRetry = QueueRetry(),  # noqa: B008 - a frozen value
        journal: Journal | None = None,
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks | None = None,
        name: str = ACTOR,
        max_size: int = MAX_SIZE,
        **options: Any,
    ) -> None:
        self._broker = broker or dramatiq.get_broker()
        self._defaults = defaults
        self._max_size = max_size
        in_force = journal or _journal_of(self._broker)
        courier = self._courier = Courier(
            from_mapping(mailers), retry=retry, journal=lambda: in_force, timeout=timeout, hooks=hooks
        )

        def deliver(job: dict[str, Any]) -> None:
            done = courier.deliver(job)
            if isinstance(done, Again):
                # The message that is put back into the queue is this one, whose arguments are these.
                job.update(done.job.payload())
                raise dramatiq.Retry(str(done.error), delay=math.ceil(done.seconds * 1000))

        self._broker.add_middleware(_Attendance(name, courier))
        register = dramatiq.actor(broker=self._broker, actor_name=name, retry_when=_is_asked_for, **options)
        self.actor: dramatiq.Actor[[dict[str, Any]], None] = register(deliver)
        """The actor, for pipelines and options of one's own; it takes a job as `enqueue` makes it."""

    def enqueue(self, message: Message, *, mailer: str = DEFAULT, **options: Any) -> dramatiq.Message[None]:
        """Put a message into the queue, with the Date, Message-ID and idempotency key that it keeps.

        Args:
            message: The message. Its attachments are read now.
            mailer: Which of the worker's mailers sends it.
            options: Those of Dramatiq's ``send_with_options``, such as ``delay`` in milliseconds.

        Raises:
            ConfigurationError: `mailer` is no name.
            MessageError: The message has no author or no recipient, or is too long for a job.
        """
        job = MailJob.of(message, mailer=mailer, defaults=self._defaults)
        actor: Any = self.actor
        queued: dramatiq.Message[None] = actor.send_with_options(
            kwargs={"job": job.payload(max_size=self._max_size)}, **options
        )
        return queued

    def close(self) -> None:
        """Give up the connections of this process; a worker does so when it ends."""
        self._courier.close()


def _is_asked_for(_retries: int, error: BaseException) -> bool:
    return isinstance(error, dramatiq.Retry)


def _journal_of(broker: dramatiq.Broker) -> RedisJournal | None:
    client = getattr(broker, "client", None)
    return None if client is None else RedisJournal(client)


class _Job(dict[str, Any]):
    """A job that does not say what is in it when a failed message is logged."""

    def __repr__(self) -> str:
        return f"<mail job {self.get('id')}>"


class _Attendance(Middleware):
    def __init__(self, actor: str, courier: Courier) -> None:
        self._actor = actor
        self._courier = courier

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:  # noqa: ARG002
        if message.actor_name == self._actor and "job" in message.kwargs:
            message.kwargs["job"] = _Job(message.kwargs["job"])

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        self._courier.close()
