"""What a message says, in one short text: equal for two messages that say the same."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailkit.message import Message

__all__ = ["digest", "fingerprint"]


def digest(*parts: str) -> str:
    """Return a text that tells nobody what the parts are.

    Example:
        >>> digest("a", "b") != digest("ab")
        True
    """
    return sha256(json.dumps(parts).encode()).hexdigest()


def fingerprint(message: Message) -> str:
    """Return the digest of everything in a message but its Date and Message-ID, which each sending fills in anew.

    Attached files are read.

    Raises:
        MessageError: An attachment cannot be read.
    """
    rest = message.evolve(attachments=(), date=None, message_id=None)
    found = sha256(json.dumps(rest.to_dict(), sort_keys=True, default=str).encode())
    for each in message.attachments:
        described = (each.filename, each.media_type, each.content_id, each.disposition, each.size)
        found.update(json.dumps(described).encode())
        for block in each.iter_blocks():
            found.update(block)
    return found.hexdigest()
