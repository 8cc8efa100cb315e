"""Celery's own workers on a real Redis, killed in the middle of a send: what was lost, and what came twice."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from attrs import frozen

from mailkit import Message, OutcomeUnknownError, RejectedError
from mailkit.testing import SMTPServer, Stall

from .processes import Daemon, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from celery.result import AsyncResult

    from .redis_server import RedisServer

pytestmark = pytest.mark.slow

PROCESSES: Final = 5
PATIENCE: Final = 120.0

Policy = Literal["raise", "retry"]


class Office:
    """A worker, the servers that it sends to, and the queues in front of it."""

    def __init__(self, redis: RedisServer, folder: Path, data: SMTPServer, bdat: SMTPServer) -> None:
        self.redis = redis.client
        self.redis.flushall()
        self.servers = {"DATA": data, "BDAT": bdat}
        self._folder = folder
        self._environment = {
            "MAILKIT_TEST_REDIS": redis.url(),
            "MAILKIT_TEST_DATA": data.url,
            "MAILKIT_TEST_BDAT": bdat.url,
        }
        sys.modules.pop("tests.integration.celery_app", None)
        self.queues = importlib.import_module("tests.integration.celery_app").QUEUES
        self._numbers = 0
        self.points: dict[str, str] = {}
        self.results: dict[str, AsyncResult[Any]] = {}
        self.worker: Daemon | None = None

    def start(self, **environment: str) -> None:
        """Start a worker and wait until it takes jobs."""
        settings = [f"{name}={value}" for name, value in {**self._environment, **environment}.items()]
        command = [sys.executable, "-m", "celery", "-A", "tests.integration.celery_app", "worker"]
        options = ["--pool=prefork", f"--concurrency={PROCESSES}", "--without-gossip", "--without-mingle", "-lINFO"]
        self.worker = Daemon(
            "Celery", ["env", *settings, *command, *options], log=self._folder / "celery.log", listens=[]
        )
        assert self.redis.blpop(["ready"], timeout=PATIENCE), self.worker.log_tail()

    def enqueue(self, policy: Policy, point: str, mailer: str) -> str:
        """Put a message into the queue that is to be held at a point; return its number."""
        self._numbers += 1
        number = str(self._numbers)
        message = Message(
            from_="ada@example.com",
            to=f"bob{number}@example.org",
            subject="Hello",
            text="Hi Bob",
            headers={"X-Number": number, "X-Hold": point},
        )
        self.points[number] = point
        self.results[number] = self.queues[policy].enqueue(message, mailer=mailer)
        return number

    def kill(self, numbers: list[str]) -> None:
        """Kill the process that has each of these, at once and without a warning."""
        for number in numbers:
            pid = self.redis.hget("pids", number)
            assert pid is not None
            os.kill(int(pid), signal.SIGKILL)

    def hear_of(self, numbers: list[str]) -> None:
        """Wait until the worker says that it holds these messages."""
        assert {self.redis.blpop(["held"], timeout=PATIENCE)[1] for _ in numbers} == set(numbers)

    def outcome(self, number: str) -> tuple[AsyncResult[Any], int]:
        """Wait for the end of a job; return it, and how many copies of its message were taken over."""
        result = self.results[number]
        assert wait_until(result.ready, seconds=PATIENCE), self.described(number)
        return result, self.copies(number)

    def described(self, number: str) -> str:
        """Return where a job is that has not ended, for whoever reads of a test that failed."""
        state = {name: self.redis.hlen(name) for name in ("unacked",)} | {"celery": self.redis.llen("celery")}
        log = "" if self.worker is None else self.worker.log_tail()
        return f"{number} held {self.points[number]!r}: {self.results[number].state}, {state}\n{log}"

    def is_left_empty(self) -> None:
        """Check that the broker has nothing more for a worker, neither waiting nor handed out."""
        assert wait_until(lambda: not self.redis.exists("celery", "unacked"), seconds=PATIENCE)

    def copies(self, number: str) -> int:
        """Return how often a server has taken the message over."""
        recipient = f"bob{number}@example.org"
        return sum(recipient in letter.rcpt_to for server in self.servers.values() for letter in server.committed)


@pytest.fixture
def office(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office whose worker is not started yet."""
    monkeypatch.setenv("MAILKIT_TEST_REDIS", redis.url())
    with SMTPServer(without=("CHUNKING",)) as data, SMTPServer() as bdat:
        made = Office(redis, tmp_path, data, bdat)
        yield made
        if made.worker is not None:
            made.worker.stop()
        made.results.clear()


@frozen
class Point:
    """Where in a send its worker is killed.

    Args:
        name: Where: a reply of the server that does not come, or a place in the worker.
        mailer: Which server it is sent to: one that takes the message with DATA, or one with BDAT, to which it goes in
            one write.
        copies: How many copies there may be after another attempt.
        is_certain: Whether the worker had not come to its commit point, so that there is no doubt.
    """

    name: str
    mailer: Literal["DATA", "BDAT"]
    copies: tuple[int, ...]
    is_certain: bool = False

    @property
    def is_a_phase(self) -> bool:
        """Whether it is the server that holds the message there."""
        return " " not in self.name

    def hold(self, office: Office, numbers: list[str]) -> None:
        """Wait until each of these messages is there."""
        if self.is_a_phase:
            server = office.servers[self.mailer]
            assert server.wait_until(lambda server: server.held == len(numbers), PATIENCE), server.transcript
        else:
            office.hear_of(numbers)


