"""Round robin: each transport has its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self, final

from attrs import field, frozen

from mailkit.policies.circuit import Breaker
from mailkit.policies.members import joint_capabilities, members_of, open_members, unlabelled
from mailkit.policies.rotation import RotatingChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.edge import Edge
    from mailkit.transport import Capabilities, Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["RoundRobin"]

_USUAL = Breaker()


@final
@frozen(init=False)
class RoundRobin:
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

    transports: tuple[Transport, ...]
    breaker: Breaker | None = field(default=_USUAL)

    def __init__(self, *transports: Transport, breaker: Breaker | None = _USUAL) -> None:
        object.__setattr__(self, "transports", members_of(type(self).__name__, transports))
        object.__setattr__(self, "breaker", breaker)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``roundrobin(URL URL)?failures=3&reset_after=60`` describes.

        Raises:
            ConfigurationError: A member has a label, or a parameter is wrong.
        """
        return cls(*unlabelled(cls.scheme, members), breaker=Breaker.from_url(url))

    @property
    def capabilities(self) -> Capabilities:
        """What at least one of the transports can express."""
        return joint_capabilities(self.transports)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        members = open_members(self.transports, edge, self.breaker)
        return RotatingChannel(self, members, edge, range(len(members)))

    def __str__(self) -> str:
        query = "?breaker=off" if self.breaker is None else self.breaker.query
        return f"{self.scheme}({' '.join(map(str, self.transports))}){query}"
