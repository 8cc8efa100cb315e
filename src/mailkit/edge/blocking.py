"""The blocking edge: ``async def`` without ``await``, for :func:`mailkit.edge.base.run_sync` to step.

Where the code is shared by both edges it is called here and awaited by the caller.
"""

from __future__ import annotations

import threading
import time
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mailkit.edge.base import run_sync
from mailkit.edge.http_clients import BlockingClients
from mailkit.edge.readiness import ready
from mailkit.edge.slots import FairLock, FairSlots
from mailkit.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mailkit.edge.base import Stream
    from mailkit.edge.http import Request, Response
    from mailkit.edge.records import Answer, NameServers, Record
    from mailkit.edge.tls_options import TLS
    from mailkit.events import Event

__all__ = ["BlockingEdge"]

_FOR_EVER: Final = 1e9
"""Seconds, 31 years: what a Retry-After may ask for can be more than time.sleep takes."""

T = TypeVar("T")
R = TypeVar("R", bound="Record")


class BlockingEdge:
    """Blocks the calling thread. May be shared by threads.

    Args:
        timeout: Seconds that one phase may take where nothing else is said.

    Example:
        >>> edge = BlockingEdge(timeout=10.0)
        >>> run_sync(edge.run_process(["true"], [], deadline=edge.now() + edge.timeout))
        (0, '')
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.listener: Callable[[Event], object] | None = None
        self._waiter = _PollWaiter()
        self._contexts: dict[TLS, Any] = {}
        self._http = BlockingClients(self, self._waiter)

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def random(self) -> float:
        """A random number from 0 up to, but not including, 1."""
        from random import random

        return random()  # noqa: S311 - spreads waits, guards nothing

    def notify(self, event: Event) -> None:
        """Tell the listener, if there is one."""
        if self.listener is not None:
            self.listener(event)

    @property
    def is_followed(self) -> bool:
        """Whether the listener wants to hear of each message."""
        return self.listener is not None and bool(getattr(self.listener, "follows", True))

    @property
    def is_followed_closely(self) -> bool:
        """Whether the listener wants to hear of each attempt too."""
        return self.listener is not None and bool(getattr(self.listener, "follows_closely", True))

    def connect_tcp(
        self,
        host: str,
        port: int,
        *,
        deadline: float,
        source_address: str | Sequence[str] | None = None,
        addresses: Sequence[str] = (),
    ) -> Coroutine[Any, Any, Stream]:
        """Connect to the first of the host's addresses that answers."""
        from mailkit.edge.connect import connect_tcp

        return connect_tcp(
            self._waiter,
            self._contexts,
            host,
            port,
            deadline=deadline,
            source_address=source_address,
            addresses=addresses,
        )

    def resolve_records(
        self, name: str, kind: type[R], *, deadline: float, name_servers: NameServers | None = None
    ) -> Coroutine[Any, Any, Answer[R]]:
        """Ask the name servers for the records of a name."""
        from mailkit.edge.lookup import resolve_records

        return resolve_records(self._waiter, name, kind, deadline=deadline, name_servers=name_servers)

    def connect_unix(self, path: Path, *, deadline: float) -> Coroutine[Any, Any, Stream]:
        """Connect to a UNIX domain socket."""
        from mailkit.edge.connect import connect_unix

        return connect_unix(self._waiter, self._contexts, path, deadline=deadline)

    def fetch(self, request: Request, *, deadline: float) -> Coroutine[Any, Any, Response]:
        """Send an HTTP request and return the answer."""
        return self._http.fetch(request, deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(min(max(0.0, seconds), _FOR_EVER))

    def lock(self) -> FairLock:
        """Return a new lock."""
        return FairLock(_ThreadTurn)

    def slots(self, limit: int) -> FairSlots:
        """Return a new bound."""
        return FairSlots(limit, _ThreadTurn)

    async def run_all(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run the jobs at once, each in a thread, the first in this one."""
        return _run_all(jobs)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run it here: this thread may block."""
        return function()

    def run_process(
        self, argv: Sequence[str], data: Iterable[bytes], *, deadline: float
    ) -> Coroutine[Any, Any, tuple[int, str]]:
        """Run a program without a shell; return its exit status and standard error."""
        from mailkit.edge.process import run_process  # loads subprocess

        return run_process(self._waiter, argv, data, deadline=deadline)

    def shield(self) -> AbstractAsyncContextManager[None]:
        """Nothing cancels a thread."""
        return _no_shield()

    async def close(self) -> None:
        """Close the HTTP connections."""
        run_sync(self._http.close())


@asynccontextmanager
async def _no_shield() -> AsyncGenerator[None, None]:
    yield


class _PollWaiter:
    """Waits by blocking in ``poll``."""

    def now(self) -> float:
        return time.monotonic()

    async def readable(self, fd: int, deadline: float) -> bool:
        return bool(ready((fd,), (), deadline - time.monotonic()))

    async def writable(self, fd: int, deadline: float) -> bool:
        return bool(ready((), (fd,), deadline - time.monotonic()))

    async def any_ready(self, readers: Collection[int], writers: Collection[int], deadline: float) -> set[int]:
        return ready(readers, writers, deadline - time.monotonic())

    async def pause(self) -> None:
        """Other threads run anyway."""

    async def in_thread(self, function: Callable[[], T]) -> T:
        return function()

    async def in_abandoned_thread(self, function: Callable[[], T], deadline: float) -> T | None:
        return _call_or_leave(function, deadline - time.monotonic())

    def closing(self, fd: int) -> None:
        """The shutdown that follows wakes a blocked thread."""


class _ThreadTurn:
    """A thread in the queue for a slot."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        # Not an Event: that is written in Python, and a signal handler that raises inside it leaves its lock taken.
        self._lock = threading.Lock()
        self._lock.acquire()

    async def wait(self, deadline: float) -> None:
        self._lock.acquire(timeout=min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX))

    def call(self) -> None:
        with suppress(RuntimeError):  # called before
            self._lock.release()


def _call_or_leave(function: Callable[[], T], seconds: float) -> T | None:
    """Run a function in a thread of its own; None, and the thread left to itself, after `seconds`."""
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
            errors.append(error)

    # A daemon: an interpreter that ends does not wait for a resolver that hangs.
    thread = threading.Thread(target=call, name="mailkit resolver", daemon=True)
    _start(thread)
    thread.join(min(max(0.0, seconds), threading.TIMEOUT_MAX))
    if errors:
        raise errors[0]
    return results[0] if results else None


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        raise ConnectError(f"no thread can be started: {error}; run fewer at once, or try again later") from error


def _run_all(jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = run_sync(jobs[index]())
        except BaseException as error:  # noqa: BLE001 - raised when all have ended
            errors.append(error)

    others = [_Job(run, index) for index in range(1, len(jobs))]
    try:
        for job in others:
            job.start()
        for job in others:
            job.begin()
        if jobs:
            run(0)
    except BaseException as error:  # noqa: BLE001 - raised when all have ended
        errors.append(error)
    try:
        _wait_for(others)
    except BaseException as error:  # noqa: BLE001 - raised when all have ended
        # The others cannot be cancelled, and what they have begun must be known: wait once more. A second interrupt
        # gets out.
        is_second = any(not isinstance(each, Exception) for each in errors)
        errors.append(error)
        if not is_second:
            _wait_for(others)
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(jobs))]


class _Job:
    """A thread that is waited for as often as it takes, whatever a signal handler has raised meanwhile.

    ``Thread.join`` cannot be: what raises in it makes Python 3.11 and 3.12 take the thread for one that has ended. And
    of a ``Thread.start`` that was interrupted nobody knows whether the thread runs: so it does nothing before it is
    told to.

    Args:
        run: What it does; raises nothing.
        index: Which of the jobs it runs.
    """

    def __init__(self, run: Callable[[int], None], index: int) -> None:
        self._run = run
        self._index = index
        self._beginning = _ThreadTurn()
        self._end = _ThreadTurn()
        self._is_wanted = False
        self._has_ended = False
        # Context variables go along, as they do into a task.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._work,), name=f"mailkit job {index}", daemon=True
        )

    def start(self) -> None:
        _start(self._thread)

    def begin(self) -> None:
        self._is_wanted = True
        self._beginning.call()

    def dismiss(self) -> None:
        """Let it end without having run, where it has not been told to."""
        self._beginning.call()

    def wait(self) -> None:
        if self._is_wanted:
            while not self._has_ended:
                run_sync(self._end.wait(float("inf")))
            self._thread.join()  # which takes no time any more

    def _work(self) -> None:
        run_sync(self._beginning.wait(float("inf")))
        if self._is_wanted:
            try:
                self._run(self._index)
            finally:
                self._has_ended = True
                self._end.call()


def _wait_for(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.dismiss()
    for job in jobs:
        job.wait()
