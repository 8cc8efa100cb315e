"""What Django lets one attach → attachments: tuples in each form, and parts of the standard library."""

from __future__ import annotations

import email.message
import email.policy
import re
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from django.core.mail import DEFAULT_ATTACHMENT_MIME_TYPE

from mailkit.attachment import Attachment
from mailkit.media_type import guess_media_type
from mailkit.mime.foreign_parts import read_attachment

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["attachments_of", "octets_of"]

_LINE_END: Final = re.compile(rb"\r?\n|\r(?!\n)")


def attachments_of(given: Iterable[Any]) -> list[Attachment]:
    """Return the attachments of a Django message.

    Args:
        given: Each an ``EmailAttachment``, a tuple of file name, content and MIME type, or a part of the standard
            library's (``MIMEPart``, and ``MIMEBase`` where Django takes it).

    Raises:
        MessageError: One of them cannot be attached so.
    """
    return [read_attachment(each) if _is_part(each) else _file(*each) for each in given]


def _is_part(value: object) -> TypeGuard[email.message.Message[Any, Any]]:
    return isinstance(value, email.message.Message)


def _octets(content: object) -> bytes | None:
    return bytes(cast("bytes", content)) if isinstance(content, bytes | bytearray | memoryview) else None


def octets_of(written: email.message.Message[Any, Any]) -> bytes:
    """Return the RFC 5322 bytes of what Django, or a program, has written."""
    if isinstance(written, email.message.EmailMessage):
        return written.as_bytes(policy=email.policy.SMTP)
    # Before 6.0 Django wrote the standard library's older kind, which its policies would encode once more.
    return _LINE_END.sub(b"\r\n", written.as_bytes())


def _file(filename: Any = None, content: Any = None, mimetype: Any = None) -> Attachment:
    name = None if filename is None else str(filename)
    kind = str(mimetype) if mimetype else guess_media_type(name) or DEFAULT_ATTACHMENT_MIME_TYPE
    if kind.startswith("message/"):
        data = _message_bytes(content)
        if kind == "message/rfc822":
            return Attachment.from_message(data, name)
        return Attachment.from_bytes(data, name, kind)
    octets = _octets(content)
    if octets is not None:
        return Attachment.from_bytes(octets, name, _checked_text(octets, kind))
    if kind.startswith("text/"):
        return Attachment.from_text(str(content), name, kind)
    return Attachment.from_bytes(str(content).encode(), name, kind)


def _checked_text(content: bytes, kind: str) -> str:
    # As Django: what a name calls a text and is none goes out as it is, under no false name.
    if not kind.startswith("text/") or "charset" in kind:
        return kind
    try:
        content.decode()
    except UnicodeDecodeError:
        return DEFAULT_ATTACHMENT_MIME_TYPE
    return f"{kind}; charset=utf-8"


def _message_bytes(content: Any) -> bytes:
    if hasattr(content, "message"):  # one of Django's
        return octets_of(content.message())
    if _is_part(content):
        return octets_of(content)
    data = _octets(content)
    return str(content).encode() if data is None else data
