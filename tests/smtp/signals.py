"""A signal whose handler raises, at each point at which it could: what the tests of interruptions share.

CPython runs the handlers of signals in the main thread, between two bytecodes: behind a call of something written in C,
at the beginning of a function, when a generator goes on behind its own ``yield``, and at each turn of a loop. These are
the instructions that look, on Python 3.11 to 3.13: ``CALL``, ``CALL_KW``, ``CALL_FUNCTION_EX``, ``JUMP_BACKWARD``, and
``RESUME``, unless it goes on behind an ``await`` or a ``yield from``. None of the others does, ``CALL_INTRINSIC_1`` in
front of an asynchronous generator's ``yield`` for one. A trace function can raise behind them on Python 3.11, and what
``sys.monitoring`` calls from Python 3.12 on.
"""

from __future__ import annotations

import dis
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

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

_AWAITING: Final = 2
"""The bit of what RESUME is told that says that it goes on behind an await or a yield from."""


class Signals:
    """Raises at the n-th point at which a signal could be handled in those modules, and at another later.

    Args:
        make: Makes what is raised.
        when: At which points, counted from one; Python 3.11 can do one of them.
    """

    def __init__(self, make: Callable[[], BaseException], *when: int) -> None:
        self.points: int = 0
        self.raised: list[BaseException] = []
        self._make = make
        self._when = set(when)
        self._means: _Traced | _Monitored = (_Monitored if sys.version_info >= (3, 12) else _Traced)(self)

    def __enter__(self) -> Self:
        self._means.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._means.end()

    def point(self) -> None:
        """Raise, if this is one of the points."""
        self.points += 1
        if self.points in self._when:
            error = self._make()
            self.raised.append(error)
            raise error


class _Monitored:
    """Is called exactly where Python looks.

    Args:
        signals: What raises.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._thread = threading.get_ident()
        self._codes: dict[CodeType, bytes] = {}  # of interest; empty is not

    def begin(self) -> None:
        monitoring: Any = vars(sys)["monitoring"]  # of Python 3.12
        events = monitoring.events
        monitoring.use_tool_id(monitoring.PROFILER_ID, "signals")
        self._call_back(self._goes_on, self._jumps, self._has_called)
        of_interest = events.PY_START | events.PY_RESUME | events.INSTRUCTION | events.CALL
        monitoring.set_events(monitoring.PROFILER_ID, of_interest)

    def end(self) -> None:
        monitoring: Any = vars(sys)["monitoring"]
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        self._call_back(None, None, None)  # or what was raised would be kept
        monitoring.free_tool_id(monitoring.PROFILER_ID)

    @staticmethod
    def _call_back(goes_on: Any, jumps: Any, has_called: Any) -> None:
        monitoring: Any = vars(sys)["monitoring"]
        events = monitoring.events
        monitoring.register_callback(monitoring.PROFILER_ID, events.PY_START, goes_on)
        monitoring.register_callback(monitoring.PROFILER_ID, events.PY_RESUME, goes_on)
        monitoring.register_callback(monitoring.PROFILER_ID, events.INSTRUCTION, jumps)
        monitoring.register_callback(monitoring.PROFILER_ID, events.C_RETURN, has_called)

    def _instructions(self, code: CodeType) -> bytes:
        if threading.get_ident() != self._thread:
            return b""
        known = self._codes.get(code)
        if known is None:
            known = self._codes[code] = code.co_code if code.co_filename.endswith(ALL) else b""
        return known

    def _goes_on(self, code: CodeType, offset: int) -> None:
        instructions = self._instructions(code)
        if instructions and not instructions[offset + 1] & _AWAITING:
            self._signals.point()

    def _jumps(self, code: CodeType, offset: int) -> object:
        # Not the event of a jump: what raises there is caught by who covers its destination, and Python 3.13 lets the
        # jump back to the condition of a loop be covered by nobody.
        if not code.co_filename.endswith(ALL) or dis.opname[code.co_code[offset]] != "JUMP_BACKWARD":
            return vars(sys)["monitoring"].DISABLE
        if self._instructions(code):
            self._signals.point()
        return None

    def _has_called(self, code: CodeType, _offset: int, _callable: object, _argument: object) -> None:
        if self._instructions(code):
            self._signals.point()


class _Traced:
    """Raises in front of the instruction behind; once, because Python drops a trace function that has raised.

    Args:
        signals: What raises.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._before: Any = None
        self._calls = 0

    def begin(self) -> None:
        self._before = sys.gettrace()  # coverage's, where it is measured
        sys.settrace(self._call)

    def end(self) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        self._calls += 1
        return self._trace(frame, self._calls) if frame.f_code.co_filename.endswith(ALL) else None

    def _trace(self, frame: FrameType, calls: int) -> Callable[[FrameType, str, object], Any]:
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        instructions = frame.f_code.co_code
        # Where the function is entered, or goes on: at a RESUME, unless something is thrown into a generator.
        last, has_failed = frame.f_lasti, False

        def trace(frame: FrameType, event: str, _arg: object) -> Any:
            nonlocal last, calls, has_failed
            if event == "opcode":
                before, last = last, frame.f_lasti
                # A function of Python's looks by itself, and where a call has raised there is no look.
                is_done, calls = has_failed or calls != self._calls, self._calls
                if _looks(instructions, before, last, is_done=is_done):
                    self._signals.point()
            has_failed = event == "exception"
            return trace

        return trace


def _looks(instructions: bytes, at: int, following: int, *, is_done: bool) -> bool:
    """Whether Python 3.11 looks for signals between an instruction and the one that follows."""
    name = dis.opname[instructions[at]]
    if name == "RESUME":
        return not instructions[at + 1] & _AWAITING
    if name in {"CALL", "CALL_FUNCTION_EX"}:
        # Nor is there a look between the call of a coroutine function, which only makes one, and the await.
        return not is_done and dis.opname[instructions[following]] != "GET_AWAITABLE"
    return name != "JUMP_BACKWARD_NO_INTERRUPT" and "JUMP_BACKWARD" in name  # behind a condition, too
