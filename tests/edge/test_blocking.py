from __future__ import annotations

import ast
import asyncio
import contextvars
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.edge.test_stream import echo
from tests.keyboard import Keyboard

import mailkit.edge.blocking as module
from mailkit.edge import Edge, run_sync
from mailkit.edge.blocking import BlockingEdge, _ThreadTurn
from mailkit.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.edge.conftest import Serve


def test_nothing_in_it_awaits() -> None:
    """The module has ``async def`` and neither ``await`` nor ``async for`` nor ``async with``."""
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))))
    assert any(isinstance(node, ast.AsyncFunctionDef) for node in nodes)
    assert not any(isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) for node in nodes)


def test_it_is_an_edge() -> None:
    """The type checkers agree that a BlockingEdge is an Edge, and its clock is the monotonic one."""
    edge: Edge = BlockingEdge(timeout=7.0)
    assert edge.timeout == 7.0
    assert time.monotonic() <= edge.now() <= time.monotonic()
    run_sync(edge.close())


def test_it_works_inside_a_running_event_loop(serve: Serve) -> None:
    """A Mailer may be used, though it blocks, in a thread whose event loop runs."""
    port = serve(echo)
    edge = BlockingEdge()

    async def conversation() -> bytes:
        stream = await edge.connect_tcp("localhost", port, deadline=edge.now() + 5)
        await stream.send(b"ping", deadline=edge.now() + 5)
        answer = await stream.receive(deadline=edge.now() + 5)
        await stream.close()
        return answer

    async def main() -> bytes:
        return run_sync(conversation())

    assert asyncio.run(main()) == b"ping"


def test_in_thread_stays_in_this_thread() -> None:
    """A thread that may block needs no other."""
    assert run_sync(BlockingEdge().in_thread(threading.get_ident)) == threading.get_ident()


def test_jobs_see_the_callers_context() -> None:
    """Context variables, which tracing and frameworks use, go along into the jobs' threads."""
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set here")

    async def job() -> tuple[str, int]:
        return variable.get(), threading.get_ident()

    results = run_sync(BlockingEdge().run_all([job] * 3))
    assert {value for value, _thread in results} == {"set here"}
    assert results[0][1] == threading.get_ident()


def test_jobs_without_a_thread_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no more threads, none of the jobs has begun, no thread is left, and the error is ours."""
    real = threading.Thread.start
    started: list[threading.Thread] = []
    done: list[int] = []
    edge = BlockingEdge()

    def start(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    async def job() -> None:
        await edge.sleep(0.01)
        done.append(1)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ConnectError, match="no thread can be started") as caught:
        run_sync(edge.run_all([job] * 5))
    assert caught.value.retryable
    for thread in started:
        thread.join(10)
    assert not done


class Pressed(Exception):
    """What a test's signal handler raises."""


@pytest.fixture
def keyboard() -> Iterator[Keyboard]:
    """What raises Pressed."""
    with Keyboard(Pressed) as keyboard:
        yield keyboard


def test_an_interrupt_lets_the_other_jobs_end(keyboard: Keyboard) -> None:
    """After Ctrl-C the jobs under way come to their end, so that what they did is known, and then it is raised."""
    done: list[str] = []
    edge = BlockingEdge()

    async def first() -> None:
        done.append("first")

    async def second() -> None:
        keyboard.press(_ThreadTurn.wait.__code__)
        await edge.sleep(0.02)
        done.append("second")

    with pytest.raises(Pressed):
        run_sync(edge.run_all([first, second]))
    assert done == ["first", "second"]


def test_a_second_interrupt_gets_out(keyboard: Keyboard) -> None:
    """Who presses twice does not wait for a job that does not end."""
    done: list[str] = []
    may_end, ended = threading.Event(), threading.Event()

    async def first() -> None:
        done.append("first")

    async def second() -> None:
        keyboard.press(_ThreadTurn.wait.__code__)
        keyboard.press(_ThreadTurn.wait.__code__)
        may_end.wait(10)
        done.append("second")
        ended.set()

    with pytest.raises(Pressed):
        run_sync(BlockingEdge().run_all([first, second]))
    assert done == ["first"]
    may_end.set()
    assert ended.wait(10)


def test_an_interrupt_while_threads_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows whether a thread has begun, no job does, and nothing is waited for."""
    real = threading.Thread.start
    started: list[threading.Thread] = []
    done: list[int] = []

    def start(thread: threading.Thread) -> None:
        if started:
            raise Pressed
        real(thread)
        started.append(thread)

    async def job() -> None:
        done.append(1)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(Pressed):
        run_sync(BlockingEdge().run_all([job] * 3))
    started[0].join(10)
    assert not done


def test_closing_wakes_a_blocked_thread(serve: Serve) -> None:
    """A thread blocked in receive comes back at once when another closes the stream."""
    port = serve(lambda conn: conn.recv(1))
    edge: Any = BlockingEdge()
    stream = run_sync(edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5))
    results: list[object] = []

    def receive() -> None:
        try:
            results.append(run_sync(stream.receive(deadline=edge.now() + 30)))
        except ConnectError as error:
            results.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.05)  # most likely blocked by now; the outcome is the same if not
    run_sync(stream.close())
    thread.join(5)
    assert not thread.is_alive()
    assert results == [b""] or isinstance(results[0], ConnectError)


def test_a_sleep_may_be_longer_than_time_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Retry-After of ten thousand years is a long wait, not an OverflowError."""
    slept: list[float] = []
    monkeypatch.setattr("mailkit.edge.blocking.time.sleep", slept.append)
    edge = BlockingEdge(timeout=1)
    run_sync(edge.sleep(float(10**12)))
    run_sync(edge.sleep(float("inf")))
    run_sync(edge.sleep(-1.0))
    assert slept == [1e9, 1e9, 0.0]
