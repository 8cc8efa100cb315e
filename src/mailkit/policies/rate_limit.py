"""Sending no faster than somebody allows: so many messages, recipients or octets a second."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from attrs import field, frozen

from mailkit.errors import ConfigurationError, MessageError, RateLimitedError
from mailkit.events import Throttled
from mailkit.pace import LONG_PAUSE, Pace
from mailkit.policies.policy import as_frequency, as_number, when_unusual
from mailkit.policies.positive import check_positive, is_positive
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.receipt import RecipientResult
from mailkit.transport import name_of
from mailkit.transport_url import frequency, seconds, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from mailkit.address import Address
    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.relay import Later
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import Channel, Transport
    from mailkit.transport_url import TransportURL

__all__ = ["RateLimit"]


@frozen
class RateLimit(Wrapping):
    """Sends through another transport at an even pace, first come, first served, for all threads and tasks.

    A message with more recipients or octets than the rate allows goes out whole, and a pause follows that makes up for
    it. Every attempt counts, also that of a retry. Each mailer and each process has a pace of its own.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> transport = RateLimit(MemoryTransport(), messages=10, burst=5)
        >>> with Mailer(transport) as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> str(transport), receipt.transport
        ('ratelimit(memory://)?messages=10/s&burst=5', 'memory://')

    Args:
        transport: What sends the messages.
        messages: Messages a second; None is no bound.
        recipients: Recipients a second; None is no bound.
        octets: Octets a second, as the message is long without its envelope; None is no bound.
        burst: How many may go at once after a silence, counted by the first of the bounds that is set (messages, else
            recipients, else octets); the others may run ahead for as long. With 1 there are no bursts.
        max_wait: Seconds that one message may wait for its turn; None is the mailer's `timeout`. A stream of messages
            (``send_many``) waits as long as it takes.

    Raises:
        ConfigurationError: There is no bound, one of them or `max_wait` is not positive, or `burst` is less than 1.
    """

    scheme: ClassVar[str] = "ratelimit"

    messages: float | None = field(default=None, kw_only=True)
    recipients: float | None = field(default=None, kw_only=True)
    octets: float | None = field(default=None, kw_only=True)
    burst: float = field(default=1, kw_only=True)
    max_wait: float | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        rates = (self.messages, self.recipients, self.octets)
        if all(rate is None for rate in rates):
            msg = "a RateLimit needs a bound: give messages=, recipients= or octets=, each a number a second"
            raise ConfigurationError(msg)
        check_positive(
            "RateLimit", messages=self.messages, recipients=self.recipients, octets=self.octets, max_wait=self.max_wait
        )
        check_positive("RateLimit", burst=self.burst)
        if not is_positive(self.burst) or self.burst < 1:
            msg = f"RateLimit(burst={self.burst!r}) lets nothing go: use 1 for an even pace, or more"
            raise ConfigurationError(msg)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``ratelimit(URL)?messages=10/s&burst=5`` describes.

        Raises:
            ConfigurationError: There is not exactly one member, or a parameter is wrong.
        """
        from mailkit.policies.members import only_member

        bounds = url.parameters(
            messages=frequency, recipients=frequency, octets=frequency, burst=whole, max_wait=seconds
        )
        return cls(only_member(cls.scheme, members), **bounds)

    def _parameters(self) -> Mapping[str, str | None]:
        bounds = {"messages": self.messages, "recipients": self.recipients, "octets": self.octets}
        return {
            **{name: None if rate is None else as_frequency(rate) for name, rate in bounds.items()},
            "burst": when_unusual(self.burst, 1, as_number),
            "max_wait": when_unusual(self.max_wait, None, as_number),
        }

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return _PacedChannel(self, edge)


class _PacedChannel(Wrapper):
    """A channel that waits before each message.

    Args:
        limit: How fast it may be.
        edge: Whose clock and sleep are used.
    """

    def __init__(self, limit: RateLimit, edge: Edge) -> None:
        super().__init__(limit.transport.open(edge), edge, limit)
        self._name = name_of(limit)
        self._counts_octets = limit.octets is not None
        self._max_wait = limit.max_wait
        self._pace = Pace(
            edge,
            messages=limit.messages,
            recipients=limit.recipients,
            octets=limit.octets,
            burst=limit.burst,
            whose="the limit",
            advice="allow a longer wait with max_wait",
            phase="rate",
        )

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message when it is its turn.

        Raises:
            RateLimitedError: Its turn is too far away: it was not sent.
        """
        octets = await self._octets(message)
        await self._wait(envelope, octets, message.message_id)
        return await self._channel.send(message, envelope)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared bytes when it is their turn."""
        octets = await self._measured(lambda: data.stat().st_size if isinstance(data, Path) else len(data))
        await self._wait(envelope, octets, None)
        return await self._channel.send_raw(data, envelope)

    def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages, each let into the wrapped channel's own stream when it is its turn.

        Before a pause of a quarter of a second or more, everything that was let in is answered.
        """
        from mailkit.policies.relay import Relay

        return Relay(self._channel, messages, self._admit).outcomes(connections, window)

    async def _admit(self, message: Message) -> Message | Later:
        from mailkit.policies.relay import Later, left_unsent

        recipients = (*message.to, *message.cc, *message.bcc)
        octets = await self._octets(message)
        turn = await self._pace.reserve(len(recipients), octets)
        pause = self._announced(turn, len(recipients), message.message_id)

        async def resume() -> Message:
            try:
                await self._pace.keep(turn, len(recipients), octets)
            except BaseException as interruption:
                left_unsent(interruption, recipients, message.message_id)
                raise
            return message

        return Later(resume) if pause >= LONG_PAUSE else await resume()

    async def _wait(self, envelope: Envelope, octets: int, message_id: str | None) -> None:
        from mailkit.policies.relay import left_unsent

        recipients: Sequence[Address] = envelope.rcpt_to
        try:
            within = self._edge.timeout if self._max_wait is None else self._max_wait
            turn = await self._pace.reserve(len(recipients), octets, within=within)
            if self._announced(turn, len(recipients), message_id) > 0:
                await self._pace.wait_until(turn)
        except RateLimitedError as error:
            error.transport, error.message_id = self._name, message_id
            error.recipients = tuple(
                [
                    RecipientResult(each.addr_spec, status="not_sent", phase="rate", retry_after=error.retry_after)
                    for each in recipients
                ]
            )
            raise
        except BaseException as interruption:
            left_unsent(interruption, recipients, message_id)
            raise

    def _announced(self, turn: float, recipients: int, message_id: str | None) -> float:
        pause = turn - self._edge.now()
        if pause > 0:
            self._edge.notify(
                Throttled(
                    message_id=message_id,
                    transport=self._name,
                    recipients=recipients,
                    limit=self._pace.bounds,
                    wait=pause,
                )
            )
        return pause

    async def _octets(self, message: Message) -> int:
        return await self._measured(lambda: message.size)

    async def _measured(self, measure: Callable[[], int]) -> int:
        if not self._counts_octets:
            return 0
        try:
            return await self._edge.in_thread(measure)  # files may have to be looked at
        except (MessageError, OSError):
            return 0  # it cannot be read: the transport says so, and sends nothing
