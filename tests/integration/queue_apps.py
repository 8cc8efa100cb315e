"""What Dramatiq's and RQ's workers import: a queue of each, for each way to treat a doubt.

The settings come from the environment. The tests hear through Redis which process has a message.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from redis import Redis
from rq import Queue

from mailkit.hooks import Hooks
from mailkit.integrations import dramatiq as for_dramatiq
from mailkit.integrations import rq as for_rq
from mailkit.integrations.queue_retry import QueueRetry
from mailkit.policies import FullJitter

if TYPE_CHECKING:
    from mailkit.events import BeforeSend

REDIS: Final = os.environ["MAILKIT_TEST_REDIS"]

broker: Final = RedisBroker(url=REDIS, heartbeat_timeout=1000, maintenance_chance=1_000_000)
dramatiq.set_broker(broker)
line: Final = Queue("mail", connection=Redis.from_url(REDIS))


def _tell(event: BeforeSend) -> None:
    assert event.message is not None
    with Redis.from_url(REDIS) as redis:
        redis.hset("pids", dict(event.message.headers)["X-Number"], os.getpid())


def _options(on_unknown: Any) -> dict[str, Any]:
    return {
        "retry": QueueRetry(on_unknown=on_unknown, lost_after=0, wait=FullJitter(transient=(0.01, 0.05))),
        "hooks": Hooks(before_send=_tell),
    }


dramatiq_raise = for_dramatiq.MailQueue(name="raise", **_options("raise"))
dramatiq_retry = for_dramatiq.MailQueue(name="retry", **_options("retry"))
rq_raise = for_rq.MailQueue(line, path="tests.integration.queue_apps.rq_raise", **_options("raise"))
rq_retry = for_rq.MailQueue(line, path="tests.integration.queue_apps.rq_retry", **_options("retry"))
