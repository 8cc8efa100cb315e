"""Transports that need no server: for development, for tests, and for handing mail to this machine's mail system."""

from __future__ import annotations

from mailkit.local.console import ConsoleTransport
from mailkit.local.file import FileTransport
from mailkit.local.maildir import MaildirTransport
from mailkit.local.memory import MemoryTransport
from mailkit.local.null import NullTransport
from mailkit.local.sendmail import SendmailTransport
from mailkit.local.sent import Sent

__all__ = [
    "ConsoleTransport",
    "FileTransport",
    "MaildirTransport",
    "MemoryTransport",
    "NullTransport",
    "SendmailTransport",
    "Sent",
]
