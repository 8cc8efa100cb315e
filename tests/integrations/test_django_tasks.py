from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.mail import EmailMessage
from django.test import override_settings
from tests.integrations.django_project import HAS_MAILERS
from tests.integrations.notebook import BEGUN

from mailkit import ConfigurationError, ConnectError, Message, MessageError, OutcomeUnknownError
from mailkit.integrations import django_tasks
from mailkit.integrations.django_tasks import CacheJournal, QueueRetry, QueueSettings, enqueue
from mailkit.testing import SMTPServer

try:
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import TaskContext
except ImportError:
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import TaskContext

if TYPE_CHECKING:
    from collections.abc import Iterator

IMMEDIATE = f"{BaseTaskBackend.__module__.partition('.backends')[0]}.backends.immediate.ImmediateBackend"
HELLO = Message(to="bob@example.org", bcc="eve@example.net", subject="Hello", text="Hi Bob")

waiting: list[tuple[Any, dict[str, Any]]] = []


class Deferring(BaseTaskBackend):
    """A backend that keeps what it is given, and runs it when a test says so."""

    supports_defer = True

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Keep it."""
        waiting.append((task, args[0]))


def run_next() -> Any:
    """Run the oldest task, as a worker does."""
    task, job = waiting.pop(0)

    class Result:
        pass

    result: Any = Result()
    result.task = task
    return task.call(TaskContext(task_result=result), job)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Let each test find an empty queue, and a worker that has not sent yet."""
    waiting.clear()
    django_tasks._courier.cache_clear()
    yield
    django_tasks._courier().close()
    django_tasks._courier.cache_clear()


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    """Where the mail goes."""
    with SMTPServer() as server, override_settings(MAILKIT_URL=server.url):
        yield server


def tasks(backend: str) -> dict[str, Any]:
    """Return the setting TASKS."""
    return {"default": {"BACKEND": backend}}


DEFERRING = tasks(f"{__name__}.Deferring")


@override_settings(TASKS=tasks(IMMEDIATE))
@pytest.mark.parametrize(
    "message", [HELLO, EmailMessage("Hello", "Hi Bob", to=["bob@example.org"], bcc=["eve@example.net"])]
)
def test_a_message_is_sent_by_the_task(message: Any, server: SMTPServer) -> None:
    """Mailkit's or Django's: the author is the project's, and everybody gets it."""
    result = enqueue(message)
    assert result.errors == []
    [letter] = server.messages
    assert letter.rcpt_to == ("bob@example.org", "eve@example.net")
    assert letter.mail_from == "shop@example.com"


@override_settings(TASKS=DEFERRING)
def test_who_is_left_is_put_back_into_the_queue_for_later(server: SMTPServer) -> None:
    """One recipient is deferred: another task, which is to run after a while, is for her alone."""
    server.script("RCPT", "450 4.2.1 later", match="eve@example.net")
    enqueue(HELLO)
    assert run_next() is None
    task, job = waiting[0]
    assert job["left"] == ["eve@example.net"]
    assert task.run_after is not None
    assert run_next()["attempts"] == 2
    assert [letter.rcpt_to for letter in server.messages] == [("bob@example.org",), ("eve@example.net",)]


@override_settings(TASKS=tasks(IMMEDIATE))
def test_a_backend_that_runs_nothing_later_fails_what_would_be_tried_again(server: SMTPServer) -> None:
    """The error is the one of the attempt, and says so."""
    server.script("MAIL", "450 4.3.0 later", times=2)
    [error] = enqueue(HELLO).errors
    assert "cannot run a task later" in error.traceback


@override_settings(TASKS=DEFERRING)
def test_a_task_that_comes_twice_is_sent_once(server: SMTPServer) -> None:
    """The cache remembers that it is done."""
    enqueue(HELLO)
    waiting.append(waiting[0])
    assert run_next() == run_next()
    assert len(server.messages) == 1


@override_settings(TASKS=DEFERRING, MAILKIT_QUEUE={"retry": QueueRetry(attempts=1)})
def test_a_task_whose_worker_was_killed_is_in_doubt(server: SMTPServer) -> None:
    """Its note says that it was begun, and nothing more."""
    enqueue(HELLO)
    journal = CacheJournal(LocMemCache("", {}))
    journal.claim(f"{waiting[0][1]['id']}:1", BEGUN)
    with pytest.raises(OutcomeUnknownError):
        run_next()
    assert server.messages == ()


@override_settings(TASKS=DEFERRING)
def test_an_entry_of_mailers_is_a_mailer() -> None:
    """Its OPTIONS say where to; a name that is no entry is an error."""
    with SMTPServer() as server:
        entries = {"bulk": {"BACKEND": "mailkit.integrations.django.EmailBackend", "OPTIONS": {"url": server.url}}}
        with override_settings(**({"MAILERS": {"default": entries["bulk"], **entries}} if HAS_MAILERS else {})):
            if not HAS_MAILERS:
                with pytest.raises(ConfigurationError, match="MAILERS"):
                    _run("bulk")
                return
            _run("bulk")
            with pytest.raises(ConfigurationError, match="MAILERS"):
                _run("other")
        assert len(server.messages) == 1
        django_tasks._courier().close()


def _run(mailer: str) -> None:
    enqueue(HELLO, mailer=mailer)
    run_next()


@override_settings(TASKS=DEFERRING, MAILKIT_QUEUE={"max_size": 100})
def test_a_job_that_is_too_long_is_refused() -> None:
    """The setting says how long it may be."""
    with pytest.raises(MessageError, match="100"):
        enqueue(HELLO)


@override_settings(MAILKIT_QUEUE={"attempts": 3})
def test_a_setting_that_is_not_known_is_refused() -> None:
    """The error names the setting."""
    with pytest.raises(ConfigurationError, match="MAILKIT_QUEUE"):
        QueueSettings.read()


class Handmade(EmailMessage):
    """One that writes itself."""

    def message(self, **_: Any) -> Any:
        """Write it."""
        return super().message()


def test_what_is_not_one_message_in_fields_is_refused() -> None:
    """Bytes that Django wrote are no fields: a job has a Message."""
    with pytest.raises(MessageError, match="one message"):
        enqueue(Handmade("Hello", "Hi", to=["bob@example.org"]))


def test_a_cache_is_a_journal() -> None:
    """A claim is given once; notes are replaced and removed; a cache that fails is one that cannot be reached."""
    journal = CacheJournal(LocMemCache("journal", {}))
    assert journal.claim("a", "begun") is None
    assert journal.claim("a", "again") == "begun" == journal.read("a")
    journal.write("a", "done")
    assert journal.claim("a", "begun") == "done"
    journal.forget("a")
    assert journal.read("a") is None

    class Lost(LocMemCache):
        def get(self, *_: Any, **__: Any) -> Any:
            raise OSError("gone")

    with pytest.raises(ConnectError, match="gone"):
        CacheJournal(Lost("", {})).read("a")
