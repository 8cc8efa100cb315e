"""Brevo: https://developers.brevo.com/reference/send-transac-email."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.address_parser import is_phrase
from mailkit.errors import MessageError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import (
    base64_of,
    dump,
    encoded_name,
    headers_with_metadata,
    named,
    refuse_beside_template,
    typed_name,
)
from mailkit.providers.recipients import addressed
from mailkit.providers.retry_after import RESET_HEADERS, ResetHeader
from mailkit.providers.status import CREDENTIALS, QUOTA, REJECTED, UNKNOWN, Verdict
from mailkit.providers.stored_template import number_of
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["Brevo"]

_METADATA: Final = "X-Mailin-custom"
# What a version may have of its own; all else is shared by a request's messages.
_OWN: Final = ("to", "cc", "bcc", "replyTo", "subject", "htmlContent", "textContent", "params")
# Where a version says one of these, the request has to say it, too; each version overrides it.
_BOTH: Final = ("subject", "htmlContent")

# https://developers.brevo.com/docs/how-it-works#error-codes
_CODES: Final[Mapping[str, Verdict]] = {
    "unauthorized": CREDENTIALS,
    "permission_denied": CREDENTIALS,
    "account_under_validation": CREDENTIALS,
    "not_enough_credits": QUOTA,
    "duplicate_request": UNKNOWN,  # of an earlier one with the same idempotencyKey: what became of that, it says not
}


class Brevo(ApiTransport):
    """Brevo's transactional API: ``brevo://KEY@default``.

    Templates have numbers; they bring text and html along. Brevo takes no message without html: where there is only
    text, it is sent as html as well. Metadata are in the header field ``X-Mailin-custom``, where recipients can read
    them. ``sandbox=True`` (``?sandbox=on``) has Brevo check messages and deliver none. Messages that differ in nothing
    but recipients, Reply-To, subject, contents and the template's data go in one request, each as a version; those with
    attachments go one by one. A key against repetition is set with
    ``options={"brevo": {"headers": {"idempotencyKey": "a UUID"}}}``; Brevo keeps it for less than an hour, and it does
    not make an unknown outcome known. Brevo's template language is at work in every message: what others wrote must not
    bring ``{{`` or ``{%`` into subject, text or html.

    Not possible: inline images, tracking chosen for one message, amp and calendar parts, a Sender or return path of
    one's own, header fields, metadata or local parts that are not ASCII, media types (Brevo goes by the ending of a
    file's name, and refuses those that it does not know). A template in Brevo's old language takes neither data nor
    attachments.

    Limits (read 2026-11): 99 recipients a message, 1000 messages and 2000 recipients a request, 20 MB of
    attachments, 100 kB of a template's data.

    Example:
        >>> str(Brevo("xkeysib-KEY"))
        'brevo://default'
    """

    capabilities: Capabilities = Capabilities(attachments=True, tags=1000, metadata=1000, send_at=True, template=True)
    endpoints: ClassVar[Mapping[str, str]] = {"": "https://api.brevo.com/v3"}
    path: ClassVar[str] = "/smtp/email"
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 99
    reset_headers: ClassVar[Sequence[ResetHeader]] = (ResetHeader("x-sib-ratelimit-reset", "seconds"), *RESET_HEADERS)
    batch_size: ClassVar[int] = 1000
    batch_recipients: ClassVar[int | None] = 2000
    batch_bytes: ClassVar[int] = 1_000_000  # Brevo's limit for the data of all templates
    verify_path: ClassVar[str | None] = "/account"

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the API key."""
        return request if key is None else self.with_headers(request, {"api-key": key})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message."""
        refuse_beside_template(message, self, "text", "html")
        to = addressed(message, envelope)
        payload: dict[str, Any] = {
            "sender": None if message.from_ is None else _named(message.from_),
            "to": [_named(each) for each in to.to],
            "cc": [_named(each) for each in to.cc],
            "bcc": [_named(each) for each in to.bcc],
            "replyTo": _named(message.reply_to[0]) if message.reply_to else None,
            "subject": message.subject,
            "htmlContent": message.html or _as_html(message.text),
            "textContent": message.text,
            "attachment": [{"name": typed_name(each), "content": base64_of(each)} for each in message.attachments],
            "headers": self._headers(message),
            "tags": list(message.tags),
            "scheduledAt": None if message.send_at is None else message.send_at.isoformat(timespec="milliseconds"),
        }
        if message.template is not None:
            payload["templateId"] = number_of(message.template, self)
            payload["params"] = message.template.data
        return {name: value for name, value in payload.items() if value}

    def _headers(self, message: Message) -> dict[str, str]:
        headers = headers_with_metadata(message, self, _METADATA)
        for name, value in headers.items():
            if not value.isascii():
                raise MessageError(f"Brevo takes header fields in ASCII only: the value of {name!r} is not")
        # JSON's escapes do not help: Brevo undoes them, and sends what they stand for as it is.
        if not "".join([*message.metadata, *message.metadata.values()]).isascii():
            raise MessageError("Brevo takes metadata in ASCII only, as they go into a header field: leave the rest out")
        return {**headers, "X-Sib-Sandbox": "drop"} if self.sandbox else headers

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Brevo's id of the message."""
        return self.accepted(message, envelope, provider_id=response.json()["messageId"])

    def refine(self, response: Response, verdict: Verdict) -> Verdict:
        """Look at the error's code: the account's standing, credits, and repeated requests."""
        code = response.json_object().get("code")
        is_plain = verdict is REJECTED or verdict is CREDENTIALS
        return _CODES.get(code, verdict) if is_plain and isinstance(code, str) else verdict

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Return all that the messages of one request share."""
        options = message.options.get(self.name, {})
        if message.attachments or "messageVersions" in options:
            return None
        template = None if message.template is None else number_of(message.template, self)
        # What a version leaves out it inherits, so nobody may leave out what another one says for all.
        inherited = (bool(message.subject), bool(message.text or message.html))
        shared = (message.from_, message.send_at, message.tags, template)
        return (*shared, *inherited, dump(self._headers(message)), dump(options))

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the request with a version for each message: nobody sees another's address."""
        first = items[0].payload
        shared = {name: value for name, value in first.items() if name not in _OWN or name in _BOTH}
        shared["messageVersions"] = [
            {name: item.payload[name] for name in _OWN if name in item.payload} for item in items
        ]
        return self.post(self.path, shared)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Read the id of each message; a request is taken as a whole, or refused as one."""
        pairs = zip(items, response.json()["messageIds"], strict=True)
        return [self.accepted(item.message, item.envelope, provider_id=own) for item, own in pairs]


def _named(address: Address) -> dict[str, str]:
    """Return an address as Brevo wants it: it drops a name that is not ASCII and would want quotes, unless encoded."""
    name = address.name or ""
    return named(address) if name.isascii() or is_phrase(name) else {**named(address), "name": encoded_name(name)}


def _as_html(text: str | None) -> str | None:
    return f'<div style="white-space: pre-wrap">{escape(text, quote=False)}</div>' if text else None
