"""MaildirTransport: delivery into a maildir, as mail programs read it."""

from __future__ import annotations

import os
import time
from pathlib import Path  # noqa: TC003 - get_type_hints and attrs.resolve_types need it
from typing import TYPE_CHECKING, Self, final

from attrs import field, frozen

from mailkit.local.annotations import annotated
from mailkit.local.channel import LocalChannel
from mailkit.local.letter import local_line_ends
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

__all__ = ["MaildirTransport"]


@final
@frozen
class MaildirTransport:
    """Delivers each message into a maildir: ``maildir:///var/mail/out``. See https://cr.yp.to/proto/maildir.html.

    Lines end with LF, as in every maildir. What RFC 5322 has no words for (tags, metadata, a template, a reverse-path
    of its own …) stands above the message in ``X-Mailkit-…`` fields; Bcc recipients are counted there and never named.

    Example:
        >>> str(MaildirTransport("/var/mail/out"))
        'maildir:///var/mail/out'

    Args:
        folder: The maildir; it and its ``cur``, ``new`` and ``tmp`` are made when they are missing.

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
        return LocalChannel(self, edge, self._put, check=lambda: check_folders(*self._folders()))

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        name = await edge.in_thread(lambda: self._store(letter))
        return letter.accepted(str(self), provider_id=name)

    def _folders(self) -> tuple[Path, ...]:
        return tuple([self.folder / name for name in ("tmp", "new", "cur")])

    def _store(self, letter: Letter) -> str:
        folders = self._folders()
        make_folders(*folders)
        name = _unique_name()
        blocks = local_line_ends(annotated(letter))
        write_whole(blocks, temporary=folders[0] / name, final=folders[1] / name)
        return name

    def __str__(self) -> str:
        return url_of("maildir", self.folder)


def _unique_name() -> str:
    """Return a name that no other delivery takes: time, what tells processes and deliveries apart, host."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    # The microseconds have six digits, so that names of one second sort by time.
    delivery = f"M{nanoseconds // 1000:06}P{os.getpid()}Q{next_number()}R{os.urandom(4).hex()}"
    return f"{seconds}.{delivery}.{_host_name()}"


def _host_name() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    # The specification's own escapes: "/" would be a folder, ":" starts the flags.
    return (name or "localhost").replace("/", "\\057").replace(":", "\\072")
