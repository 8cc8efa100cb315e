"""The transports among which a policy chooses: each opened once, each with a breaker of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from attrs import define, field, fields

from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.policies.breaker import BreakerChannel
from mailkit.policies.circuit import Breaker, Circuit
from mailkit.policies.wrapper import refuse_no_transport
from mailkit.transport import Capabilities, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailkit.edge import Edge
    from mailkit.errors import MailkitError
    from mailkit.transport import Channel, Transport

__all__ = [
    "Member",
    "available_first",
    "breaker_of",
    "close_all",
    "joint_capabilities",
    "members_of",
    "only_member",
    "open_members",
    "unlabelled",
]


@define(eq=False)
class Member:
    """One of several transports, at work.

    Args:
        name: Its name, without secrets.
        channel: What delivers.
        edge: Whose clock counts.
        circuit: Its breaker, or None where it has none.
    """

    name: str
    channel: Channel = field(repr=False)
    edge: Edge = field(repr=False)
    circuit: Circuit | None = field(default=None, repr=False)
    _rests_until: float = field(default=float("-inf"), init=False, repr=False)

    @property
    def is_broken(self) -> bool:
        """Whether its breaker lets nothing through."""
        return self.circuit is not None and not self.circuit.may_pass

    @property
    def may_be_asked(self) -> bool:
        """Whether it works as far as is known, and has not asked to be left alone."""
        if self.is_broken:
            return False
        return self._rests_until == float("-inf") or self.edge.now() >= self._rests_until

    def note(self, error: MailkitError) -> None:
        """Take note of what it said: who is asked too often, and says when to come again, is left alone until then."""
        if isinstance(error, DeliveryError) and error.cause == "throttled" and error.outcome == "not_sent":
            self._rests_until = self.edge.now() + (error.retry_after or 0.0)


def available_first(order: Sequence[Member]) -> Sequence[Member]:
    """Return whom to ask one after the other: those who are to be left alone come last."""
    if order[0].may_be_asked:
        return order
    available = [member for member in order if member.may_be_asked]
    return (*available, *(member for member in order if member not in available))


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


def breaker_of(policy: str, given: object) -> Breaker | None:
    """Return the breaker that a policy was given for its transports.

    Raises:
        ConfigurationError: It is neither one nor None.
    """
    if given is None or isinstance(given, Breaker):
        return given
    msg = f"{policy}(breaker={given!r}) is no breaker: give Breaker(failures=…, reset_after=…), or None for none"
    raise ConfigurationError(msg)


def open_members(transports: Iterable[Transport], edge: Edge, breaker: Breaker | None = None) -> tuple[Member, ...]:
    """Open each transport, with a breaker where one is wanted and it does not bring its own."""
    return tuple(_opened(transport, edge, breaker) for transport in transports)


def _opened(transport: Transport, edge: Edge, breaker: Breaker | None) -> Member:
    name, channel = name_of(transport), transport.open(edge)
    if isinstance(channel, BreakerChannel):
        return Member(name, channel, edge, channel.circuit)
    if breaker is None:
        return Member(name, channel, edge)
    circuit = Circuit(breaker, edge, name)
    return Member(name, BreakerChannel(channel, edge, circuit), edge, circuit)


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
