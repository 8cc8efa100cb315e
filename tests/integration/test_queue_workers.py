"""Dramatiq's and RQ's own workers on a real Redis: tried again, refused, and killed in the middle of a send."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from mailkit import Message
from mailkit.testing import SMTPServer, Stall

from .processes import Daemon, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .redis_server import RedisServer

pytestmark = pytest.mark.slow

PATIENCE: Final = 120.0
APPS: Final = "tests.integration.queue_apps"
COMMANDS: Final = {
    "dramatiq": ["-m", "dramatiq", APPS, "--processes", "1", "--threads", "2"],
    "rq": ["-m", "rq.cli", "worker", "mail", "--with-scheduler", "--url"],
}


class Office:
    """The queues of one kind, and a worker for them when it is started."""

    def __init__(self, kind: str, redis: RedisServer, folder: Path, server: SMTPServer) -> None:
        self.redis = redis.client
        self.redis.flushall()
        self.server = server
        self._kind = kind
        self._log = folder / f"{kind}.log"
        self._environment = {"MAILKIT_TEST_REDIS": redis.url(), "MAILKIT_URL": server.url}
        self._command = [*COMMANDS[kind], *([redis.url()] if kind == "rq" else [])]
        self.apps = importlib.import_module(APPS)
        self.worker: Daemon | None = None

    def start(self) -> None:
        """Start a worker."""
        settings = [f"{name}={value}" for name, value in {**self._environment, "PYTHONPATH": "."}.items()]
        self.worker = Daemon(self._kind, ["env", *settings, sys.executable, *self._command], log=self._log, listens=[])

    def stop(self) -> None:
        """Stop the worker, if it has not ended by itself."""
        if self.worker is not None:
            self.worker.stop()

    def enqueue(self, number: int, on_unknown: str) -> Any:
        """Put a message into a queue."""
        message = Message(
            from_="ada@example.com",
            to=[f"bob{number}@example.org", f"eve{number}@example.net"],
            text="Hi Bob",
            headers={"X-Number": str(number)},
        )
        return getattr(self.apps, f"{self._kind}_{on_unknown}").enqueue(message)

    def has_failed(self, queued: Any) -> bool:
        """Whether a job has ended up where the queue keeps what has failed."""
        if self._kind == "rq":
            return bool(queued.get_status(refresh=True) == "failed")
        return self.redis.zscore("dramatiq:default.XQ", queued.options["redis_message_id"]) is not None

    def is_empty(self) -> bool:
        """Whether nothing is waiting, handed out or to come."""
        if self._kind == "rq":
            line = self.apps.line
            registries = (line.scheduled_job_registry, line.started_job_registry)
            return not line.count and not any(registry.get_job_count(cleanup=False) for registry in registries)
        return not (self.redis.exists("dramatiq:default", "dramatiq:default.DQ") or self._handed_out())

    def _handed_out(self) -> int:
        return sum(self.redis.scard(key) for key in self.redis.keys("dramatiq:__acks__.*"))

    def described(self) -> str:
        """Return what the worker wrote, for whoever reads of a test that failed."""
        return "" if self.worker is None else self.worker.log_tail()


@pytest.fixture(params=sorted(COMMANDS))
def office(
    request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """An office of each kind, whose worker is not started yet."""
    monkeypatch.setenv("MAILKIT_TEST_REDIS", redis.url())
    with SMTPServer() as server:
        made = Office(request.param, redis, tmp_path, server)
        yield made
        made.stop()


def test_who_is_left_is_tried_again_and_who_is_refused_fails_the_job(office: Office) -> None:
    """Eve is deferred and gets her copy alone; Bob of the other message is refused, and nobody of his tried twice."""
    office.server.script("RCPT", "450 4.2.1 later", match="eve1@example.net", times=2)
    office.server.script("RCPT", "550 5.1.1 no such user", match="bob2@example.org")
    office.start()
    first, second = office.enqueue(1, "raise"), office.enqueue(2, "raise")
    assert office.server.wait_until(lambda server: server.accepted_count == 3, PATIENCE), office.described()
    assert wait_until(lambda: office.has_failed(second) and office.is_empty(), seconds=PATIENCE), office.described()
    assert not office.has_failed(first)
    received = sorted(letter.rcpt_to for letter in office.server.messages)
    assert received == [("bob1@example.org",), ("eve1@example.net",), ("eve2@example.net",)]


@pytest.mark.parametrize("on_unknown", ["raise", "retry"])
def test_a_killed_worker_loses_nothing_and_doubles_only_what_it_was_told_to(office: Office, on_unknown: str) -> None:
    """Killed when the server had the message and had not said so: the job has failed, or there are two copies."""
    office.server.script("DOT", Stall())
    office.start()
    queued = office.enqueue(1, on_unknown)
    assert office.server.wait_until(lambda server: server.held == 1, PATIENCE), office.described()
    pid = office.redis.hget("pids", "1")
    assert pid is not None
    os.kill(int(pid), signal.SIGKILL)
    office.server.release()
    if office._kind == "dramatiq":  # whose master gives up when a process of its own is killed
        office.stop()
        office.start()
    if on_unknown == "raise":
        assert wait_until(lambda: office.has_failed(queued), seconds=PATIENCE), office.described()
    else:
        assert office.server.wait_until(lambda server: len(server.committed) == 2, PATIENCE), office.described()
    assert wait_until(office.is_empty, seconds=PATIENCE), office.described()
    assert len(office.server.committed) == (1 if on_unknown == "raise" else 2)
    assert len({letter.data for letter in office.server.committed}) == 1  # Date and Message-ID are the same
