"""MemoryTransport: what is sent stays in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.local.channel import LocalChannel
from mailkit.local.sent import Sent
from mailkit.transport import Capabilities
from mailkit.transport_url import whole

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["MemoryTransport", "read"]


@final
@frozen(eq=False, kw_only=True)
class MemoryTransport:
    """Keeps every message in :attr:`outbox`: ``memory://``, ``memory://?limit=100``.

    In tests :class:`mailkit.testing.FakeTransport` does the same and more.

    Example:
        >>> transport = MemoryTransport()
        >>> len(transport.outbox)
        0

    Args:
        limit: How many messages are kept, the newest ones; None keeps them all.

    Raises:
        ConfigurationError: `limit` is not positive.
    """

    limit: int | None = None
    outbox: list[Sent] = field(factory=list[Sent], init=False, repr=False)
    """What was sent, the oldest first. It may be cleared at any time."""

    def __attrs_post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError("a MemoryTransport keeps at least one message: use NullTransport to keep none")

    @property
    def capabilities(self) -> Capabilities:
        """Everything: messages are kept as they are."""
        return Capabilities.everything()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return a new transport.

        Raises:
            ConfigurationError: A part of the URL means nothing here.
        """
        url.refuse(user=url.username, password=url.password, host=url.host, port=url.port, path=url.path)
        return cls(**url.parameters(limit=whole))

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put)

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        raw = await edge.in_thread(lambda: read(letter))
        receipt = letter.accepted(str(self))
        # Appending and cutting a list are atomic, so that threads need no lock here.
        self.outbox.append(Sent(envelope=letter.envelope, receipt=receipt, raw=raw, message=letter.message))
        if self.limit is not None:
            del self.outbox[: -self.limit]
        return receipt

    def __str__(self) -> str:
        return "memory://"


def read(letter: Letter) -> bytes:
    """Return all octets of a letter."""
    return b"".join(letter.blocks())
