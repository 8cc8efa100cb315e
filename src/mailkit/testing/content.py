"""What content must not hold on the wire, found without looking at every line of a large message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.testing.received import Rule

__all__ = ["broken_rules"]

LINE_LIMIT = 1000
"""Octets of a text line, CRLF included (RFC 5321 §4.5.3.1.6)."""


def broken_rules(data: bytes, *, eight_bit: bool, binary: bool) -> Iterator[tuple[Rule, bytes]]:
    """Yield each rule that the content breaks, with an example.

    Args:
        data: The content, dots unstuffed.
        eight_bit: Whether the envelope announced octets beyond ASCII (RFC 6152).
        binary: Whether it announced BINARYMIME, under which everything is allowed (RFC 3030 §3).
    """
    if binary:
        return
    pairs = data.count(b"\r\n")
    if data.count(b"\n") != pairs:
        yield "bare-lf-in-data", _around(data, _first_lone_line_feed(data))
    if data.count(b"\r") != pairs:
        yield "bare-cr-in-data", b""
    if (position := data.find(b"\0")) >= 0:
        yield "nul-in-data", _around(data, position)
    if not eight_bit and not data.isascii():
        yield "8bit-without-8bitmime", b""
    if (start := _long_line(data)) is not None:
        yield "data-line-too-long", data[start : start + 40]


def _first_lone_line_feed(data: bytes) -> int:
    position = data.index(b"\n")
    while position and data[position - 1] == 0x0D:
        position = data.index(b"\n", position + 1)
    return position


def _around(data: bytes, position: int) -> bytes:
    return data[max(0, position - 20) : position + 20]


def _long_line(data: bytes) -> int | None:
    """Find a line beyond the limit by leaping from line end to line end, a thousand octets at a time."""
    start = 0
    while len(data) - start > LINE_LIMIT:
        end = data.rfind(b"\n", start, start + LINE_LIMIT)
        if end < 0:
            return start
        start = end + 1
    return None
