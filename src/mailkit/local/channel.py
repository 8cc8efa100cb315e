"""What all local transports do: check the message, render it, have it put in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError, UnsupportedFeatureError
from mailkit.local.letter import Letter, results
from mailkit.mime import render
from mailkit.mime.prepared import Prepared
from mailkit.transport import Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

__all__ = ["LocalChannel"]


class LocalChannel(Channel):
    """A local transport at work. It holds nothing, so closing it ends nothing.

    Args:
        transport: The transport.
        edge: What all I/O goes through.
        put: Puts a letter in its place and says what became of it.
        check: Looks whether letters can be put there; it may block.
    """

    def __init__(
        self,
        transport: Transport,
        edge: Edge,
        put: Callable[[Letter, Edge], Awaitable[Receipt]],
        *,
        check: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(transport)
        self._name = str(transport)
        self._edge = edge
        self._put = put
        self._check = check

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message.

        Raises:
            MessageError: It cannot be rendered, or an attachment cannot be read.
            UnsupportedFeatureError: The transport cannot express it.
            DeliveryError: It cannot be put in its place.
        """
        capabilities = self.transport.capabilities
        capabilities.check(message, envelope, transport=self._name)
        complete = message.completed()
        # In a thread, because the writer may have to look into the attached files.
        rendered = await self._edge.in_thread(lambda: render(complete, smtputf8=capabilities.smtputf8))
        return await self._deliver(
            Letter(
                envelope=envelope,
                message=complete,
                message_id=rendered.message_id,
                size=rendered.size,
                blocks=rendered.iter_bytes,
            )
        )

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes as they are.

        Raises:
            MessageError: They are not fit to be sent unchanged.
            UnsupportedFeatureError: The transport takes none.
            DeliveryError: They cannot be put in their place.
        """
        capabilities = self.transport.capabilities
        if not capabilities.raw:
            return await super().send_raw(data, envelope)
        if envelope.needs_smtputf8 and not capabilities.smtputf8:
            raise UnsupportedFeatureError(
                f"{self._name} cannot express 'smtputf8': use addresses with an ASCII local part, or another transport",
                feature="smtputf8",
                transport=self._name,
            )
        prepared = await self._edge.in_thread(lambda: Prepared.read(data))
        return await self._deliver(
            Letter(
                envelope=envelope,
                message=None,
                message_id=prepared.message_id,
                size=prepared.size,
                blocks=prepared.iter_bytes,
            )
        )

    async def _deliver(self, letter: Letter) -> Receipt:
        try:
            return await self._put(letter, self._edge)
        except DeliveryError as error:
            error.recipients = error.recipients or results(letter.envelope, error.outcome)
            error.transport = error.transport or self._name
            error.message_id = error.message_id or letter.message_id
            raise

    async def verify(self) -> ServerInfo:
        """Look whether messages can be put in their place, without putting one there.

        Raises:
            DeliveryError: They cannot.
        """
        if self._check is not None:
            try:
                await self._edge.in_thread(self._check)
            except DeliveryError as error:
                error.transport = error.transport or self._name
                raise
        return ServerInfo(transport=self._name)
