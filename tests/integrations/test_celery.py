from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import before_task_publish, setup_logging, worker_process_shutdown
from tests.integrations.notebook import Notebook

from mailkit import (
    ConnectError,
    MailkitError,
    Message,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
)
from mailkit.integrations.celery import MailQueue, QueueRetry
from mailkit.integrations.queue_job import MailJob
from mailkit.integrations.queue_journal import RedisJournal
from mailkit.policies import FullJitter
from mailkit.testing import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(celery|kombu|billiard).*")

HELLO = Message(from_="ada@example.com", to="bob@example.org", bcc="eve@example.net", subject="Hello", text="Hi Bob")
AT_ONCE = QueueRetry(wait=FullJitter(transient=(0.001, 0.001), throttled=(0.001, 0.001)))


def application() -> Celery:
    """Return an application with everything in memory."""
    app = Celery("shop", broker="memory://", backend="cache+memory://")
    app.conf.update(worker_redirect_stdouts=False, broker_transport_options={"polling_interval": 0.01})
    return app


@pytest.fixture
def app() -> Celery:
    """An application without a worker."""
    return application()


def queue(app: Celery, transport: FakeTransport, **options: Any) -> MailQueue:
    """Return a queue whose retries come at once."""
    return MailQueue(app, mailers={"default": transport}, journal=Notebook(), retry=AT_ONCE, **options)


def _leave_logging_alone(**_: Any) -> None:
    """Stand where an application sets logging up, so that Celery does not."""


@pytest.fixture(scope="module")
def working() -> Iterator[tuple[MailQueue, FakeTransport]]:
    """A queue with a worker in a thread, which takes seconds to stop, and what it sends through."""
    fake = FakeTransport()
    app = application()
    mail = queue(app, fake, defaults=Message(from_="shop@example.com"))
    setup_logging.connect(_leave_logging_alone)
    with start_worker(app, pool="solo", perform_ping_check=False):
        yield mail, fake
    setup_logging.disconnect(_leave_logging_alone)


@pytest.fixture
def mail(working: tuple[MailQueue, FakeTransport]) -> MailQueue:
    """A queue with a worker."""
    return working[0]


@pytest.fixture
def fake(working: tuple[MailQueue, FakeTransport]) -> FakeTransport:
    """What the worker sends through."""
    working[1].outbox.clear()
    return working[1]


@pytest.mark.slow
def test_a_worker_sends_what_was_enqueued(mail: MailQueue, fake: FakeTransport) -> None:
    """The result has the Message-ID; the author comes from the defaults."""
    result = mail.enqueue(HELLO.evolve(from_=None)).get(timeout=60)
    [sent] = fake.outbox
    assert result["message_id"] == sent.receipt.message_id
    assert sent.message is not None
    assert str(sent.message.from_) == "shop@example.com"


@pytest.mark.slow
def test_a_worker_tries_again_for_those_who_are_left(mail: MailQueue, fake: FakeTransport) -> None:
    """Celery's own retry carries them; what everybody else got is not sent again."""
    fake.fail_next(TransientError("busy"), times=2, recipient="eve@example.net")
    assert mail.enqueue(HELLO).get(timeout=60)["attempts"] == 3
    accepted = [[result.address for result in sent.receipt.accepted] for sent in fake.outbox]
    assert accepted == [["bob@example.org"], ["eve@example.net"]]


@pytest.mark.slow
@pytest.mark.parametrize("error", [RejectedError("no such user"), OutcomeUnknownError("lost")])
def test_a_refusal_and_a_doubt_fail_the_job(mail: MailQueue, fake: FakeTransport, error: MailkitError) -> None:
    """Whoever asks for the result gets mailkit's error, and nothing was tried twice."""
    fake.fail_next(error)
    result = mail.enqueue(HELLO)
    with pytest.raises(type(error)):
        result.get(timeout=60)
    assert fake.outbox == []


def test_what_celery_shows_of_a_job_says_nothing_of_the_message(app: Celery) -> None:
    """The arguments, which are logged and sent to monitors, are the Message-ID and the mailer."""
    mail = queue(app, FakeTransport())
    headers: dict[str, Any] = {}

    def note(**kwargs: Any) -> None:
        headers.update(kwargs["headers"])

    before_task_publish.connect(note)
    try:
        mail.enqueue(HELLO)
    finally:
        before_task_publish.disconnect(note)
    assert "bob" not in headers["argsrepr"]
    assert "mailer='default', attempt=1" in headers["argsrepr"]


def test_options_are_celery_s_own(app: Celery) -> None:
    """A job may be for another mailer, and in another queue."""
    mail = queue(app, FakeTransport())
    result = mail.enqueue(HELLO, mailer="bulk", queue="mail", countdown=60)
    with app.connection_for_write() as connection:
        message = connection.SimpleQueue("mail").get(timeout=60)
        assert message.payload[0][0]["mailer"] == "bulk"
        assert message.headers["id"] == result.id
        message.ack()


def test_a_message_that_cannot_be_sent_is_no_job(app: Celery) -> None:
    """Whoever enqueues it hears of it, not a log: no author, or too long."""
    with pytest.raises(MessageError, match="From"):
        queue(app, FakeTransport()).enqueue(HELLO.evolve(from_=None))
    with pytest.raises(MessageError, match="100"):
        queue(app, FakeTransport(), max_size=100).enqueue(HELLO)


def test_the_journal_is_the_broker_s_where_that_is_redis(app: Celery) -> None:
    """Another broker has none; and one that cannot be reached postpones, which sends nothing."""
    assert MailQueue(app)._find_journal() is None
    with Celery("shop", broker="redis://127.0.0.1:1/3") as redis_app:
        redis_app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0, "interval_max": 0}
        journal = MailQueue(redis_app)._find_journal()
        assert isinstance(journal, RedisJournal)
        with pytest.raises(ConnectError, match="journal"):
            journal.read("a")


def test_the_processes_of_a_worker_close_their_connections(app: Celery) -> None:
    """Celery's signal is enough."""
    mail = queue(app, FakeTransport())
    mail.task(MailJob.of(HELLO).payload())
    assert mail._courier._mailers._posts
    worker_process_shutdown.send(sender=None, pid=1, exitcode=0)
    assert not mail._courier._mailers._posts
