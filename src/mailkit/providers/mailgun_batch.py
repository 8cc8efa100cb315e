"""Mailgun's batch sending: one content for up to 1,000 recipients, of whom each gets a copy of its own.

https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/batch-sending
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mailkit.frozendict import EMPTY
from mailkit.providers.content import dump, header_pairs

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.providers.base import Item
    from mailkit.template import Template

__all__ = ["batch", "in_common"]

# What begins a recipient variable. Without a batch there are none; in one, such a text would be filled in.
_VARIABLE: Final = "%recipient"
# Values are put into a JSON text at Mailgun; whether they are escaped there, no contract says.
_VALUE: Final = re.compile(r"[ !#$'()*+,./0-9:;=?@A-Z^_a-z|~-]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN: Final = frozenset({"to", "cc", "bcc", "recipient-variables", "t:variables"})
_MESSAGE_ID: Final = "h:message-id"


def in_common(message: Message, envelope: Envelope, options: Mapping[str, Any]) -> Hashable | None:
    """Return all that the messages of one batch share; None for a message that no batch sends as it would go alone.

    Args:
        message: The message.
        envelope: Who gets it.
        options: Its raw fields for Mailgun.
    """
    if len(envelope.rcpt_to) != 1 or message.attachments or not _is_shared(options):
        return None
    if not all(_VALUE.fullmatch(value) for value in message.metadata.values()):
        return None
    headers = tuple(header_pairs(message))
    template = None if message.template is None else _stored(message, message.template)
    raw = dump(options).decode()
    texts = (*_texts(message), raw, *(template or ()), *[value for _, value in headers])
    if any(_VARIABLE in text for text in texts):
        return None
    content = (message.from_, message.reply_to, message.subject, message.text, message.html, message.amp, template)
    settings = (headers, message.tags, message.track_opens, message.track_clicks, message.send_at, raw)
    return (*content, *settings, *sorted(message.metadata))


def batch(items: Sequence[Item]) -> dict[str, Any]:
    """Return the form for several messages that have :func:`in_common` what it shares.

    Without recipient variables, everybody would see everybody's address.
    """
    first = items[0]
    form = {name: value for name, value in first.payload.items() if name.lower() != _MESSAGE_ID}
    names = {name: f"r{place}" for place, name in enumerate(sorted(_values(first.message)))}
    if _data(first.message):
        # Of a template's data only custom variables ("v:") are known to take in recipient variables, before the
        # template is filled in: https://github.com/anymail/django-anymail/issues/155
        del form["t:variables"]
    values = {item.envelope.rcpt_to[0].addr_spec: _values(item.message) for item in items}
    return {
        **form,
        "to": [mailbox for item in items for mailbox in item.payload["to"]],
        **{f"v:{name}": f"{_VARIABLE}.{variable}%" for name, variable in names.items()},
        "recipient-variables": {
            address: {variable: own[name] for name, variable in names.items()} for address, own in values.items()
        },
    }


def _values(message: Message) -> dict[str, str]:
    return {**message.metadata, **_data(message)}


def _stored(message: Message, template: Template) -> tuple[str, ...]:
    # Of data that may differ the names are shared, of others all.
    own = sorted(_data(message))
    return (str(template.id), "own", *own) if own else (str(template.id), "shared", dump(template.data).decode())


def _data(message: Message) -> dict[str, str]:
    """Return a template's data if each recipient may have its own: texts that mean the same wherever they stand."""
    data: Mapping[str, Any] = EMPTY if message.template is None else message.template.data
    plain = {
        name: value
        for name, value in data.items()
        if isinstance(value, str) and _VALUE.fullmatch(value) and _NAME.fullmatch(name)
    }
    # Metadata are custom variables as well, and would be overwritten.
    return plain if len(plain) == len(data) and plain.keys().isdisjoint(message.metadata) else {}


def _is_shared(options: Mapping[str, Any]) -> bool:
    names = [name.lower() for name in options]
    return _OWN.isdisjoint(names) and not any(name == _MESSAGE_ID or name.startswith("v:") for name in names)


def _texts(message: Message) -> list[str]:
    people = (message.from_, *message.reply_to, *message.to, *message.cc)
    names = [each.name for each in people if each is not None]
    texts = (message.subject, message.text, message.html, message.amp, *names, *message.tags, *message.metadata)
    return [text for text in texts if text]
