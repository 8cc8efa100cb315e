"""A signal whose handler raises, at each point at which it could: what the tests of interruptions share.

CPython runs the handlers of signals in the main thread, between two bytecodes: behind a call of something written in C,
at the beginning of a function, when a coroutine goes on, and at each turn of a loop. A trace function can raise there.
"""

from __future__ import annotations

import dis
import sys
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["ALL", "Signals"]

#: The modules that have something to lose.
ALL: Final = tuple(
    f"mailkit/{name}.py"
    for name in (
        *("edge/blocking", "edge/slots", "edge/stream"),
        *("smtp/channel", "smtp/conversation", "smtp/delivery", "smtp/engine", "smtp/flight", "smtp/lane"),
        *("smtp/lease", "smtp/line", "smtp/pool", "smtp/session", "smtp/single", "smtp/stream", "smtp/transaction"),
    )
)

_NAMES: Final = dis.opname


class Signals:
    """Raises at the n-th point at which a signal could be handled in some modules, and at others later.

    Args:
        make: Makes what is raised.
        when: At which points, counted from one; None only counts.
        modules: The ends of the modules' paths.
    """

    def __init__(self, make: Callable[[], BaseException], *when: int, modules: tuple[str, ...] = ALL) -> None:
        self.points: int = 0
        self.raised: list[BaseException] = []
        self._make = make
        self._when = set(when)
        self._modules = modules
        self._before: Any = None
        self._calls = 0

    def __enter__(self) -> Self:
        self._before = sys.gettrace()  # coverage's, where it is measured
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        self._calls += 1
        if not frame.f_code.co_filename.endswith(self._modules):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        instructions, last, calls = frame.f_code.co_code, "RESUME", self._calls

        def trace(frame: FrameType, event: str, _arg: object) -> Any:
            nonlocal last, calls
            if event == "opcode":
                before, last = last, _NAMES[instructions[frame.f_lasti]]
                has_called, calls = calls != self._calls, self._calls  # a function of Python's, which looks by itself
                # Nor is there a look between the call of a coroutine function, which only makes one, and the await.
                is_call = before.startswith("CALL") and not has_called and last != "GET_AWAITABLE"
                if is_call or before == "RESUME" or "JUMP_BACKWARD" in before:
                    self._point()
            return trace

        return trace

    def _point(self) -> None:
        self.points += 1
        if self.points in self._when:
            error = self._make()
            self.raised.append(error)
            raise error
