from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from mailkit.edge import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def answer() -> int:
    """Return the answer without suspending."""
    return 42


def test_run_sync_returns_the_result() -> None:
    """A coroutine that never suspends runs to its end without an event loop."""
    assert run_sync(answer()) == 42


def test_run_sync_works_inside_a_running_loop() -> None:
    """A running event loop in the same thread is no hindrance."""

    async def main() -> int:
        return run_sync(answer())

    assert asyncio.run(main()) == 42


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_run_sync_lets_exceptions_through(error: BaseException) -> None:
    """What the coroutine raises comes out as it is, KeyboardInterrupt too."""

    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        run_sync(fail())
    assert caught.value is error


def test_a_foreign_await_is_an_error_that_names_it() -> None:
    """Awaiting an event loop's own future raises RuntimeError after the coroutine's clean-up has run."""
    cleaned: list[str] = []
    loop = asyncio.new_event_loop()
    future = loop.create_future()

    async def foreign() -> None:
        try:
            await future
        finally:
            cleaned.append("up")

    with pytest.raises(RuntimeError, match=r"<Future pending>.*use AsyncMailer"):
        run_sync(foreign())
    assert cleaned == ["up"]
    loop.close()


def test_a_foreign_await_in_the_clean_up_gives_the_same_error() -> None:
    """A coroutine that awaits the event loop even while it is closed cannot hide the message."""

    async def foreign() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="use AsyncMailer"):
        run_sync(foreign())


def test_an_async_context_manager_works_without_a_loop() -> None:
    """``@asynccontextmanager`` enters, leaves and sees errors under run_sync."""
    seen: list[str] = []

    @asynccontextmanager
    async def borrowed() -> AsyncIterator[int]:
        seen.append("in")
        try:
            yield await answer()
        except ValueError:
            seen.append("error")
            raise
        finally:
            seen.append("out")

    async def use() -> None:
        async with borrowed() as value:
            raise ValueError(value)

    with pytest.raises(ValueError, match="42"):
        run_sync(use())
    assert seen == ["in", "error", "out"]


def test_async_generators_go_step_by_step() -> None:
    """run_sync on ``__anext__`` yields item after item and ends with StopAsyncIteration."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number + await answer()

    steps = numbers()
    assert [run_sync(steps.__anext__()) for _ in range(3)] == [42, 43, 44]
    with pytest.raises(StopAsyncIteration):
        run_sync(steps.__anext__())
