"""How the parts of a message are nested: mixed(related(alternative)) (RFC 2046 §5.1, RFC 2387)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from mailkit.mime.content import Content, as_base64, as_binary, as_message
from mailkit.mime.headers import field, identifiers
from mailkit.mime.parameters import attachment_headers
from mailkit.mime.text import encode_text

if TYPE_CHECKING:
    from mailkit.attachment import Attachment
    from mailkit.message import Message
    from mailkit.mime.text import TransferEncoding

__all__ = ["Leaf", "Multipart", "Part", "structure", "transfer_encoding"]

Subtype = Literal["mixed", "related", "alternative"]


class Leaf(NamedTuple):
    """A part without parts.

    Attributes:
        media_type: ``type/subtype``.
        header: Its header fields.
        encoding: Its Content-Transfer-Encoding.
        content: What stands in it.
    """

    media_type: str
    header: str
    encoding: TransferEncoding
    content: bytes | Content


class Multipart(NamedTuple):
    """A part that consists of parts.

    Attributes:
        subtype: How they belong together.
        parts: The parts.
        encoding: The most that one of them asks of the server (RFC 2045 §6.4).
    """

    subtype: Subtype
    parts: list[Part]
    encoding: TransferEncoding

    @property
    def media_type(self) -> str:
        """``type/subtype``."""
        return f"multipart/{self.subtype}"


Part = Leaf | Multipart


def structure(message: Message, *, eight_bit: bool, binary: bool) -> Part:
    """Return the parts of a message.

    Args:
        message: What is to be sent.
        eight_bit: Whether the server takes octets beyond ASCII in lines (8BITMIME).
        binary: Whether it takes any octets (BINARYMIME).

    Raises:
        MessageError: Something in it cannot be sent, or an attachment cannot be read.
    """
    body = _body(message, eight_bit=eight_bit)
    if not message.attachments:
        return body or _text("", "plain", eight_bit=eight_bit)
    shown: list[Part] = []
    listed: list[Part] = []
    for attachment in message.attachments:
        # Only what the HTML can name belongs to it; another inline part is shown after it.
        belongs = message.html is not None and attachment.is_inline and attachment.content_id is not None
        part = _attachment(attachment, eight_bit=eight_bit, binary=binary)
        (shown if belongs else listed).append(part)
    if shown and body is not None:
        body = _multipart("related", [body, *shown])
    if not listed and body is not None:
        return body
    return _multipart("mixed", listed if body is None else [body, *listed])


def _body(message: Message, *, eight_bit: bool) -> Part | None:
    """Return the text in all its forms, the best last, as RFC 2046 §5.1.4 wants it."""
    forms: list[Part] = []
    if message.text is not None:
        forms.append(_text(message.text, "plain", eight_bit=eight_bit))
    if message.amp is not None:
        # Before the HTML: whoever does not know AMP but shows the last form that it knows is not to stop
        # short of it.
        forms.append(_text(message.amp, "x-amp-html", eight_bit=eight_bit))
    if message.html is not None:
        forms.append(_text(message.html, "html", eight_bit=eight_bit))
    if message.calendar is not None:
        # Outlook and Gmail show their buttons for a form of the text, not for an attached file, and only if
        # the method is that of the object (RFC 6047 §2.4).
        forms.append(_text(message.calendar.text, "calendar", message.calendar.method, eight_bit=eight_bit))
    if len(forms) > 1:
        return _multipart("alternative", forms)
    return forms[0] if forms else None


def _multipart(subtype: Subtype, parts: list[Part]) -> Multipart:
    encodings = {part.encoding for part in parts}
    encoding: TransferEncoding = "binary" if "binary" in encodings else "8bit" if "8bit" in encodings else "7bit"
    return Multipart(subtype, parts, encoding)


def _text(text: str, subtype: str, method: str | None = None, *, eight_bit: bool) -> Leaf:
    encoding, data = encode_text(text, eight_bit=eight_bit)
    return Leaf(f"text/{subtype}", _text_headers(subtype, method, encoding), encoding, data)


@lru_cache(maxsize=64)
def _text_headers(subtype: str, method: str | None, encoding: TransferEncoding) -> str:
    tokens = [f"text/{subtype};", "charset=utf-8"]
    if method is not None:
        tokens = [f"text/{subtype};", "charset=utf-8;", f"method={method}"]
    return field("Content-Type", tokens) + transfer_encoding(encoding)


def _attachment(attachment: Attachment, *, eight_bit: bool, binary: bool) -> Leaf:
    media_type, filename = attachment.media_type, attachment.filename
    content: Content | None
    if binary:
        content = as_binary(attachment)
    elif not _is_unencoded(media_type):
        content = as_base64(attachment)
    else:
        content = as_message(attachment, eight_bit=eight_bit)
        if content is None:
            # RFC 2046 §5.2.1 forbids to encode a message, and to convert it would break its signatures. As a
            # file it arrives whole, and every mail program opens it by its ending.
            media_type, filename = "application/octet-stream", filename or "message.eml"
            content = as_base64(attachment)
    header = attachment_headers(media_type, filename, attachment.disposition)
    if attachment.content_id is not None:
        header += identifiers("Content-ID", (attachment.content_id,))
    return Leaf(media_type.partition(";")[0], header + transfer_encoding(content.encoding), content.encoding, content)


def _is_unencoded(media_type: str) -> bool:
    # message/global may be encoded (RFC 6532 §3.7); the other types of message must not (RFC 2046 §5.2, RFC
    # 3464 §2.1).
    return media_type.startswith("message/") and not media_type.startswith("message/global")


@lru_cache(maxsize=8)
def transfer_encoding(encoding: TransferEncoding) -> str:
    """Return the header field."""
    return field("Content-Transfer-Encoding", [encoding])
