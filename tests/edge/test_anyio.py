from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import run_in

from mailkit.edge.anyio import AnyioEdge

if TYPE_CHECKING:
    from mailkit.edge import Edge

backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def test_it_is_an_edge() -> None:
    """The type checkers agree that an AnyioEdge is an Edge; it can be made outside an event loop."""
    edge: Edge = AnyioEdge(timeout=7.0)
    assert edge.timeout == 7.0
    assert time.monotonic() <= edge.now() <= time.monotonic()


@backends
def test_in_thread_does_not_hold_up_the_loop(backend: Any) -> None:
    """What blocks runs in another thread."""
    edge = AnyioEdge()

    async def conversation() -> int:
        return await edge.in_thread(threading.get_ident)

    assert run_in(backend, conversation) != threading.get_ident()


@backends
def test_the_first_error_cancels_the_other_jobs(backend: Any) -> None:
    """Jobs that wait are cancelled and cleaned up before the error is raised, bare."""
    edge = AnyioEdge()
    cleaned: list[int] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(1)

    async def fail() -> None:
        await anyio.sleep(0.01)
        raise ValueError("x")

    async def conversation() -> None:
        with pytest.raises(ValueError, match="x"):
            await edge.run_all([wait, fail, wait])
        assert len(cleaned) == 2

    run_in(backend, conversation)


@backends
def test_cancellation_reaches_the_jobs(backend: Any) -> None:
    """Cancelling run_all cancels every job and is no error of ours."""
    edge = AnyioEdge()
    cleaned: list[int] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(1)

    async def conversation() -> None:
        with anyio.move_on_after(0.01) as scope:
            await edge.run_all([wait, wait])
        assert scope.cancelled_caught
        assert len(cleaned) == 2

    run_in(backend, conversation)


@backends
def test_a_shield_keeps_cancellation_out(backend: Any) -> None:
    """A shielded block runs to its end; the cancellation comes after it."""
    edge = AnyioEdge()
    steps: list[str] = []

    async def conversation() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with edge.shield():
                await anyio.sleep(0.01)
                steps.append("whole")
            await anyio.sleep(0.01)
            steps.append("not reached")

    run_in(backend, conversation)
    assert steps == ["whole"]


@backends
def test_an_edge_serves_one_loop_after_another(backend: Any) -> None:
    """The same edge, its locks and slots, work in a second event loop."""
    edge = AnyioEdge()
    lock = edge.lock()

    async def conversation() -> list[int]:
        async def job(number: int) -> int:
            async with lock:
                await edge.sleep(0)
                return number

        return await edge.run_all([lambda number=n: job(number) for n in range(3)])  # type: ignore[misc]

    assert run_in(backend, conversation) == [0, 1, 2]
    assert run_in(backend, conversation) == [0, 1, 2]
