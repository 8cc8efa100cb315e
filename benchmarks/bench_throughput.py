"""Messages a second into the servers that are at hand, over one connection and over four."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from field import Sender, ours_async, ours_blocking, peers
from figures import Contestant, Report, Skipped, arguments, side_by_side
from letters import letters
from sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

CONNECTIONS = (1, 4)
UNITS = tuple(f"messages a second, {count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS)
EXTENSIONS = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "ENHANCEDSTATUSCODES")
_SERVER = """
import sys
from mailkit.testing import SMTPServer
with SMTPServer(keep="counts") as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


@contextmanager
def _ours() -> Iterator[int]:
    """Run mailkit's own test server in a process of its own."""
    command = [sys.executable, "-c", _SERVER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()


@contextmanager
def _smtp_sink() -> Iterator[int]:
    """Run Postfix's smtp-sink, which offers PIPELINING and no CHUNKING."""
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        message = "smtp-sink is not installed (Debian: postfix)"
        raise Skipped(message)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, *as_nobody, f"127.0.0.1:{port}", "100"], cwd=folder)
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _sink() -> Iterator[int]:
    with Sink(*EXTENSIONS) as sink:
        yield sink.port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


SERVERS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "the benchmarks' own sink": _sink,
    "mailkit.testing.SMTPServer": _ours,
    "Postfix's smtp-sink (no CHUNKING)": _smtp_sink,
}


def _contestant(sender: Sender, port: int) -> Contestant:
    count = 2000 if "send_many" in sender.name else 400
    given = letters(count)

    def run() -> tuple[float, ...]:
        return tuple(
            1 / sender.deliver(port, letters(2), given, connections=connections).wall for connections in CONNECTIONS
        )

    return Contestant(sender.name, sender.version, run)


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=5)
    report = Report("Throughput: keyword arguments → receipt, small messages", given.json)
    for name, server in SERVERS.items():
        if given.only not in name:
            continue
        with ExitStack() as stack:
            try:
                port = stack.enter_context(server())
            except Skipped as skipped:
                report.skip(str(skipped))
                continue
            streams = [sender for sender in (*ours_blocking(), *ours_async(report)) if "send_many" in sender.name]
            contestants = [_contestant(sender, port) for sender in (*streams, *peers(report))]
            report.show(side_by_side(f"Into {name}", UNITS, contestants, rounds=given.rounds, ratios=False))


if __name__ == "__main__":
    main()
