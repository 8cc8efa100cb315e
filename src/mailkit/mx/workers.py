"""Several hands on one list of things to do."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from mailkit.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from mailkit.edge import Edge

__all__ = ["do_each"]

T = TypeVar("T")


async def do_each(
    items: Iterable[T], do: Callable[[T], Coroutine[Any, Any, None]], *, at_once: int, edge: Edge
) -> None:
    """Do something with each of some items, with up to `at_once` of them at the same time.

    What it raises ends it: nothing is begun any more.
    """
    todo = deque(items)

    async def work() -> None:
        while True:
            try:
                item = todo.popleft()
            except IndexError:
                return
            try:
                await do(item)
            except BaseException:
                todo.clear()  # threads cannot be cancelled
                raise

    workers = min(at_once, len(todo))
    if workers > 1:
        try:
            await edge.run_all([work] * workers)
        except ConnectError:
            pass  # not every thread could be started: what those that were have left is done here
        else:
            return
    await work()
