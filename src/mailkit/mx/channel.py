"""Direct to MX at work: a message for several domains becomes several deliveries, and one receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mailkit.envelope import Envelope
from mailkit.errors import RejectedError
from mailkit.mime import render
from mailkit.mx.domain_delivery import DomainDelivery
from mailkit.mx.groups import by_domain
from mailkit.mx.network import Network
from mailkit.mx.stream import deliver_stream
from mailkit.mx.workers import do_each
from mailkit.receipt import Receipt
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.interruption import annotate
from mailkit.smtp.raw import RawContent
from mailkit.smtp.verdict import verdict
from mailkit.transport import Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.mx.transport import DirectMX
    from mailkit.receipt import Outcome, RecipientResult
    from mailkit.smtp.content import Content

__all__ = ["MXChannel"]


class MXChannel(Channel):
    """The connections to everybody's mail exchangers, and what is sent over them.

    Args:
        transport: How to meet them.
        edge: What all I/O goes through.
        network: Name servers, policies and connections; its own where None.
    """

    def __init__(self, transport: DirectMX, edge: Edge, network: Network | None = None) -> None:
        super().__init__(transport)
        self._name = str(transport)
        self._edge = edge
        self._direct = transport
        self._network = network or Network(transport, edge)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message to every domain, several of them at a time.

        Raises:
            MessageError: It cannot be expressed, read, or taken by any of the hosts that there are.
            DeliveryError: No recipient was accepted. Where some may be tried again and others may not, the error says
                that trying again makes sense; `recipients` says for whom.
        """
        return await self._send(message, envelope, self._direct.domains_at_once)

    async def send_many(
        self,
        messages: AsyncIterator[Message | Outcome],
        *,
        connections: int = 1,
        window: int | None = None,  # noqa: ARG002 - strangers' servers get one message after the other
    ) -> AsyncGenerator[Outcome, None]:
        """Deliver a stream of messages, up to `connections` of them at a time; outcomes come in order."""

        async def send(message: Message) -> Receipt:
            return await self._send(message, Envelope.from_message(message), 1)

        outcomes = deliver_stream(messages, send, self._edge, connections)
        try:
            async for outcome in outcomes:
                yield outcome
        finally:
            await outcomes.aclose()

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Deliver prepared RFC 5322 bytes as they are.

        Raises:
            MessageError: They are not fit to be sent unchanged.
            DeliveryError: No recipient was accepted.
        """
        content = await self._edge.in_thread(lambda: RawContent.read(data))
        return await self._deliver(envelope, content, self._direct.domains_at_once)

    async def verify(self) -> ServerInfo:
        """Say how we greet. There is no server to connect to before there is a recipient."""
        return ServerInfo(transport=self._name, host=self._direct.ehlo_name)

    async def close(self) -> None:
        """Close every connection."""
        await self._network.hosts.close()

    async def _send(self, message: Message, envelope: Envelope, at_once: int) -> Receipt:
        self._direct.capabilities.check(message, envelope, transport=self._name)
        # Written once, in 7 bits, so that every host can take it and all of them get the same.
        content = render(message, smtputf8=envelope.needs_smtputf8)
        return await self._deliver(envelope, content, at_once)

    async def _deliver(self, envelope: Envelope, content: Content, at_once: int) -> Receipt:
        deliveries = [
            DomainDelivery(domain, evolve(envelope, rcpt_to=paths), content, self._network)
            for domain, paths in by_domain(envelope).items()
        ]
        try:
            await do_each(deliveries, DomainDelivery.run, at_once=at_once, edge=self._edge)
        except BaseException as interruption:
            results = _in_order(envelope, deliveries)
            annotate(interruption, results, transport=self._name, message_id=content.message_id)
            raise
        return self._conclude(_in_order(envelope, deliveries), deliveries, content.message_id)

    def _conclude(
        self, results: tuple[RecipientResult, ...], deliveries: Sequence[DomainDelivery], message_id: str
    ) -> Receipt:
        refusals = [delivery.refusal for delivery in deliveries if delivery.refusal is not None]
        if len(refusals) == len(deliveries) and {result.status for result in results} == {"rejected"}:
            raise refusals[0]  # it is the message that cannot be sent, wherever to
        open_ends = [delivery for delivery in deliveries if delivery.is_open]
        errors = [delivery.error for delivery in open_ends if delivery.error is not None]
        error = next((each for each in errors if each.retryable), errors[0] if errors else None)
        concluded = verdict(Delivered(results, error), transport=self._name, message_id=message_id)
        if isinstance(concluded, Receipt):
            queue_ids = [delivery.queue_id for delivery in deliveries if delivery.queue_id is not None]
            return evolve(concluded, provider_id=queue_ids[0] if len(queue_ids) == 1 else None)
        if isinstance(concluded, RejectedError) and {result.phase for result in results} == {"resolve"}:
            concluded.cause = "configuration"  # no server was asked: there is none to ask
        raise concluded


def _in_order(envelope: Envelope, deliveries: Sequence[DomainDelivery]) -> tuple[RecipientResult, ...]:
    results = {result.address: result for delivery in deliveries for result in delivery.results}
    return tuple(results[path.addr_spec] for path in envelope.rcpt_to)
