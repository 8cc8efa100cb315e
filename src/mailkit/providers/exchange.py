"""One request to a provider: checked, authorised, fetched; and what its answer says about a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import evolve

from mailkit.commit_point import announce_commit
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
)
from mailkit.providers.failure import failure, fresh, results, safe
from mailkit.providers.status import UNKNOWN, verdict_for
from mailkit.receipt import error_for_recipients

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailkit.edge import Edge
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.base import ApiTransport
    from mailkit.providers.batch import Item
    from mailkit.providers.status import Verdict
    from mailkit.receipt import Receipt

__all__ = ["ApiExchange"]

T = TypeVar("T")

_ANSWER_SECONDS: Final = 60.0


class ApiExchange:
    """What is done for every request, of one message or of many.

    Args:
        transport: The provider.
        edge: What all I/O goes through.
    """

    def __init__(self, transport: ApiTransport, edge: Edge) -> None:
        self._api = transport
        self._edge = edge

    def checked(self, message: Message, envelope: Envelope) -> Message:
        """Return the message complete, if the provider can express it.

        Raises:
            UnsupportedFeatureError: It cannot.
            MessageError: It takes fewer recipients a message.
        """
        transport = self._api
        transport.capabilities.check(message, envelope, transport=str(transport))
        self.check_number(envelope)
        return message.completed()

    def check_number(self, envelope: Envelope) -> None:
        """Refuse more recipients than the provider takes in one message.

        Raises:
            MessageError: There are more.
        """
        transport, most = self._api, self._api.max_recipients
        if most is not None and len(envelope.rcpt_to) > most:
            raise MessageError(
                f"{transport} takes {most} recipients a message, not {len(envelope.rcpt_to)}: send it in several "
                "messages"
            )

    async def built(self, build: Callable[[], T], message: Message) -> T:
        """Return what `build` makes of the message."""
        # Attached files are read while it is built.
        return await self._edge.in_thread(build) if message.attachments else build()

    async def authorized(self, request: Request) -> Request:
        """Return the request with the credentials of now.

        Raises:
            ConfigurationError: It goes to another host than the key belongs to.
        """
        transport = self._api
        if not transport.owns(request.url):
            raise ConfigurationError(
                f"{transport} builds a request for {request.url}, outside of {transport.base_url}: its key goes "
                "nowhere else"
            )
        key = await transport.fresh_key(self._edge)
        fresh.set(key)
        authorized = transport.authorize(request, key, datetime.now(UTC))
        # Here, so that no provider's own way to make a request leads past the proxy.
        return authorized if transport.proxy is None else evolve(authorized, route=transport.proxy)

    def deadline(self) -> float:
        """Return until when to wait for an answer."""
        # A time-out after the request was written is an outcome that nobody knows: there is more time than for others.
        return self._edge.now() + (self._api.timeout or max(_ANSWER_SECONDS, self._edge.timeout))

    async def fetch(self, request: Request, items: Sequence[Item]) -> Response:
        """Return the answer to a request that has no credentials yet.

        Raises:
            DeliveryError: There was none; it says what became of the messages.
        """
        try:
            authorized = await self.authorized(request)
            if not request.body and not request.is_safe:
                announce_commit()  # with a body the edge says it before the last of that
            return await self._edge.fetch(authorized, deadline=self.deadline())
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

    def receipt(self, response: Response, item: Item) -> Receipt:
        """Return what an answer says about the one message of its request.

        Raises:
            DeliveryError: Nobody was accepted.
        """
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
                raise self.failure(UNKNOWN, response, item) from None
            receipt = transport.accepted(message, envelope)
        return self.settled(receipt)

    def _refused(self, response: Response, item: Item) -> DeliveryError | None:
        verdict = verdict_for(response)
        if verdict is None:
            return None
        return self.failure(self._api.refine(response, verdict), response, item)

    def failure(self, verdict: Verdict, response: Response, item: Item, *, in_batch: bool = False) -> DeliveryError:
        """Return the error that an answer means for one message.

        Args:
            verdict: What became of the message.
            response: The answer.
            item: The message.
            in_batch: Whether the request had others, so that its key was no key of this one.
        """
        transport = self._api
        error = failure(transport, verdict, response, item, text=transport.explanation(response))
        error.idempotent = transport.idempotency_header is not None and not in_batch
        return error

    def failure_of_none(self, verdict: Verdict, response: Response, text: str | None = None) -> DeliveryError:
        """Return the error that an answer means for a request that is about no message: nothing was to be sent.

        Args:
            verdict: What it says.
            response: The answer.
            text: What the provider says about it, untrusted; where None, what it explains.
        """
        transport = self._api
        said = safe(transport, transport.explanation(response) if text is None else text)
        return verdict.error(
            f"{transport} answered {response.status} {said}".rstrip() + f"; {verdict.advice}",
            outcome="not_sent",
            cause=verdict.cause,
            phase="response",
            transport=str(transport),
        )

    def settled(self, receipt: Receipt) -> Receipt:
        """Return a receipt that proves something, its texts without secrets.

        Raises:
            DeliveryError: It says that nobody was accepted.
        """
        recipients = receipt.recipients
        if any(each.text for each in recipients):
            recipients = tuple([evolve(each, text=safe(self._api, each.text)) for each in recipients])
        if not any(each.status == "accepted" for each in recipients):
            raise error_for_recipients(
                recipients, "no recipient was accepted", transport=str(self._api), message_id=receipt.message_id
            )
        return receipt if recipients is receipt.recipients else evolve(receipt, recipients=recipients)
