"""Postmark: https://postmarkapp.com/developer/api/email-api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.providers.base import ApiTransport
from mailkit.providers.content import base64_of, header_pairs, mailbox, mailboxes, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, NOT_SENT, REJECTED, THROTTLED, Verdict
from mailkit.receipt import RecipientResult
from mailkit.secret import Secret
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from datetime import datetime

    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt

__all__ = ["Postmark"]

_TEST_TOKEN: Final = Secret("POSTMARK_API_TEST")
_TEMPLATE: Final = "/withTemplate"

# https://postmarkapp.com/developer/api/overview#error-codes
_CODES: Final[Mapping[int, Verdict]] = {10: CREDENTIALS, 100: NOT_SENT, 405: CREDENTIALS, 429: THROTTLED}


class Postmark(ApiTransport):
    """Postmark's e-mail API: ``postmark://SERVER-TOKEN@default``.

    A message stream is chosen with ``options={"postmark": {"MessageStream": "broadcast"}}``. Templates are named by
    their number or alias. ``sandbox=True`` (``?sandbox=on``) has Postmark check messages and deliver none. Recipients
    that Postmark has as inactive are rejected in the receipt; if all are, so is the message.

    Not possible: send_at, more than one tag, amp and calendar parts, a Sender or return path of one's own, an
    idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII. ``track_opens=False`` cannot
    overrule a server that tracks all.

    Limits (read 2026-11): 50 recipients and 10 MB a message, 500 messages and 50 MB a batch.

    Example:
        >>> str(Postmark("SERVER-TOKEN"))
        'postmark://default'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        attachments=True,
        inline=True,
        tags=1,
        metadata=10,
        track_opens=True,
        track_clicks=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.postmarkapp.com"}
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 50
    batch_size: ClassVar[int] = 500
    batch_bytes: ClassVar[int] = 50_000_000
    verify_path: ClassVar[str | None] = "/server"

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the server token."""
        token = _TEST_TOKEN if self.sandbox else key
        return request if token is None else self.with_headers(request, {"X-Postmark-Server-Token": token})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message as Postmark's models name things."""
        refuse_beside_template(message, self, "subject", "text", "html")
        to = addressed(message, envelope)
        template = message.template
        payload: dict[str, Any] = {
            "From": None if message.from_ is None else mailbox(message.from_),
            "To": mailboxes(to.to),
            "Cc": mailboxes(to.cc),
            "Bcc": mailboxes(to.bcc),
            "ReplyTo": mailboxes(message.reply_to),
            "Subject": message.subject,
            "TextBody": message.text,
            "HtmlBody": message.html,
            "Tag": message.tags[0] if message.tags else None,
            "Metadata": message.metadata,
            "TrackOpens": message.track_opens,
            "Headers": [{"Name": name, "Value": value} for name, value in _headers(message)],
            "Attachments": [_attachment(each) for each in message.attachments],
        }
        if message.track_clicks is not None:
            payload["TrackLinks"] = "HtmlAndText" if message.track_clicks else "None"
        if template is not None:
            payload["TemplateId" if isinstance(template.id, int) else "TemplateAlias"] = template.id
            payload["TemplateModel"] = template.data
        # False is a choice; what is empty is none.
        return {name: value for name, value in payload.items() if value is False or value or name == "TemplateModel"}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request for one message."""
        path = "/email" if message.template is None else f"/email{_TEMPLATE}"
        return self.post(path, self.complete_payload(message, envelope))

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Postmark's id of the message, and whom it does not send to."""
        answer = self._one_of(response, message, envelope, response.json())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at Postmark's own code, which comes with status 422 in most cases."""
        code = response.json_object().get("ErrorCode")
        return _CODES.get(code, verdict) if isinstance(code, int) and verdict is REJECTED else verdict

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Keep templates and contents apart: each has an endpoint of its own."""
        return message.template is not None

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request for up to 500 messages."""
        bodies = b",".join([item.body for item in items])
        if items[0].message.template is None:
            return self.request("/email/batch", b"[" + bodies + b"]")
        return self.request("/email/batchWithTemplates", b'{"Messages":[' + bodies + b"]}")

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read what became of each message: 200 says nothing about any."""
        answers = zip(items, response.json(), strict=True)
        return [self._one_of(response, item.message, item.envelope, answer) for item, answer in answers]

    def _one_of(
        self, response: Response, message: Message, envelope: Envelope, answer: Mapping[str, Any]
    ) -> Receipt | DeliveryError:
        code, said = answer["ErrorCode"], str(answer.get("Message") or "")
        if code == 0:
            others = [
                RecipientResult(path.addr_spec, status="rejected", phase="response", text="inactive recipient")
                for path in envelope.rcpt_to
                if path.addr_spec.lower() in _words(said)
            ]
            return self.accepted(message, envelope, provider_id=answer.get("MessageID"), others=others)
        if not isinstance(code, int):
            raise TypeError(code)
        return self.refusal(_CODES.get(code, REJECTED), response, message, envelope, text=f"{code} {said}".rstrip())


def _words(said: str) -> set[str]:
    """Return what may be an address in what Postmark says.

    Where some recipients are inactive, the others get the message, and nothing but this text names those who do not:
    "Message OK, but will not deliver to these inactive addresses: …", where it is otherwise just "OK".
    """
    return {each.strip("<>.;:'\"()").lower() for each in said.replace(",", " ").split()}


def _headers(message: Message) -> list[tuple[str, str]]:
    # Postmark writes a Message-ID of its own unless it is told to keep ours.
    kept = [("Message-ID", f"<{message.message_id}>"), ("X-PM-KeepID", "true")] if message.message_id else []
    return [*kept, *header_pairs(message)]


def _attachment(attachment: Attachment) -> dict[str, str]:
    described = {
        "Name": attachment.filename or attachment.content_id or "attachment",
        "Content": base64_of(attachment),
        "ContentType": attachment.media_type,
    }
    if attachment.content_id is not None:
        described["ContentID"] = f"cid:{attachment.content_id}"
    return described
