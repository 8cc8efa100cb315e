"""A response's body as it comes in: decompressed, and never more than was agreed.

The limit holds for the bytes on the wire and for what they expand to. A decompressor is asked for no more than is still
allowed, so a bomb costs what its limit is, not what it expands to.
"""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["BoundedBody"]

_AUTO: Final = zlib.MAX_WBITS | 32  # recognises gzip and zlib by their first bytes
_ZLIB_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})  # RFC 9110 §8.4.1
_TOO_LONG: Final = "it is longer than what is read"


class BoundedBody:
    """Collects a body.

    Example:
        >>> body = BoundedBody(limit=4)
        >>> body.feed(b"12345"), body.content, body.incomplete
        (False, b'1234', 'it is longer than what is read')

    Args:
        limit: The most bytes to keep.
        coding: The Content-Encoding header's value.
    """

    def __init__(self, limit: int, coding: str = "") -> None:
        self._limit = limit
        self._left = limit
        self._raw = 0
        self._blocks: list[bytes] = []
        self.incomplete: str | None = None
        name = coding.strip().lower()
        self._expander = zlib.decompressobj(_AUTO) if name in _ZLIB_CODINGS else None
        if self._expander is None and name not in {"", "identity"}:
            self.incomplete = "its Content-Encoding is not one that was asked for"

    @property
    def content(self) -> bytes:
        """What has been kept."""
        return b"".join(self._blocks)

    def feed(self, block: bytes) -> bool:
        """Take a block; return whether to go on."""
        self._raw += len(block)
        if self.incomplete is None:
            self._keep(block)
        if self.incomplete is None and self._raw > self._limit:
            self.incomplete = _TOO_LONG
        return self.incomplete is None

    def _keep(self, block: bytes) -> None:
        if self._expander is not None:
            try:
                # One byte more than may be kept tells a body that ends here from one that goes on.
                block = self._expander.decompress(block, self._left + 1)
            except zlib.error:
                self.incomplete = "it cannot be decompressed"
                return
        if len(block) > self._left:
            self.incomplete = _TOO_LONG
        self._blocks.append(block[: self._left])
        self._left -= min(len(block), self._left)

    def end(self) -> None:
        """The last block has been fed."""
        if self.incomplete is None and self._expander is not None and self._raw and not self._expander.eof:
            self.incomplete = "its compressed form ends early"
