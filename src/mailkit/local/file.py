"""FileTransport: one ``.eml`` file for each message."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, final

from attrs import frozen

from mailkit.local.annotations import annotated
from mailkit.local.folder import FolderTransport
from mailkit.local.storage import next_number, write_whole

if TYPE_CHECKING:
    from mailkit.local.letter import Letter

__all__ = ["FileTransport"]


@final
@frozen
class FileTransport(FolderTransport):
    """Writes each message into a file of its own: ``file:///var/mail/out``.

    The file holds the message as :meth:`mailkit.Message.as_bytes` gives it, and mail programs open it. What RFC 5322
    has no words for (tags, metadata, a template, a reverse-path of its own …) stands above it in ``X-Mailkit-…``
    fields; Bcc recipients are counted there and never named. What ``send_raw`` is given is written unchanged.

    A file appears complete or not at all, under a name that sorts by time and that the receipt has as ``provider_id``.
    Nobody but the owner can read it.

    Example:
        >>> str(FileTransport("/var/mail/out"))
        'file:///var/mail/out'

    Args:
        folder: Where the files go; it is made when it is missing.

    Raises:
        ConfigurationError: `folder` is no path.
    """

    scheme: ClassVar[str] = "file"

    def _store(self, letter: Letter) -> str:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{next_number():06}-{os.urandom(4).hex()}.eml"
        write_whole(annotated(letter), temporary=self.folder / f".{name}.part", final=self.folder / name)
        return name
