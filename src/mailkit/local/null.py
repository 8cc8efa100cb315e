"""NullTransport: every message is accepted, none is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

from attrs import frozen

from mailkit.local.channel import LocalChannel
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["NullTransport"]


@final
@frozen
class NullTransport:
    """Accepts and forgets: ``null://``. A message is written out in full all the same, so that a broken one is noticed.

    Example:
        >>> str(NullTransport())
        'null://'
    """

    @property
    def capabilities(self) -> Capabilities:
        """Everything: nothing is promised to anybody."""
        return Capabilities.everything()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return the transport that a URL describes.

        Raises:
            ConfigurationError: The URL says more than its scheme.
        """
        url.refuse(user=url.username, password=url.password, host=url.host, port=url.port, path=url.path)
        return cls(**url.parameters())

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put)

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        await edge.in_thread(lambda: _read_through(letter))
        return letter.accepted(str(self))

    def __str__(self) -> str:
        return "null://"


def _read_through(letter: Letter) -> None:
    for _ in letter.blocks():
        pass
