"""A provider at work: sends messages one by one, prepared bytes and streams, and asks whether the key is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError
from mailkit.message import Message
from mailkit.mime.prepared import Prepared
from mailkit.providers.batch import Item
from mailkit.providers.exchange import ApiExchange
from mailkit.providers.idempotency import message_key, raw_key
from mailkit.providers.stream import ApiStream
from mailkit.transport import Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.providers.base import ApiTransport
    from mailkit.receipt import Outcome, Receipt

__all__ = ["ApiChannel"]


class ApiChannel(Channel):
    """One provider, over one edge.

    Args:
        transport: The provider.
        edge: What all I/O goes through; it holds the connections.
    """

    def __init__(self, transport: ApiTransport, edge: Edge) -> None:
        super().__init__(transport)
        self._api = transport
        self._edge = edge
        self._exchange = ApiExchange(transport, edge)

    @property
    def announces_commit(self) -> bool:
        """Whether `send` says when it comes to the commit point: the edge does, of every request that changes much."""
        return True

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message.

        Raises:
            UnsupportedFeatureError: The provider cannot express it.
            MessageError: It cannot be written down for the provider.
            DeliveryError: No recipient was accepted.
        """
        transport = self._api
        complete = self._exchange.checked(message, envelope)
        request = await self._exchange.built(lambda: transport.build_request(complete, envelope), complete)
        if transport.idempotency_header is not None:
            key = message_key(complete, envelope, transport.idempotency_length)
            request = transport.with_headers(request, {transport.idempotency_header: key})
        item = Item(complete, envelope)
        response = await self._exchange.fetch(request, [item])
        return self._exchange.receipt(response, item)

    def send_many(
        self,
        messages: AsyncIterator[Message | Outcome],
        *,
        connections: int = 1,
        window: int | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages; yield one outcome for each, in order.

        Args:
            messages: The messages, or what has already become of them.
            connections: How many requests may be under way at once.
            window: Means nothing here.
        """
        return ApiStream(self._api, self._edge, self._exchange, self.send).outcomes(messages, connections)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes as they are.

        Raises:
            UnsupportedFeatureError: The provider takes none.
            MessageError: They are not fit to be sent unchanged.
            DeliveryError: No recipient was accepted.
        """
        transport = self._api
        if not transport.capabilities.raw:
            return await super().send_raw(data, envelope)
        transport.capabilities.check(Message(), envelope, transport=str(transport))
        self._exchange.check_number(envelope)
        prepared = await self._edge.in_thread(lambda: Prepared.read(data))
        content = await self._edge.in_thread(lambda: b"".join(prepared.iter_bytes()))
        request = transport.build_raw_request(content, envelope)
        if transport.idempotency_header is not None:
            request = transport.with_headers(request, {transport.idempotency_header: raw_key(content, envelope)})
        item = Item(Message(message_id=prepared.message_id or None), envelope)
        return self._exchange.receipt(await self._exchange.fetch(request, [item]), item)

    async def verify(self) -> ServerInfo:
        """Ask for something that only a good key gets, where the provider has such a thing.

        Raises:
            DeliveryError: No connection, or the key is not good.
        """
        transport = self._api
        if transport.verify_path is None:
            return ServerInfo(transport=str(transport))
        try:
            response = await self._edge.fetch(
                await self._exchange.authorized(transport.request(transport.verify_path, None, method="GET")),
                deadline=self._exchange.deadline(),
            )
        except DeliveryError as error:
            error.transport = str(transport)
            raise
        verdict = transport.standing(response)
        if verdict is not None:
            raise self._exchange.failure_of_none(verdict, response)
        return ServerInfo(transport=str(transport), host=transport.base_url.partition("://")[2].partition("/")[0])
