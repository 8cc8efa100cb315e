"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import attached, dump, header_mapping, named, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.retry_after import RESET_HEADERS, ResetHeader
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt

__all__ = ["SendGrid"]

_CATEGORY_LENGTH: Final = 255
_CUSTOM_ARGS_SIZE: Final = 10_000
_LEGACY: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# What a personalization may have of its own; all else is shared by a request's messages.
_OWN: Final = ("subject", "headers", "custom_args", "send_at")


class SendGrid(ApiTransport):
    """SendGrid's v3 API: ``sendgrid://KEY@default``, ``?region=eu`` for subusers in the EU.

    Unsubscribe groups and IP pools are chosen with ``options={"sendgrid": {"asm": {"group_id": 7}}}`` and
    ``{"ip_pool_name": "news"}``. Templates are the dynamic ones, whose ids begin with ``d-``; they bring subject, text
    and html along. Tags are SendGrid's categories, metadata its custom_args. ``sandbox=True`` (``?sandbox=on``) has
    SendGrid check messages and deliver none. Messages that differ in nothing but recipients, subject, header fields,
    metadata, time and the template's data go in one request, each as a personalization; those with attachments go one
    by one. A request has one id: messages of a batch share it.

    Not possible: amp and calendar parts, a Sender or return path of one's own, legacy templates, an idempotency key (so
    an unknown outcome stays unknown), local parts that are not ASCII. SendGrid ignores the charset of an attached text,
    and may garble a file's name that is not ASCII.

    Limits (read 2026-11): 1000 recipients a request, over all its messages, and 30 MB; 10 tags of 255 characters;
    10,000 bytes of metadata; 72 hours ahead.

    Example:
        >>> str(SendGrid("SG.KEY", region="eu"))
        'sendgrid://default?region=eu'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=1000,
        attachments=True,
        inline=True,
        tags=10,
        metadata=10_000,
        track_opens=True,
        track_clicks=True,
        send_at=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
    path: ClassVar[str] = "/v3/mail/send"
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 1000
    reset_headers: ClassVar[Sequence[ResetHeader]] = (ResetHeader("x-ratelimit-reset", "unix"), *RESET_HEADERS)
    batch_size: ClassVar[int] = 1000
    batch_recipients: ClassVar[int | None] = 1000
    batch_bytes: ClassVar[int] = 30_000_000
    verify_path: ClassVar[str | None] = "/v3/scopes"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message, as the only personalization of its request."""
        refuse_beside_template(message, self, "subject", "text", "html")
        template = message.template
        reply_to = [named(each) for each in message.reply_to]
        content = [("text/plain", message.text), ("text/html", message.html)]  # in the order that SendGrid wants
        payload: dict[str, Any] = {
            "personalizations": [_personalization(message, envelope)],
            "from": None if message.from_ is None else named(message.from_),
            "reply_to" if len(reply_to) == 1 else "reply_to_list": reply_to[0] if len(reply_to) == 1 else reply_to,
            "subject": message.subject,
            "content": [{"type": kind, "value": value} for kind, value in content if value],
            "attachments": [_attachment(each) for each in message.attachments],
            "template_id": None if template is None else str(template.id),
            "headers": header_mapping(message, self),
            "categories": _categories(message),
            "custom_args": _custom_args(message),
            "send_at": None if message.send_at is None else int(message.send_at.timestamp()),
            "tracking_settings": _tracking(message),
        }
        if self.sandbox:
            payload["mail_settings"] = {"sandbox_mode": {"enable": True}}
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read SendGrid's id of the request; the body is empty."""
        return self.accepted(message, envelope, provider_id=response.header("x-message-id"))

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Return all that the messages of one request share."""
        options = message.options.get(self.name, {})
        if message.attachments or "personalizations" in options:
            return None
        template = None if message.template is None else message.template.id
        content = (message.from_, message.reply_to, message.text, message.html, template)
        return (*content, message.tags, message.track_opens, message.track_clicks, dump(options))

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request with a personalization for each message: nobody sees another's address."""
        shared = {name: value for name, value in items[0].payload.items() if name not in _OWN}
        shared["personalizations"] = [
            {
                **item.payload["personalizations"][0],
                **{name: item.payload[name] for name in _OWN if name in item.payload},
            }
            for item in items
        ]
        return self.post(self.path, shared)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Say the same of each message: SendGrid takes a request as a whole, or refuses it."""
        return [self.parse_response(response, item.message, item.envelope) for item in items]


def _personalization(message: Message, envelope: Envelope) -> dict[str, Any]:
    to = addressed(message, envelope)
    groups = {"to": to.to, "cc": to.cc, "bcc": to.bcc}
    own: dict[str, Any] = {name: [named(each) for each in group] for name, group in groups.items() if group}
    if message.template is not None:
        if _LEGACY.fullmatch(str(message.template.id)):
            raise MessageError(
                f"{message.template.id!r} is a legacy template, which SendGrid fills otherwise: use a dynamic one, "
                "whose id begins with d-, or give template_id and personalizations in options"
            )
        own["dynamic_template_data"] = message.template.data
    return own


def _categories(message: Message) -> list[str]:
    for tag in message.tags:
        if len(tag) > _CATEGORY_LENGTH:
            raise MessageError(f"SendGrid takes tags of {_CATEGORY_LENGTH} characters at most: shorten {tag[:40]!r}…")
    return list(dict.fromkeys(message.tags))


def _custom_args(message: Message) -> Mapping[str, str]:
    if len(dump(message.metadata)) > _CUSTOM_ARGS_SIZE:
        raise MessageError(
            f"SendGrid takes {_CUSTOM_ARGS_SIZE} bytes of metadata at most, written as JSON: leave some out"
        )
    return message.metadata


def _tracking(message: Message) -> dict[str, Any]:
    clicks, opens = message.track_clicks, message.track_opens
    settings: dict[str, Any] = {}
    if clicks is not None:
        settings["click_tracking"] = {"enable": clicks, "enable_text": clicks}
    if opens is not None:
        settings["open_tracking"] = {"enable": opens}
    return settings


def _attachment(attachment: Attachment) -> dict[str, str]:
    described = attached(attachment, "type", disposition=True)
    return {**described, "type": described["type"].partition(";")[0]}  # it takes no parameters
