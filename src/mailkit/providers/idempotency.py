"""The key by which a provider takes a repeated request for the one that it has already had."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from mailkit.envelope import Envelope
from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.message import Message
    from mailkit.providers.batch import Item

__all__ = ["batch_key", "message_key", "raw_key"]


def message_key(message: Message, envelope: Envelope, longest: int) -> str:
    """Return the message's key: its own, else its Message-ID; the same for every attempt.

    An attempt for some of the recipients is another request, and has a key of its own: providers refuse one key with
    two contents.

    Raises:
        MessageError: The message's own key is longer than the provider takes, or no header value.
    """
    given = message.idempotency_key
    if given is not None and (len(given) > longest or not given.isascii()):
        raise MessageError(f"idempotency_key is not ASCII, or longer than the {longest} characters that can be sent")
    key = given or message.message_id or ""
    paths = [path.addr_spec for path in envelope.rcpt_to]
    if paths != [path.addr_spec for path in Envelope.from_message(message).rcpt_to]:
        key = _digest([key, *paths])
    elif len(key) > longest or not (key.isascii() and key.isprintable()):
        key = _digest([key])
    return key


def batch_key(items: Sequence[Item], longest: int) -> str:
    """Return the key of a request that carries several messages: the same for the same messages in the same order."""
    return _digest([message_key(item.message, item.envelope, longest) for item in items])


def raw_key(data: bytes, envelope: Envelope) -> str:
    """Return the key of prepared bytes: the same for the same bytes to the same recipients."""
    return _digest([sha256(data).hexdigest(), *[path.addr_spec for path in envelope.rcpt_to]])


def _digest(parts: Sequence[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
