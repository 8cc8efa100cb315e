"""MailerSend: https://developers.mailersend.com/api/v1/email.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import base64_of, named, refuse_beside_template, typed_name
from mailkit.providers.recipients import addressed, people
from mailkit.providers.status import QUOTA, THROTTLED, Verdict
from mailkit.receipt import RecipientResult
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.attachment import Attachment
    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt

__all__ = ["MailerSend"]

_MOST_TO: Final = 50
_MOST_COPIES: Final = 10


class MailerSend(ApiTransport):
    """MailerSend's e-mail API: ``mailersend://KEY@default``.

    Header fields of one's own want a paid plan. A template's data are given to each recipient in To. Recipients on
    the account's suppression list are rejected in the receipt; if all are, so is the message.

    ``send_many`` uses the bulk endpoint, which looks into the messages later: its receipts have the id of the bulk,
    by which MailerSend says what became of each, and of those whom it suppressed. To know at once, send one by one.

    Not possible: metadata, List-Unsubscribe, more than one address in Reply-To, amp and calendar parts, a Sender or
    return path of one's own, an idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII.
    A file's media type is what MailerSend makes of its name.

    Limits (read 2026-11): 50 recipients in To, 10 in Cc and 10 in Bcc, 5 tags, 25 MB of attachments, 72 hours ahead,
    500 messages a batch; 120 requests a minute, 10 of them batches.

    Example:
        >>> str(MailerSend("mlsn.KEY"))
        'mailersend://default'
    """

    capabilities: Capabilities = Capabilities(
        list_unsubscribe=False,
        attachments=True,
        inline=True,
        tags=5,
        track_opens=True,
        track_clicks=True,
        send_at=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.mailersend.com"}
    path: ClassVar[str] = "/v1/email"
    max_recipients: ClassVar[int | None] = _MOST_TO + 2 * _MOST_COPIES
    batch_size: ClassVar[int] = 500
    batch_bytes: ClassVar[int] = 25_000_000
    batch_path: ClassVar[str] = "/v1/bulk-email"
    verify_path: ClassVar[str | None] = "/v1/api-quota"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        refuse_beside_template(message, self, "text", "html")
        to = addressed(message, envelope)
        if len(to.to) > _MOST_TO or max(len(to.cc), len(to.bcc)) > _MOST_COPIES:
            raise MessageError(
                f"{self} takes {_MOST_TO} recipients in To, and {_MOST_COPIES} in each of Cc and Bcc: send it in "
                "several messages"
            )
        tracking = {"track_opens": message.track_opens, "track_clicks": message.track_clicks}
        payload: dict[str, Any] = {
            **people(message, to, named),
            "reply_to": named(message.reply_to[0]) if message.reply_to else None,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "in_reply_to": message.in_reply_to,
            "references": list(message.references),
            "headers": [{"name": name, "value": value} for name, value in message.headers],
            "tags": list(message.tags),
            "settings": {name: value for name, value in tracking.items() if value is not None},
            "attachments": [_attachment(each) for each in message.attachments],
        }
        if message.send_at is not None:
            payload["send_at"] = int(message.send_at.timestamp())
        template = message.template
        if template is not None:
            payload["template_id"] = str(template.id)
            if template.data:
                payload["personalization"] = [{"email": each.addr_spec, "data": template.data} for each in to.to]
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read the id, which is a header, and whom MailerSend does not send to, which is the body."""
        suppressed = {
            str(each["email"]).lower(): _reasons(each.get("reasons") or each.get("reason"))
            for warning in response.json_object().get("warnings", ())
            for each in warning["recipients"]
        }
        others = [
            RecipientResult(
                path.addr_spec, status="rejected", phase="response", text=suppressed[path.addr_spec.lower()]
            )
            for path in envelope.rcpt_to
            if path.addr_spec.lower() in suppressed
        ]
        return self.accepted(message, envelope, provider_id=response.header("x-message-id"), others=others)

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Tell the daily quota from the limit for each minute: only the former is used up in its own header."""
        is_used_up = response.header("x-apiquota-remaining") == "0"
        return QUOTA if verdict is THROTTLED and is_used_up else verdict

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read the id of the bulk, which is taken as a whole."""
        own = response.json()["bulk_email_id"]
        return [self.accepted(item.message, item.envelope, provider_id=own) for item in items]


def _reasons(said: Any) -> str:
    match said:
        case [first, *others]:
            return ", ".join(map(str, (first, *others)))
        case _:
            return "suppressed"


def _attachment(attachment: Attachment) -> dict[str, str]:
    described = {
        "filename": typed_name(attachment),
        "content": base64_of(attachment),
        "disposition": attachment.disposition,
    }
    if attachment.content_id is not None:
        described["id"] = attachment.content_id
    return described
