"""Round robin: each transport has its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from attrs import frozen

from mailkit.policies.alternatives import Alternatives
from mailkit.policies.members import open_members
from mailkit.policies.rotation import RotatingChannel

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.transport import Channel

__all__ = ["RoundRobin"]


@final
@frozen(init=False)
class RoundRobin(Alternatives):
    """Sends through one transport after the other in turn: ``RoundRobin(a, b)``, ``roundrobin(URL URL)``.

    Where the one whose turn it is did not send a message, or cannot express it, the others are asked as with
    :class:`mailkit.Failover`; one whose breaker is open loses its turns. ``send_many`` sends through all of them at the
    same time.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> str(RoundRobin(SMTP("a.example.com"), SMTP("b.example.com")))
        'roundrobin(smtp://a.example.com:587 smtp://b.example.com:587)'

    Args:
        transports: The transports.
        breaker: The breaker of each of them; None for none. One that is a :class:`mailkit.CircuitBreaker` keeps its
            own.

    Raises:
        ConfigurationError: There is no transport, or one of them is none.
    """

    scheme: ClassVar[str] = "roundrobin"

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        members = open_members(self.transports, edge, self.breaker)
        return RotatingChannel(self, members, edge, range(len(members)))
