"""One mail exchanger, spoken to in one degree of security: its connections, and the handshake that DANE wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mailkit.edge import TLS
from mailkit.errors import MailkitError, TLSError
from mailkit.mx.dane import anchor_in, check_names, is_end_entity
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.handshake import shake_hands
from mailkit.smtp.pool import Pool
from mailkit.smtp.session import Session
from mailkit.smtp.single import Single

if TYPE_CHECKING:
    from mailkit.edge import Edge, TLSInfo
    from mailkit.envelope import Envelope
    from mailkit.mx.host_security import HostSecurity
    from mailkit.mx.transport import DirectMX
    from mailkit.smtp.content import Content
    from mailkit.smtp.delivery import Delivered
    from mailkit.smtp.options import SMTPOptions

__all__ = ["Host"]


SHORTEST: Final = 5.0
"""Seconds that a host has for connecting at least, however many others there are."""


class _AnchorFoundError(TLSError):
    """Whoever signed this server's certificate is the one that DNSSEC vouches for: now verify that it did."""

    def __init__(self, anchor: bytes) -> None:
        super().__init__("the trust anchor was not verified")
        self.anchor = anchor


class Host:
    """The connections to one mail exchanger.

    Args:
        transport: What it was told.
        edge: What all I/O goes through.
        name: The host's name, or its address where the recipient's address has a literal.
        security: What it has to show.
    """

    def __init__(self, transport: DirectMX, edge: Edge, name: str, security: HostSecurity) -> None:
        self._transport = transport
        self._edge = edge
        self._name = name
        self._security = security
        self._options = transport.options_for(name, security)
        self._pool = Pool(edge, self._connect, transport.pool)
        self._anchor: bytes | None = None
        self.addresses: tuple[str, ...] = ()
        self.others: int = 0  # hosts that share the time for connecting
        self.used_at: float = edge.now()

    async def deliver(self, envelope: Envelope, content: Content) -> Delivered:
        """Deliver one message over a pooled connection, or say in its place why there is none.

        Raises:
            RejectedError: The message is larger than the host takes.
            MessageError: The host lacks what the message needs, or the message cannot be read any more.
        """
        single = Single(self._pool, envelope, content, transport=self._options.name)
        try:
            return await single.deliver()
        except MailkitError:
            raise
        except BaseException as interruption:
            single.annotate(interruption)
            raise
        finally:
            self.used_at = self._edge.now()

    async def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        await self._pool.close()

    async def _connect(self) -> Session:
        if self._security.level != "dane":
            return await self._shake_hands(self._options)
        if self._anchor is not None:
            return await self._anchored(self._anchor)
        try:
            return await self._shake_hands(evolve(self._options, check_peer=self._match))
        except _AnchorFoundError as found:
            return await self._anchored(found.anchor)

    def _match(self, info: TLSInfo) -> None:
        if not is_end_entity(self._security.records, info):
            raise _AnchorFoundError(anchor_in(self._security.records, info, self._name))

    def _check_names(self, info: TLSInfo) -> None:
        check_names(info, self._security.names)

    async def _anchored(self, anchor: bytes) -> Session:
        """Connect with nobody to trust but the anchor: TLS itself then checks signatures and dates below it.

        The first handshake has only shown which certificate that is. Its chain was not verified, and nothing was sent.
        """
        self._anchor = None
        options = evolve(
            self._options,
            tls_options=TLS(anchors=(anchor,), check_hostname=False),
            check_peer=self._check_names,
        )
        session = await self._shake_hands(options)
        self._anchor = anchor  # for the next connection
        return session

    async def _shake_hands(self, options: SMTPOptions) -> Session:
        timeout = self._edge.timeout if options.timeouts.connect is None else options.timeouts.connect
        # Where a network swallows what goes to port 25, the hosts of one domain must not each take all of it.
        timeout = max(timeout / (self.others + 1), min(timeout, SHORTEST))
        stream = await self._edge.connect_tcp(
            self._name,
            options.port,
            deadline=self._edge.now() + timeout,
            source_address=self._transport.source_address,
            addresses=self.addresses,
        )
        conversation = Conversation(stream, self._edge, options)
        try:
            handshake = await shake_hands(conversation)
        except BaseException:
            await conversation.close()
            raise
        return Session(conversation, handshake)
