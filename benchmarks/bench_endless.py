"""As many messages from a generator through send_many as fit into a minute, and what memory does meanwhile."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Report, Table, arguments
from letters import endless_letters
from peers import ours
from sink import Sink

import mailkit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit import Message

EXTENSIONS = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "ENHANCEDSTATUSCODES")
SECONDS = 60
MOST = 1_000_000
_WARM = 20_000


def _resident() -> float:
    """Return how much memory this process has now, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _endless(until: float) -> Iterator[Message]:
    # Another recipient and subject each time: nothing that is remembered may grow with them.
    for letter in endless_letters():
        if time.monotonic() >= until:
            return
        yield ours.message(letter)


def _measure(connections: int, seconds: float) -> tuple[int, float, float, float]:
    """Return how many messages went, what memory was after the first ones, how far it grew, and messages a second."""
    sent, early, most = 0, 0.0, 0.0
    with Sink(*EXTENSIONS) as sink, mailkit.Mailer(f"smtp://127.0.0.1:{sink.port}") as mailer:
        started = time.monotonic()
        messages = islice(_endless(started + seconds), MOST)
        for outcome in mailer.send_many(messages, connections=connections):
            assert outcome.ok, outcome.error
            sent += 1
            if sent == _WARM:
                early = most = _resident()
            elif not sent % _WARM:
                most = max(most, _resident())
        elapsed = time.monotonic() - started
        assert sink.counts()["messages"] == sent
    return sent, early, most - early, sent / elapsed


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=1)
    report = Report("An endless stream", given.json)
    if sys.platform != "linux":
        report.skip("memory is counted by Linux's /proc, which is not there")
        return
    units = ("messages", f"MiB after {_WARM:,}", "MiB grown since", "messages a second")
    table = Table(f"send_many from a generator for {SECONDS} s, or {MOST:,} messages", units, with_ratios=False)
    for connections in (1, 4):
        name = f"mailkit, {connections} connection{'s' if connections > 1 else ''}"
        table.add(name, mailkit.__version__, *_measure(connections, SECONDS))
        table.bound(name, 1, column=2)
    report.show(table)


if __name__ == "__main__":
    main()
