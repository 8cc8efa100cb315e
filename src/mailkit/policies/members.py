"""The transports among which a policy chooses: each opened once, each with a breaker of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from attrs import field, fields, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.breaker import BreakerChannel
from mailkit.policies.circuit import Circuit
from mailkit.policies.wrapper import refuse_no_transport
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailkit.edge import Edge
    from mailkit.policies.circuit import Breaker
    from mailkit.transport import Channel, Transport

__all__ = [
    "Member",
    "close_all",
    "joint_capabilities",
    "members_of",
    "only_member",
    "open_members",
    "unlabelled",
]


@frozen(eq=False)
class Member:
    """One of several transports, at work.

    Args:
        name: Its name, without secrets.
        channel: What delivers.
        circuit: Its breaker, or None where it has none.
    """

    name: str
    channel: Channel = field(repr=False)
    circuit: Circuit | None = field(default=None, repr=False)

    @property
    def may_be_asked(self) -> bool:
        """Whether no breaker stands in the way, as far as can be said beforehand."""
        return self.circuit is None or self.circuit.may_pass


def members_of(policy: str, transports: Iterable[Transport]) -> tuple[Transport, ...]:
    """Return the transports that a policy was given.

    Raises:
        ConfigurationError: There is none, or one of them is no transport.
    """
    members = tuple(transports)
    if not members:
        raise ConfigurationError(f"{policy} needs at least one transport: give it some, as {policy}(first, second)")
    for member in members:
        refuse_no_transport(member, policy)
    return members


def open_members(transports: Iterable[Transport], edge: Edge, breaker: Breaker | None = None) -> tuple[Member, ...]:
    """Open each transport, with a breaker where one is wanted and it does not bring its own."""
    return tuple(_opened(transport, edge, breaker) for transport in transports)


def _opened(transport: Transport, edge: Edge, breaker: Breaker | None) -> Member:
    name, channel = str(transport), transport.open(edge)
    if isinstance(channel, BreakerChannel):
        return Member(name, channel, channel.circuit)
    if breaker is None:
        return Member(name, channel)
    circuit = Circuit(breaker, edge, name)
    return Member(name, BreakerChannel(channel, edge, circuit), circuit)


async def close_all(members: Iterable[Member]) -> None:
    """Close each channel, whatever becomes of the others."""
    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.channel.close)


def joint_capabilities(transports: Sequence[Transport]) -> Capabilities:
    """Return what at least one of them can express; each message is checked by whoever is asked to take it."""
    each = [transport.capabilities for transport in transports]
    most: dict[str, Any] = {
        feature.name: max(getattr(capabilities, feature.name) for capabilities in each)
        for feature in fields(Capabilities)
    }
    return Capabilities(**most)


def only_member(policy: str, members: Sequence[tuple[str, Transport]]) -> Transport:
    """Return the one transport of a URL such as ``breaker(URL)``.

    Raises:
        ConfigurationError: There is another number of them, or it has a label.
    """
    transports = unlabelled(policy, members)
    if len(transports) != 1:
        raise ConfigurationError(f"{policy}(…) takes one URL, not {len(transports)}: write {policy}(URL)")
    return transports[0]


def unlabelled(policy: str, members: Sequence[tuple[str, Transport]]) -> tuple[Transport, ...]:
    """Return the transports of a URL in which weights and routes mean nothing.

    Raises:
        ConfigurationError: One has either.
    """
    if any(label for label, _ in members):
        raise ConfigurationError(
            f"{policy}(…) has neither weights nor routes: leave them out, or write weighted(3*URL 1*URL) or "
            "route(example.com=URL *=URL)"
        )
    return tuple(transport for _, transport in members)
