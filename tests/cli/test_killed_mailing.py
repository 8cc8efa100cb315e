"""A mailing whose process is killed: counted against what the server has taken."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.testing import SMTPServer, Stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    """A server."""
    with SMTPServer() as running:
        yield running


class Mailing:
    """A mailing in processes of its own.

    Args:
        folder: Where its files are.
        server: Who takes the messages.
        count: To how many.
    """

    def __init__(self, folder: Path, server: SMTPServer, count: int) -> None:
        self.ledger = folder / "guests.csv.ledger"
        self.addresses = {f"user{number}@example.org" for number in range(count)}
        self._server = server
        self._file = folder / "guests.csv"
        self._file.write_text("email\n" + "".join(f"{address}\n" for address in sorted(self.addresses)))
        self.in_doubt: set[str] = set()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command; it goes on with the ledger where there is one."""
        resume = ("--resume",) if self.ledger.exists() else ()
        letter = ("--from", "host@example.com", "--subject", "Tea", "--text", "Will you come?", "--json")
        return subprocess.Popen(
            [sys.executable, "-m", "mailkit", "send", "--csv", str(self._file), *letter, *resume, *words],
            env={**os.environ, "MAILKIT_URL": self._server.url}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finish(self, *words: str) -> tuple[int, Any]:
        """Run the command to its end; return its status and its report."""
        process = self.start(*words)
        shown, _ = process.communicate(timeout=60)
        report = json.loads(shown)
        self.in_doubt |= {each["address"] for each in report["in_doubt"]}
        return process.returncode, report

    def copies(self) -> Counter[str]:
        """How many messages arrived in full for each address, whether or not the client was told."""
        return Counter(address for each in self._server.committed for address in each.rcpt_to)

    def check(self) -> None:
        """Nobody was forgotten, and nobody has two copies; only for those in doubt it is open whether they have one."""
        copies = self.copies()
        assert set(copies) | self.in_doubt == self.addresses
        assert set(copies.values()) <= {1}


@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGTERM, signal.SIGINT]])
def test_a_run_that_is_killed_is_taken_up_again(
    signals: list[signal.Signals], server: SMTPServer, tmp_path: Path
) -> None:
    """With the server silent in the middle of a window; --retry-unknown reaches the rest, with the same Message-IDs."""
    mailing = Mailing(tmp_path, server, 100)
    server.script("DOT", Stall(), skip=40)
    process = mailing.start()
    server.wait_for(40, timeout=90)
    for number in signals:
        process.send_signal(number)
        if number == signal.SIGTERM:
            assert process.stderr is not None
            assert "Interrupt again to stop at once" in process.stderr.readline()
    process.communicate(timeout=90)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    server.clear_script()  # the process may have ended before the server fell silent
    server.release()
    status, report = mailing.finish()
    assert (status, report["failed"]) == (69, [])
    assert len(report["in_doubt"]) >= 1
    mailing.check()
    status, report = mailing.finish("--retry-unknown")
    assert (status, report["in_doubt"]) == (0, [])
    copies = mailing.copies()
    assert set(copies) == mailing.addresses
    assert {address for address, count in copies.items() if count > 1} <= mailing.in_doubt
    assert len({each.parse()["Message-ID"] for each in server.committed}) == 100


def test_a_run_that_is_asked_to_end_leaves_nobody_in_doubt(server: SMTPServer, tmp_path: Path) -> None:
    """It waits for the answers that are outstanding; the next run sends to the others."""
    mailing = Mailing(tmp_path, server, 400)
    server.script("DOT", Stall(seconds=1.0), skip=40)  # by itself, if it begins after the release below
    process = mailing.start()
    server.wait_for(40, timeout=90)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("mailkit: stopping: waiting for what is under way.")
    server.release()
    shown, _ = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGTERM
    report = json.loads(shown)
    assert (report["in_doubt"], report["failed"], report["is_complete"]) == ([], [], False)
    assert 40 < report["done"]["accepted"] < 400
    assert mailing.finish()[0] == 0
    assert set(mailing.copies()) == mailing.addresses
    mailing.check()


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_forgets_nobody(server: SMTPServer, tmp_path: Path) -> None:
    """At any moment: before the first message, between two writes, after the last."""
    mailing = Mailing(tmp_path, server, 3000)
    chance = random.Random(7)
    for _ in range(8):
        taken = server.accepted_count
        process = mailing.start()
        deadline = time.monotonic() + 90
        while server.accepted_count == taken and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        process.communicate(timeout=90)
    mailing.finish()
    mailing.check()
    assert len(mailing.copies()) > 2000
