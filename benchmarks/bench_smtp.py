"""From keyword arguments to a receipt over SMTP: what a message costs on loopback, and when the server is far away."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from field import Sender, ours_async, ours_blocking, peers
from figures import ROOT, Contestant, Report, Table, arguments, side_by_side
from letters import letters
from sink import Sink

if TYPE_CHECKING:
    from stopwatch import Sample

sys.path.insert(0, str(ROOT))
from tests.integration.relay import DelayingRelay

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "ENHANCEDSTATUSCODES")
UNITS = ("µs of processor", "µs on the clock")


@dataclass(frozen=True)
class Work:
    """What is sent, and how often.

    Args:
        title: How the table calls it.
        recipients: Of each letter.
        size: Octets of its attachment.
        counts: Measured letters a round: with a window in flight, with mailkit's other ways, with other libraries.
        warm: Small letters before those, so that connections are open and just-in-time compilers have compiled.
    """

    title: str
    recipients: int = 1
    size: int = 0
    counts: tuple[int, int, int] = (3000, 1000, 400)
    warm: int = 3

    def count(self, sender: Sender) -> int:
        """Return how many letters a sender gets in a round."""
        if not sender.name.startswith("mailkit"):
            return self.counts[2]
        has_window = "send_many" in sender.name and "PIPELINING only" not in sender.name
        return self.counts[0] if has_window else self.counts[1]


LOOPBACK = (
    Work("small, one recipient", warm=100),
    Work("small, five recipients", recipients=5, counts=(2000, 1000, 200), warm=100),
    Work("100 kB, one recipient", size=100_000, counts=(300, 300, 50)),
    Work("40 MiB, one recipient", size=40 << 20, counts=(1, 1, 1)),
)
ROUND_TRIPS = {
    1: Work("round trip of 1 ms", counts=(3000, 200, 100)),
    20: Work("round trip of 20 ms", counts=(1500, 20, 10)),
    100: Work("round trip of 100 ms", counts=(1000, 15, 3)),
}


def _contestant(sender: Sender, work: Work, port: int, folder: Path) -> Contestant:
    attachment: Path | None = None
    if work.size:
        attachment = folder / f"{work.size}.bin"
        if not attachment.exists():
            attachment.write_bytes(os.urandom(work.size))
    count = work.count(sender)
    given = letters(count, recipients=work.recipients, attachment=attachment)
    warm = letters(work.warm)

    def run() -> tuple[float, float]:
        sample: Sample = sender.deliver(port, warm, given)
        return 1e6 * sample.cpu, 1e6 * sample.wall

    return Contestant(sender.name, sender.version, run)


def _loopback(report: Report, rounds: int, only: str, folder: Path) -> None:
    with Sink(*EXTENSIONS, "CHUNKING") as sink, Sink(*EXTENSIONS) as plain:
        for work in LOOPBACK:
            if only not in work.title:
                continue
            chunked = [*ours_blocking(), *ours_async(report), *peers(report)]
            contestants = [_contestant(sender, work, sink.port, folder) for sender in chunked]
            pipelined = ours_blocking(label=", PIPELINING only")
            contestants[2:2] = [_contestant(sender, work, plain.port, folder) for sender in pipelined]
            few = max(3, rounds // 2) if work.size > 1 << 20 else rounds
            table = side_by_side(f"Loopback: {work.title}", UNITS, contestants, rounds=few)
            if work.title == LOOPBACK[0].title:
                table.aim("EmailMessage + smtplib", factor=15)
                table.aim("Django, one open connection", factor=5)
            report.show(table)


def _far_away(report: Report, rounds: int, only: str, folder: Path) -> None:
    for milliseconds, work in ROUND_TRIPS.items():
        if only not in work.title:
            continue
        with (
            Sink(*EXTENSIONS, "CHUNKING") as sink,
            Sink(*EXTENSIONS) as plain,
            DelayingRelay(sink.port, one_way=milliseconds / 2000) as relay,
            DelayingRelay(plain.port, one_way=milliseconds / 2000) as plain_relay,
        ):
            chunked = [*ours_blocking(), *ours_async(report), *peers(report)]
            contestants = [_contestant(sender, work, relay.port, folder) for sender in chunked]
            pipelined = ours_blocking(label=", PIPELINING only")
            contestants[2:2] = [_contestant(sender, work, plain_relay.port, folder) for sender in pipelined]
            table: Table = side_by_side(f"One connection, {work.title}", UNITS, contestants, rounds=max(3, rounds // 2))
            if milliseconds == 20:
                table.aim("EmailMessage + smtplib", factor=80, column=1)
                table.aim("EmailMessage + smtplib", factor=3.5, column=1, ours="mailkit send_many, PIPELINING only")
            report.show(table)


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=7)
    report = Report("SMTP: keyword arguments → receipt", given.json)
    with tempfile.TemporaryDirectory() as folder:
        _loopback(report, given.rounds, given.only, Path(folder))
        _far_away(report, given.rounds, given.only, Path(folder))


if __name__ == "__main__":
    main()
