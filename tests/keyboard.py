"""Ctrl-C from a thread of a test, which arrives exactly once for each time that it is pressed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import CodeType

__all__ = ["Keyboard"]


class Keyboard:
    """Somebody at the keyboard, while this context is open.

    A signal that comes between Python's last look for one and the system call that blocks is not seen before that call
    returns. So it is sent again until it has been seen, and what comes too often raises nothing.

    Args:
        error: What each press raises in the main thread.
    """

    def __init__(self, error: type[BaseException] = KeyboardInterrupt) -> None:
        main = threading.main_thread().ident
        assert main is not None
        self._main = main
        self._error = error
        self.pressed = 0
        self.seen = 0

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def press(self, waiting_in: CodeType | None = None) -> None:
        """Interrupt the main thread, and return when it has been; not before it runs that code, where one is given."""
        while waiting_in is not None and sys._current_frames()[self._main].f_code is not waiting_in:
            time.sleep(0.001)  # nothing tells when a thread has begun to wait
        self.pressed += 1
        while self.seen < self.pressed:
            signal.pthread_kill(self._main, signal.SIGINT)
            time.sleep(0.01)

    def _handle(self, *_: object) -> None:
        if self.seen < self.pressed:
            self.seen += 1
            raise self._error
