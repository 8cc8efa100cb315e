"""A world with a clock of its own: many tasks in one thread, each step in an order that is always the same.

Whatever is written over an edge runs in it unchanged. Time passes only when everybody waits.
"""

from __future__ import annotations

import types
from collections import deque
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from tests.policies.letters import Interrupted

from mailkit.edge.blocking import BlockingEdge
from mailkit.errors import DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence

    from mailkit.edge.base import Lock, Slots

__all__ = ["World", "WorldEdge"]

T = TypeVar("T")


class _Task:
    """A coroutine on its way.

    Args:
        coroutine: What runs.
    """

    __slots__ = ("coroutine", "error", "interruption", "is_done", "result", "turn", "waiters")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.interruption: BaseException | None = None  # what is raised where it waits
        self.waiters: list[_Task] = []
        self.turn = -1  # the number of its entry in the schedule; another entry of it is void


@types.coroutine
def _wait(for_what: float | _Task | None) -> Generator[Any, None, None]:
    """Wait until a time, for a task to end, or until somebody wakes this one up."""
    yield for_what


class World:
    """Runs tasks.

    Args:
        seed: Of the random numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        self.time = 1000.0
        self.random = Random(seed)
        self.running: _Task | None = None
        self.interrupts_at: int | None = None
        """At which step, of all that are taken, the main task is interrupted where it waits."""
        self.steps = 0
        """How many steps there have been since it began."""
        self._main: _Task | None = None
        self._schedule: list[tuple[float, int, _Task]] = []
        self._numbers = count()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> _Task:
        """Let a coroutine run beside the others."""
        task = _Task(coroutine)
        self.wake(task)
        return task

    def wake(self, task: _Task, at: float | None = None) -> None:
        """Let a task go on, now or at a time."""
        task.turn = next(self._numbers)
        heappush(self._schedule, (self.time if at is None else max(at, self.time), task.turn, task))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until a coroutine ends, and everything beside it meanwhile."""
        main = self._main = self.spawn(coroutine)
        self.steps = 0
        while not main.is_done:
            self._step()
        if main.error is not None:
            raise main.error
        result: T = main.result
        return result

    def run_until(self, time: float) -> None:
        """Run everything until a time."""
        while self._schedule and self._schedule[0][0] <= time:
            self._step()
        self.time = time

    def _step(self) -> None:
        time, number, task = heappop(self._schedule)
        if task.is_done or number != task.turn:
            return
        self.time, self.running = time, task
        self.steps += 1
        if self.steps == self.interrupts_at and self._main is not None:
            self._main.interruption = Interrupted()
            if task is not self._main:
                self.wake(self._main)
        interruption, task.interruption = task.interruption, None
        try:
            awaited = task.coroutine.send(None) if interruption is None else task.coroutine.throw(interruption)
        except StopIteration as stop:
            self._end(task, stop.value, None)
        except BaseException as error:  # noqa: BLE001 - raised where the task is waited for
            self._end(task, None, error)
        else:
            if isinstance(awaited, float | int):
                self.wake(task, awaited)
            elif isinstance(awaited, _Task):
                self.wake(task) if awaited.is_done else awaited.waiters.append(task)

    def _end(self, task: _Task, result: Any, error: BaseException | None) -> None:
        task.is_done, task.result, task.error = True, result, error
        for waiter in task.waiters:
            self.wake(waiter)


class WorldEdge(BlockingEdge):
    """The edge of whoever lives in a world.

    Args:
        world: The world.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        super().__init__(5.0)

    def now(self) -> float:
        """The world's time."""
        return self.world.time

    def random(self) -> float:
        """The world's next random number."""
        return self.world.random.random()

    async def sleep(self, seconds: float) -> None:
        """Let the others run until it is time."""
        await _wait(self.world.time + max(0.0, seconds))

    async def run_all(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run the jobs beside each other; who is interrupted while he waits for them interrupts them."""
        tasks = [self.world.spawn(job()) for job in jobs]
        try:
            await self._all_done(tasks)
        except BaseException:
            for task in tasks:
                if not task.is_done:
                    task.interruption = Interrupted()
                    self.world.wake(task)
            await self._all_done(tasks)
            raise
        for task in tasks:
            if task.error is not None:
                raise task.error
        return [task.result for task in tasks]

    async def _all_done(self, tasks: Sequence[_Task]) -> None:
        for task in tasks:
            while not task.is_done:
                await _wait(task)

    def lock(self) -> Lock:
        """Return a new lock."""
        return _Lock(self.world)

    def slots(self, limit: int) -> Slots:
        """Return a new bound."""
        return _Slots(self.world, limit)


class _Slots:
    def __init__(self, world: World, limit: int) -> None:
        self._world = world
        self._free = limit
        self._queue: deque[_Task] = deque()

    async def acquire(self, *, deadline: float) -> None:
        if self._free and not self._queue:
            self._free -= 1
            return
        task = self._world.running
        assert task is not None
        if deadline <= self._world.time:
            raise DeliveryTimeout("no slot became free in time")
        self._queue.append(task)
        try:
            await _wait(deadline)
        except BaseException:
            if task in self._queue:
                self._queue.remove(task)
            else:
                self.release()  # it had been handed on
            raise
        if task in self._queue:  # nobody woke it up: it is too late
            self._queue.remove(task)
            raise DeliveryTimeout("no slot became free in time")

    def release(self) -> None:
        if self._queue:
            self._world.wake(self._queue.popleft())  # the slot is handed on
        else:
            self._free += 1


class _Lock:
    def __init__(self, world: World) -> None:
        self._slots = _Slots(world, 1)

    async def __aenter__(self) -> None:
        await self._slots.acquire(deadline=float("inf"))

    async def __aexit__(self, *exc_info: object) -> None:
        self._slots.release()
