"""The colours, for every test of proxies."""

from __future__ import annotations

from tests.colours import colour, edge, run

__all__ = ["colour", "edge", "run"]
