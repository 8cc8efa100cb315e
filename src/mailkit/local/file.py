"""FileTransport: one ``.eml`` file for each message."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - get_type_hints and attrs.resolve_types need it
from typing import TYPE_CHECKING, Self, final

from attrs import field, frozen

from mailkit.local.annotations import annotated
from mailkit.local.channel import LocalChannel
from mailkit.local.storage import (
    absolute_folder,
    check_folders,
    folder_from_url,
    make_folders,
    next_number,
    url_of,
    write_whole,
)
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["FileTransport"]


@final
@frozen
class FileTransport:
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

    folder: Path = field(converter=absolute_folder)

    @property
    def capabilities(self) -> Capabilities:
        """Everything: messages are kept as they are."""
        return Capabilities.everything()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return the transport that a URL describes.

        Raises:
            ConfigurationError: The URL names no folder, or says more than that.
        """
        return cls(folder_from_url(url))

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put, check=lambda: check_folders(self.folder))

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        name = await edge.in_thread(lambda: self._store(letter))
        return letter.accepted(str(self), provider_id=name)

    def _store(self, letter: Letter) -> str:
        make_folders(self.folder)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{next_number():06}-{os.urandom(4).hex()}.eml"
        write_whole(annotated(letter), temporary=self.folder / f".{name}.part", final=self.folder / name)
        return name

    def __str__(self) -> str:
        return url_of("file", self.folder)
