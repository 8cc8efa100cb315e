"""MaildirTransport: delivery into a maildir, as mail programs read it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar, final

from attrs import frozen

from mailkit.local.annotations import annotated
from mailkit.local.folder import FolderTransport
from mailkit.local.letter import local_line_ends
from mailkit.local.storage import next_number, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.local.letter import Letter

__all__ = ["MaildirTransport"]


@final
@frozen
class MaildirTransport(FolderTransport):
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

    scheme: ClassVar[str] = "maildir"

    def _folders(self) -> tuple[Path, ...]:
        return tuple([self.folder / name for name in ("tmp", "new", "cur")])

    def _store(self, letter: Letter) -> str:
        temporary, new, _ = self._folders()
        name = _unique_name()
        write_whole(local_line_ends(annotated(letter)), temporary=temporary / name, final=new / name)
        return name


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
