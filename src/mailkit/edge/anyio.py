"""The suspending edge: asyncio (uvloop included) and trio, through anyio.

Nothing here belongs to one event loop: a mailer may be used by one ``asyncio.run`` after another.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from mailkit.edge.connect import connect_tcp, connect_unix
from mailkit.edge.http_clients import TaskClients
from mailkit.edge.readiness import ready
from mailkit.edge.slots import FairLock, FairSlots

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mailkit.edge.base import Stream
    from mailkit.edge.http import Request, Response
    from mailkit.edge.records import Answer, NameServers, Record
    from mailkit.edge.tls_options import TLS
    from mailkit.events import Event

__all__ = ["AnyioEdge"]

T = TypeVar("T")
R = TypeVar("R", bound="Record")


class AnyioEdge:
    """Suspends the calling task, on asyncio or trio. Belongs to one thread at a time, not to one event loop.

    Args:
        timeout: Seconds that one phase may take where nothing else is said.

    Example:
        >>> async def main() -> tuple[int, str]:
        ...     edge = AnyioEdge(timeout=10.0)
        ...     return await edge.run_process(["true"], [], deadline=edge.now() + edge.timeout)
        >>> anyio.run(main)
        (0, '')
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.listener: Callable[[Event], object] | None = None
        self._waiter = _TaskWaiter()
        self._contexts: dict[TLS, Any] = {}
        self._http = TaskClients(self, self._waiter)

    def now(self) -> float:
        """Seconds on a clock that never goes back, the same in every event loop."""
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

    async def connect_tcp(
        self,
        host: str,
        port: int,
        *,
        deadline: float,
        source_address: str | Sequence[str] | None = None,
        addresses: Sequence[str] = (),
    ) -> Stream:
        """Connect to the first of the host's addresses that answers."""
        return await connect_tcp(
            self._waiter,
            self._contexts,
            host,
            port,
            deadline=deadline,
            source_address=source_address,
            addresses=addresses,
        )

    async def resolve_records(
        self, name: str, kind: type[R], *, deadline: float, name_servers: NameServers | None = None
    ) -> Answer[R]:
        """Ask the name servers for the records of a name."""
        from mailkit.edge.lookup import resolve_records

        return await resolve_records(self._waiter, name, kind, deadline=deadline, name_servers=name_servers)

    async def connect_unix(self, path: Path, *, deadline: float) -> Stream:
        """Connect to a UNIX domain socket."""
        return await connect_unix(self._waiter, self._contexts, path, deadline=deadline)

    async def fetch(self, request: Request, *, deadline: float) -> Response:
        """Send an HTTP request and return the answer."""
        return await self._http.fetch(request, deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(max(0.0, seconds))

    def lock(self) -> FairLock:
        """Return a new lock."""
        return FairLock(_TaskTurn)

    def slots(self, limit: int) -> FairSlots:
        """Return a new bound."""
        return FairSlots(limit, _TaskTurn)

    async def run_all(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run the jobs at once, each in a task; the first error cancels the others."""
        results: dict[int, T] = {}
        errors: list[BaseException] = []
        cancelled = anyio.get_cancelled_exc_class()

        async def run(index: int) -> None:
            try:
                results[index] = await jobs[index]()
            except cancelled:
                raise
            except BaseException as error:  # noqa: BLE001 - raised bare below, not in a group
                errors.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for index in range(len(jobs)):
                group.start_soon(run, index)
        if errors:
            raise errors[0]
        return [results[index] for index in range(len(jobs))]

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run something that blocks without holding up the event loop."""
        return await anyio.to_thread.run_sync(function)

    async def run_process(self, argv: Sequence[str], data: Iterable[bytes], *, deadline: float) -> tuple[int, str]:
        """Run a program without a shell; return its exit status and standard error."""
        from mailkit.edge.process import run_process  # loads subprocess

        return await run_process(self._waiter, argv, data, deadline=deadline)

    def shield(self) -> AbstractAsyncContextManager[None]:
        """A block that cancellation does not enter."""
        return _shield()

    async def close(self) -> None:
        """Close the HTTP connections."""
        await self._http.close()


@asynccontextmanager
async def _shield() -> AsyncGenerator[None, None]:
    with anyio.CancelScope(shield=True):
        yield


class _TaskWaiter:
    """Waits by suspending the task."""

    def now(self) -> float:
        return time.monotonic()

    async def readable(self, fd: int, deadline: float) -> bool:
        return await _wait(anyio.wait_readable, fd, deadline - time.monotonic()) or bool(ready((fd,), (), 0.0))

    async def writable(self, fd: int, deadline: float) -> bool:
        return await _wait(anyio.wait_writable, fd, deadline - time.monotonic()) or bool(ready((), (fd,), 0.0))

    async def any_ready(self, readers: Collection[int], writers: Collection[int], deadline: float) -> set[int]:
        async def wait(wait_ready: Callable[[int], Awaitable[None]], fd: int) -> None:
            with suppress(anyio.ClosedResourceError):  # closed by another task: the next operation tells
                await wait_ready(fd)
            scope.cancel()

        with anyio.move_on_after(deadline - time.monotonic()) as scope:
            async with anyio.create_task_group() as group:
                for fd in readers:
                    group.start_soon(wait, anyio.wait_readable, fd)
                for fd in writers:
                    group.start_soon(wait, anyio.wait_writable, fd)
                if not readers and not writers:
                    group.start_soon(anyio.sleep_forever)
        return ready(readers, writers, 0.0)

    async def pause(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function)

    async def in_abandoned_thread(self, function: Callable[[], T], deadline: float) -> T | None:
        with anyio.move_on_after(deadline - time.monotonic()):
            return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)
        return None

    def closing(self, fd: int) -> None:
        with suppress(RuntimeError):  # no loop runs, so no task waits
            anyio.notify_closing(fd)


async def _wait(wait_ready: Callable[[int], Awaitable[None]], fd: int, seconds: float) -> bool:
    if seconds <= 0:
        return False
    with anyio.move_on_after(seconds):
        with suppress(anyio.ClosedResourceError):  # closed by another task: the next operation tells
            await wait_ready(fd)
        return True
    return False


class _TaskTurn:
    """A task in the queue for a slot."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    async def wait(self, deadline: float) -> None:
        with anyio.move_on_after(deadline - time.monotonic()):
            await self._event.wait()

    def call(self) -> None:
        self._event.set()
