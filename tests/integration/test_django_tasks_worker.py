"""Django's Tasks in a database, run by the worker that comes with it, with the journal in a cache on a real Redis."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from mailkit.testing import SMTPServer

from .processes import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from .redis_server import RedisServer

pytestmark = pytest.mark.slow

PATIENCE: Final = 120.0
MANAGE: Final = (sys.executable, "-m", "tests.integration.django_app")


def test_a_worker_tries_again_for_those_who_are_left_and_fails_what_is_refused(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Eve is deferred and gets her copy alone, from a task of its own; who is refused fails the task, visibly."""
    database = tmp_path / "tasks.sqlite3"
    with SMTPServer() as server:
        server.script("RCPT", "450 4.2.1 later", match="eve1@example.net", times=2)
        server.script("RCPT", "550 5.1.1 no such user", match="bob2@example.org")
        environment = {
            "MAILKIT_TEST_DATABASE": str(database),
            "MAILKIT_TEST_REDIS": redis.url(),
            "MAILKIT_URL": server.url,
        }
        manage = ["env", *[f"{name}={value}" for name, value in environment.items()], *MANAGE]
        subprocess.run([*manage, "migrate", "-v0"], check=True)
        for number in ("1", "2"):
            subprocess.run([*manage, "enqueue", f"bob{number}@example.org", f"eve{number}@example.net"], check=True)
        options = ["--interval", "0.05", "--no-startup-delay", "-v2"]
        worker = Daemon("db_worker", [*manage, "db_worker", *options], log=tmp_path / "worker.log", listens=[])
        try:
            assert server.wait_until(lambda server: server.accepted_count == 3, PATIENCE), worker.log_tail()
            assert wait_until(lambda: sum(_tasks(database).values()) == 4, seconds=PATIENCE), worker.log_tail()
            assert wait_until(lambda: _tasks(database) == {"SUCCESSFUL": 3, "FAILED": 1}, seconds=PATIENCE), (
                worker.log_tail()
            )
        finally:
            worker.stop()
        received = sorted(letter.rcpt_to for letter in server.messages)
    assert received == [("bob1@example.org",), ("eve1@example.net",), ("eve2@example.net",)]


def _tasks(database: Path) -> dict[str, int]:
    """Return how many tasks there are, by what became of them."""
    connection = sqlite3.connect(database)
    try:
        [(table,)] = connection.execute("select name from sqlite_master where name like '%dbtaskresult'")
        return dict(connection.execute(f"select status, count(*) from {table} group by status"))
    finally:
        connection.close()
