"""A message as a person reads it on a terminal: no MIME, and no character that a terminal would obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailkit.attachment import Attachment
    from mailkit.local.letter import Letter
    from mailkit.message import Message

__all__ = ["escaped", "readable"]

_WIDTH: Final = 80
_SHOWN_OCTETS: Final = 1 << 16  # of prepared bytes
_KEPT: Final = "\n\t\N{NO-BREAK SPACE}"


def readable(letter: Letter) -> str:
    """Return a letter as text, ended by an empty line.

    Raises:
        MessageError: Something in it cannot be read.
    """
    recipients = ", ".join([address.email for address in letter.envelope.rcpt_to])
    sender = "<>" if letter.envelope.mail_from is None else letter.envelope.mail_from.email
    lines = [_rule(f"mailkit: {letter.size:,} bytes from {sender} to {recipients}")]
    lines += _prepared(letter) if letter.message is None else _message(letter.message)
    lines += [_rule(""), ""]
    return escaped("\n".join(lines)) + "\n"


def escaped(text: str) -> str:
    r"""Return a text whose control characters, and others that nobody sees, are written as escapes.

    Example:
        >>> print(escaped("red: \x1b[31m, backwards: \u202e"))
        red: \x1b[31m, backwards: \u202e
    """
    if text.isprintable():
        return text
    return "".join(
        [each if each.isprintable() or each in _KEPT else each.encode("unicode_escape").decode() for each in text]
    )


def _rule(title: str) -> str:
    return f"-- {title} ".ljust(_WIDTH, "-") if title else "-" * _WIDTH


def _message(message: Message) -> Iterator[str]:
    for name, value in _fields(message):
        yield f"{name}: {value}"
    for title, body in (("text", message.text), ("html", message.html), ("amp", message.amp)):
        if body is not None:
            yield from _body(title, body)
    if message.calendar is not None:
        yield from _body(f"calendar, {message.calendar.method}", message.calendar.text)
    for attachment in message.attachments:
        yield _rule(_title(attachment))


def _body(title: str, body: str) -> Iterator[str]:
    yield _rule(title)
    yield body.replace("\r\n", "\n").removesuffix("\n")


def _title(attachment: Attachment) -> str:
    name = attachment.filename or "without a name"
    role = "" if attachment.content_id is None else f", cid:{attachment.content_id}"
    return f"{attachment.disposition}: {name}, {attachment.media_type}, {attachment.size:,} bytes{role}"


def _fields(message: Message) -> Iterator[tuple[str, str]]:
    """Yield what is set, under the names that the header has or, below those, the ones that a Message has."""
    rows: Iterable[tuple[str, object]] = (
        ("From", message.from_),
        ("Sender", message.sender),
        ("Reply-To", ", ".join(map(str, message.reply_to))),
        ("To", ", ".join(map(str, message.to))),
        ("Cc", ", ".join(map(str, message.cc))),
        ("Subject", message.subject),
        ("Date", message.date),
        ("Message-ID", message.message_id),
        ("In-Reply-To", message.in_reply_to),
        ("References", " ".join(message.references)),
        ("List-Unsubscribe", message.list_unsubscribe and ", ".join(message.list_unsubscribe.targets)),
        *message.headers,
        ("tags", ", ".join(message.tags)),
        ("metadata", dict(message.metadata)),
        ("template", message.template and f"{message.template.id} {dict(message.template.data)}"),
        ("track_opens", message.track_opens),
        ("track_clicks", message.track_clicks),
        ("send_at", message.send_at),
        ("idempotency_key", message.idempotency_key),
        ("options", dict(message.options)),
    )
    for name, value in rows:
        if value not in (None, "", {}):
            yield name, str(value)


def _prepared(letter: Letter) -> Iterator[str]:
    shown = bytearray()
    for block in letter.blocks():
        shown += block[: _SHOWN_OCTETS - len(shown)]
    yield from shown.decode("utf-8", "backslashreplace").replace("\r\n", "\n").removesuffix("\n").split("\n")
    if letter.size > len(shown):
        yield f"({letter.size - len(shown):,} bytes more)"
