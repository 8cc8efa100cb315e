"""The three colours in which everything above the edges must behave the same: blocking, asyncio, trio.

A test that takes the fixtures `edge` and `run` runs once in each colour::

    from tests.colours import colour, edge, run  # in a conftest.py

    def test_something(edge, run):
        async def conversation() -> None:
            stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
        run(conversation)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio
import pytest

from mailkit.edge.anyio import AnyioEdge
from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mailkit.edge.base import Edge

__all__ = ["COLOURS", "Colour", "colour", "edge", "make_edge", "run", "run_in"]

Colour = Literal["blocking", "asyncio", "trio"]
COLOURS: tuple[Colour, ...] = ("blocking", "asyncio", "trio")

T = TypeVar("T")


def make_edge(colour: Colour, timeout: float = 5.0) -> Edge:
    """Return a new edge of a colour."""
    return BlockingEdge(timeout) if colour == "blocking" else AnyioEdge(timeout)


def run_in(colour: Colour, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
    """Run ``function(*args)`` to its end, in a new event loop where the colour has one."""
    if colour == "blocking":
        return run_sync(function(*args))
    return anyio.run(function, *args, backend=colour)


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    return request.param


@pytest.fixture
def edge(colour: Colour) -> Edge:
    """A new edge of the colour."""
    return make_edge(colour)


@pytest.fixture
def run(colour: Colour) -> Callable[..., Any]:
    """:func:`run_in` for the colour."""
    return partial(run_in, colour)
