"""Attachment: a file that goes along, or an image that the HTML shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast, final

from attrs import field, frozen

from mailkit.attachment_source import FileSource, MemorySource, Source, spool
from mailkit.errors import MessageError
from mailkit.media_type import charset_of, check_charset, guess_media_type, normalize_media_type
from mailkit.validation import body_text, file_name, header_text, refuse_type
from mailkit.validation import content_id as check_content_id

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from mailkit.message import Message

__all__ = ["Attachment", "Disposition"]

Disposition = Literal["attachment", "inline"]

_BLOCK = 1 << 16
_STREAM_LIMIT = 256 << 20

# RFC 5322 §2.1 ends the header at the first empty line; what follows may well speak of Bcc. Each of CRLF, CR and LF
# ends a line here, because each of them goes out as CRLF.
_END_OF_HEADER = re.compile(rb"(?:\A|\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")
_BLIND_COPY = re.compile(rb"(?:\A|[\r\n])(?:resent-)?bcc[ \t]*:", re.IGNORECASE)


def _filename(value: str | None) -> str | None:
    return None if value is None else file_name(value)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        refuse_type(value, "an attachment's data", "bytes (for a str use from_text, for a file from_path)")
    return bytes(cast("bytes", value))


def _rendered(message: object) -> bytes:
    # Messages know attachments, and not the other way round: whatever renders itself will do.
    render = getattr(message, "as_bytes", None)
    if not callable(render):
        refuse_type(message, "an attached message", "a Message or bytes")
    return _bytes(render())


def _content_id(value: str | None) -> str | None:
    return None if value is None else check_content_id(value)


@final
@frozen(init=False, eq=False)
class Attachment:
    """A part of a message that is no text of its own. Bytes of a file are read while the message is sent.

    Two attachments are equal if their names, types, roles and bytes are, wherever the bytes come from.

    Example:
        >>> Attachment.from_bytes(b"%PDF-1.7", "report.pdf").media_type
        'application/pdf'
    """

    filename: str | None
    """The base name, as the receiver sees it; None if it has none."""
    media_type: str
    """``type/subtype`` in lower case, parameters after it: ``text/csv; charset=utf-8``."""
    content_id: str | None
    """What the HTML calls it after ``cid:``, without angle brackets; a word such as ``logo`` will do."""
    disposition: Disposition
    """``"inline"`` for what is shown in its place, ``"attachment"`` for what is listed."""
    size: int
    """The number of bytes, before any encoding."""
    _source: Source = field(repr=False)

    def __init__(
        self,
        source: Source,
        *,
        filename: str | None = None,
        media_type: str | None = None,
        content_id: str | None = None,
        disposition: Disposition | None = None,
    ) -> None:
        if not isinstance(source, MemorySource | FileSource):
            # In particular no str: nothing may become a path, or a URL, by accident.
            raise MessageError(
                "an Attachment is not built from a value directly: use from_path, from_bytes, from_text,"
                " from_stream or from_message"
            )
        name = _filename(filename)
        cid = _content_id(content_id)
        if disposition is None:
            disposition = "attachment" if cid is None else "inline"
        elif disposition not in ("attachment", "inline"):
            header_text(disposition, "disposition")
            raise MessageError(f"disposition {disposition[:60]!r} is unknown: use 'attachment' or 'inline'")
        kind = guess_media_type(name) if media_type is None else normalize_media_type(media_type)
        keep = object.__setattr__  # past the frozen __setattr__, as attrs itself does it
        keep(self, "filename", name)
        keep(self, "media_type", kind)
        keep(self, "content_id", cid)
        keep(self, "disposition", disposition)
        keep(self, "size", source.size)
        keep(self, "_source", source)

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        *,
        filename: str | None = None,
        media_type: str | None = None,
        content_id: str | None = None,
        disposition: Disposition | None = None,
        root: str | os.PathLike[str] | None = None,
    ) -> Attachment:
        """Attach a file, which is read while the message is sent.

        Args:
            path: The file. Never pass on what a stranger typed without `root`.
            filename: The name that the receiver sees; by default the path's last part.
            media_type: By default guessed from the name's ending.
            content_id: The name for ``<img src="cid:…">``; makes it inline.
            disposition: ``"attachment"``, or ``"inline"``, the default with a `content_id`.
            root: A folder that the file must lie in, after all links are followed.

        Raises:
            MessageError: There is no such file, it is no regular file, or it lies outside of `root`.
        """
        return cls(
            FileSource.at(path, root=root),
            # The name that was given, not that of the file to which a link leads.
            filename=Path(path).name if filename is None else filename,
            media_type=media_type,
            content_id=content_id,
            disposition=disposition,
        )

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        filename: str | None = None,
        media_type: str | None = None,
        *,
        content_id: str | None = None,
        disposition: Disposition | None = None,
    ) -> Attachment:
        """Attach bytes that are in memory.

        Args:
            data: The content.
            filename: The name that the receiver sees: only what follows the last slash or backslash is kept.
            media_type: By default guessed from the name's ending.
            content_id: The name for ``<img src="cid:…">``; makes it inline.
            disposition: ``"attachment"``, or ``"inline"``, the default with a `content_id`.

        Raises:
            MessageError: One of them is not valid.
        """
        return cls(
            MemorySource(_bytes(data)),
            filename=filename,
            media_type=media_type,
            content_id=content_id,
            disposition=disposition,
        )

    @classmethod
    def from_text(
        cls,
        text: str,
        filename: str | None = None,
        media_type: str = "text/plain",
        *,
        charset: str | None = None,
        content_id: str | None = None,
        disposition: Disposition | None = None,
    ) -> Attachment:
        """Attach a text, encoded as `charset`, else as the media type's own charset, else as UTF-8.

        Args:
            text: The content; its line ends are kept.
            filename: The name that the receiver sees.
            media_type: ``text/csv``, ``application/json`` and the like.
            charset: How to encode it.
            content_id: The name for ``<img src="cid:…">``; makes it inline.
            disposition: ``"attachment"``, or ``"inline"``, the default with a `content_id`.

        Raises:
            MessageError: The text cannot be encoded so, or one of the others is not valid.
        """
        text = body_text(text, "an attachment's text")
        kind = normalize_media_type(media_type)
        own = charset_of(kind)
        wanted = check_charset(charset) if charset is not None else own or "utf-8"
        if own is None:
            kind = f"{kind}; charset={wanted}"
        elif own != wanted:
            raise MessageError(f"media_type says charset {own!r}, charset says {wanted!r}: give only one of them")
        try:
            data = text.encode(wanted)
        except UnicodeError as error:
            where = f" at index {error.start}" if isinstance(error, UnicodeEncodeError) else ""
            raise MessageError(
                f"the attachment's text holds a character{where} that {wanted} does not have: use charset='utf-8'"
            ) from None
        return cls.from_bytes(data, filename, kind, content_id=content_id, disposition=disposition)

    @classmethod
    def from_stream(
        cls,
        stream: BinaryIO,
        filename: str | None = None,
        media_type: str | None = None,
        *,
        content_id: str | None = None,
        disposition: Disposition | None = None,
        limit: int = _STREAM_LIMIT,
    ) -> Attachment:
        """Attach what a binary stream holds from where it stands to its end, which is read now.

        A message is read again for each attempt, and its size is told before; so more than 1 MiB of it goes
        into a temporary file.

        Args:
            stream: Anything whose ``read(n)`` returns bytes. It is left open.
            filename: The name that the receiver sees.
            media_type: By default guessed from the name's ending.
            content_id: The name for ``<img src="cid:…">``; makes it inline.
            disposition: ``"attachment"``, or ``"inline"``, the default with a `content_id`.
            limit: How many bytes it may hold.

        Raises:
            MessageError: It yields text, cannot be read, or does not end within `limit`.
        """
        if not hasattr(stream, "read"):
            refuse_type(stream, "an attachment's stream", "a binary file object")
        return cls(
            spool(stream, limit=limit),
            filename=filename,
            media_type=media_type,
            content_id=content_id,
            disposition=disposition,
        )

    @classmethod
    def from_message(
        cls, message: Message | bytes, filename: str | None = None, *, disposition: Disposition | None = None
    ) -> Attachment:
        """Attach a whole message (``message/rfc822``), as when one forwards it.

        Args:
            message: A message, or the bytes of one (RFC 5322). Only as bytes it keeps what its signatures cover.
            filename: The name that the receiver sees.
            disposition: ``"attachment"`` by default.

        Raises:
            MessageError: The bytes have a Bcc field, which the receivers would read.
        """
        data = message if isinstance(message, bytes) else _rendered(message)
        end = _END_OF_HEADER.search(data)
        if _BLIND_COPY.search(data, 0, end.start() if end else len(data)):
            raise MessageError("the attached message names its Bcc recipients: remove its Bcc fields first")
        return cls.from_bytes(data, filename, "message/rfc822", disposition=disposition)

    def evolve(self, **changes: Any) -> Attachment:
        """Return a copy with another ``filename``, ``media_type``, ``content_id`` or ``disposition``.

        Args:
            changes: Some of these four.

        Raises:
            MessageError: One of them is not valid.
        """
        own: dict[str, Any] = {
            "filename": self.filename,
            "media_type": self.media_type,
            "content_id": self.content_id,
            "disposition": self.disposition,
        }
        return Attachment(self._source, **{**own, **changes})

    @property
    def is_inline(self) -> bool:
        """Whether it is shown in its place rather than listed."""
        return self.disposition == "inline"

    def open(self) -> BinaryIO:
        """Return a new binary reader at the first byte; close it, or use it in a ``with``.

        Raises:
            MessageError: The file has gone or has changed its size.
        """
        return self._source.open()

    def iter_blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """Yield the bytes in blocks of `size`, the last one shorter.

        Raises:
            MessageError: The file has gone, has changed its size, or cannot be read.
        """
        return self._source.iter_blocks(size)

    def read(self) -> bytes:
        """Return all bytes.

        Raises:
            MessageError: The file has gone, has changed its size, or cannot be read.
        """
        if isinstance(self._source, MemorySource):
            return self._source.data
        return b"".join(self.iter_blocks())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Attachment) and self._key == other._key and self._same_bytes(other)

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return self.filename, self.media_type, self.content_id, self.disposition, self.size

    def _same_bytes(self, other: Attachment) -> bool:
        # The size came first; only if it is equal is a file read at all, and then in step with the other.
        return self._source == other._source or all(
            mine == theirs for mine, theirs in zip(self.iter_blocks(), other.iter_blocks(), strict=True)
        )
