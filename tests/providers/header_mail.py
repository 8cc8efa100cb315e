"""MIME that names its recipients in its header: whom it goes to, and what they see of it."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.utils import getaddresses

__all__ = ["recipients_of", "without_bcc"]

_BCC = re.compile(rb"\ABcc:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n")


def recipients_of(mime: bytes) -> list[str]:
    """Return the addresses in To, Cc and Bcc, as the standard library reads them."""
    message = message_from_bytes(mime)
    values = [str(value).replace("\r\n", "") for name in ("To", "Cc", "Bcc") for value in message.get_all(name, [])]
    return [address for _, address in getaddresses(values)]


def without_bcc(mime: bytes) -> bytes:
    """Return the message as recipients get it: the providers take Bcc out."""
    return _BCC.sub(b"", mime)
