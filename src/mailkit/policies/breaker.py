"""A circuit breaker: who fails again and again is left alone for a while, and costs no message a timeout."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Self, final

from attrs import field, frozen

from mailkit.errors import MailkitError
from mailkit.policies.circuit import Breaker, Circuit, verdict_on
from mailkit.policies.segments import Segments
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.transport import carrying_on, name_of
from mailkit.transport_url import seconds, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.circuit import Permit
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["BreakerChannel", "CircuitBreaker"]


@final
@frozen
class CircuitBreaker(Wrapping):
    """Stops asking a transport that fails, and finds out with one message whether it works again.

    Closed, it lets everything through. After `failures` transport-level failures in a row, or one that only a change of
    settings can end, it opens: messages are refused at once, not sent, with a ``retry_after``. After `reset_after`
    seconds one message is let through (half-open): if it arrives the breaker closes, else it stays open as long again.
    What is wrong with a message or a recipient never moves it.

    :class:`mailkit.Failover` gives each of its transports a breaker by itself.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> str(CircuitBreaker(SMTP("mail.example.com"), failures=3, reset_after=60.0))
        'breaker(smtp://mail.example.com:587)?failures=3&reset_after=60'

    Args:
        transport: What is asked.
        failures: Transport-level failures in a row that open it.
        reset_after: Seconds after which one message is let through.

    Raises:
        ConfigurationError: `transport` is no transport, or a number is not positive.
    """

    scheme = "breaker"

    failures: int = field(default=5, kw_only=True)
    reset_after: float = field(default=30.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _ = self.breaker  # which refuses numbers that make no sense

    @property
    def breaker(self) -> Breaker:
        """When it opens and for how long, as a value of its own."""
        return Breaker(failures=self.failures, reset_after=self.reset_after)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``breaker(URL)?failures=3&reset_after=60`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong.
        """
        from mailkit.policies.members import only_member

        return cls(only_member(cls.scheme, members), **url.parameters(failures=whole, reset_after=seconds))

    def open(self, edge: Edge) -> BreakerChannel:
        """Return a channel that works through `edge`; does no I/O."""
        channel = self.transport.open(edge)
        return BreakerChannel(channel, edge, Circuit(self.breaker, edge, name_of(self.transport)), self)

    def _parameters(self) -> Mapping[str, str | None]:
        return self.breaker.parameters


class BreakerChannel(Wrapper):
    """A channel that is not always asked.

    Args:
        channel: What is asked.
        edge: Whose clock counts.
        circuit: Says whether to.
        transport: The value that opened this channel; the other one's where None.
    """

    def __init__(self, channel: Channel, edge: Edge, circuit: Circuit, transport: Transport | None = None) -> None:
        super().__init__(channel, edge, transport)
        self.circuit = circuit

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message.

        Raises:
            ConnectError: The breaker is open.
        """
        return await self._try(message, envelope, lambda: self._channel.send(message, envelope))

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes.

        Raises:
            ConnectError: The breaker is open.
        """
        return await self._try(None, envelope, lambda: self._channel.send_raw(data, envelope))

    async def _try(
        self, message: Message | None, envelope: Envelope, deliver: Callable[[], Awaitable[Receipt]]
    ) -> Receipt:
        permit = self.circuit.admit()
        if permit is None:
            raise self.circuit.refusal(message, envelope)
        try:
            receipt = await deliver()
        except BaseException as error:
            self.circuit.enter(permit, verdict_on(error), error)
            raise
        self.circuit.enter(permit, "works")
        return receipt

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; when the breaker opens, those that come after have their outcome at once.

        A message that finds out goes alone, and the stream goes on when it is known what became of it.
        """
        source = Segments(messages)
        permits: deque[Permit | None] = deque()
        try:
            while source.goes_on:
                async with (
                    aclosing(self._admitted(source, permits)) as admitted,
                    carrying_on(self._channel.send_many(admitted, connections=connections, window=window)) as outcomes,
                ):
                    async for outcome in outcomes:
                        permit = permits.popleft()
                        if not source.was_given():
                            self._enter(permit, outcome)
                        yield outcome
        finally:
            for permit in filter(None, permits):
                self.circuit.enter(permit, "nothing")

    async def _admitted(
        self, source: Segments, permits: deque[Permit | None]
    ) -> AsyncGenerator[Message | Outcome, None]:
        from mailkit.receipt import Outcome

        async with aclosing(source.next_segment()) as segment:
            async for item in segment:
                permit = None if isinstance(item, Outcome) else self.circuit.admit()
                permits.append(permit)
                if permit is None and not isinstance(item, Outcome):
                    yield self._refused(item)
                    continue
                if permit is not None and permit.state == "half-open":
                    source.pause()
                yield item

    def _refused(self, message: Message) -> Outcome:
        from mailkit.envelope import Envelope
        from mailkit.receipt import Outcome

        try:
            error: MailkitError = self.circuit.refusal(message, Envelope.from_message(message))
        except MailkitError as unfit:
            error = unfit
        return Outcome(message=message, error=error)

    def _enter(self, permit: Permit | None, outcome: Outcome) -> None:
        if permit is None:
            return
        if outcome.error is None:
            self.circuit.enter(permit, "works")
        else:
            self.circuit.enter(permit, verdict_on(outcome.error), outcome.error)
