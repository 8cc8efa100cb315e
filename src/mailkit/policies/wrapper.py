"""What every policy round one transport is made of: a value that wraps a transport, and a channel that wraps another.

Both are transparent. A policy overrides what it changes, and what it does not change keeps the pipelining, the batches
and the connections of what is inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from mailkit.errors import ConfigurationError
from mailkit.policies.policy import Policy
from mailkit.transport import Channel, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import Capabilities, ServerInfo

__all__ = ["Wrapper", "Wrapping", "is_transport", "refuse_no_transport"]


def refuse_no_transport(value: object, policy: str) -> None:
    """Refuse what a policy cannot wrap.

    Raises:
        ConfigurationError: It is no transport.
    """
    if isinstance(value, type) or not isinstance(value, Transport):
        given = value.__name__ if isinstance(value, type) else f"an object of type {type(value).__name__}"
        msg = f"{policy} wraps transports, not {given}: make one, as SMTP(…) or mailkit.url.transport_from_url(…) do"
        raise ConfigurationError(msg)


def is_transport(instance: object, attribute: Attribute[Any], value: object) -> None:  # noqa: ARG001 - attrs gives it
    """Check a field that holds a transport, as a validator of attrs."""
    refuse_no_transport(value, type(instance).__name__)


@frozen
class Wrapping(Policy):
    """The value of a policy round one transport: a frozen attrs class with fields of its own, and `open`.

    Example:
        >>> from attrs import frozen
        >>> from mailkit.local import NullTransport
        >>> @frozen
        ... class Plain(Wrapping):
        ...     scheme = "plain"
        ...
        ...     def open(self, edge):
        ...         return Wrapper(self.transport.open(edge), edge, self)
        >>> str(Plain(NullTransport()))
        'plain(null://)'

    Args:
        transport: What is wrapped.

    Raises:
        ConfigurationError: `transport` is none.
    """

    transport: Transport = field(validator=is_transport)

    @property
    def capabilities(self) -> Capabilities:
        """What the wrapped transport can express."""
        return self.transport.capabilities

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        raise NotImplementedError

    def _members(self) -> Iterable[tuple[str, Transport]]:
        return [("", self.transport)]


class Wrapper(Channel):
    """A channel round another one, which it hands everything to.

    Args:
        channel: The other one.
        edge: What all I/O, the clock and waiting go through.
        transport: The value that opened this channel; the other one's where None.
    """

    def __init__(self, channel: Channel, edge: Edge, transport: Transport | None = None) -> None:
        super().__init__(transport or channel.transport)
        self._channel = channel
        self._edge = edge

    @property
    def is_all_or_nothing(self) -> bool:
        """As of the channel that is wrapped."""
        return self._channel.is_all_or_nothing

    @property
    def announces_commit(self) -> bool:
        """As of the channel that is wrapped."""
        return self._channel.announces_commit

    @property
    def retries_by_itself(self) -> bool:
        """As of the channel that is wrapped."""
        return self._channel.retries_by_itself

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message."""
        return await self._channel.send(message, envelope)

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; yield one outcome for each, in order.

        It is the wrapped channel's own stream. Who overrides it goes through that in
        :func:`mailkit.transport.carrying_on`, so that an interruption says what is left.
        """
        return self._channel.send_many(messages, connections=connections, window=window)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes unchanged."""
        return await self._channel.send_raw(data, envelope)

    async def verify(self) -> ServerInfo:
        """Connect and authenticate without sending."""
        return await self._channel.verify()

    async def close(self) -> None:
        """Give up every connection."""
        await self._channel.close()
