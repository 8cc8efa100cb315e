from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from mailkit import DeliveryError
from mailkit.policies import database as module
from mailkit.policies.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY)"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new one."""
    made = Database(tmp_path / "things.db", SCHEMA, phase="test")
    yield made
    made.close()


def count(database: Database) -> int:
    """Return how many things there are."""
    with database.reading() as connection:
        (found,) = connection.execute("SELECT count(*) FROM things").fetchone()
    return int(found)


def test_a_transaction_happens_or_does_not(database: Database) -> None:
    """What raises in it takes back what was done, and the database goes on."""
    with database.writing() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")

    def fail() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO things VALUES ('b')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert count(database) == 1


def test_connections_are_used_again(database: Database) -> None:
    """One after the other needs one; two at once need two."""
    with database.reading() as first:
        pass
    with database.reading() as second, database.reading() as third:
        assert second is first
        assert third is not first


def test_a_busy_database_may_work_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else writes for too long, nothing was sent, and trying again makes sense."""
    monkeypatch.setattr(module, "_BUSY", 0.01)
    count(database)
    other = sqlite3.connect(database.path, isolation_level=None)
    database.close()

    def write() -> None:
        with database.writing():
            raise AssertionError

    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(
        DeliveryError, match=r"things\.db cannot be used: database is locked; nothing was sent"
    ) as caught:
        write()
    assert (caught.value.outcome, caught.value.cause, caught.value.retryable) == ("not_sent", "transient", True)
    assert caught.value.phase == "test"
    other.execute("ROLLBACK")
    other.close()
    assert count(database) == 0


@pytest.mark.parametrize("kind", ["folder", "no folder", "no database"])
def test_what_is_no_database_is_for_somebody_to_correct(tmp_path: Path, kind: str) -> None:
    """A path that leads nowhere, or to something else, is a matter of configuration."""
    path = {"folder": tmp_path, "no folder": tmp_path / "missing" / "x.db", "no database": tmp_path / "text"}[kind]
    if kind == "no database":
        path.write_text("This is no database, and long enough to be read as one. " * 20)
    with pytest.raises(DeliveryError, match="check its path") as caught:
        count(Database(path, SCHEMA, phase="test"))
    assert (caught.value.outcome, caught.value.cause) == ("not_sent", "configuration")


def test_a_forgotten_database_is_closed(tmp_path: Path) -> None:
    """When nobody has it any more, no connection is left open."""
    made = Database(tmp_path / "things.db", SCHEMA, phase="test")
    with made.reading() as connection:
        pass
    del made
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    assert (tmp_path / "things.db").exists()


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Of eight threads with a connection each, every one finds the tables made, and writes, whoever makes them."""
    errors: list[BaseException] = []
    for number in range(5):
        path, barrier = tmp_path / f"{number}.db", threading.Barrier(8)

        def work(path: Path = path, barrier: threading.Barrier = barrier) -> None:
            made = Database(path, SCHEMA, phase="test")
            try:
                barrier.wait(5)
                with made.writing() as connection:
                    connection.execute("INSERT OR REPLACE INTO things VALUES ('a')")
            except BaseException as error:  # noqa: BLE001 - shown below
                errors.append(error)
            finally:
                made.close()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
