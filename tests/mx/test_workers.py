"""Several hands on one list: all of it is done, once, and nothing is begun after an interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailkit import ConnectError
from mailkit.mx.workers import do_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_everything_is_done_once(edge: Edge, run: Callable[..., Any], at_once: int) -> None:
    """Each item is somebody's, whatever the number of hands."""
    done: list[int] = []

    async def do(item: int) -> None:
        done.append(item)

    async def main() -> None:
        await do_each(range(20), do, at_once=at_once, edge=edge)

    run(main)
    assert sorted(done) == list(range(20))


def test_nothing_is_nothing(edge: Edge, run: Callable[..., Any]) -> None:
    """An empty list needs nobody."""

    async def do(item: int) -> None:
        raise AssertionError(item)

    async def main() -> None:
        await do_each((), do, at_once=3, edge=edge)

    run(main)


@pytest.mark.parametrize("at_once", [1, 2])
def test_after_an_interruption_nothing_is_begun(edge: Edge, run: Callable[..., Any], at_once: int) -> None:
    """What one of them raises comes out, and the items that nobody had begun stay so."""
    begun: list[int] = []

    async def do(item: int) -> None:
        begun.append(item)
        if len(begun) == 2:
            raise KeyboardInterrupt

    async def main() -> None:
        await do_each(range(100), do, at_once=at_once, edge=edge)

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert len(begun) <= 2 * at_once


def test_too_few_threads_are_no_reason_to_leave_work(
    edge: Edge, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not every thread can be started, the rest is done by this one."""
    done: list[int] = []

    async def do(item: int) -> None:
        done.append(item)

    async def run_all(jobs: list[Callable[[], Any]]) -> None:
        raise ConnectError("no thread can be started")

    async def main() -> None:
        await do_each(range(5), do, at_once=3, edge=edge)

    monkeypatch.setattr(edge, "run_all", run_all)
    run(main)
    assert done == list(range(5))
