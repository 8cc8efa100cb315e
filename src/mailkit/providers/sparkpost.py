"""SparkPost: https://developers.sparkpost.com/api/transmissions/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from mailkit.errors import MessageError, UnsupportedFeatureError
from mailkit.providers.base import ApiTransport
from mailkit.providers.content import (
    base64_of,
    header_mapping,
    header_pairs,
    mailboxes,
    refuse_beside_template,
)
from mailkit.providers.recipients import addressed
from mailkit.providers.status import QUOTA, REJECTED, UNKNOWN, Verdict
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.edge.http import Request, Response
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.recipients import Addressed
    from mailkit.receipt import Receipt
    from mailkit.secret import Secret

__all__ = ["SparkPost"]

_LONGEST_NAME: Final = 255


class SparkPost(ApiTransport):
    """SparkPost's transmissions: ``sparkpost://KEY@default?region=eu``.

    An IP pool is chosen with ``options={"sparkpost": {"options": {"ip_pool": "…"}}}``, a campaign with
    ``{"campaign_id": "…"}``. Texts are sent as they are: SparkPost's template language is switched off but for a stored
    template. It cannot be switched off for the header, so a subject, a name or a header field with ``{{`` is refused.

    ``verify`` asks for nothing, because a key may be good for transmissions alone.

    Not possible: a calendar part, a List-Unsubscribe (SparkPost drops it), a Sender of one's own, a null return path,
    an idempotency key (so an unknown outcome stays unknown), local parts that are not ASCII, a file name besides the
    Content-ID of an inline image; beside a stored template, also a subject, texts, attachments, header fields and Cc.

    Limits (read 2026-11): 20 MB a message, 10 tags, 10 KB of metadata, 100 KB of template data, 3 days until send_at. A
    transmission in excess of the daily or monthly quota is refused as a whole (420).

    Example:
        >>> str(SparkPost("KEY", region="eu"))
        'sparkpost://default?region=eu'
    """

    capabilities: Capabilities = Capabilities(
        reply_to=1,
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
