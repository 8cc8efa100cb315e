"""Base64 in lines of 76 characters (RFC 2045 §6.8), block by block and with a size that is known before."""

from __future__ import annotations

from binascii import b2a_base64
from functools import lru_cache, partial
from importlib import import_module
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["BLOCK_SIZE", "encode_base64", "encoded_size", "iter_base64"]

_LINE_IN = 57
_LINE_OUT = 76
# 400 lines are cut apart in one call. Their 400 small objects come from memory that the interpreter has just
# freed; with 800 it goes back to the system for more each time, which costs three times as much.
_LINES = 400
_CUT = Struct(f"{_LINE_OUT}s" * _LINES)
_PIECE_IN = _LINE_IN * _LINES
_PIECE_OUT = _LINE_OUT * _LINES

BLOCK_SIZE = 2 * _PIECE_IN
"""How many bytes to encode at once: 45,600 become 62,398, a little less than 64 KiB."""


def encoded_size(size: int) -> int:
    """Return how many octets `size` bytes become, without a line end after the last line."""
    if not size:
        return 0
    return 4 * -(-size // 3) + 2 * (-(-size // _LINE_IN) - 1)


def encode_base64(data: bytes) -> bytes:
    """Return `data` in lines that end with CRLF, but for the last one."""
    return b"".join(iter_base64((data,)))


def iter_base64(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of bytes in lines that end with CRLF, but for the last one.

    Args:
        blocks: Blocks of any size; those of `BLOCK_SIZE` are encoded as they come.
    """
    rest = b""
    first = True
    for block in blocks:
        data = rest + block if rest else block
        whole = len(data) - len(data) % _LINE_IN
        rest = data[whole:]
        for start in range(0, whole, _PIECE_IN):
            lines = _lines(data[start : min(start + _PIECE_IN, whole)])
            yield lines if first else b"\r\n" + lines
            first = False
    if rest:
        lines = _lines(rest)
        yield lines if first else b"\r\n" + lines


def _lines(data: bytes) -> bytes:
    encoded = _encoder()(data)
    if len(encoded) == _PIECE_OUT:
        return b"\r\n".join(_CUT.unpack(encoded))
    if len(encoded) <= _LINE_OUT:
        return encoded
    return b"\r\n".join([encoded[start : start + _LINE_OUT] for start in range(0, len(encoded), _LINE_OUT)])


@lru_cache(maxsize=1)
def _encoder() -> Callable[[bytes], bytes]:
    try:
        # SIMD, if the extra "speed" is installed.
        encode: Callable[[bytes], bytes] = import_module("pybase64").b64encode
    except ImportError:
        return partial(b2a_base64, newline=False)
    return encode
