"""Mailchimp Transactional, formerly Mandrill: https://mailchimp.com/developer/transactional/api/messages/."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from attrs import evolve

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import base64_of, dump, header_mapping, header_pairs, mailboxes, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, REJECTED, UNKNOWN, Verdict
from mailkit.providers.stored_template import flat_data
from mailkit.receipt import RecipientResult
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

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
# What differs between the recipients of a request for several messages, or tells of it.
_OWN: Final = frozenset(
    {"global_merge_vars", "merge_vars", "metadata", "preserve_recipients", "recipient_metadata", "to"}
)


class Mandrill(ApiTransport):
    """Mailchimp Transactional (Mandrill): ``mandrill://KEY@default``.

    An IP pool is chosen with ``options={"mandrill": {"ip_pool": "…"}}``, what concerns the message itself with
    ``{"message": {"subaccount": "…"}}``. Merge tags are evaluated in stored templates alone; their data are texts and
    numbers. Recipients see each other as To and Cc have them. A receipt tells who was refused, and why; with more than
    ten recipients Mandrill only queues, and tells by events. Messages of ``send_many`` to one recipient each, that
    differ in nothing but that, metadata and the template's data, go ten in a request: more would be queued, and their
    refusals not told; those with attachments go one by one. ``verify`` asks for nothing: the key goes into a POST. The
    Message-ID is Mandrill's own.

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
    batch_size: ClassVar[int] = 10
    batch_distinct: ClassVar[bool] = True

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the key to the JSON object, the only place that Mandrill looks for it in."""
        if key is None or request.body is None:
            return request
        body = dump({"key": key.reveal()})[:-1] + b"," + request.body[1:]
        return evolve(request, body=body)

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
        return self.post(_path(message), self.complete_payload(message, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read what became of each recipient, and Mandrill's id for each."""
        if response.json_object().get("status") == "error":  # whatever the status was
            raise self.refusal(self.refine(response, UNKNOWN), response, message, envelope)
        return self._receipt(_results(response), message, envelope)

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:
        """Return all that the messages of one request share; each has one recipient, who sees nobody else."""
        options = message.options.get(self.name, {})
        if len(envelope.rcpt_to) != 1 or message.attachments or not _is_shared(options):
            return None
        template = None if message.template is None else str(message.template.id)
        content = (message.subject, message.text, message.html, tuple(header_pairs(message)), template)
        settings = (message.tags, message.track_opens, message.track_clicks, message.send_at, dump(options))
        return (message.from_, message.reply_to, *content, *settings)

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request to the recipients of all messages: each sees only its own address."""
        payload = items[0].payload
        described = {name: value for name, value in payload["message"].items() if name not in _OWN}
        described |= {
            "preserve_recipients": False,
            "to": [recipient for item in items for recipient in item.payload["message"]["to"]],
            "merge_vars": _by_recipient(items, "global_merge_vars", "vars"),
            "recipient_metadata": _by_recipient(items, "metadata", "values"),
        }
        described = {name: value for name, value in described.items() if value is False or value}
        return self.post(_path(items[0].message), {**payload, "message": described})

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message by its recipient; whom the answer does not name is in doubt."""
        results = _results(response)
        return [
            self._receipt(results, item.message, item.envelope)
            if item.envelope.rcpt_to[0].addr_spec.lower() in results
            else self.refusal(UNKNOWN, response, item.message, item.envelope, text="nothing about this recipient")
            for item in items
        ]

    def _receipt(self, results: Mapping[str, Mapping[str, Any]], message: Message, envelope: Envelope) -> Receipt:
        ids: dict[str, str] = {}
        refused: list[RecipientResult] = []
        for path in envelope.rcpt_to:
            result = results.get(path.addr_spec.lower())
            if result is None:
                continue
            if result.get("_id") is not None:  # whom it refuses may have none
                ids[path.addr_spec] = str(result["_id"])
            if result["status"] in _REFUSED:
                reason = str(result.get("reject_reason") or result["status"])
                refused.append(RecipientResult(path.addr_spec, status="rejected", phase="response", text=reason))
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
        data = {} if template is None else flat_data(template, self)
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
            "global_merge_vars": [{"name": name, "content": value} for name, value in data.items()],
        }
        # False is a choice; what is empty is none.
        return {name: value for name, value in described.items() if value is False or value}


def _path(message: Message) -> str:
    return "/messages/send.json" if message.template is None else "/messages/send-template.json"


def _results(response: Response) -> dict[str, Mapping[str, Any]]:
    return {result["email"].lower(): result for result in response.json()}


def _is_shared(options: Mapping[str, Any]) -> bool:
    described = options.get("message", {})
    return isinstance(described, Mapping) and _OWN.isdisjoint(cast("Mapping[str, Any]", described))


def _by_recipient(items: Sequence[Item], name: str, kind: str) -> list[dict[str, Any]]:
    described = [item.payload["message"] for item in items]
    return [{"rcpt": each["to"][0]["email"], kind: each[name]} for each in described if name in each]


def _recipient(address: Address, kind: str) -> dict[str, str]:
    return {"email": address.addr_spec, "type": kind} | ({"name": address.name} if address.name else {})


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
