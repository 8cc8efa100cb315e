"""The three colours in which a transport has to behave the same: blocking, asyncio, trio."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pytest
from attrs import frozen

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mailkit.edge.base import Edge

__all__ = ["ASYNC_COLOURS", "COLOURS", "Colour"]

T = TypeVar("T")


@frozen
class Colour:
    """One way to run a coroutine.

    Example:
        >>> async def main() -> int:
        ...     return 7
        >>> Colour("asyncio").run(main)
        7

    Args:
        name: ``"blocking"``, or the event loop's.
    """

    name: Literal["blocking", "asyncio", "trio"]

    def edge(self, *, timeout: float = 10.0) -> Edge:
        """Return a new edge.

        Args:
            timeout: Seconds that one phase may take.
        """
        if self.name == "blocking":
            return BlockingEdge(timeout)
        from mailkit.edge.anyio import AnyioEdge

        return AnyioEdge(timeout)

    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function to its end, in a new event loop where there is one."""
        if self.name == "blocking":
            return run_sync(function())
        import anyio

        return anyio.run(function, backend=self.name)


_WITHOUT_TRIO = pytest.mark.skipif(
    find_spec("trio") is None, reason="trio is not installed: pip install 'mailkit-sdk[trio]'"
)
_BLOCKING = pytest.param(Colour("blocking"), id="blocking")

ASYNC_COLOURS = (
    pytest.param(Colour("asyncio"), id="asyncio"),
    pytest.param(Colour("trio"), id="trio", marks=_WITHOUT_TRIO),
)
"""The parameters of a test that needs an event loop."""
COLOURS = (_BLOCKING, *ASYNC_COLOURS)
"""The parameters of every other test."""
