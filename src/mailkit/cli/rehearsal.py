"""What ``--dry-run`` sends through: a transport that checks and renders as the real one would, and shows messages."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import TYPE_CHECKING

from attrs import field, frozen

from mailkit.local.channel import LocalChannel
from mailkit.local.readable import readable
from mailkit.post import ENVIRONMENT
from mailkit.transport import Capabilities
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel

__all__ = ["Rehearsal"]


@frozen(eq=False)
class Rehearsal:
    """A transport that connects to nothing.

    Args:
        name: The real one's name.
        capabilities: What that one can express.
        shown: How many messages are printed; the others are checked as well.
    """

    name: str
    capabilities: Capabilities = field(factory=Capabilities.everything)
    shown: int = 1
    _printed: list[str] = field(factory=list[str], init=False)

    @classmethod
    def of(cls, url: str | None, *, shown: int) -> Rehearsal:
        """Return the rehearsal of the transport that there would be, or of any where no URL is given.

        Raises:
            ConfigurationError: The URL is wrong.
        """
        url = url or os.environ.get(ENVIRONMENT)
        if not url:
            return cls("dry-run", shown=shown)
        transport = transport_from_url(url)
        return cls(str(transport), transport.capabilities, shown)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that shows messages."""
        return LocalChannel(self, edge, self._put)

    def __str__(self) -> str:
        return self.name

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        await edge.in_thread(lambda: deque(letter.blocks(), 0))  # an attachment that cannot be sent is noticed
        if len(self._printed) < self.shown:
            self._printed.append(letter.message_id)
            sys.stdout.write(readable(letter))
        return letter.accepted(self.name)
