"""Messages worth sending, and the check that what arrived is what was sent."""

from __future__ import annotations

import hashlib
from email import headerregistry
from typing import TYPE_CHECKING, Any, Final

from mailkit import Attachment, Message

if TYPE_CHECKING:
    from .maildir import Delivered

__all__ = ["assert_is", "letter", "note"]

# Every byte, and lines that a transport could trip over: a lone dot, a dot at the start, bare CR and LF, no end.
_BYTES: Final = bytes(range(256)) * 41 + b"\r\n.\r\n..\r\n\n\r.\n" + hashlib.sha256(b"mailkit").digest()
_IMAGE: Final = b"\x89PNG\r\n\x1a\n" + hashlib.sha256(b"image").digest() * 40

_TEXT: Final = "Grüße aus Zürich ☃\n\n.a line that starts with a dot\n.\n..\nFrom the last line, 終わり\n"
_HTML: Final = '<p>Grüße aus <b>Zürich</b> ☃</p>\n.<img src="cid:logo">\n'


def note(to: object, **fields: Any) -> Message:
    """A short ASCII message."""
    given: dict[str, Any] = {
        "from_": "Ada Lovelace <ada@example.test>",
        "to": to,
        "subject": "A note",
        "text": "Hi Bob\n",
    }
    return Message(**(given | fields))


def letter(to: object, **fields: Any) -> Message:
    """A message with text, HTML, an inline image, attachments and non-ASCII everywhere that SMTP takes it as such."""
    given: dict[str, Any] = {
        "from_": "Ada Lövelace <ada@example.test>",
        "subject": "Zürich ☃ 会議の議事録 " + "and a line that is long enough to be folded " * 3,
        "text": _TEXT,
        "html": _HTML,
        "attachments": [
            Attachment.from_bytes(_IMAGE, "logo.png", "image/png", content_id="logo"),
            Attachment.from_bytes(_BYTES, 'Übersicht "2026" № 3.bin', "application/octet-stream"),
            Attachment.from_text("a,b\n1,2\n", "table.csv"),
        ],
    }
    return note(to, **(given | fields))


def assert_is(delivered: Delivered, message: Message) -> None:
    """Assert that what was delivered is `message`: header, bodies, files, and nobody's Bcc."""
    got = delivered.message
    assert got["Subject"] == message.subject
    author = got["From"].addresses[0]
    assert isinstance(author, headerregistry.Address)
    assert message.from_ is not None
    assert (author.addr_spec, author.display_name) == (message.from_.email, message.from_.name or "")
    for name in ("To", "Cc"):
        wanted = [address.email for address in getattr(message, name.lower())]
        assert [address.addr_spec for address in (got[name].addresses if name in got else ())] == wanted
    assert "Bcc" not in got
    for address in message.bcc:
        assert address.email.encode() not in delivered.content
    for kind, wanted_text in (("plain", message.text), ("html", message.html)):
        body = got.get_body((kind,))
        assert (body.get_content() if body is not None else None) == wanted_text
    parts = [part for part in got.walk() if part.get_filename() is not None]
    assert [
        (part.get_filename(), part.get_content_type(), part.get_content_disposition(), _bytes(part)) for part in parts
    ] == [
        (each.filename, each.media_type.partition(";")[0], each.disposition, each.read())
        for each in message.attachments
    ]
    inline = {part["Content-ID"] for part in parts if "Content-ID" in part}
    assert inline == {f"<{each.content_id}>" for each in message.attachments if each.content_id is not None}


def _bytes(part: Any) -> bytes:
    decoded: bytes = part.get_payload(decode=True)
    return decoded
