"""What an import costs, in fresh interpreters that find everything compiled, as an installer leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from figures import PYTHON, Contestant, Report, Skipped, arguments, installed, side_by_side

import mailkit

UNITS = ("ms of processor", "ms on the clock")
_PROGRAM = """
import time
cpu, wall = time.process_time(), time.perf_counter()
{work}
print((time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3)
"""
OURS = 'import mailkit; mailkit.Mailer("smtp://user:secret@mail.example.com")'
BASELINE = "import smtplib, email.message"
OTHERS = {
    "import mailkit": (None, "import mailkit"),
    "aiosmtplib": ("aiosmtplib", "import aiosmtplib"),
    "smtpproto": ("smtpproto", "from smtpproto.client import SyncSMTPClient"),
    "django.core.mail": ("django", "import django.core.mail; from django.core.mail.backends import smtp"),
    "python-emails": ("emails", "import emails"),
}


def _import(work: str, compiled: str) -> tuple[float, float]:
    program = _PROGRAM.format(work=work)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONPYCACHEPREFIX": compiled},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cpu, wall = map(float, printed.split())
    return cpu, wall


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=15)
    report = Report("Import", given.json)
    with tempfile.TemporaryDirectory() as compiled:
        _measure(report, given.rounds, compiled)


def _measure(report: Report, rounds: int, compiled: str) -> None:
    def contestant(name: str, made: str, work: str) -> Contestant:
        _import(work, compiled)  # the first compiles
        return Contestant(name, made, lambda: _import(work, compiled))

    contestants = [
        contestant('import mailkit; Mailer("smtp://…")', mailkit.__version__, OURS),
        contestant("import smtplib, email.message", PYTHON, BASELINE),
    ]
    for name, (distribution, work) in OTHERS.items():
        try:
            made = mailkit.__version__ if distribution is None else installed(distribution)
        except Skipped as skipped:
            report.skip(str(skipped))
        else:
            contestants.append(contestant(name, made, work))
    table = side_by_side("A fresh interpreter", UNITS, contestants, rounds=rounds)
    table.aim("import smtplib, email.message", factor=1 / 1.5)
    report.show(table)


if __name__ == "__main__":
    main()
