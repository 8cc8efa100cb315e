"""Mail through Django's Tasks, on whatever backend the setting ``TASKS`` names.

Tasks are a part of Django from 6.0 on; for Django 5.2 they are the distribution ``django-tasks``.

``enqueue(message)`` puts a message into the queue, and the backend's worker sends it through an entry of ``MAILERS``,
or where the other settings of :class:`mailkit.integrations.django.EmailBackend` say. What is to be otherwise than by
default is said in the setting ``MAILKIT_QUEUE``: the fields of :class:`QueueSettings`, by name.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import field, frozen

from mailkit.errors import ConfigurationError, ConnectError, MessageError
from mailkit.hooks import Hooks
from mailkit.integrations.django.configuration import Options, from_settings
from mailkit.integrations.django.conversion import converted
from mailkit.integrations.framework import importing
from mailkit.integrations.queue_courier import Again, Courier
from mailkit.integrations.queue_job import DEFAULT, MAX_SIZE, MailJob
from mailkit.integrations.queue_journal import WEEK
from mailkit.integrations.queue_retry import QueueRetry
from mailkit.message import Message

with importing("django", "Django"):
    from django.conf import settings
    from django.core.cache import caches
    from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.cache.backends.base import BaseCache
    from django.core.mail import EmailMessage
    from django.tasks import TaskContext, TaskResult, task

    from mailkit.integrations.queue_journal import Journal
    from mailkit.transport import Transport

if not TYPE_CHECKING:
    try:
        from django.tasks import task
    except ImportError:
        with importing("django_tasks", "Django's Tasks, a part of Django 6.0 and for 5.2", install="django-tasks"):
            from django_tasks import task  # the same for Django 5.2, as a distribution of its own

__all__ = ["CacheJournal", "QueueRetry", "QueueSettings", "deliver", "enqueue"]

T = TypeVar("T")

SETTING: Final = "MAILKIT_QUEUE"


class CacheJournal:
    """A journal in one of Django's caches: one that all workers share, and that outlives them.

    Args:
        cache: The cache, of Redis, memcached or a table, say; one in the process's own memory knows nothing of others.
        seconds: How long a note is kept: longer than a job may wait for its next attempt, or for being redelivered.
    """

    def __init__(self, cache: BaseCache, *, seconds: int = WEEK) -> None:
        self._cache = cache
        self._seconds = seconds

    def claim(self, key: str, note: str) -> str | None:
        """Write a note if there is none of that key, atomically; return the one that there is.

        Raises:
            ConnectError: The cache could not be asked.
        """

        def ask() -> str | None:
            while not self._cache.add(_cached(key), note, self._seconds):
                found: str | None = self._cache.get(_cached(key))
                if found is not None:  # else it was removed between the two
                    return found
            return None

        return _ask(ask)

    def read(self, key: str) -> str | None:
        """Return the note.

        Raises:
            ConnectError: The cache could not be asked.
        """
        note: str | None = _ask(lambda: self._cache.get(_cached(key)))
        return note

    def write(self, key: str, note: str) -> None:
        """Replace the note.

        Raises:
            ConnectError: The cache could not be told.
        """
        _ask(lambda: self._cache.set(_cached(key), note, self._seconds))

    def forget(self, key: str) -> None:
        """Remove the note.

        Raises:
            ConnectError: The cache could not be told.
        """
        _ask(lambda: self._cache.delete(_cached(key)))


def _cached(key: str) -> str:
    return f"mailkit:job:{key}"


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except Exception as error:  # each backend of a cache has errors of its own
        raise ConnectError(f"the cache with the journal of mail jobs cannot be reached: {error}") from error


@frozen(kw_only=True)
class QueueSettings:
    """The setting ``MAILKIT_QUEUE``.

    Args:
        retry: When a job is run again.
        journal: What workers know of each other's attempts; None is one in the cache of that name.
        cache: The name of the entry in ``CACHES``.
        timeout: Seconds that one phase of a delivery may take.
        hooks: The application's functions that hear what happens.
        max_size: How many octets of JSON a job may have.
        backend: The name of the entry in ``TASKS``.
        queue_name: The name of its queue.
    """

    retry: QueueRetry = field(default=QueueRetry())
    journal: Journal | None = None
    cache: str = "default"
    timeout: float = 30.0
    hooks: Hooks = field(default=Hooks())
    max_size: int = MAX_SIZE
    backend: str = "default"
    queue_name: str = "default"

    @classmethod
    def read(cls) -> QueueSettings:
        """Return the project's.

        Raises:
            ConfigurationError: One of them is not known.
        """
        given: dict[str, Any] = getattr(settings, SETTING, {})
        try:
            return cls(**given)
        except TypeError as error:
            raise ConfigurationError(f"the setting {SETTING} cannot be right: {error}") from None


@cache
def _courier() -> Courier:
    """Return what this process sends with."""
    given = QueueSettings.read()
    journal = given.journal or CacheJournal(caches[given.cache])
    return Courier(_transport, retry=given.retry, journal=lambda: journal, timeout=given.timeout, hooks=given.hooks)


def _transport(name: str) -> Transport:
    entries: dict[str, Any] = getattr(settings, "MAILERS", {})
    if name in entries:
        return from_settings(Options(**entries[name].get("OPTIONS", {})), name).make_transport()
    if name == DEFAULT:
        return from_settings(Options()).make_transport()
    raise ConfigurationError(f"the job is for the mailer {name!r}, which MAILERS does not have: add it")


_SETTINGS: Final = QueueSettings.read()


@task(takes_context=True, backend=_SETTINGS.backend, queue_name=_SETTINGS.queue_name)
def deliver(context: TaskContext[Any, Any], job: dict[str, Any]) -> dict[str, Any] | None:
    """Try once to send what is left of a job; put the rest of it back into the queue where that may help.

    Raises:
        MailkitError: The job has failed for good.
    """
    done = _courier().deliver(job)
    if not isinstance(done, Again):
        return done.summary
    running = context.task_result.task
    if not running.get_backend().supports_defer:
        done.error.add_note(f"mailkit: the backend {running.backend!r} of TASKS cannot run a task later")
        raise done.error
    later: Any = running.using(run_after=timezone.now() + timedelta(seconds=done.seconds))
    later.enqueue(done.job.payload())
    return None


def enqueue(
    message: Message | EmailMessage, *, mailer: str = DEFAULT, **options: Any
) -> TaskResult[[dict[str, Any]], dict[str, Any] | None]:
    """Put a message into the queue, with the Date, Message-ID and idempotency key that it keeps.

    Args:
        message: The message, mailkit's or Django's. Its attachments are read now.
        mailer: Which entry of ``MAILERS`` sends it; where there is none, ``"default"`` is what the settings say.
        options: Those of Django's ``Task.using``, such as ``run_after`` or ``priority``.

    Raises:
        ConfigurationError: `mailer` is no name.
        MessageError: The message has no author or no recipient, is too long for a job, or is one of Django's that is
            several messages or none that JSON has.
    """
    job = MailJob.of(_one(message), mailer=mailer, defaults=Message(from_=settings.DEFAULT_FROM_EMAIL))
    return deliver.using(**options).enqueue(job.payload(max_size=QueueSettings.read().max_size))


def _one(given: Message | EmailMessage) -> Message:
    if isinstance(given, Message):
        return given
    plan = converted(given)
    if not isinstance(plan, list) or len(plan) != 1:
        raise MessageError(
            "a job is one message in fields of its own, and this EmailMessage is personalised, or written by a "
            "message() method of its own: enqueue mailkit Messages instead"
        )
    return plan[0]
