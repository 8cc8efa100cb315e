"""What Django lets one attach → attachments: tuples in each form, and parts of the standard library."""

from __future__ import annotations

import email.message
import email.policy
import re
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from django.core.mail import DEFAULT_ATTACHMENT_MIME_TYPE
from django.utils.functional import Promise

from mailkit.attachment import Attachment
from mailkit.errors import MessageError
from mailkit.media_type import guess_media_type
from mailkit.mime.foreign_parts import read_attachment

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["attachments_of", "octets_of", "text_of"]

_LINE_END: Final = re.compile(rb"\r?\n|\r(?!\n)")


def attachments_of(given: Iterable[Any]) -> list[Attachment]:
    """Return the attachments of a Django message.

    Args:
        given: Each an ``EmailAttachment``, a tuple of file name, content and MIME type, or a part of the standard
            library's (``MIMEPart``, and ``MIMEBase`` where Django takes it).

    Raises:
        MessageError: One of them cannot be attached so.
    """
    return [read_attachment(each) if _is_part(each) else _file(*_parted(each)) for each in given]


def text_of(value: object, what: str) -> str:
    """Return a text that may be a lazy one.

    Raises:
        MessageError: It is none: a file, bytes or None would be sent as Python shows them.
    """
    if not isinstance(value, str | Promise):
        raise MessageError(f"{what} is no text but of the type {type(value).__name__}: decode or read it first")
    return str(value)


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


def _parted(given: object) -> tuple[object, object, object]:
    kind = type(given).__name__
    match cast("tuple[object, ...]", given) if isinstance(given, tuple | list) else ():
        case (filename, content):
            return filename, content, None
        case (filename, content, mimetype):
            return filename, content, mimetype
        case _:
            raise MessageError(
                f"an attachment is (file name, content) or (file name, content, MIME type), not such a {kind}"
            )


def _file(filename: object, content: object, mimetype: object) -> Attachment:
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
    text = text_of(content, f"the content of the attachment {name!r}")
    if kind.startswith("text/"):
        return Attachment.from_text(text, name, kind)
    return Attachment.from_bytes(text.encode(), name, kind)


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
    return text_of(content, "an attached message").encode() if data is None else data
