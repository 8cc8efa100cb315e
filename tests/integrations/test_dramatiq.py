from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from dramatiq import Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry as Once
from tests.integrations.notebook import BEGUN, Notebook

from mailkit import (
    ConnectError,
    MailkitError,
    Message,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    TransientError,
)
from mailkit.integrations.dramatiq import MailQueue, QueueRetry, _journal_of
from mailkit.policies import FullJitter
from mailkit.testing import FakeTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = Message(from_="ada@example.com", to="bob@example.org", bcc="eve@example.net", subject="Hello", text="Hi Bob")


class Shop:
    """A broker in memory, a worker, and what it sends through."""

    def __init__(self, **options: Any) -> None:
        self.broker = StubBroker()
        self.broker.emit_after("process_boot")
        self.fake = FakeTransport()
        self.notebook = Notebook()
        retry = QueueRetry(wait=FullJitter(transient=(0.001, 0.001)))
        self.mail = MailQueue(
            self.broker, mailers={"default": self.fake}, journal=self.notebook, retry=retry, **options
        )
        self.worker = Worker(self.broker, worker_timeout=10, worker_threads=2)
        self.worker.start()

    def finish(self, **options: Any) -> None:
        """Wait until nothing is left to do."""
        self.broker.join("default", timeout=60_000, **options)
        self.worker.join()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """One of each."""
    shop = Shop(defaults=Message(from_="shop@example.com"))
    yield shop
    shop.worker.stop()
    shop.broker.close()


def test_a_worker_sends_what_was_enqueued(shop: Shop) -> None:
    """The author comes from the defaults."""
    shop.mail.enqueue(HELLO.evolve(from_=None))
    shop.finish()
    [sent] = shop.fake.outbox
    assert sent.message is not None
    assert str(sent.message.from_) == "shop@example.com"


def test_a_worker_tries_again_for_those_who_are_left(shop: Shop) -> None:
    """Dramatiq's own retry carries them; what everybody else got is not sent again."""
    shop.fake.fail_next(TransientError("busy"), times=2, recipient="eve@example.net")
    shop.mail.enqueue(HELLO)
    shop.finish()
    accepted = [[result.address for result in sent.receipt.accepted] for sent in shop.fake.outbox]
    assert accepted == [["bob@example.org"], ["eve@example.net"]]


@pytest.mark.parametrize("error", [RejectedError("no such user"), OutcomeUnknownError("lost")])
def test_a_refusal_and_a_doubt_are_dead_at_once(
    shop: Shop, error: MailkitError, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is tried twice, whatever Dramatiq's own numbers are; and the log has nothing of the message."""
    shop.fake.fail_next(error)
    with caplog.at_level(logging.INFO, "dramatiq"):
        queued = shop.mail.enqueue(HELLO)
        with pytest.raises(type(error)):
            shop.finish(fail_fast=True)
    assert [dead.message_id for dead in shop.broker.dead_letters] == [queued.message_id]
    assert shop.fake.outbox == []
    assert "<mail job" in caplog.text
    assert "Hi Bob" not in caplog.text


def test_a_message_that_comes_twice_is_sent_once(shop: Shop) -> None:
    """As from a broker that had to take a worker for dead."""
    queued = shop.mail.enqueue(HELLO)
    shop.finish()
    shop.broker.enqueue(queued)
    shop.finish()
    assert len(shop.fake.outbox) == 1


def test_a_message_whose_worker_was_killed_is_in_doubt(shop: Shop) -> None:
    """Its note says that it was begun, and nothing more."""
    queued = shop.mail.actor.message(job=_payload())
    shop.notebook.claim(f"{queued.kwargs['job']['id']}:1", BEGUN)
    shop.broker.enqueue(queued)
    with pytest.raises(OutcomeUnknownError):
        shop.finish(fail_fast=True)


def test_other_actors_are_left_alone(shop: Shop) -> None:
    """Their arguments are what they were."""
    import dramatiq

    seen: list[Any] = []

    @dramatiq.actor(broker=shop.broker)
    def other(job: Any) -> None:
        seen.append(type(job))

    other.send(job={"a": 1})
    shop.finish()
    assert seen == [dict]


def test_a_message_that_cannot_be_sent_is_not_enqueued(shop: Shop) -> None:
    """Whoever enqueues it hears of it, not a log."""
    with pytest.raises(MessageError):
        shop.mail.enqueue(Message(to="bob@example.org", text="x" * (11 << 20)))


def test_the_journal_is_the_broker_s_where_that_is_redis() -> None:
    """It has a client of its own, and one that cannot be reached is said to be so."""
    journal = _journal_of(RedisBroker(client=Redis(host="127.0.0.1", port=1, retry=Once(NoBackoff(), 0))))
    assert journal is not None
    with pytest.raises(ConnectError, match="journal"):
        journal.claim("a", "begun")


def test_a_worker_that_stops_closes_its_connections(shop: Shop) -> None:
    """And so does who asks for it."""
    shop.mail.enqueue(HELLO)
    shop.finish()
    assert shop.mail._courier._mailers._posts
    shop.worker.stop()
    assert not shop.mail._courier._mailers._posts
    shop.mail.close()


def _payload() -> dict[str, Any]:
    from mailkit.integrations.queue_job import MailJob

    return MailJob.of(HELLO).payload()
