"""Mailjet, Send API version 3.1: https://dev.mailjet.com/email/guides/send-api-v31/."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from mailkit.edge.http import Response
from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import base64_of, dump, header_mapping, refuse_beside_template
from mailkit.providers.explanation import explanation
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, REJECTED, Verdict, verdict_for
from mailkit.providers.stored_template import number_of
from mailkit.secret import Secret
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt

__all__ = ["Mailjet"]

_MOST_IN_A_FIELD: Final = 50

# The account is suspended; the key is not good for it.
_CODES: Final[Mapping[str, Verdict]] = {"mj-0001": CREDENTIALS, "mj-0015": CREDENTIALS}


class Mailjet(ApiTransport):
    """Mailjet's Send API: ``mailjet://KEY:SECRET@default``, or ``?region=us`` for accounts in the United States.

    Templates have numbers. A tag is the ``CustomCampaign``, metadata come back with events as the ``EventPayload``,
    in JSON. A ``CustomID`` and the like are chosen with ``options={"mailjet": {"CustomID": "…"}}``. ``sandbox=True``
    (``?sandbox=on``) has Mailjet check messages and deliver none.

    Not possible: send_at, more than one tag or address in Reply-To, several header fields of one name, amp and
    calendar parts, a return path of one's own, an idempotency key (so an unknown outcome stays unknown), local parts
    that are not ASCII. A sender apart from the author has to be allowed by Mailjet's support first.

    Limits (read 2026-11): 50 recipients in each of To, Cc and Bcc, 15 MB of attachments, 50 messages a batch.

    Example:
        >>> str(Mailjet("KEY", secret="SECRET"))
        'mailjet://default'
    """

    capabilities: Capabilities = Capabilities(
        sender=True,
        attachments=True,
        inline=True,
        tags=1,
        metadata=10,
        track_opens=True,
        track_clicks=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {
        "eu": "https://api.mailjet.com",
        "us": "https://api.us.mailjet.com",
    }
    path: ClassVar[str] = "/v3.1/send"
    takes_secret: ClassVar[bool] = True
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 3 * _MOST_IN_A_FIELD
    accepts_in_body: ClassVar[bool] = True
    batch_size: ClassVar[int] = 50
    batch_bytes: ClassVar[int] = 15_000_000
    verify_path: ClassVar[str | None] = "/v3/REST/sender"

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add both halves of the key, as a user and a password (RFC 7617)."""
        if key is None or self.secret is None:
            return request
        pair = f"{key.reveal()}:{self.secret.reveal()}".encode()
        credentials = b2a_base64(pair, newline=False).decode("ascii")
        return self.with_headers(request, {"Authorization": Secret(f"Basic {credentials}")})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message: an element of ``Messages``."""
        refuse_beside_template(message, self, "text", "html")
        to = addressed(message, envelope)
        if max(map(len, (to.to, to.cc, to.bcc))) > _MOST_IN_A_FIELD:
            raise MessageError(
                f"{self} takes {_MOST_IN_A_FIELD} recipients in each of To, Cc and Bcc: send it in several messages"
            )
        inline = [each for each in message.attachments if each.disposition == "inline"]
        payload: dict[str, Any] = {
            "From": None if message.from_ is None else _mailbox(message.from_),
            "Sender": None if message.sender is None else _mailbox(message.sender),
            "To": [_mailbox(each) for each in to.to],
            "Cc": [_mailbox(each) for each in to.cc],
            "Bcc": [_mailbox(each) for each in to.bcc],
            "ReplyTo": _mailbox(message.reply_to[0]) if message.reply_to else None,
            "Subject": message.subject,
            "TextPart": message.text,
            "HTMLPart": message.html,
            "Headers": header_mapping(message, self),
            "CustomCampaign": message.tags[0] if message.tags else None,
            "EventPayload": dump(dict(message.metadata)).decode() if message.metadata else None,
            "TrackOpens": _choice(message.track_opens),
            "TrackClicks": _choice(message.track_clicks),
            "Attachments": [_attachment(each) for each in message.attachments if each not in inline],
            "InlinedAttachments": [_attachment(each) for each in inline],
        }
        template = message.template
        if template is not None:
            payload |= {"TemplateID": number_of(template, self), "TemplateLanguage": True, "Variables": template.data}
        return {name: value for name, value in payload.items() if value or name == "TemplateID"}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message: a batch of one."""
        return self._request([dump(self.complete_payload(message, envelope))])

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request for up to 50 messages."""
        return self._request([item.body for item in items])

    def _request(self, bodies: Sequence[bytes]) -> Request:
        sandbox = b',"SandboxMode":true' if self.sandbox else b""
        return self.request(self.path, b'{"Messages":[' + b",".join(bodies) + b"]" + sandbox + b"}")

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of the message: 2xx alone says nothing."""
        (answer,) = response.json()["Messages"]
        outcome = self._one_of(response, message, envelope, answer)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def answers_each(self, response: Response) -> bool:
        """Whether it names each message: one bad message makes the status of all 4xx, and the others are sent."""
        return 400 <= response.status <= 499 and isinstance(response.json_object().get("Messages"), list)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message."""
        answers = zip(items, response.json()["Messages"], strict=True)
        return [self._one_of(response, item.message, item.envelope, answer) for item, answer in answers]

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at Mailjet's own code."""
        code = str(_first_error(response.json_object()).get("ErrorCode"))
        return _CODES.get(code, verdict) if verdict is REJECTED else verdict

    def explanation(self, response: Response) -> str:
        """Return what Mailjet says about the first message, or about the whole request."""
        said = _first_error(response.json_object()).get("ErrorMessage")
        return said if isinstance(said, str) else explanation(response)

    def _one_of(
        self, response: Response, message: Message, envelope: Envelope, answer: Mapping[str, Any]
    ) -> Receipt | DeliveryError:
        if answer["Status"] == "success":
            everybody = [each for name in ("To", "Cc", "Bcc") for each in answer.get(name) or ()]
            # Numbers beyond 2**53, so that only text is safe with everybody.
            ids = {str(each["Email"]): str(each["MessageID"]) for each in everybody}
            return self.accepted(message, envelope, provider_id=next(iter(ids.values()), None), ids=ids)
        error = answer["Errors"][0]
        by_status = verdict_for(Response(int(error["StatusCode"]))) or REJECTED
        verdict = _CODES.get(error["ErrorCode"], by_status)
        text = f"{error['ErrorCode']} {error['ErrorMessage']}"
        return self.refusal(verdict, response, message, envelope, text=text)


def _first_error(body: Mapping[str, Any]) -> Mapping[str, Any]:
    messages: Any = body.get("Messages")
    if messages is None:
        return body
    try:
        found: Any = next(answer["Errors"][0] for answer in messages if "Errors" in answer)
    except (TypeError, LookupError, StopIteration):
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _choice(wanted: bool | None) -> str | None:  # noqa: FBT001
    return None if wanted is None else "enabled" if wanted else "disabled"


def _mailbox(address: Address) -> dict[str, str]:
    return {"Email": address.addr_spec, **({"Name": address.name} if address.name else {})}


def _attachment(attachment: Attachment) -> dict[str, str]:
    described = {
        "Filename": attachment.filename or attachment.content_id or "attachment",
        "ContentType": attachment.media_type,
        "Base64Content": base64_of(attachment),
    }
    if attachment.content_id is not None and attachment.disposition == "inline":
        described["ContentID"] = attachment.content_id
    return described
