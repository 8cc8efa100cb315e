"""What a message holds, in one of the three forms that Amazon SES takes: its texts, a stored template, or MIME."""

from __future__ import annotations

import re
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import MessageError
from mailkit.mime import render
from mailkit.providers.content import base64_of, dump, header_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.attachment import Attachment
    from mailkit.message import Message
    from mailkit.template import Template

__all__ = ["content_of", "email_tags", "tracking"]

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MOST_HEADERS: Final = 15
_LONGEST_HEADER: Final = 996  # name and value together
_LONGEST_TEMPLATE_DATA: Final = 262_144


def content_of(message: Message) -> dict[str, Any]:
    """Return the ``Content``: ``Template``, ``Simple`` where that says all that the message says, or else ``Raw``.

    Raises:
        MessageError: A template cannot have what the message has beside it, or an attachment cannot be read.
    """
    headers = header_pairs(message)
    if message.template is not None:
        return {"Template": _stored(message, message.template, headers)}
    if _is_simple(message, headers):
        return {"Simple": _simple(message, headers)}
    return {"Raw": {"Data": b2a_base64(render(message).as_bytes(), newline=False).decode("ascii")}}


def _stored(message: Message, template: Template, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if not _fits(headers):
        raise MessageError(
            f"SES takes {_MOST_HEADERS} header fields beside a template, of ASCII and {_LONGEST_HEADER} characters at "
            "most: leave some out"
        )
    data = dump(template.data).decode()
    if len(data) > _LONGEST_TEMPLATE_DATA:
        raise MessageError(f"SES takes {_LONGEST_TEMPLATE_DATA} characters of a template's data: shorten it")
    stored: dict[str, Any] = {
        "TemplateName": str(template.id),
        "TemplateData": data,
        "Headers": _headers(headers),
        "Attachments": [_attachment(each) for each in message.attachments],
    }
    return {name: value for name, value in stored.items() if value}


def _is_simple(message: Message, headers: Sequence[tuple[str, str]]) -> bool:
    beyond = message.attachments or message.sender or message.amp or message.calendar
    return bool(message.subject and (message.text or message.html)) and not beyond and _fits(headers)


def _fits(headers: Sequence[tuple[str, str]]) -> bool:
    return len(headers) <= _MOST_HEADERS and all(
        value and value.isascii() and value.isprintable() and len(name) + len(value) <= _LONGEST_HEADER
        for name, value in headers
    )


def _simple(message: Message, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    texts = {"Text": message.text, "Html": message.html}
    simple: dict[str, Any] = {
        "Subject": _text(message.subject or ""),
        "Body": {name: _text(value) for name, value in texts.items() if value},
        "Headers": _headers(headers),
    }
    return {name: value for name, value in simple.items() if value}


def _text(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _headers(headers: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in headers]


def tracking(message: Message) -> dict[str, Any]:
    """Return the ``ConfigurationOverrides``: what one message chooses about tracking."""
    wanted = {"OpenTrackingEnabled": message.track_opens, "ClickTrackingEnabled": message.track_clicks}
    said = {name: "ENABLED" if value else "DISABLED" for name, value in wanted.items() if value is not None}
    return {"Tracking": said} if said else {}


def email_tags(message: Message) -> list[dict[str, str]]:
    """Return the ``EmailTags``: tags under numbered names, metadata under their own.

    Raises:
        MessageError: One of them is none that SES takes.
    """
    named = [(f"tag-{place}" if place > 1 else "tag", tag) for place, tag in enumerate(message.tags, 1)]
    pairs = [*named, *message.metadata.items()]
    if len(dict(pairs)) != len(pairs):
        raise MessageError(
            'SES takes tags and metadata under one roof, and "tag" is the tags\' name: rename the metadata'
        )
    for text in (part for pair in pairs for part in pair):
        if not _LABEL.fullmatch(text):
            raise MessageError(
                f"SES takes tags and metadata of ASCII letters, digits, _ and -, 256 at most: rename {text!r}"
            )
    return [{"Name": name, "Value": value} for name, value in pairs]


def _attachment(attachment: Attachment) -> dict[str, str]:
    described = {
        "FileName": attachment.filename or attachment.content_id or "attachment",
        "RawContent": base64_of(attachment),
        "ContentType": attachment.media_type,
        "ContentDisposition": attachment.disposition.upper(),
        "ContentTransferEncoding": "BASE64",
    }
    if attachment.content_id is not None:
        described["ContentId"] = attachment.content_id
    return described
