from __future__ import annotations

import base64
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.mime import base64 as ours

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 22799, 22800, 22801, 45599, 45600, 45601, 91200, 100_000]


@pytest.fixture(params=["as installed", "without pybase64", "with pybase64"])
def _encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "without pybase64":
        monkeypatch.setitem(sys.modules, "pybase64", None)
    elif request.param == "with pybase64":
        monkeypatch.setitem(sys.modules, "pybase64", SimpleNamespace(b64encode=base64.b64encode))
    ours._encoder.cache_clear()
    yield
    ours._encoder.cache_clear()


def oracle(data: bytes) -> bytes:
    """Return what the standard library writes."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")


@pytest.mark.usefixtures("_encoder")
@pytest.mark.parametrize("size", SIZES)
def test_encodes_as_the_standard_library_does(size: int) -> None:
    """With either encoder, lines have 76 characters and CRLF, and the size is known before."""
    data = bytes(number * 7 % 256 for number in range(size))
    assert ours.encode_base64(data) == oracle(data)
    assert ours.encoded_size(size) == len(oracle(data))


@given(blocks=st.lists(st.binary(max_size=200), max_size=20))
def test_where_blocks_are_cut_does_not_matter(blocks: list[bytes]) -> None:
    """Blocks of any size give what the whole gives."""
    assert b"".join(ours.iter_base64(blocks)) == oracle(b"".join(blocks))


def test_no_block_is_larger_than_64_kib() -> None:
    """Blocks of the advised size come out a little under 64 KiB."""
    block = bytes(ours.BLOCK_SIZE)
    assert ours.encoded_size(ours.BLOCK_SIZE) <= 1 << 16
    assert max(map(len, ours.iter_base64([block] * 3))) <= 1 << 16
