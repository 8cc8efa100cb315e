"""What a message says to a provider and RFC 5322 cannot, written down as header fields of a stored copy.

A stored message is one that may be looked at, passed on and sent again, so Bcc recipients are counted and not named:
the receipt names them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mailkit.message import Message
from mailkit.mime.headers import unstructured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.envelope import Envelope
    from mailkit.local.letter import Letter

__all__ = ["annotated"]


def annotated(letter: Letter) -> Iterator[bytes]:
    """Yield the letter's octets, below the fields that say what they do not. Prepared octets are left alone."""
    if letter.message is not None:
        fields = [*_envelope_fields(letter.message, letter.envelope), *_provider_fields(letter.message)]
        if fields:
            yield "".join([unstructured(f"X-Mailkit-{name}", value) for name, value in fields]).encode("ascii")
    yield from letter.blocks()


def _envelope_fields(message: Message, envelope: Envelope) -> Iterator[tuple[str, str]]:
    """Say where the envelope is not what the header fields imply (RFC 5321 §2.3.1)."""
    author = message.sender or message.from_
    if envelope.mail_from is None:
        yield "Mail-From", "<>"
    elif author is None or envelope.mail_from.addr_spec != author.addr_spec:
        yield "Mail-From", f"<{envelope.mail_from.addr_spec}>"
    named = {address.addr_spec for address in (*message.to, *message.cc)}
    recipients = {address.addr_spec for address in envelope.rcpt_to}
    if recipients - named:
        yield "Blind-Recipients", str(len(recipients - named))
    for address in sorted(named - recipients):
        yield "Not-Sent-To", f"<{address}>"


def _provider_fields(message: Message) -> Iterator[tuple[str, str]]:
    for tag in message.tags:
        yield "Tag", tag
    if message.send_at is not None:
        yield "Send-At", message.send_at.isoformat()
    for name, choice in (("Track-Opens", message.track_opens), ("Track-Clicks", message.track_clicks)):
        if choice is not None:
            yield name, "on" if choice else "off"
    if message.idempotency_key is not None:
        yield "Idempotency-Key", message.idempotency_key
    # The JSON of the message's own form, so that one rule says how values are written.
    structured = Message(metadata=message.metadata, template=message.template, options=message.options).to_dict()
    for name in ("metadata", "template", "options"):
        if name in structured:
            yield name.capitalize(), _json(structured[name])


def _json(value: Any) -> str:
    # ASCII without controls: of those, JSON leaves only DEL as it is.
    return json.dumps(value).replace("\x7f", "\\u007f")
