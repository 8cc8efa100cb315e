"""Weighted round robin: each transport has its share of the turns."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.alternatives import USUAL
from mailkit.policies.circuit import Breaker
from mailkit.policies.members import breaker_of, joint_capabilities, members_of, open_members
from mailkit.policies.policy import Policy
from mailkit.policies.rotation import RotatingChannel, smooth_turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailkit.edge import Edge
    from mailkit.transport import Capabilities, Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["Weighted"]


@final
@frozen(init=False)
class Weighted(Policy):
    """Sends through several transports by weight: ``Weighted({a: 3, b: 1})``, ``weighted(3*URL 1*URL)``.

    Of four messages the first transport gets three. Nothing is random: the turns are those of smooth weighted round
    robin, so that the shares are exact and evenly spread. In all else it is :class:`mailkit.RoundRobin`.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> str(Weighted({SMTP("a.example.com"): 3, SMTP("b.example.com"): 1}))
        'weighted(3*smtp://a.example.com:587 1*smtp://b.example.com:587)'

    Args:
        weights: The weight of each transport, a positive whole number; a mapping, or pairs of transport and weight.
        breaker: The breaker of each of them; None for none. One that is a :class:`mailkit.CircuitBreaker` keeps its
            own.

    Raises:
        ConfigurationError: There is no transport, one of them is none, or a weight is not a positive whole number.
    """

    scheme: ClassVar[str] = "weighted"

    weights: tuple[tuple[Transport, int], ...]
    breaker: Breaker | None = field(default=USUAL, kw_only=True)

    def __init__(
        self,
        # A Mapping is invariant in its keys: of one from Transport, {SMTP(…): 3} would be none for a type checker.
        weights: Mapping[Any, int] | Iterable[tuple[Transport, int]],
        *,
        breaker: Breaker | None = USUAL,
    ) -> None:
        pairs = _pairs(weights)
        members_of(type(self).__name__, (transport for transport, _ in pairs))
        smooth_turns([weight for _, weight in pairs])
        object.__setattr__(self, "weights", pairs)
        object.__setattr__(self, "breaker", breaker_of(type(self).__name__, breaker))

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``weighted(3*URL 1*URL)?failures=3&reset_after=60`` describes.

        Raises:
            ConfigurationError: A weight or a parameter is wrong.
        """
        return cls([(transport, _weight(label)) for label, transport in members], breaker=Breaker.from_url(url))

    @property
    def transports(self) -> tuple[Transport, ...]:
        """The transports."""
        return tuple(transport for transport, _ in self.weights)

    @property
    def capabilities(self) -> Capabilities:
        """What at least one of the transports can express."""
        return joint_capabilities(self.transports)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        members = open_members(self.transports, edge, self.breaker)
        return RotatingChannel(self, members, edge, smooth_turns([weight for _, weight in self.weights]))

    def _members(self) -> Iterable[tuple[str, Transport]]:
        return [(f"{weight}*", transport) for transport, weight in self.weights]

    def _parameters(self) -> Mapping[str, str | None]:
        return {"breaker": "off"} if self.breaker is None else self.breaker.parameters


def _weight(label: str) -> int:
    try:
        if label.endswith("*"):
            return int(label.removesuffix("*"))
    except ValueError:  # a route, or more digits than Python reads
        pass
    raise ConfigurationError("weighted(…) has a weight before each URL: weighted(3*URL 1*URL)")


def _pairs(weights: object) -> tuple[tuple[Transport, int], ...]:
    items = cast("Iterable[tuple[Transport, int]]", weights.items() if isinstance(weights, Mapping) else weights)
    try:
        pairs = tuple((transport, index(weight)) for transport, weight in items)
    except (TypeError, ValueError):
        raise ConfigurationError(
            "Weighted takes a whole number for each transport: Weighted({first: 3, second: 1}), or such pairs"
        ) from None
    return pairs
