"""How often a client waits for the server: counted by a server that answers only when the client has fallen silent.

These figures are exact on any machine. The TCP handshake counts as one, the greeting as one; QUIT costs none, whether a
client waits for its answer or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from field import ours_blocking, peers
from figures import Report, Table, arguments
from letters import letters
from sink import Sink

if TYPE_CHECKING:
    from field import Sender

OFFERS: dict[str, tuple[str, ...]] = {
    "CHUNKING and PIPELINING": ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 104857600"),
    "PIPELINING": ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600"),
    "neither": ("8BITMIME", "SMTPUTF8", "SIZE 104857600"),
}
WARM = {"CHUNKING and PIPELINING": 1, "PIPELINING": 2}  # what each further message may cost
RECIPIENTS = (1, 5)
UNITS = ("cold, 1 recipient", "cold, 5 recipients", "each further one, 1 recipient", "each further one, 5 recipients")
FURTHER, STREAM = 20, 320


def _waits(sink: Sink, sender: Sender, count: int, recipients: int) -> int:
    """Return how often a sender waits for one connection and so many letters."""
    sink.counts()
    sender.deliver(sink.port, [], letters(count, recipients=recipients))
    counted = sink.counts()
    assert counted["messages"] == count, (sender.name, counted)
    return 1 + counted["turns"]


def _count(sink: Sink, sender: Sender) -> tuple[float, ...]:
    cold: list[float] = []
    warm: list[float] = []
    for recipients in RECIPIENTS:
        first = _waits(sink, sender, 1, recipients)
        cold.append(first)
        warm.append((_waits(sink, sender, 1 + FURTHER, recipients) - first) / FURTHER)
    return (*cold, *warm)


def _stream(sink: Sink, sender: Sender) -> float:
    """Return what each letter of a long stream costs beyond the first."""
    return (_waits(sink, sender, 1 + STREAM, 1) - _waits(sink, sender, 1, 1)) / STREAM


def main() -> None:
    """Count, print, write."""
    given = arguments(__doc__, rounds=1)
    report = Report("Round trips, counted", given.json)
    stream, single = ours_blocking()
    others = peers(report)
    streams = Table(f"send_many, one connection: each message of {STREAM}", ("round trips",), with_ratios=False)
    for offer, extensions in OFFERS.items():
        table = Table(f"One by one; the server offers {offer}", UNITS, with_ratios=False)
        with Sink(*extensions, patient=True) as sink:
            for sender in (single, *others):
                table.add(sender.name, sender.version, *_count(sink, sender))
            streams.add(offer, stream.version, _stream(sink, stream))
        if offer in WARM:
            fewest = min(figure.values[0] for figure in table.figures[1:])
            table.bound(single.name, fewest - 1)
            table.bound(single.name, WARM[offer], column=2)
        report.show(table)
    report.show(streams)


if __name__ == "__main__":
    main()
