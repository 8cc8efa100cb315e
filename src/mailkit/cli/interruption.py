"""Signals that end a run: they interrupt it as Ctrl-C does, so that it can still say what it has done."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Terminated", "terminable"]


class Terminated(BaseException):
    """The process was asked to end (SIGTERM, SIGHUP): like KeyboardInterrupt, it is nobody's error.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def terminable() -> Generator[None, None, None]:
    """Let SIGTERM and SIGHUP interrupt this block as Ctrl-C does, so that it can still say what it has done."""

    def end(number: int, _frame: object) -> NoReturn:
        raise Terminated(number)

    before: dict[signal.Signals, Any] = {}
    with suppress(ValueError):  # only the main thread may handle signals
        for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:  # Windows has no SIGHUP
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
