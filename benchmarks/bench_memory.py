"""A file of 40 MiB, attached and sent: how far memory grows, and for how long an event loop stands still.

Each contestant runs in a process of its own, sends one small letter first, and has its peak counted from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import PYTHON, Contestant, Report, Skipped, Table, installed, side_by_side
from figures import arguments as shared_arguments
from letters import Letter, letters
from sink import Sink

import mailkit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SIZE = 40 << 20
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "ENHANCEDSTATUSCODES")
UNITS = ("MiB above the start", "ms the loop stood still", "s on the clock")
_TICK = 0.001


def _peak() -> int:
    """Return the most memory that this process has had, in octets, since it was last told to forget."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _forget_peak() -> int:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _blocking(work: Callable[[Letter], object], small: Letter, large: Letter) -> dict[str, float]:
    work(small)
    before, started = _forget_peak(), time.perf_counter()
    work(large)
    return {"grown": _peak() - before, "wall": time.perf_counter() - started, "longest": 0.0}


async def _in_a_loop(
    work: Callable[[Letter], Awaitable[object]], small: Letter, large: Letter, sleep: Callable[[float], Awaitable[None]]
) -> dict[str, float]:
    """Do the work beside a ticker, whose longest pause is how long the loop stood still."""
    import anyio

    longest = 0.0
    await work(small)
    before = _forget_peak()
    async with anyio.create_task_group() as group:

        async def tick() -> None:
            nonlocal longest
            last = time.perf_counter()
            while True:
                await sleep(_TICK)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now

        group.start_soon(tick)
        await sleep(0.01)
        started = time.perf_counter()
        await work(large)
        wall = time.perf_counter() - started
        await sleep(0.01)
        group.cancel_scope.cancel()
    return {"grown": _peak() - before, "wall": wall, "longest": longest - _TICK}


def _ours(port: int, small: Letter, large: Letter) -> dict[str, float]:
    from peers import ours

    with mailkit.Mailer(f"smtp://127.0.0.1:{port}") as mailer:
        return _blocking(lambda letter: mailer.send(ours.message(letter)), small, large)


def _ours_async(port: int, small: Letter, large: Letter, loop: str) -> dict[str, float]:
    import anyio
    from field import LOOPS
    from peers import ours

    async def main() -> dict[str, float]:
        async with mailkit.AsyncMailer(f"smtp://127.0.0.1:{port}") as mailer:
            return await _in_a_loop(lambda letter: mailer.send(ours.message(letter)), small, large, anyio.sleep)

    measured: dict[str, float] = anyio.run(main, **LOOPS[loop])
    return measured


def _smtplib(port: int, small: Letter, large: Letter) -> dict[str, float]:
    import smtplib

    from peers.standard_library import email_message

    with smtplib.SMTP("127.0.0.1", port) as client:
        return _blocking(lambda letter: client.send_message(email_message(letter)), small, large)


def _django(port: int, small: Letter, large: Letter) -> dict[str, float]:
    from peers import django_mail

    return _blocking(lambda letter: django_mail.deliver(port, [], [letter]), small, large)


def _aiosmtplib(port: int, small: Letter, large: Letter) -> dict[str, float]:
    import aiosmtplib
    from peers.standard_library import email_message

    async def main() -> dict[str, float]:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            return await _in_a_loop(
                lambda letter: client.send_message(email_message(letter)), small, large, asyncio.sleep
            )

    return asyncio.run(main())


def _smtpproto(port: int, small: Letter, large: Letter) -> dict[str, float]:
    from peers.standard_library import email_message
    from smtpproto.client import AsyncSMTPClient

    async def main() -> dict[str, float]:
        async with AsyncSMTPClient("127.0.0.1", port).connect() as session:
            return await _in_a_loop(
                lambda letter: session.send_message(email_message(letter)), small, large, asyncio.sleep
            )

    return asyncio.run(main())


