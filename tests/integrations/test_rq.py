from __future__ import annotations

from typing import Any

import pytest
import rq.job
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry as Once
from rq import Retry
from tests.integrations.notebook import Notebook

from mailkit import ConnectError, Message, MessageError, RejectedError, TransientError
from mailkit.integrations.queue_journal import RedisJournal
from mailkit.integrations.rq import MailQueue, QueueRetry
from mailkit.testing import FakeTransport

HELLO = Message(from_="ada@example.com", to="bob@example.org", bcc="eve@example.net", subject="Hello", text="Hi Bob")


class Line:
    """Stands where RQ's queue stands, which is in Redis: keeps what is put into it."""

    connection = Redis(host="127.0.0.1", port=1, retry=Once(NoBackoff(), 0))

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def enqueue(self, function: str, **options: Any) -> str:
        """Keep it."""
        self.calls.append((function, options))
        return "queued"


def queue(fake: FakeTransport, line: Any = None, **options: Any) -> MailQueue:
    """Return a queue that sends into a fake."""
    return MailQueue(line or Line(), path="shop.mail.mail", mailers={"default": fake}, **options)  # type: ignore[arg-type]


def payload(mail: MailQueue, message: Message = HELLO) -> dict[str, Any]:
    """Return what a worker is given."""
    mail.enqueue(message)
    line: Any = mail._queue
    job: dict[str, Any] = line.calls[-1][1]["args"][0]
    return job


def test_a_job_is_found_by_its_path_and_shows_nothing_of_the_message() -> None:
    """RQ imports ``shop.mail.mail.deliver``; its description is the Message-ID; options are RQ's own."""
    line: Any = Line()
    queue(FakeTransport(), line).enqueue(HELLO, at_front=True)
    [(function, options)] = line.calls
    assert function == "shop.mail.mail.deliver"
    assert options["at_front"] is True
    assert "bob" not in options["description"]
    assert options["retry"].max > 1000


def test_a_job_that_is_done_returns_a_summary() -> None:
    """The author comes from the defaults."""
    fake = FakeTransport()
    mail = queue(fake, journal=Notebook(), defaults=Message(from_="shop@example.com"))
    done = mail.deliver(payload(mail, HELLO.evolve(from_=None)))
    assert isinstance(done, dict)
    assert done["message_id"] == fake.outbox[0].receipt.message_id
    mail.close()


class Running:
    """The job that RQ runs."""

    retries_left = 5
    args: tuple[Any, ...] = ()


def test_who_is_left_is_what_rq_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The running job gets other arguments, and RQ is told to wait as long as the server asked for."""
    running = Running()
    monkeypatch.setattr("mailkit.integrations.rq.get_current_job", lambda: running)
    fake = FakeTransport()
    mail = queue(fake, journal=Notebook())
    fake.fail_next(TransientError("busy", retry_after=4000.5), recipient="eve@example.net")
    again = mail.deliver(payload(mail))
    assert isinstance(again, Retry)
    assert again.intervals[0] >= 4001
    [rest] = running.args
    assert rest["left"] == ["eve@example.net"]
    assert isinstance(mail.deliver(rest), dict)


def test_what_is_refused_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """RQ would put a job that fails back into the queue; this one has no retries left."""
    running = Running()
    monkeypatch.setattr("mailkit.integrations.rq.get_current_job", lambda: running)
    fake = FakeTransport()
    mail = queue(fake, journal=Notebook())
    fake.fail_next(RejectedError("no"))
    with pytest.raises(RejectedError):
        mail.deliver(payload(mail))
    assert running.retries_left == 0


def test_a_job_may_be_called_by_hand() -> None:
    """Without RQ around it, it does the same."""
    assert rq.job.get_current_job() is None
    fake = FakeTransport()
    mail = queue(fake, journal=Notebook(), retry=QueueRetry(attempts=2))
    fake.fail_next(TransientError("busy"), times=2)
    job = payload(mail)
    assert isinstance(mail.deliver(job), Retry)
    with pytest.raises(TransientError):
        mail.deliver({**job, "attempt": 2})


def test_the_journal_is_in_the_queue_s_redis() -> None:
    """One that cannot be reached postpones the job, and nothing is sent."""
    fake = FakeTransport()
    mail = queue(fake)
    assert isinstance(mail._courier._find_journal(), RedisJournal)
    assert isinstance(mail.deliver(payload(mail)), Retry)
    assert fake.outbox == []
    with pytest.raises(ConnectError, match="journal"):
        RedisJournal(Line.connection).forget("a")


def test_a_message_that_cannot_be_sent_is_not_enqueued() -> None:
    """Whoever enqueues it hears of it, not a log."""
    with pytest.raises(MessageError, match="10"):
        queue(FakeTransport(), max_size=10).enqueue(HELLO)
