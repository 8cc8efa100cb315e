"""Running a program: no shell, its input and its standard error served side by side, so that neither blocks.

POSIX only: pipes are waited for like sockets, so both edges share this code.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from typing import IO, TYPE_CHECKING

from mailkit.edge.failures import reason_of, timed_out
from mailkit.errors import ConfigurationError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mailkit.edge.waiter import Waiter

__all__ = ["run_process"]

_BLOCK = 64 * 1024
_KEPT_OUTPUT = 64 * 1024  # of standard error; what a program says beyond that is read and dropped
_FIRST_LOOK, _LONGEST_LOOK = 0.001, 0.05  # seconds between two looks whether the program has ended


async def run_process(
    waiter: Waiter, argv: Sequence[str], data: Iterable[bytes], *, deadline: float
) -> tuple[int, str]:
    """Run a program and return its exit status and standard error; its standard output goes nowhere."""
    if not hasattr(select, "poll"):
        raise ConfigurationError("programs can be run on POSIX systems only; send over SMTP instead")
    process = _start(argv)
    try:
        conversation = _Conversation(waiter, process, iter(data))
        await conversation.run(f"{argv[0]} did not end", deadline)
        return process.returncode, conversation.said()
    finally:
        # Killed before its input ends: a mail program would take a cut message for a whole one. With it goes all that
        # it has started, for the mail program may be behind a script; what it left running when it ended stays.
        with contextlib.suppress(OSError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        for pipe in (process.stdin, process.stderr):
            with contextlib.suppress(OSError):
                _there(pipe).close()


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "asked for with PIPE"  # noqa: S101 - for the type checkers
    return pipe


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        # Unbuffered: what a pipe has taken is the program's, what it has not is ours.
        return subprocess.Popen(  # noqa: S603 - no shell
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # its own, which can be ended as a whole
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise ConnectError(
            f"{argv[0]!r} cannot be started: {reason_of(error)}; install it, or give its right path",
            cause="configuration",
            phase="connect",
        ) from error
    except OSError as error:
        raise ConnectError(
            f"{argv[0]!r} cannot be started: {reason_of(error)}; try again later", phase="connect"
        ) from error
    except (ValueError, IndexError) as error:  # NUL, lone surrogates; nothing at all
        raise ConfigurationError(f"{argv!r} cannot be a command line: {error}") from error


class _Conversation:
    """The pipes of one running program."""

    def __init__(self, waiter: Waiter, process: subprocess.Popen[bytes], data: Iterator[bytes]) -> None:
        self._waiter = waiter
        self._process = process
        self._data = data
        self._pending = memoryview(b"")
        self._output = bytearray()
        self._listening = True
        self._stdin, self._stderr = _there(process.stdin), _there(process.stderr)
        for pipe in (self._stdin, self._stderr):
            os.set_blocking(pipe.fileno(), False)

    def said(self) -> str:
        return self._output.decode("utf-8", "backslashreplace")

    async def run(self, what: str, deadline: float) -> None:
        look = _FIRST_LOOK
        await self._feed()
        while self._process.poll() is None:
            if self._waiter.now() >= deadline:
                raise timed_out(what)
            # A program that has closed its pipes, or left them to a child of its own, tells its end to
            # nobody.
            wake_up = min(deadline, self._waiter.now() + look)
            readers = (self._stderr.fileno(),) if self._listening else ()
            writers = () if self._stdin.closed else (self._stdin.fileno(),)
            if await self._waiter.any_ready(readers, writers, wake_up):
                look = _FIRST_LOOK
                self._listen()
                await self._feed()
            else:
                look = min(look * 2, _LONGEST_LOOK)
        self._listen()

    async def _feed(self) -> None:
        """Write as much as the pipe takes; close it after the last byte."""
        while not self._stdin.closed:
            if not self._pending:
                block = await self._waiter.in_thread(lambda: next(self._data, None))
                if block is None:
                    self._stdin.close()
                    return
                self._pending = memoryview(block)
                continue
            try:
                taken = os.write(self._stdin.fileno(), self._pending[:_BLOCK])
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._stdin.close()  # it wants no more; its exit status says why
                return
            self._pending = self._pending[taken:]

    def _listen(self) -> None:
        while self._listening:
            try:
                heard = os.read(self._stderr.fileno(), _BLOCK)
            except BlockingIOError:
                return
            self._listening = bool(heard)
            self._output += heard[: max(0, _KEPT_OUTPUT - len(self._output))]
