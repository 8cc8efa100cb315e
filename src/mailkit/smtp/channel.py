"""SMTP at work: a pool of sessions to one server, and messages on their way through it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, MailkitError
from mailkit.mime import render
from mailkit.receipt import Outcome
from mailkit.smtp.content import suits
from mailkit.smtp.dialer import Dialer
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.flight import Flight
from mailkit.smtp.lane import Lane
from mailkit.smtp.pool import Pool
from mailkit.smtp.raw import RawContent
from mailkit.smtp.single import Single
from mailkit.smtp.stream import deliver_stream
from mailkit.smtp.verdict import verdict
from mailkit.transport import Channel, ServerInfo, carrying_on

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.smtp.content import Content
    from mailkit.smtp.delivery import Delivered
    from mailkit.smtp.session import Session
    from mailkit.smtp.transport import SMTP

__all__ = ["SMTPChannel"]


class SMTPChannel(Channel):
    """The connections to one server, and what is sent over them.

    Args:
        transport: Which server, and how.
        edge: What all I/O goes through.
    """

    def __init__(self, transport: SMTP, edge: Edge) -> None:
        super().__init__(transport)
        self._name = str(transport)
        self._edge = edge
        self._server = transport
        self._options = transport.options()
        self._dialer = Dialer(transport, self._options, edge)
        self._pool = Pool(edge, self._connect, transport.pool)
        # What the server said last. Before it said anything, a message is written so that every server can take it.
        self._extensions = Extensions.none()

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether one refused recipient keeps a message from everybody."""
        return self._options.recipients == "all"

    @property
    def announces_commit(self) -> bool:
        """Whether `send` says when it comes to the commit point: it does."""
        return True

    async def _connect(self) -> Session:
        session = await self._dialer.dial()
        self._extensions = session.extensions
        return session

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message over a pooled connection.

        Raises:
            UnsupportedFeatureError: SMTP, or this server, cannot express what the message asks for.
            DeliveryError: No recipient was accepted.
        """
        self._server.capabilities.check(message, envelope, transport=self._name)
        content = self._render(message, envelope, self._extensions)
        return await self._deliver(envelope, content, message)

    async def send_many(
        self, messages: AsyncIterator[Message | Outcome], *, connections: int = 1, window: int | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages, pipelined, over up to `connections` connections; outcomes come in order."""
        most = min(connections, self._server.pool.max_connections)
        lanes = [Lane(self._pool, window) for _ in range(most)]
        flights = (self._flight(message) async for message in messages)
        async with aclosing(flights), carrying_on(deliver_stream(flights, lanes, self._edge)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    def _flight(self, message: Message | Outcome) -> Flight | Outcome:
        if isinstance(message, Outcome):
            return message
        try:
            envelope = Envelope.from_message(message)
            self._server.capabilities.check(message, envelope, transport=self._name)
            content = self._render(message, envelope, self._extensions)
        except MailkitError as error:
            return Outcome(message=message, error=error)
        return Flight(
            message,
            envelope,
            content,
            render=lambda extensions: self._render(message, envelope, extensions),
            transport=self._name,
        )

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes as they are.

        Raises:
            MessageError: They are not fit to be sent unchanged.
            DeliveryError: No recipient was accepted.
        """
        content = await self._edge.in_thread(lambda: RawContent.read(data))
        return await self._deliver(envelope, content, None)

    async def _deliver(self, envelope: Envelope, content: Content, message: Message | None) -> Receipt:
        def fit(written: Content, session: Session) -> Content:
            extensions = session.handshake.extensions
            if message is None or suits(written, self._options, extensions):
                return written
            return self._render(message, envelope, extensions)  # another machine behind the same name

        single = Single(self._pool, envelope, content, transport=self._name, fit=fit)
        try:
            return self._conclude(await single.deliver(), content.message_id)
        except MailkitError:
            raise
        except BaseException as interruption:
            try:
                single.annotate(interruption)
            except BaseException as again:  # a second signal comes: it gets out, so it has to tell
                single.annotate(again)
                raise
            raise

    def _conclude(self, delivered: Delivered, message_id: str) -> Receipt:
        concluded = verdict(delivered, transport=self._name, message_id=message_id)
        if isinstance(concluded, DeliveryError):
            raise concluded
        return concluded

    def _render(self, message: Message, envelope: Envelope, extensions: Extensions) -> Content:
        return render(
            message,
            eight_bit=extensions.eight_bit_mime,
            smtputf8=envelope.needs_smtputf8,
            binary=extensions.binary_mime and self._options.chunking,
        )

    async def verify(self) -> ServerInfo:
        """Connect, negotiate TLS and authenticate, and say what was learned.

        Raises:
            DeliveryError: One of these failed.
        """
        lease = self._pool.lease()
        try:
            session = await lease.take(fresh=True)
        finally:
            await lease.give_back()
        from mailkit.smtp.peer_certificate import read_certificate  # only people read it

        handshake, tls_info = session.handshake, session.handshake.tls_info
        return ServerInfo(
            transport=self._name,
            host=handshake.host or self._server.host,
            tls_version=tls_info.version if tls_info else None,
            tls_cipher=tls_info.cipher if tls_info else None,
            extensions=tuple(
                " ".join((keyword, *parameters)) for keyword, parameters in handshake.extensions.keywords.items()
            ),
            mechanisms=handshake.extensions.auth_mechanisms,
            authenticated=handshake.mechanism,
            certificate=read_certificate(tls_info.peer_certificate) if tls_info else None,
            timings=handshake.timings,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()
