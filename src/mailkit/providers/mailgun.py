"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages."""

from __future__ import annotations

from base64 import b64encode
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.host import check_host
from mailkit.mime import render
from mailkit.providers.base import ApiTransport, Capable
from mailkit.providers.content import header_pairs, mailbox, mailboxes, path_part, refuse_beside_template
from mailkit.providers.mailgun_batch import batch, in_common
from mailkit.providers.multipart import File, form_fields, multipart
from mailkit.providers.recipients import addressed, people
from mailkit.transport import Capabilities
from mailkit.transport_url import switch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from datetime import datetime

    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.errors import DeliveryError
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["Mailgun"]


def _domain(value: str | None) -> str | None:
    return None if value is None else check_host(value)


class _MailgunCan(Capable):
    __slots__ = ()

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        attachments=True,
        inline=True,
        amp=True,
        calendar=True,
        tags=10,
        metadata=50,
        track_opens=True,
        track_clicks=True,
        send_at=True,
        template=True,
    )


@frozen
class Mailgun(_MailgunCan, ApiTransport):
    """Mailgun's messages API: ``mailgun://KEY@default?domain=mg.example.com&region=eu``.

    ``domain`` is the sending domain; by default that of From. Options are the form's fields, such as
    ``options={"mailgun": {"o:sending-ip-pool": "…", "o:require-tls": "yes"}}``. ``sandbox=True`` (``?sandbox=on``) is
    Mailgun's test mode: messages are accepted, and delivered to nobody. A calendar part, and several header fields of
    one name, go out as MIME (``messages.mime``). Mailgun fills in ``%recipient%`` and the like in all texts. ``verify``
    asks for nothing, because a domain's sending key may only send.

    Messages of ``send_many`` go one by one unless ``recipient_variables=True`` (``?recipient-variables=on``) allows
    Mailgun's batch sending. Then those to one recipient each, that differ in nothing but that and the values of their
    metadata and of the template's data, go in one request, and Mailgun makes a copy for each recipient, who sees nobody
    else. It gives all copies one id, which is every receipt's ``provider_id`` and, in place of our Message-ID, what
    recipients see: whether a recipient variable could set that of each copy, Mailgun does not say, which is why this is
    a choice. The template's data come back with events then, beside the metadata. What is no plain text in ASCII
    (numbers, lists, quotation marks, ``<`` and ``&``) has to be the same in all messages of a request, where it is in
    the template's data; with such metadata, with attachments, or with ``%recipient`` anywhere in it, a message goes
    alone.

    Not possible: a Sender or return path of one's own, an idempotency key (so an unknown outcome stays unknown), local
    parts that are not ASCII, a template beside text, html or a calendar part, a file name besides the Content-ID of an
    inline image.

    Limits (read 2026-11): 1000 recipients and 25 MB a message, 1000 messages a batch, 16 KB of tags, metadata, custom
    header fields and template data together.

    Args:
        domain: The sending domain.
        recipient_variables: Whether messages with one content may go in one request, and share its id.

    Example:
        >>> str(Mailgun("KEY", domain="mg.example.com", region="eu"))
        'mailgun://default?region=eu'
    """

    endpoints: ClassVar[Mapping[str, str]] = {"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"}
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "domain": str,
        "recipient_variables": switch,
    }
    has_sandbox: ClassVar[bool] = True
    max_recipients: ClassVar[int | None] = 1000
    batch_size: ClassVar[int] = 1000
    batch_bytes: ClassVar[int] = 25_000_000
    batch_distinct: ClassVar[bool] = True  # Mailgun ignores a second one

    domain: str | None = field(default=None, converter=_domain, kw_only=True)
    recipient_variables: bool = field(default=False, kw_only=True)

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the key as the password of the user ``api``."""
        if key is None:
            return request
        credentials = b64encode(f"api:{key.reveal()}".encode()).decode("ascii")
        return self.with_headers(request, {"Authorization": f"Basic {credentials}"})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return the fields of the form; one with several values is a list."""
        refuse_beside_template(message, self, "text", "html", "calendar")
        content = self._mime(message, envelope) if _needs_mime(message) else self._form(message, envelope)
        payload = {
            **content,
            "o:tag": list(message.tags),
            **{f"v:{name}": value for name, value in message.metadata.items()},
            "o:tracking-opens": _switch(message.track_opens),
            "o:tracking-clicks": _switch(message.track_clicks),
            "o:deliverytime": None if message.send_at is None else format_datetime(message.send_at),
            "o:testmode": _switch(self.sandbox or None),
        }
        return {name: value for name, value in payload.items() if value is not None and value != []}

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the form for one message."""
        name = "messages.mime" if _needs_mime(message) else "messages"
        return self._posted(name, message, self.complete_payload(message, envelope))

    def _posted(self, name: str, message: Message, payload: Mapping[str, Any]) -> Request:
        domain = self.domain or (message.from_.ascii_domain if message.from_ is not None else None)
        if domain is None:
            raise MessageError(f"{self} sends for a domain: give domain=, or a message with From")
        body, media_type = multipart(form_fields(payload))
        return self.request(f"/v3/{path_part(domain)}/{name}", body, media_type=media_type)

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read Mailgun's id, which its events have without the angle brackets."""
        return self.accepted(message, envelope, provider_id=response.json()["id"].strip("<>"))

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:
        """Return all that the messages of one batch share, where batches are allowed."""
        if not self.recipient_variables or _needs_mime(message):
            return None
        return in_common(message, envelope, message.options.get(self.name, {}))

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the form for all messages: Mailgun makes a copy for each recipient, who sees nobody else."""
        return self._posted("messages", items[0].message, batch(items))

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Say the same of each message: Mailgun takes a request as a whole, or refuses it."""
        return [self.parse_response(response, item.message, item.envelope) for item in items]

    def _form(self, message: Message, envelope: Envelope) -> dict[str, Any]:
        to = addressed(message, envelope)
        template = message.template
        return {
            **people(message, to, mailbox),
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "amp-html": message.amp,
            "template": None if template is None else str(template.id),
            "t:variables": None if template is None else template.data,
            **{f"h:{name}": value for name, value in _headers(message)},
            "attachment": [_file(each) for each in message.attachments if each.disposition == "attachment"],
            "inline": [_file(each) for each in message.attachments if each.disposition == "inline"],
        }

    @staticmethod
    def _mime(message: Message, envelope: Envelope) -> dict[str, Any]:
        mime = render(message).as_bytes()
        return {
            "to": [path.addr_spec for path in envelope.rcpt_to],
            "message": File("message.eml", mime, "message/rfc822"),
        }


def _needs_mime(message: Message) -> bool:
    names = [name.lower() for name, _ in message.headers]
    return message.calendar is not None or len(set(names)) < len(names)


def _headers(message: Message) -> list[tuple[str, str]]:
    pairs = header_pairs(message)
    if message.reply_to:
        pairs.append(("Reply-To", mailboxes(message.reply_to)))
    if message.message_id is not None:
        pairs.append(("Message-Id", f"<{message.message_id}>"))
    return pairs


def _switch(value: bool | None) -> str | None:  # noqa: FBT001
    return None if value is None else "yes" if value else "no"


def _file(attachment: Attachment) -> File:
    # An inline part's name is its Content-ID, and a part without a name is dropped.
    is_inline = attachment.disposition == "inline"
    names = (attachment.content_id, attachment.filename) if is_inline else (attachment.filename, attachment.content_id)
    return File(next(filter(None, names), "attachment"), attachment.read(), attachment.media_type)
