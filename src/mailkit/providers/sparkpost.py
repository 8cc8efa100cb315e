"""SparkPost: https://developers.sparkpost.com/api/transmissions/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.errors import DeliveryError, MessageError, UnsupportedFeatureError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import (
    base64_of,
    dump,
    header_mapping,
    header_pairs,
    mailboxes,
    refuse_beside_template,
)
from mailkit.providers.recipients import addressed
from mailkit.providers.status import QUOTA, REJECTED, UNKNOWN, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.providers.recipients import Addressed
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["SparkPost"]

_LONGEST_NAME: Final = 255
# What a recipient may have of its own, where it goes before what the transmission has.
_OWN: Final = ("metadata", "return_path", "substitution_data")


class SparkPost(ApiTransport):
    """SparkPost's transmissions: ``sparkpost://KEY@default?region=eu``.

    An IP pool is chosen with ``options={"sparkpost": {"options": {"ip_pool": "…"}}}``, a campaign with
    ``{"campaign_id": "…"}``. Texts are sent as they are: SparkPost's template language is switched off but for a stored
    template. It cannot be switched off for the header, so a subject, a name or a header field with ``{{`` is refused.

    Messages of ``send_many`` that differ in nothing but recipients, return path, tags, metadata and the template's data
    go in one transmission, each copy with the To of its own message; those with Cc or attachments go one by one. A
    transmission has one id, which its messages share. Where SparkPost takes some recipients of a transmission and not
    others, it does not say whom, so all its messages are unknown then. ``verify`` asks for nothing, because a key may
    be good for transmissions alone. The Message-ID is SparkPost's own.

    Not possible: a calendar part, a List-Unsubscribe (SparkPost drops it), a Sender of one's own, a null return path,
    an idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII, a file name besides the
    Content-ID of an inline image; beside a stored template, also a subject, texts, attachments, header fields and Cc.

    Limits (read 2026-11): 20 MB a message, 10 tags, 10 KB of metadata, 100 KB of template data, 3 days until send_at. A
    transmission in excess of the daily or monthly quota is refused as a whole (420). We put up to 1000 messages into a
    transmission.

    Example:
        >>> str(SparkPost("KEY", region="eu"))
        'sparkpost://default?region=eu'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=50,
        return_path=True,
        list_unsubscribe=False,
        attachments=True,
        inline=True,
        amp=True,
        tags=10,
        metadata=50,
        track_opens=True,
        track_clicks=True,
        send_at=True,
        template=True,
    )
    endpoints: ClassVar[Mapping[str, str]] = {
        "us": "https://api.sparkpost.com/api/v1",
        "eu": "https://api.eu.sparkpost.com/api/v1",
    }
    path: ClassVar[str] = "/transmissions"
    batch_size: ClassVar[int] = 1000
    batch_bytes: ClassVar[int] = 20_000_000
    batch_distinct: ClassVar[bool] = True
    # https://developers.sparkpost.com/api/transmissions/#header-sending-limits: no messages are sent
    statuses: ClassVar[Mapping[int, Verdict]] = {420: QUOTA}

    def authorize(self, request: Request, key: Secret | None, now: datetime) -> Request:  # noqa: ARG002
        """Add the key as it is."""
        return request if key is None else self.with_headers(request, {"Authorization": key})

    def payload(self, message: Message, envelope: Envelope) -> Mapping[str, Any]:
        """Return one message as a transmission."""
        if message.return_path == "":
            raise MessageError(f"{self} cannot send with a null return path: leave it out, or name an address")
        to = addressed(message, envelope)
        payload = {
            "options": _options(message),
            "recipients": [_recipient(each, to, message) for each in _everybody(to)],
            "metadata": message.metadata,
            "return_path": message.return_path.addr_spec if message.return_path else None,
            **(self._content(message, to) if message.template is None else self._template(message, to)),
        }
        return {name: value for name, value in payload.items() if value}

    def parse_response(self, response: Response, message: Message, envelope: Envelope) -> Receipt:
        """Read SparkPost's id of the transmission; with 200 it may also have taken nobody."""
        results = response.json()["results"]
        if results.get("total_rejected_recipients"):
            # It does not say whom: where it is not everybody, each is in doubt.
            nobody = results.get("total_accepted_recipients") == 0
            raise self.refusal(REJECTED if nobody else UNKNOWN, response, message, envelope)
        return self.accepted(message, envelope, provider_id=results["id"])

    def batch_group(self, message: Message, envelope: Envelope) -> Hashable | None:  # noqa: ARG002
        """Return all that the messages of one transmission share."""
        options = message.options.get(self.name, {})
        if message.cc or message.attachments or not options.keys().isdisjoint({*_OWN, "recipients"}):
            return None
        template = None if message.template is None else str(message.template.id)
        content = (message.subject, message.text, message.html, message.amp, tuple(header_pairs(message)), template)
        settings = (message.track_opens, message.track_clicks, message.send_at, dump(options))
        return (message.from_, message.reply_to, *content, *settings)

    def build_batch(self, items: Sequence[Item]) -> Request:
        """Return the transmission to the recipients of all messages: each sees the To of its own."""
        shared = {name: value for name, value in items[0].payload.items() if name not in _OWN}
        shared["recipients"] = [
            {**recipient, **{name: item.payload[name] for name in _OWN if name in item.payload}}
            for item in items
            for recipient in item.payload["recipients"]
        ]
        return self.post(self.path, shared)

    def parse_batch(self, response: Response, items: Sequence[Item]) -> Sequence[Receipt | DeliveryError]:
        """Say the same of each message: SparkPost counts whom it took, and does not name them."""
        return [self._one_of(response, item) for item in items]

    def _one_of(self, response: Response, item: Item) -> Receipt | DeliveryError:
        try:
            return self.parse_response(response, item.message, item.envelope)
        except DeliveryError as refused:
            return refused

    def _content(self, message: Message, to: Addressed) -> dict[str, Any]:
        headers = header_mapping(message, self)
        if to.cc:
            headers["CC"] = mailboxes(to.cc)
        subject = message.subject or ""
        content = {
            "from": None if message.from_ is None else _address(message.from_),
            "subject": subject,  # required, also where there is none
            "reply_to": mailboxes(message.reply_to),
            "text": message.text,
            "html": message.html,
            "amp_html": message.amp,
            "headers": headers,
            "attachments": [_file(each) for each in message.attachments if not each.is_inline],
            "inline_images": [_file(each) for each in message.attachments if each.is_inline],
        }
        names = [each.name for each in (*_everybody(to), *message.reply_to, message.from_) if each is not None]
        if any("{{" in each for each in (subject, *headers.values(), *names)):
            raise MessageError(
                f"{self} takes {{{{ in a subject, a name or a header field for its template language, and cannot be "
                "told not to: write it otherwise, or send a stored template"
            )
        return {"content": {name: value for name, value in content.items() if value or name == "subject"}}

    def _template(self, message: Message, to: Addressed) -> dict[str, Any]:
        template = message.template
        assert template is not None  # noqa: S101 - why this is called
        refuse_beside_template(message, self, "subject", "text", "html", "amp")
        beside = {"attachments": message.attachments, "headers": header_pairs(message), "cc": to.cc}
        for feature, used in beside.items():
            if used:
                raise UnsupportedFeatureError(
                    f"{self} cannot send {feature} with a stored template: leave it out, or send the text itself",
                    feature=feature,
                    transport=str(self),
                )
        override = {
            "from": None if message.from_ is None else _address(message.from_),
            "reply_to": mailboxes(message.reply_to),
        }
        return {
            "content": {"template_id": str(template.id)},
            "substitution_data": template.data,
            "override": {name: value for name, value in override.items() if value},
        }


def _everybody(to: Addressed) -> tuple[Address, ...]:
    return (*to.to, *to.cc, *to.bcc)


def _options(message: Message) -> dict[str, Any]:
    options = {
        "open_tracking": message.track_opens,
        "click_tracking": message.track_clicks,
        # With an offset, and to the second: nothing else is allowed.
        "start_time": None if message.send_at is None else message.send_at.replace(microsecond=0).isoformat(),
        "perform_substitutions": False if message.template is None else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _recipient(address: Address, to: Addressed, message: Message) -> dict[str, Any]:
    # Everybody's copy shows the same To; without header_to, it would show the recipient alone.
    described = {"email": address.addr_spec, "header_to": mailboxes(to.to)}
    recipient: dict[str, Any] = {"address": described}
    if message.tags:
        recipient["tags"] = list(message.tags)
    return recipient


def _address(address: Address) -> dict[str, str]:
    return {"email": address.addr_spec} | ({"name": address.name} if address.name else {})


def _file(attachment: Attachment) -> dict[str, str]:
    names = (attachment.content_id, attachment.filename) if attachment.is_inline else (attachment.filename,)
    name = next(filter(None, names), "attachment")
    if len(name) > _LONGEST_NAME:
        raise MessageError(f"an attachment's name has {len(name)} characters, and SparkPost takes {_LONGEST_NAME}")
    return {"name": name, "type": attachment.media_type, "data": base64_of(attachment)}
