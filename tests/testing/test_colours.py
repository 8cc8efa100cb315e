from __future__ import annotations

from typing import Any

import pytest

from mailkit.testing.colours import ASYNC_COLOURS, COLOURS, Colour


@pytest.mark.parametrize("colour", COLOURS)
def test_each_colour_runs_its_edge(colour: Colour) -> None:
    """An edge of the colour works in what the colour runs, and has the timeout that was asked for."""
    edge = colour.edge(timeout=3.0)

    async def main() -> int:
        await edge.sleep(0)
        return await edge.in_thread(lambda: 7)

    assert colour.run(main) == 7
    assert edge.timeout == pytest.approx(3.0)


def test_there_are_three_and_two_of_them_suspend() -> None:
    """A test can run in all colours, or in those that have an event loop."""

    def names(parameters: Any) -> list[str]:
        return [each.values[0].name for each in parameters]

    assert names(COLOURS) == ["blocking", "asyncio", "trio"]
    assert names(ASYNC_COLOURS) == ["asyncio", "trio"]
