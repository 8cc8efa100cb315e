"""Signals that end a run: the first one asks for an end at the next good moment, the second one means now.

A signal that raises wherever the program happens to be would leave messages of which nobody can say what became. So the
first one only makes a note; what is under way is answered, and nothing new is begun. The second one ends the process at
once: an exception might be swallowed where it happens to be raised, and the ledger is made to be left at any moment.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["StopRequest", "Terminated", "stoppable"]

_PATIENCE: Final = (
    b"mailkit: stopping: waiting for what is under way. Interrupt again to stop at once: then that is in doubt\n"
)
_STOPPED: Final = b"mailkit: stopped: the same command and --resume go on\n"
_SHOW_CURSOR: Final = b"\x1b[?25h\n"  # a progress bar has hidden it


class Terminated(BaseException):
    """The process was asked to end: like KeyboardInterrupt, it is nobody's error.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopRequest:
    """Whether somebody wants the run to end, and by which signal.

    Example:
        >>> StopRequest().number is None
        True
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def receive(self, number: int, frame: object = None) -> None:
        """Take note of a signal; end the process if it is the second one."""
        del frame  # signal handlers are given it
        if self.number is not None:
            with suppress(OSError):
                os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + _STOPPED)
            os._exit(128 + number)
        self.number = number
        with suppress(OSError):
            os.write(2, _PATIENCE)  # not print, which may be what was interrupted

    def check(self) -> None:
        """End the run, now that it is a good moment.

        Raises:
            Terminated: A signal has come.
        """
        if self.number is not None:
            raise Terminated(self.number)


@contextmanager
def stoppable() -> Generator[StopRequest, None, None]:
    """Let SIGINT, SIGTERM and SIGHUP be requests for the length of this block."""
    request = StopRequest()
    before: dict[int, Any] = {}
    with suppress(ValueError):  # only the main thread may handle signals
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            # What nohup, or a shell in the background, has told this process to ignore stays ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, request.receive)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