ACCEPTED: Final = "after it was accepted"
ACKNOWLEDGED: Final = "before it is acknowledged"
POINTS: Final = (
    Point("before it is sent", "DATA", (1,), is_certain=True),
    Point("MAIL", "DATA", (1,), is_certain=True),
    Point("RCPT", "DATA", (1,), is_certain=True),
    Point("DATA", "DATA", (1,), is_certain=True),
    Point("DOT", "DATA", (2,)),
    Point(ACCEPTED, "DATA", (2,)),
    Point(ACKNOWLEDGED, "DATA", (1,)),
    Point("before it is sent", "BDAT", (1,), is_certain=True),
    Point("MAIL", "BDAT", (1, 2)),  # the server goes on with what it was sent, whatever became of the sender
    Point("DOT", "BDAT", (2,)),
    Point(ACCEPTED, "BDAT", (2,)),
    Point(ACKNOWLEDGED, "BDAT", (1,)),
)


def killed_at(office: Office, point: Point, policy: Policy) -> list[str]:
    """Send as many messages as the worker has processes, and kill each of these at a point."""
    server = office.servers[point.mailer]
    if point.is_a_phase:
        server.script(point.name, Stall(), times=PROCESSES)  # type: ignore[arg-type]
    numbers = [office.enqueue(policy, point.name, point.mailer) for _ in range(PROCESSES)]
    point.hold(office, numbers)
    office.kill(numbers)
    server.release()
    return numbers


@pytest.mark.parametrize("policy", ["raise", "retry"])
def test_a_hundred_killed_workers_lose_nothing_and_double_only_what_they_were_told_to(
    policy: Policy, office: Office
) -> None:
    """Each message is delivered or its job failed; two copies are only of those in doubt that were to be sent again.

    And of these only where the first copy had really been taken over. There is no doubt before the commit point.
    """
    office.start()
    kills, fates = 0, Counter[tuple[str, str, int]]()
    for point in islice(cycle(POINTS), 100 // PROCESSES):
        numbers = killed_at(office, point, policy)
        kills += len(numbers)
        bystander = office.enqueue(policy, "", point.mailer)
        for number in (*numbers, bystander):
            result, copies = office.outcome(number)
            if number == bystander or point.name == ACKNOWLEDGED or point.is_certain:
                assert (result.state, copies) == ("SUCCESS", 1), point
            elif policy == "raise":
                assert result.state == "FAILURE", point
                assert isinstance(result.result, OutcomeUnknownError), point
                assert copies <= 1, point
            else:
                assert result.state == "SUCCESS", point
                assert copies in point.copies, point
            fates["killed" if number in numbers else "left alone", result.state, copies] += 1
    assert kills == 100
    assert sum(fates.values()) == len(office.results)
    office.is_left_empty()
    # It was not all in doubt, and not all beyond doubt, or this would have shown nothing.
    in_doubt = ("killed", "FAILURE", 1) if policy == "raise" else ("killed", "SUCCESS", 2)
    assert fates[in_doubt] >= 20, fates
    assert fates["killed", "SUCCESS", 1] >= 50, fates


def test_a_machine_that_dies_with_its_workers_loses_nothing(office: Office) -> None:
    """The broker hands its jobs out again: those that had begun are in doubt, and those that had not are just sent."""
    office.start(MAILKIT_TEST_PREFETCH="2")
    policies: list[Policy] = ["raise", "retry", "raise", "retry"]
    held = [office.enqueue(policy, ACCEPTED, "DATA") for policy in policies]
    held.append(office.enqueue("raise", ACKNOWLEDGED, "DATA"))
    office.hear_of(held)
    waiting = [office.enqueue("raise", "", "DATA") for _ in range(PROCESSES)]
    assert wait_until(lambda: office.redis.hlen("unacked") == len(office.results), seconds=PATIENCE)
    assert office.worker is not None
    os.killpg(office.worker.pid, signal.SIGKILL)
    office.worker.stop()
    office.start(MAILKIT_TEST_VISIBILITY="5")
    fates: list[tuple[str, int]] = []
    for number in office.results:
        result, copies = office.outcome(number)
        fates.append((result.state, copies))
    in_doubt = [("FAILURE", 1), ("SUCCESS", 2), ("FAILURE", 1), ("SUCCESS", 2)]
    assert fates == [*in_doubt, ("SUCCESS", 1), *[("SUCCESS", 1) for _ in waiting]]
    office.is_left_empty()


def test_a_worker_tries_again_for_those_who_are_left_and_fails_what_is_refused(office: Office) -> None:
    """What is deferred twice is sent in the end, a refusal fails at once, and the log has nothing of the messages."""
    server = office.servers["DATA"]
    server.script("RCPT", "450 4.2.1 later", match="bob1@example.org", times=2)
    server.script("RCPT", "550 5.1.1 no such user", match="bob2@example.org")
    office.start()
    first, second = (office.enqueue("raise", "", "DATA") for _ in range(2))
    delivered, copies = office.outcome(first)
    assert (delivered.state, copies, delivered.result["attempts"]) == ("SUCCESS", 1, 3)
    refused, copies = office.outcome(second)
    assert (refused.state, copies) == ("FAILURE", 0)
    assert isinstance(refused.result, RejectedError)
    assert "no such user" in str(refused.result)
    assert office.worker is not None
    assert "Hi Bob" not in office.worker.log_tail()
