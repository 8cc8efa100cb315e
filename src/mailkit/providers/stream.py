"""A stream of messages through a provider: in batches where it takes them, several requests at once, in order."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final

from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, MailkitError, OutcomeUnknownError
from mailkit.providers.batch import Caps, Item, Wave
from mailkit.providers.content import dump
from mailkit.providers.failure import results
from mailkit.providers.idempotency import batch_key
from mailkit.providers.status import REJECTED, UNKNOWN, verdict_for
from mailkit.providers.unanswered import Unanswered
from mailkit.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from mailkit.edge import Edge
    from mailkit.edge.http import Response
    from mailkit.message import Message
    from mailkit.providers.base import ApiTransport
    from mailkit.providers.exchange import ApiExchange

__all__ = ["ApiStream"]

# What is wrong with a request that is refused so is in its contents, or that there are too many of them; and 500 for
# the provider whose errors have no other status, where their names say that nothing was sent. Not 409: another request
# with the same key may have been accepted.
_CONTENTS: Final = frozenset({400, 413, 422, 500})


class ApiStream:
    """Delivers a stream of messages.

    Args:
        transport: The provider.
        edge: What all I/O goes through.
        exchange: What is done for every request.
        send: Delivers a message that goes alone.
    """

    def __init__(
        self,
        transport: ApiTransport,
        edge: Edge,
        exchange: ApiExchange,
        send: Callable[[Message, Envelope], Awaitable[Receipt]],
    ) -> None:
        self._api = transport
        self._edge = edge
        self._exchange = exchange
        self._send = send

    async def outcomes(
        self, messages: AsyncIterator[Message | Outcome], connections: int
    ) -> AsyncGenerator[Outcome, None]:
        """Yield what became of each message, in order.

        Whatever interrupts it carries what became of the messages that were taken and not yet yielded, as ``outcomes``.

        Args:
            messages: The messages, or what has already become of them.
            connections: How many requests may be under way at once.
        """
        transport = self._api
        caps = Caps(
            items=transport.batch_size,
            size=transport.batch_bytes,
            recipients=transport.batch_recipients,
            requests=connections,
            distinct=transport.batch_distinct,
        )
        unanswered = Unanswered(messages, caps, self._edge.now)
        try:
            while (message := await unanswered.take()) is not None:
                prepared = message if isinstance(message, Outcome) else await self._prepared(message)
                group = prepared.group if isinstance(prepared, Item) else None
                if isinstance(prepared, Item) and not unanswered.wave.has_room(prepared, group):
                    unanswered.answer(await self._sent(unanswered.wave))
                unanswered.enter(prepared, group)
                if unanswered.is_due():
                    unanswered.answer(await self._sent(unanswered.wave))
                while (outcome := unanswered.next_outcome()) is not None:
                    yield outcome
            unanswered.answer(await self._sent(unanswered.wave))
            while (outcome := unanswered.next_outcome()) is not None:
                yield outcome
        except BaseException as interruption:
            interruption.__dict__["outcomes"] = unanswered.left()
            raise
        if unanswered.failure is not None:
            raise unanswered.failure

    async def _prepared(self, message: Message) -> Item | Outcome:
        transport = self._api
        try:
            envelope = Envelope.from_message(message)
            complete = self._exchange.checked(message, envelope)
            group = transport.batch_group(message, envelope) if transport.batch_size > 1 else None
            if group is None:
                return Item(message, envelope)
            payload = await self._exchange.built(lambda: transport.complete_payload(complete, envelope), complete)
            return Item(message, envelope, payload=payload, body=dump(payload), group=group)
        except MailkitError as error:
            return Outcome(message=message, error=error)

    async def _sent(self, wave: Wave) -> list[Outcome]:
        jobs = [partial(self._send_chunk, wave, items) for items in wave.requests]
        return list(wave.outcomes(await self._edge.run_all(jobs)))

    async def _send_chunk(self, wave: Wave, items: list[Item]) -> list[Outcome]:
        try:
            outcomes = await self._send_together(items)
        except BaseException as interruption:
            for item in items:
                wave.answer(item, self._left_by(interruption, item))
            raise
        if outcomes is None:
            # One wrong message is enough for that; the others are found by halves, and what is refused alone is meant.
            middle = len(items) // 2
            return [*await self._send_chunk(wave, items[:middle]), *await self._send_chunk(wave, items[middle:])]
        for item, outcome in zip(items, outcomes, strict=True):
            wave.answer(item, outcome)
        return outcomes

    async def _send_together(self, items: list[Item]) -> list[Outcome] | None:
        """Return what became of each message; None if all were refused together, and nobody knows for whose sake."""
        if len(items) == 1:
            (item,) = items
            try:
                return [Outcome(message=item.message, receipt=await self._send(item.message, item.envelope))]
            except MailkitError as error:
                return [Outcome(message=item.message, error=error)]
        answers = await self._send_batch(items)
        if answers is None:
            return None
        return [
            Outcome(message=item.message, receipt=answer)
            if isinstance(answer, Receipt)
            else Outcome(message=item.message, error=answer)
            for item, answer in zip(items, answers, strict=True)
        ]

    def _left_by(self, interruption: BaseException, item: Item) -> Outcome:
        """Return what an interruption has left of a message whose request was under way."""
        delivery: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
        if isinstance(delivery, Receipt):
            return Outcome(message=item.message, receipt=delivery)
        lost = OutcomeUnknownError("the delivery was interrupted", phase="request", transport=str(self._api))
        return Outcome(message=item.message, error=self._about_one_of(copy(delivery or lost), item))

    async def _send_batch(self, items: list[Item]) -> Sequence[Receipt | MailkitError] | None:
        """Return what became of each message; None if all were refused together, and nobody knows for whose sake."""
        transport = self._api
        try:
            request = transport.build_batch(items)
            if transport.idempotency_header is not None:
                key = batch_key(items, transport.idempotency_length)
                request = transport.with_headers(request, {transport.idempotency_header: key})
            response = await self._exchange.fetch(request, items)
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

    def _answers(self, response: Response, items: list[Item]) -> Sequence[Receipt | MailkitError] | None:
        verdict = verdict_for(response)
        if verdict is not None and not self._api.answers_each(response):
            verdict = self._api.refine(response, verdict)
            if verdict is REJECTED and response.status in _CONTENTS:
                return None
            return [self._exchange.failure(verdict, response, item, in_batch=True) for item in items]
        try:
            answers = list(self._api.parse_batch(response, items))
        except Exception:  # noqa: BLE001 - what comes from outside may have any form
            answers = []
        if len(answers) != len(items):
            # It would have said what became of each message, and cannot be read.
            return [self._exchange.failure(UNKNOWN, response, item, in_batch=True) for item in items]
        return [answer if isinstance(answer, DeliveryError) else self._settled_or_error(answer) for answer in answers]

    def _settled_or_error(self, receipt: Receipt) -> Receipt | DeliveryError:
        try:
            return self._exchange.settled(receipt)
        except DeliveryError as error:
            return error
