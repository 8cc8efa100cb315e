"""Who takes part in sending: every library that is installed, each with what sends its letters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from figures import PYTHON, Report, Skipped, installed
from peers import ours, standard_library

import mailkit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from letters import Letter
    from stopwatch import Sample

__all__ = ["LOOPS", "Sender", "ours_async", "ours_blocking", "peers"]

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@dataclass(frozen=True)
class Sender:
    """A library with its way to send.

    Args:
        name: What tables call it.
        version: Which version.
        deliver: ``deliver(port, warm, letters, connections=n)`` returns a sample.
    """

    name: str
    version: str
    deliver: Callable[..., Sample]


def _looped(deliver: Callable[..., Any], loop: str) -> Callable[..., Sample]:
    def run(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
        sample: Sample = anyio.run(partial(deliver, port, warm, letters, connections=connections), **LOOPS[loop])
        return sample

    return run


def ours_blocking(*, parameters: str = "", label: str = "") -> list[Sender]:
    """Return mailkit's ``send_many`` and ``send``."""
    stream = partial(ours.deliver, stream=True, parameters=parameters)
    return [
        Sender(f"mailkit send_many{label}", mailkit.__version__, stream),
        Sender(f"mailkit send{label}", mailkit.__version__, partial(ours.deliver, parameters=parameters)),
    ]


def ours_async(report: Report) -> list[Sender]:
    """Return the same on each event loop that is installed."""
    senders: list[Sender] = []
    for loop in LOOPS:
        try:
            made = mailkit.__version__ if loop == "asyncio" else f"{mailkit.__version__}, {loop} {installed(loop)}"
        except Skipped as skipped:
            report.skip(str(skipped))
            continue
        stream = _looped(partial(ours.deliver_async, stream=True), loop)
        senders.append(Sender(f"mailkit send_many, {loop}", made, stream))
        senders.append(Sender(f"mailkit send, {loop}", made, _looped(ours.deliver_async, loop)))
    return senders


def peers(report: Report) -> list[Sender]:
    """Return the others."""
    senders = [Sender("EmailMessage + smtplib", PYTHON, standard_library.deliver)]

    def enter(load: Callable[[], Sender]) -> None:
        try:
            senders.append(load())
        except Skipped as skipped:
            report.skip(str(skipped))

    enter(_django)
    enter(_aiosmtplib)
    enter(_smtpproto)
    enter(_nodemailer)
    return senders


def _django() -> Sender:
    made = installed("django")
    from peers import django_mail

    return Sender("Django, one open connection", made, django_mail.deliver)


def _aiosmtplib() -> Sender:
    made = installed("aiosmtplib")
    from peers import aiosmtplib_client

    return Sender("EmailMessage + aiosmtplib", made, _looped(aiosmtplib_client.deliver, "asyncio"))


def _smtpproto() -> Sender:
    made = installed("smtpproto")
    from peers import smtpproto_client

    return Sender("EmailMessage + smtpproto", made, _looped(smtpproto_client.deliver, "asyncio"))


def _nodemailer() -> Sender:
    from peers import nodemailer

    return Sender("nodemailer, pooled", nodemailer.version(), nodemailer.deliver)
