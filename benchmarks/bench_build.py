"""From keyword arguments to the bytes that go over the wire."""

from __future__ import annotations

import os
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from figures import PYTHON, Contestant, Report, Skipped, arguments, installed, side_by_side
from letters import Letter, letters
from peers import ours, standard_library

import mailkit
from mailkit.mime import base64

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Build = Callable[[Letter], bytes]

ALL_DIFFERENT = "small message, text and html, everything different each time"
ALIKE = "small message, text and html, always the same one"
LARGE = "one attachment of 5 MB"


def _cost(build: Build, given: Sequence[Letter]) -> float:
    started = time.process_time()
    for letter in given:
        build(letter)
    return (time.process_time() - started) / len(given)


def _peers(report: Report) -> dict[str, tuple[str, Build]]:
    peers = {
        "EmailMessage + policy.SMTP": (PYTHON, standard_library.email_message_bytes),
        "MIMEMultipart": (PYTHON, standard_library.multipart_bytes),
    }
    try:
        made = installed("django")
        from peers import django_mail

        peers["Django EmailMultiAlternatives"] = (made, django_mail.message_bytes)
    except Skipped as skipped:
        report.skip(str(skipped))
    try:
        made = installed("emails")
        from peers import python_emails

        peers["python-emails"] = (made, python_emails.message_bytes)
    except Skipped as skipped:
        report.skip(str(skipped))
    return peers


def _small(report: Report, work: str, rounds: int, *, alike: bool) -> None:
    def contestant(name: str, made: str, build: Build, count: int) -> Contestant:
        given = letters(count, alike=alike)
        return Contestant(name, made, lambda: 1e6 * _cost(build, given))

    peers = _peers(report)
    us = contestant("mailkit", mailkit.__version__, ours.message_bytes, 3000)
    them = [contestant(name, made, build, 200) for name, (made, build) in peers.items()]
    table = side_by_side(work, ("µs",), [us, *them], rounds=rounds)
    table.aim("EmailMessage + policy.SMTP", factor=30)
    table.aim("Django EmailMultiAlternatives", factor=8)
    report.show(table)


def _large(report: Report, rounds: int) -> None:
    given = letters(1, attachment=os.urandom(5_000_000))

    def without_pybase64() -> float:
        plain = lru_cache(maxsize=1)(lambda: partial(base64.b2a_base64, newline=False))
        kept, base64._encoder = base64._encoder, plain
        try:
            return 1e3 * _cost(ours.message_bytes, given * 3)
        finally:
            base64._encoder = kept

    contestants: list[Contestant] = []
    try:
        made = f"{mailkit.__version__}, pybase64 {installed('pybase64')}"
        contestants.append(Contestant("mailkit-sdk[speed]", made, lambda: 1e3 * _cost(ours.message_bytes, given * 5)))
    except Skipped as skipped:
        report.skip(str(skipped))
    contestants.append(Contestant("mailkit-sdk", mailkit.__version__, without_pybase64))
    contestants += [
        Contestant(name, made, partial(lambda build: 1e3 * _cost(build, given), build))
        for name, (made, build) in _peers(report).items()
    ]
    table = side_by_side(LARGE, ("ms",), contestants, rounds=rounds)
    table.aim("EmailMessage + policy.SMTP", factor=15, ours="mailkit-sdk[speed]")
    table.aim("EmailMessage + policy.SMTP", factor=5, ours="mailkit-sdk")
    report.show(table)


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=9)
    report = Report("Building: keyword arguments → bytes (processor time)", given.json)
    if given.only in ALL_DIFFERENT:
        _small(report, ALL_DIFFERENT, given.rounds, alike=False)
    if given.only in ALIKE:
        _small(report, ALIKE, given.rounds, alike=True)
    if given.only in LARGE:
        _large(report, given.rounds)


if __name__ == "__main__":
    main()
