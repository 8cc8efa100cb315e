"""A conversation with a proxy, without I/O: what to write comes out, what was read goes in, what was early is left."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

__all__ = ["Exchange", "take"]

Exchange: TypeAlias = Generator[bytes, bytes, bytes]
"""Yields bytes to write (or none, to read on), is sent bytes that were read, and returns those that came after the
proxy's last word: they are from the far end already."""


def take(buffer: bytearray, count: int) -> Exchange:
    """Read until `buffer` holds `count` bytes, and take them out."""
    while len(buffer) < count:
        buffer += yield b""
    taken = bytes(buffer[:count])
    del buffer[:count]
    return taken
