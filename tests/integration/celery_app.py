"""The Celery application whose workers the tests kill: ``celery -A tests.integration.celery_app worker``.

The settings come from the environment. A message whose header field X-Hold names a point stops there, in its first
attempt, until its worker is killed; the tests hear of it through Redis.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from celery.signals import task_postrun, worker_ready
from redis import Redis

from mailkit.hooks import Hooks
from mailkit.integrations.celery import MailQueue, QueueRetry
from mailkit.policies import FullJitter

if TYPE_CHECKING:
    from mailkit import Message
    from mailkit.events import AfterSend, BeforeSend

REDIS: Final = os.environ["MAILKIT_TEST_REDIS"]

app = Celery("letters", broker=REDIS, backend=REDIS)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("MAILKIT_TEST_VISIBILITY", "3600")),
        "unacked_restore_interval": 0.5,
        "unacked_restore_throttle": 1,
    },
    worker_lost_wait=0.05,
    worker_prefetch_multiplier=int(os.environ.get("MAILKIT_TEST_PREFETCH", "1")),
    worker_hijack_root_logger=False,
)


def _redis() -> Redis:
    return Redis.from_url(REDIS, decode_responses=True)


def _hold(point: str, headers: Any) -> None:
    """Say that a message is at a point, and wait there; once, because its next attempt is to pass."""
    named: dict[str, str] = dict(headers)
    with _redis() as redis:
        if named.get("X-Hold") == point and redis.set(f"held:{named['X-Number']}", point, nx=True):
            redis.rpush("held", named["X-Number"])
            redis.blpop([f"never:{named['X-Number']}"], timeout=300)


def _before(event: BeforeSend) -> None:
    message: Message | None = event.message
    assert message is not None
    with _redis() as redis:
        redis.hset("pids", dict(message.headers)["X-Number"], os.getpid())
    _hold("before it is sent", message.headers)


def _after(event: AfterSend) -> None:
    assert event.message is not None
    _hold("after it was accepted", event.message.headers)


@task_postrun.connect
def _at_the_end(args: Any = (), **_: Any) -> None:
    _hold("before it is acknowledged", args[0]["message"]["headers"])


@worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    # Celery looks for lost processes every five seconds, which is an age here.
    sender.hub.call_repeatedly(0.05, sender.pool._pool.maintain_pool)
    with _redis() as redis:
        redis.rpush("ready", os.getpid())


def _queue(on_unknown: Any) -> MailQueue:
    return MailQueue(
        app,
        mailers={name: os.environ.get(f"MAILKIT_TEST_{name}", "null://") for name in ("DATA", "BDAT")},
        retry=QueueRetry(
            on_unknown=on_unknown, lost_after=0, wait=FullJitter(transient=(0.01, 0.05), throttled=(0.01, 0.05))
        ),
        hooks=Hooks(before_send=_before, after_send=_after),
        name=f"letters.{on_unknown}",
    )


QUEUES: Final = {"raise": _queue("raise"), "retry": _queue("retry")}