def _nodemailer(port: int, small: Letter, large: Letter) -> dict[str, float]:
    from peers import nodemailer

    return nodemailer.run(port, [small], [large])


WAYS: dict[str, Callable[[int, Letter, Letter], dict[str, float]]] = {
    "mailkit": _ours,
    "mailkit, asyncio": lambda *given: _ours_async(*given, "asyncio"),
    "mailkit, uvloop": lambda *given: _ours_async(*given, "uvloop"),
    "mailkit, trio": lambda *given: _ours_async(*given, "trio"),
    "EmailMessage + smtplib": _smtplib,
    "Django": _django,
    "EmailMessage + aiosmtplib": _aiosmtplib,
    "EmailMessage + smtpproto": _smtpproto,
    "nodemailer, from a path": _nodemailer,
}


def _versions(report: Report) -> dict[str, str]:
    versions: dict[str, str] = {}

    def find(name: str, look: Callable[[], str]) -> None:
        try:
            versions[name] = look()
        except Skipped as skipped:
            report.skip(str(skipped))

    find("mailkit", lambda: mailkit.__version__)
    find("mailkit, asyncio", lambda: mailkit.__version__)
    find("mailkit, uvloop", lambda: f"{mailkit.__version__}, uvloop {installed('uvloop')}")
    find("mailkit, trio", lambda: f"{mailkit.__version__}, trio {installed('trio')}")
    find("EmailMessage + smtplib", lambda: PYTHON)
    find("Django", lambda: installed("django"))
    find("EmailMessage + aiosmtplib", lambda: installed("aiosmtplib"))
    find("EmailMessage + smtpproto", lambda: installed("smtpproto"))

    def node() -> str:
        from peers import nodemailer

        return nodemailer.version()

    find("nodemailer, from a path", node)
    return versions


def _measure(report: Report, offer: str, extensions: tuple[str, ...], rounds: int, attachment: Path) -> Table:
    with Sink(*extensions) as sink:

        def contestant(name: str, made: str) -> Contestant:
            def run() -> tuple[float, float, float]:
                command = [sys.executable, __file__, "--way", name, str(sink.port), str(attachment)]
                measured: dict[str, Any] = json.loads(
                    subprocess.run(command, capture_output=True, text=True, check=True).stdout
                )
                return max(measured["grown"], 1) / 2**20, 1e3 * measured["longest"], measured["wall"]

            return Contestant(name, made, run)

        contestants = [contestant(name, made) for name, made in _versions(report).items()]
        table = side_by_side(f"40 MiB from a path, {offer}", UNITS, contestants, rounds=rounds, ratios=False)
    for name in list(WAYS)[:4]:
        table.bound(name, 8)
        if "," in name:
            table.bound(name, 50, column=1)
    return report.show(table)


def main() -> None:
    """Measure, print, write."""
    if len(sys.argv) > 1 and sys.argv[1] == "--way":
        parser = argparse.ArgumentParser()
        parser.add_argument("--way", choices=WAYS)
        parser.add_argument("port", type=int)
        parser.add_argument("attachment", type=Path)
        given = parser.parse_args()
        [small], [large] = letters(1), letters(1, attachment=given.attachment)
        print(json.dumps(WAYS[given.way](given.port, small, large)))
        return
    options = shared_arguments(__doc__, rounds=5)
    report = Report("Memory: 40 MiB from a path", options.json)
    if not Path("/proc/self/clear_refs").exists():
        report.skip("memory is counted by Linux's /proc, which is not there")
        return
    with tempfile.TemporaryDirectory() as folder:
        attachment = Path(folder, "report.bin")
        attachment.write_bytes(os.urandom(SIZE))
        _measure(report, "by BDAT", (*EXTENSIONS, "CHUNKING"), options.rounds, attachment)
        _measure(report, "by DATA", EXTENSIONS, options.rounds, attachment)


if __name__ == "__main__":
    main()
