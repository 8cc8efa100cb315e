"""Several transports of equal rights to a message: what Failover and RoundRobin are as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from attrs import field, frozen

from mailkit.policies.circuit import Breaker
from mailkit.policies.members import breaker_of, joint_capabilities, members_of, unlabelled
from mailkit.policies.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mailkit.transport import Capabilities, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["USUAL", "Alternatives"]

USUAL: Final = Breaker()
"""The breaker of each transport where nothing else is said."""


@frozen(init=False)
class Alternatives(Policy):
    """Transports, any of which may send a message; which one is asked when is a subclass's.

    Args:
        transports: The transports.
        breaker: The breaker of each of them; None for none. One that is a :class:`mailkit.CircuitBreaker` keeps its
            own.

    Raises:
        ConfigurationError: There is no transport, or one of them is none.
    """

    transports: tuple[Transport, ...]
    breaker: Breaker | None = field(default=USUAL)

    def __init__(self, *transports: Transport, breaker: Breaker | None = USUAL) -> None:
        object.__setattr__(self, "transports", members_of(type(self).__name__, transports))
        object.__setattr__(self, "breaker", breaker_of(type(self).__name__, breaker))

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that a URL such as ``failover(URL URL)?failures=3&reset_after=60`` describes.

        Raises:
            ConfigurationError: A member has a label, or a parameter is wrong.
        """
        return cls(*unlabelled(cls.scheme, members), breaker=Breaker.from_url(url))

    @property
    def capabilities(self) -> Capabilities:
        """What at least one of the transports can express."""
        return joint_capabilities(self.transports)

    def _members(self) -> Iterable[tuple[str, Transport]]:
        return [("", transport) for transport in self.transports]

    def _parameters(self) -> Mapping[str, str | None]:
        return {"breaker": "off"} if self.breaker is None else self.breaker.parameters
