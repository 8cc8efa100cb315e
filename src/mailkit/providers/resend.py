"""Resend: https://resend.com/docs/api-reference/emails/send-email."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.address_parser import is_phrase
from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import attached, encoded_name, header_mapping, mailbox, refuse_beside_template
from mailkit.providers.recipients import addressed
from mailkit.providers.status import CREDENTIALS, IN_FLIGHT, NOT_SENT, QUOTA, REJECTED, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mailkit.address import Address
    from mailkit.edge.http import Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.template import Template

__all__ = ["Resend"]

_MOST_TO: Final = 50
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,256}")

# https://resend.com/docs/api-reference/errors, by status and name
_NAMES: Final[Mapping[tuple[int, str], Verdict]] = {
    (403, "email_above_quota"): QUOTA,
    (403, "validation_error"): REJECTED,
    (409, "concurrent_idempotent_requests"): IN_FLIGHT,
    (409, "resource_locked"): NOT_SENT,
    (422, "invalid_access"): CREDENTIALS,
    (429, "daily_quota_exceeded"): QUOTA,
    (429, "monthly_quota_exceeded"): QUOTA,
}


class Resend(ApiTransport):
    """Resend's e-mail API: ``resend://KEY@default``.

    A topic is chosen with ``options={"resend": {"topic_id": "…"}}``. Templates take text and numbers. Tags are sent as
    ``tag``, ``tag-2`` and so on, metadata under the names of its entries: letters, digits, ``_`` and ``-`` are all that
    both may hold. Messages with attachments, a template or a time to be sent at go one by one, the others 100 at once.

    A file whose name ends otherwise than its media type wants (a PNG called ``logo.gif``) may be lost with its message:
    Resend takes it, and delivers nothing.

    Not possible: tracking chosen for one message, amp and calendar parts, a Sender or return path of one's own,
    local parts that are not ASCII. Every request carries an idempotency key, which Resend keeps for 24 hours.

    Limits (read 2026-11): 50 recipients in To, 40 MB a message, 100 messages a batch.

    Example:
        >>> str(Resend("re_KEY"))
        'resend://default'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        attachments=True,
        inline=True,
        tags=10,
        metadata=10,
        send_at=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.resend.com"}
    path: ClassVar[str] = "/emails"
    idempotency_header: ClassVar[str | None] = "Idempotency-Key"
    idempotency_length: ClassVar[int] = 256
    batch_size: ClassVar[int] = 100
    batch_bytes: ClassVar[int] = 40_000_000
    batch_path: ClassVar[str] = "/emails/batch"
    verify_path: ClassVar[str | None] = "/domains"

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        refuse_beside_template(message, self, "text", "html")
        to = addressed(message, envelope)
        if len(to.to) > _MOST_TO:
            raise MessageError(f"{self} takes {_MOST_TO} recipients in To: send it in several messages")
        template = message.template
        payload: dict[str, Any] = {
            "from": None if message.from_ is None else mailbox(message.from_),
            "to": [_mailbox(each) for each in to.to],
            "cc": [_mailbox(each) for each in to.cc],
            "bcc": [_mailbox(each) for each in to.bcc],
            "reply_to": [_mailbox(each) for each in message.reply_to],
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "headers": header_mapping(message, self),
            "attachments": [attached(each, "content_type") for each in message.attachments],
            "tags": _tags(message),
        }
        if message.send_at is not None:
            payload["scheduled_at"] = message.send_at.isoformat()
        if template is not None:
            payload["template"] = {"id": str(template.id), "variables": _variables(template)}
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Resend's id of the message."""
        return self.accepted(message, envelope, provider_id=response.json()["id"])

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's name: quotas, and requests under way with the same key."""
        name = response.json_object().get("name")
        return _NAMES.get((response.status, name), verdict) if isinstance(name, str) else verdict

    def standing(self, response: Response) -> Verdict | None:
        """Take a key that may do nothing but send for a good one: only such a key is refused with that name."""
        is_for_sending = response.json_object().get("name") == "restricted_api_key"
        return None if is_for_sending else ApiTransport.standing(self, response)

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Leave out what a batch cannot hold."""
        alone = message.attachments or message.template is not None or message.send_at is not None
        return None if alone else ()

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read the id of each message; a batch is taken as a whole, or refused as one."""
        ids = [answer["id"] for answer in response.json()["data"]]
        pairs = zip(items, ids, strict=True)
        return [self.accepted(item.message, item.envelope, provider_id=own) for item, own in pairs]


def _mailbox(address: Address) -> str:
    """Return a mailbox but for From: everywhere else Resend refuses a name in quotes, and takes encoded words."""
    name = address.name or ""
    return mailbox(address) if not name or is_phrase(name) else f"{encoded_name(name)} <{address.addr_spec}>"


def _variables(template: Template) -> Mapping[str, Any]:
    for name, value in template.data.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise MessageError(f"Resend's templates take text and numbers only: {name!r} in the data is neither")
    return template.data


def _tags(message: Message) -> list[dict[str, str]]:
    named = {f"tag-{place}" if place > 1 else "tag": tag for place, tag in enumerate(message.tags, 1)}
    pairs = {**named, **message.metadata}
    if len(pairs) < len(named) + len(message.metadata):
        raise MessageError(
            'Resend takes tags and metadata under one roof, and "tag" is the tags\' name: rename the metadata'
        )
    for text in (*pairs, *pairs.values()):
        if not _LABEL.fullmatch(text):
            raise MessageError(
                f"Resend takes tags and metadata of ASCII letters, digits, _ and -, 256 at most: rename {text!r}"
            )
    return [{"name": name, "value": value} for name, value in pairs.items()]
