"""Mailchimp Transactional, formerly Mandrill: https://mailchimp.com/developer/transactional/api/messages/."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport, Request
from mailkit.providers.content import base64_of, dump, header_mapping, mailboxes, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, REJECTED, UNKNOWN, Verdict
from mailkit.receipt import RecipientResult
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret
    from mailkit.template import Template

__all__ = ["Mandrill"]

# Every error is an object with a name, whatever its status: 401, 402 and 404 today, 500 for all of them before. These
# names say that the request was refused as it stood (the contract's responses, and the official clients' exceptions).
_NAMES: Final[Mapping[str, Verdict]] = {
    "Invalid_Key": CREDENTIALS,
    "PaymentRequired": CREDENTIALS,
    "PoorReputation": CREDENTIALS,
    "Invalid_Template": REJECTED,
    "Unknown_Subaccount": REJECTED,
    "Unknown_Template": REJECTED,
    "ValidationError": REJECTED,
}
_REFUSED: Final = frozenset({"rejected", "invalid"})


class Mandrill(ApiTransport):
    """Mailchimp Transactional (Mandrill): ``mandrill://KEY@default``.

    An IP pool is chosen with ``options={"mandrill": {"ip_pool": "…"}}``, what concerns the message itself with
    ``{"message": {"subaccount": "…"}}``. Merge tags are evaluated in stored templates alone; their data are texts and
    numbers. Recipients see each other as To and Cc have them. A receipt tells who was refused, and why; with more than
    ten recipients Mandrill only queues, and tells by events. ``verify`` asks for nothing: the key goes into a POST.

    Not possible: amp and calendar parts, inline files that are no images, a Sender or return path of one's own, an
    idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII, text or HTML beside a
    template, a file name besides the Content-ID of an inline image.

    Limits (read 2026-11): 25 MB a message, 10 entries of metadata that can be searched for, one year until send_at,
    tags of 50 characters that begin with no underscore.

    Example:
        >>> str(Mandrill("KEY"))
        'mandrill://default'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        attachments=True,
        inline=True,
        tags=10,
        metadata=10,
        track_opens=True,
        track_clicks=True,
        send_at=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://mandrillapp.com/api/1.3"}

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the key to the JSON object, the only place that Mandrill looks for it in."""
        if key is None or request.body is None:
            return request
        body = dump({"key": key.reveal()})[:-1] + b"," + request.body[1:]
        return Request(
            request.method,
            request.url,
            headers=request.headers,
            body=body,
            tls=request.tls,
            max_body=request.max_body,
        )

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message, and what is said beside it."""
        refuse_beside_template(message, self, "text", "html")
        template = message.template
        payload: dict[str, Any] = {}
        if template is not None:
            payload |= {"template_name": str(template.id), "template_content": []}
        payload["message"] = self._message(message, envelope)
        if message.send_at is not None:
            payload["send_at"] = message.send_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        return payload

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        name = "send" if message.template is None else "send-template"
        return self.post(f"/messages/{name}.json", self.complete_payload(message, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of each recipient, and Mandrill's id for each."""
        known = {path.addr_spec.lower(): path.addr_spec for path in envelope.rcpt_to}
        ids: dict[str, str] = {}
        refused: list[RecipientResult] = []
        for entry in response.json():
            address = known.get(entry["email"].lower())
            if address is None:
                continue
            ids[address] = str(entry["_id"])
            if entry["status"] in _REFUSED:
                reason = str(entry.get("reject_reason") or entry["status"])
                refused.append(RecipientResult(address, status="rejected", phase="response", text=reason))
        return self.accepted(message, envelope, provider_id=next(iter(ids.values()), None), ids=ids, others=refused)

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's name, which says more than its status, 500 in most cases."""
        answer = response.json_object()
        name = answer.get("name")
        if answer.get("status") != "error" or not isinstance(name, str) or verdict not in {REJECTED, UNKNOWN}:
            return verdict
        return _NAMES.get(name, verdict)

    def _message(self, message: Message, envelope: Envelope) -> dict[str, Any]:
        to = addressed(message, envelope)
        author, template = message.from_, message.template
        headers = header_mapping(message, self)
        if message.reply_to:
            headers["Reply-To"] = mailboxes(message.reply_to)
        described = {
            "from_email": None if author is None else author.addr_spec,
            "from_name": None if author is None else author.name,
            "to": [_recipient(each, kind) for kind in ("to", "cc", "bcc") for each in getattr(to, kind)],
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": headers,
            "tags": list(message.tags),
            "metadata": message.metadata,
            "track_opens": message.track_opens,
            "track_clicks": message.track_clicks,
            "attachments": [_file(each) for each in message.attachments if not each.is_inline],
            "images": [_image(each) for each in message.attachments if each.is_inline],
            "preserve_recipients": True,
            "merge": template is not None,
            "global_merge_vars": [] if template is None else _variables(template),
        }
        # False is a choice; what is empty is none.
        return {name: value for name, value in described.items() if value is False or value}


def _recipient(address: Address, kind: str) -> dict[str, str]:
    return {"email": address.addr_spec, "type": kind} | ({"name": address.name} if address.name else {})


def _variables(template: Template) -> list[dict[str, str]]:
    for name, value in template.data.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise MessageError(f"Mandrill's templates take text and numbers, and {name!r} is neither: flatten the data")
    return [{"name": name, "content": str(value)} for name, value in template.data.items()]


def _image(attachment: Attachment) -> dict[str, str]:
    if not attachment.media_type.startswith("image/"):
        raise MessageError(f"Mandrill shows images inline, and no {attachment.media_type}: attach it instead")
    return {**_file(attachment), "name": attachment.content_id or attachment.filename or "image"}


def _file(attachment: Attachment) -> dict[str, str]:
    return {
        "type": attachment.media_type,
        "name": attachment.filename or "attachment",
        "content": base64_of(attachment),
    }
