"""A response's body: bounded on the wire and decompressed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.edge.http_body import BoundedBody


def _feed(body: BoundedBody, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        if not body.feed(data[start : start + size]):
            return
    body.end()


@given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from(["", "identity", "gzip", "x-gzip", "deflate"]))
def test_what_fits_comes_out_as_it_was(data: bytes, size: int, coding: str) -> None:
    """A body within the limit is complete, however it is cut and compressed."""
    packed = gzip.compress(data, mtime=0) if "gzip" in coding else zlib.compress(data) if coding == "deflate" else data
    body = BoundedBody(max(len(packed), len(data)), coding)
    _feed(body, packed, size)
    assert (body.content, body.incomplete) == (data, None)


@given(st.integers(0, 100), st.integers(1, 50))
def test_what_does_not_fit_is_cut_at_the_limit(limit: int, size: int) -> None:
    """No more than the limit is kept, and that it is cut is known."""
    body = BoundedBody(limit)
    _feed(body, b"x" * 101, size)
    assert body.content == b"x" * limit
    assert body.incomplete is not None


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_costs_what_the_limit_is(coding: str) -> None:
    """100 MiB in 100 KiB are not unpacked: memory stays near the limit."""
    data = b"\0" * (100 << 20)
    bomb = gzip.compress(data, mtime=0) if coding == "gzip" else zlib.compress(data)
    body = BoundedBody(1 << 20, coding)
    tracemalloc.start()
    _feed(body, bomb, 65_536)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(body.content) == 1 << 20
    assert body.incomplete is not None
    assert peak < 5 << 20


def test_many_bytes_that_expand_to_few_count_as_well() -> None:
    """The limit holds for what comes over the wire, too."""
    body = BoundedBody(50, "gzip")
    _feed(body, gzip.compress(b"", mtime=0) * 10, 7)
    assert body.incomplete is not None


@pytest.mark.parametrize(
    ("data", "coding", "why"),
    [
        (gzip.compress(b"abc" * 100, mtime=0)[:-9], "gzip", "ends early"),
        (b"not gzip at all", "gzip", "cannot be decompressed"),
        (b"abc", "br", "not one that was asked for"),
        (b"abc", "gzip, gzip", "not one that was asked for"),
    ],
)
def test_what_cannot_be_decompressed_is_incomplete(data: bytes, coding: str, why: str) -> None:
    """A cut, broken or unknown coding is said, not raised."""
    body = BoundedBody(1000, coding)
    _feed(body, data, 1000)
    assert why in str(body.incomplete)


def test_no_body_at_all_is_complete() -> None:
    """An empty body needs no compressed form: 204 has none."""
    body = BoundedBody(10, "gzip")
    body.end()
    assert (body.content, body.incomplete) == (b"", None)
