"""The colours, and a world of mail on loopback, for every test of direct delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.colours import colour, edge, run
from tests.mx.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour

__all__ = ["colour", "edge", "run", "world"]


@pytest.fixture
def world(colour: Colour) -> Iterator[World]:
    """A world in one colour."""
    with World(colour) as world:
        yield world
