"""A provider at work: checks, sends through the edge, and says what every answer means."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from mailkit.envelope import Envelope
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
)
from mailkit.message import Message
from mailkit.mime.prepared import Prepared
from mailkit.providers.batch import Caps, Item, Wave
from mailkit.providers.content import dump
from mailkit.providers.failure import failure, fresh, results, safe
from mailkit.providers.idempotency import batch_key, message_key, raw_key
from mailkit.providers.status import UNKNOWN, verdict_for
from mailkit.receipt import Outcome, Receipt, error_for_recipients
from mailkit.transport import Channel, ServerInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.edge.http import Request, Response
    from mailkit.providers.base import ApiTransport
    from mailkit.providers.status import Verdict

__all__ = ["ApiChannel"]

T = TypeVar("T")

_ANSWER_SECONDS = 60.0


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

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Deliver one message.

        Raises:
            UnsupportedFeatureError: The provider cannot express it.
            MessageError: It cannot be written down for the provider.
            DeliveryError: No recipient was accepted.
        """
        transport = self._api
        complete = self._checked(message, envelope)
        request = await self._built(lambda: transport.build_request(complete, envelope), complete)
        if transport.idempotency_header is not None:
            key = message_key(complete, envelope, transport.idempotency_length)
            request = transport.with_headers(request, {transport.idempotency_header: key})
        item = Item(complete, envelope)
        response = await self._fetch(request, [item])
        return self._receipt(response, item)

    async def send_many(
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
        transport = self._api
        caps = Caps(
            items=transport.batch_size,
            size=transport.batch_bytes,
            recipients=transport.batch_recipients,
            requests=connections,
        )
        wave = Wave(caps, self._edge.now())
        async for message in messages:
            prepared = message if isinstance(message, Outcome) else await self._prepared(message)
            if isinstance(prepared, Outcome):
                wave.settle(prepared)
            else:
                item = prepared
                group = transport.batch_group(item.message, item.envelope) if transport.batch_size > 1 else None
                if not wave.has_room(item, group):
                    for outcome in await self._sent(wave):
                        yield outcome
                    wave = Wave(caps, self._edge.now())
                wave.add(item, group)
            if wave.is_due(self._edge.now()):
                for outcome in await self._sent(wave):
                    yield outcome
                wave = Wave(caps, self._edge.now())
        for outcome in await self._sent(wave):
            yield outcome

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
        self._check_number(envelope)
        prepared = await self._edge.in_thread(lambda: Prepared.read(data))
        content = await self._edge.in_thread(lambda: b"".join(prepared.iter_bytes()))
        request = transport.build_raw_request(content, envelope)
        if transport.idempotency_header is not None:
            request = transport.with_headers(request, {transport.idempotency_header: raw_key(content, envelope)})
        item = Item(Message(message_id=prepared.message_id or None), envelope)
        return self._receipt(await self._fetch(request, [item]), item)

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
                await self._authorized(transport.request(transport.verify_path, None, method="GET")),
                deadline=self._deadline(),
            )
        except DeliveryError as error:
            error.transport = str(transport)
            raise
        if 200 <= response.status <= 299:
            return ServerInfo(transport=str(transport), host=transport.base_url.partition("://")[2].partition("/")[0])
        verdict = verdict_for(response) or UNKNOWN
        said = safe(transport, transport.explanation(response))
        raise verdict.error(
            f"{transport} answered {response.status} {said}".rstrip() + f"; {verdict.advice}",
            outcome="not_sent",
            cause=verdict.cause,
            phase="response",
            transport=str(transport),
        )

    # One request.

    def _checked(self, message: Message, envelope: Envelope) -> Message:
        transport = self._api
        transport.capabilities.check(message, envelope, transport=str(transport))
        self._check_number(envelope)
        return message.completed()

    def _check_number(self, envelope: Envelope) -> None:
        transport, most = self._api, self._api.max_recipients
        if most is not None and len(envelope.rcpt_to) > most:
            raise MessageError(
                f"{transport} takes {most} recipients a message, not {len(envelope.rcpt_to)}: send it in several "
                "messages"
            )

    async def _built(self, build: Callable[[], T], message: Message) -> T:
        # Attached files are read while it is built.
        return await self._edge.in_thread(build) if message.attachments else build()

    async def _authorized(self, request: Request) -> Request:
        transport = self._api
        origin = transport.base_url if transport.host is not None or transport.endpoints else None
        if origin is not None and not request.url.startswith(origin + "/"):
            raise ConfigurationError(
                f"{transport} builds a request for {request.url}, outside of {origin}: its key goes nowhere else"
            )
        key = await transport.fresh_key(self._edge)
        fresh.set(key)
        return transport.authorize(request, key, datetime.now(UTC))

    def _deadline(self) -> float:
        # A time-out after the request was written is an outcome that nobody knows: there is more time than for others.
        return self._edge.now() + (self._api.timeout or max(_ANSWER_SECONDS, self._edge.timeout))

    async def _fetch(self, request: Request, items: Sequence[Item]) -> Response:
        try:
            authorized = await self._authorized(request)
            return await self._edge.fetch(authorized, deadline=self._deadline())
        except DeliveryError as error:
            raise self._about(error, items) from error.__cause__
        except MailkitError:
            raise
        except BaseException as interruption:
            self._annotate(interruption, items)
            raise

    def _about(self, error: DeliveryError, items: Sequence[Item]) -> DeliveryError:
        """Say in an error whom it is about."""
        error.transport = str(self._api)
        if len(items) == 1:
            # Not of a batch: its messages are tried again one by one, and the key was that of all together.
            error.idempotent = self._api.idempotency_header is not None
            error.message_id = items[0].message.message_id
            error.recipients = results(items[0].envelope, error.outcome, phase=error.phase)
        return error

    def _annotate(self, interruption: BaseException, items: Sequence[Item]) -> None:
        """Let an interruption say what became of the message, as an error would."""
        in_doubt = bool(getattr(interruption, "request_may_have_arrived", False))
        error = OutcomeUnknownError if in_doubt else ConnectError
        delivery = self._about(error("the delivery was interrupted", phase="request"), items)
        interruption.__dict__["delivery"] = delivery
        interruption.add_note(f"mailkit: the delivery through {self._api} was interrupted: {delivery.outcome}")

    # One answer.

    def _receipt(self, response: Response, item: Item) -> Receipt:
        refused = self._refused(response, item)
        if refused is not None:
            raise refused
        transport, message, envelope = self._api, item.message, item.envelope
        try:
            receipt = transport.parse_response(response, message, envelope)
        except MailkitError:
            raise
        except Exception:  # noqa: BLE001 - what comes from outside may have any form, and the status has decided
            if transport.accepts_in_body:
                raise self._failure(UNKNOWN, response, item) from None
            receipt = transport.accepted(message, envelope)
        return self._settled(receipt)

    def _refused(self, response: Response, item: Item) -> DeliveryError | None:
        verdict = verdict_for(response)
        if verdict is None:
            return None
        return self._failure(self._api.refine(response, verdict), response, item)

    def _failure(self, verdict: Verdict, response: Response, item: Item, *, in_batch: bool = False) -> DeliveryError:
        transport = self._api
        error = failure(transport, verdict, response, item, text=transport.explanation(response))
        error.idempotent = transport.idempotency_header is not None and not in_batch
        return error

    def _settled(self, receipt: Receipt) -> Receipt:
        """Return a receipt that proves something, its texts without secrets."""
        recipients = receipt.recipients
        if any(each.text for each in recipients):
            recipients = tuple([evolve(each, text=safe(self._api, each.text)) for each in recipients])
        if not any(each.status == "accepted" for each in recipients):
            raise error_for_recipients(
                recipients, "no recipient was accepted", transport=str(self._api), message_id=receipt.message_id
            )
        return receipt if recipients is receipt.recipients else evolve(receipt, recipients=recipients)

    # Many messages.

    async def _prepared(self, message: Message) -> Item | Outcome:
        transport = self._api
        try:
            envelope = Envelope.from_message(message)
            complete = self._checked(message, envelope)
            if transport.batch_size == 1 or transport.batch_group(complete, envelope) is None:
                return Item(message, envelope)
            payload = await self._built(lambda: transport.complete_payload(complete, envelope), complete)
            return Item(message, envelope, payload=payload, body=dump(payload))
        except MailkitError as error:
            return Outcome(message=message, error=error)

    async def _sent(self, wave: Wave) -> list[Outcome]:
        jobs = [partial(self._send_chunk, items) for items in wave.requests]
        return list(wave.outcomes(await self._edge.run_all(jobs)))

    async def _send_chunk(self, items: list[Item]) -> list[Outcome]:
        if len(items) == 1:
            (item,) = items
            try:
                return [Outcome(message=item.message, receipt=await self.send(item.message, item.envelope))]
            except MailkitError as error:
                return [Outcome(message=item.message, error=error)]
        answers = await self._send_batch(items)
        return [
            Outcome(message=item.message, receipt=answer)
            if isinstance(answer, Receipt)
            else Outcome(message=item.message, error=answer)
            for item, answer in zip(items, answers, strict=True)
        ]

    async def _send_batch(self, items: list[Item]) -> Sequence[Receipt | MailkitError]:
        transport = self._api
        try:
            request = transport.build_batch(items)
            if transport.idempotency_header is not None:
                key = batch_key(items, transport.idempotency_length)
                request = transport.with_headers(request, {transport.idempotency_header: key})
            response = await self._fetch(request, items)
        except DeliveryError as error:
            return [self._about_one_of(copy(error), item) for item in items]
        except MailkitError as error:
            return [error] * len(items)
        return self._answers(response, items)

    @staticmethod
    def _about_one_of(error: DeliveryError, item: Item) -> DeliveryError:
        error.message_id = item.message.message_id
        error.recipients = results(item.envelope, error.outcome, phase=error.phase)
        return error

    def _answers(self, response: Response, items: list[Item]) -> Sequence[Receipt | MailkitError]:
        verdict = verdict_for(response)
        if verdict is not None and not self._api.answers_each(response):
            verdict = self._api.refine(response, verdict)
            return [self._failure(verdict, response, item, in_batch=True) for item in items]
        try:
            answers = list(self._api.parse_batch(response, items))
        except Exception:  # noqa: BLE001 - what comes from outside may have any form
            answers = []
        if len(answers) != len(items):
            # It would have said what became of each message, and cannot be read.
            return [self._failure(UNKNOWN, response, item, in_batch=True) for item in items]
        return [answer if isinstance(answer, DeliveryError) else self._settled_or_error(answer) for answer in answers]

    def _settled_or_error(self, receipt: Receipt) -> Receipt | DeliveryError:
        try:
            return self._settled(receipt)
        except DeliveryError as error:
            return error
