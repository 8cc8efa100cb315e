"""Header fields: every one of them is put together, folded and checked here (RFC 5322 §2.2, RFC 2047).

Whatever the values were checked for before, :func:`field` looks at each line once more, at the one place through
which all of them reach the wire: a name, printable content, at most 998 octets. Nothing else writes a CRLF into a
header.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mailkit.errors import MessageError
from mailkit.mime.encoded_words import MIN_ROOM, encoded_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

__all__ = [
    "custom",
    "date",
    "field",
    "identifiers",
    "is_structured",
    "mailbox",
    "mailboxes",
    "mailing_list_targets",
    "refuse_controls",
    "unstructured",
]

_MAX_LINE = 998  # RFC 5322 §2.1.1, in octets and without the CRLF
_WIDTH = 78  # RFC 5322 §2.1.1
_ENCODED_WIDTH = 76  # RFC 2047 §2, for lines that hold an encoded word
_MAX_WORD = 900  # what is longer is encoded: a word cannot be folded
_FIRST_ROOM = 64  # for the first encoded word of a display name, after "Reply-To: "
_MEMORABLE = 256  # characters: longer values are not remembered

_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 §3.6.8
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*")
_ESCAPED_IN_QUOTES = re.compile(r'["\\]')
_IDENTIFIER = re.compile(r"[!-;=?-~]+")  # in angle brackets: printable, no space, no further bracket
_ONE_SPACE = re.compile(r"(?<! ) (?! )")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")  # RFC 5322 §2.2 leaves them out of what a field may hold
# C0, DEL, C1, the two separators that some readers take for line ends, and halves of characters.
_NOT_IN_UTF8_LINES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Fields in which an encoded word is no encoded word (RFC 2047 §5), and that no text of people stands in.
_STRUCTURED = frozenset(
    {
        "auto-submitted", "autocrypt", "arc-authentication-results", "arc-message-signature", "arc-seal",
        "authentication-results", "dkim-signature", "errors-to", "feedback-id", "importance", "list-archive",
        "list-help", "list-owner", "list-post", "list-subscribe", "original-message-id", "precedence",
        "priority", "received", "received-spf", "resent-date", "resent-message-id", "sensitivity", "x-priority",
    }
)  # fmt: skip

# What this writer writes itself, or what nobody but the last server or nobody at all may write.
_RESERVED = frozenset(
    {
        "bcc", "cc", "date", "from", "in-reply-to", "list-unsubscribe", "list-unsubscribe-post", "message-id",
        "mime-version", "references", "reply-to", "resent-bcc", "return-path", "sender", "subject", "to",
    }
)  # fmt: skip

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def field(name: str, tokens: Iterable[str], *, width: int = _WIDTH, utf8: bool = False) -> str:
    """Return a header field with its CRLF, folded before tokens where a line would grow too long.

    Args:
        name: The field's name.
        tokens: What it consists of, one space before each. A token is never cut.
        width: How many characters a line should have at most.
        utf8: Whether it may hold raw UTF-8 (RFC 6532).

    Raises:
        MessageError: Something in it cannot be sent.
    """
    return _checked(name, _folded(f"{name}:", tokens, width), utf8=utf8)


def unstructured(name: str, text: str) -> str:
    """Return a field of free text, such as Subject: encoded where it has to be, so that a reader sees just this text.

    Raises:
        MessageError: It holds a control character or a lone surrogate, or the name is none.
    """
    return (_remembered_text if len(text) <= _MEMORABLE else _text)(name, text)


def custom(name: str, text: str) -> str:
    """Return a field that the user has named.

    Raises:
        MessageError: As :func:`unstructured`, or the field is one that has its own place in a message or no place at
            all, or it is a structured field and its text is not ASCII.
    """
    key = name.lower()
    if key in _RESERVED or key.startswith("content-"):
        raise MessageError(f"headers cannot set {name}: the message has its own place for it, or nobody may read it")
    if is_structured(key):
        return field(name, _ONE_SPACE.split(text))
    return unstructured(name, text)


@lru_cache(maxsize=1024)
def mailbox(name: str, display_name: str, addr_spec: str) -> str:
    """Return a field of one mailbox; the same as :func:`mailboxes`, remembered.

    Raises:
        MessageError: Something in it cannot be sent.
    """
    return field(name, _mailbox(display_name, addr_spec), width=_ENCODED_WIDTH, utf8=True)


def is_structured(name: str) -> bool:
    """Return whether encoded words have no place in a field (RFC 2047 §5)."""
    return name.lower() in _STRUCTURED


def mailboxes(name: str, addresses: Sequence[tuple[str, str]]) -> str:
    """Return a field of mailboxes.

    Args:
        name: The field's name.
        addresses: The display name, "" for none, and the addr-spec of each; one at least.

    Raises:
        MessageError: Something in it cannot be sent.
    """
    tokens: list[str] = []
    for address in addresses:
        tokens += _mailbox(*address)
        tokens[-1] += ","
    tokens[-1] = tokens[-1][:-1]
    return field(name, tokens, width=_ENCODED_WIDTH, utf8=True)


def identifiers(name: str, values: Sequence[str]) -> str:
    """Return a field of message or content identifiers, each in angle brackets.

    Raises:
        MessageError: One of them would end its brackets, or cannot be sent.
    """
    for value in values:
        if _IDENTIFIER.fullmatch(value) is None:
            raise MessageError(f"{name} {value[:60]!r} cannot be sent: use printable ASCII without spaces and brackets")
    if len(values) == 1:
        # Some readers know no folding here, so that even a long one stays on the line of its name.
        return _checked(name, [f"{name}: <{values[0]}>"])
    return field(name, [f"<{value}>" for value in values])


def mailing_list_targets(targets: Sequence[str], *, one_click: bool) -> str:
    """Return List-Unsubscribe (RFC 2369 §3.2), and List-Unsubscribe-Post for one click (RFC 8058 §3.1).

    Raises:
        MessageError: A URL holds what no URL holds.
    """
    for target in targets:
        if _IDENTIFIER.fullmatch(target) is None:
            raise MessageError(f"list_unsubscribe {target[:60]!r} cannot be sent: percent-encode it")
    tokens = [f"<{target}>," for target in targets]
    tokens[-1] = tokens[-1][:-1]
    post = field("List-Unsubscribe-Post", ["List-Unsubscribe=One-Click"]) if one_click else ""
    return field("List-Unsubscribe", tokens) + post


def date(moment: datetime) -> str:
    """Return a Date field (RFC 5322 §3.3): ``Sat, 02 May 2026 10:00:00 +0200``.

    Raises:
        MessageError: The moment has no time zone.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise MessageError(f"the date {moment.isoformat()} has no time zone: use datetime.now(timezone.utc)")
    return _date(moment.replace(microsecond=0, tzinfo=None), offset)


@lru_cache(maxsize=64)  # many messages go out in the same second
def _date(moment: datetime, offset: timedelta) -> str:
    seconds = round(offset.total_seconds())
    if seconds % 60:
        # A zone of the 19th century, whose seconds the field cannot say: the same moment in UTC.
        moment, seconds = (moment - offset).replace(microsecond=0), 0
    hours, minutes = divmod(abs(seconds) // 60, 60)
    text = (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04}"
        f" {moment.hour:02}:{moment.minute:02}:{moment.second:02} {'-' if seconds < 0 else '+'}{hours:02}{minutes:02}"
    )
    return field("Date", (text,))


def refuse_controls(name: str, text: str) -> None:
    """Refuse a text with C0 or DEL in it, which no encoding of a header makes harmless for every reader.

    Raises:
        MessageError: It has one.
    """
    found = _CONTROLS.search(text)
    if found is not None:
        raise MessageError(f"{name} holds U+{ord(found[0]):04X} at index {found.start()}: remove it")


def _text(name: str, text: str) -> str:
    if (
        text.isascii()
        and len(name) + len(text) + 2 <= _WIDTH
        and "=?" not in text
        and text[:1] != " "
        and text[-1:] != " "
    ):
        return _checked(name, [f"{name}: {text}" if text else f"{name}:"])
    return _checked(name, _encoded_lines(name, text))


_remembered_text = lru_cache(maxsize=1024)(_text)


def _encoded_lines(name: str, text: str) -> list[str]:
    refuse_controls(name, text)
    words = _ONE_SPACE.split(text) if "  " in text else text.split(" ")
    encoded = [not word.isascii() or "=?" in word or len(word) > _MAX_WORD for word in words]
    if text[:1] == " " or text[-1:] == " " or ("  " in text and any(encoded)):
        # Spaces at the ends, and next to an encoded word, survive only inside of one.
        words, encoded = [text], [True]
    width = _ENCODED_WIDTH if any(encoded) else _WIDTH
    lines = [f"{name}:"]
    if any(encoded) and len(text) <= _ENCODED_WIDTH:
        # One word for all of it is shorter than several with something between them, and simpler to read.
        [word, *more] = encoded_words(text)
        if not more and len(lines[0]) + 1 + len(word) <= width:
            return [f"{name}: {word}"]
    end = 0
    while end < len(words):
        begin, end = end, end + 1
        while end < len(words) and encoded[end] == encoded[begin]:
            end += 1
        pieces = words[begin:end]
        if encoded[begin]:
            room = width - 1 - len(lines[-1])
            if room < MIN_ROOM:
                lines.append("")
                room = width - 1
            pieces = encoded_words(" ".join(pieces), room=room)
        start = lines.pop()
        lines += _folded(start, pieces, width)
    return lines


def _folded(line: str, tokens: Iterable[str], width: int) -> list[str]:
    lines: list[str] = []
    for token in tokens:
        # A first line with nothing but the name is legal, but some readers stumble over it: only if it helps.
        if len(line) + 1 + len(token) > width and (line[-1:] != ":" or lines or len(token) < width):
            lines.append(line)
            line = ""
        line = f"{line} {token}"
    lines.append(line)
    return lines


@lru_cache(maxsize=1024)
def _mailbox(display_name: str, addr_spec: str) -> tuple[str, ...]:
    if not display_name:
        return (addr_spec,)
    refuse_controls("a display name", display_name)
    if display_name.isascii() and "=?" not in display_name:
        if _ATOMS.fullmatch(display_name) is None:
            display_name = f'"{_ESCAPED_IN_QUOTES.sub(_escape, display_name)}"'
        # It is folded where it has one space, within quotes as well (RFC 5322 §3.2.4).
        words = _ONE_SPACE.split(display_name)
        if max(map(len, words)) <= _MAX_WORD:
            return (*words, f"<{addr_spec}>")
    return (*encoded_words(display_name, room=_FIRST_ROOM), f"<{addr_spec}>")


def _escape(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _checked(name: str, lines: list[str], *, utf8: bool = False) -> str:
    """Return the lines of one field, each of which is fit to be sent. Every header field goes through here."""
    start = _start(name)
    for line in lines:
        if line.isascii():
            sound = line.isprintable() and len(line) <= _MAX_LINE
        else:
            sound = utf8 and _NOT_IN_UTF8_LINES.search(line) is None and len(line.encode()) <= _MAX_LINE
        # RFC 5322 §2.2.3: what follows a fold starts with white space, and is not white space alone.
        if not sound or not line.startswith(start) or line.isspace():
            raise MessageError(
                f"the header field {name} cannot be sent: it would need a line of more than {_MAX_LINE} octets,"
                " or one that is not printable. Shorten it, and remove what is not text"
            )
        start = " "
    return "\r\n".join(lines) + "\r\n"


@lru_cache(maxsize=256)
def _start(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise MessageError(f"{name[:60]!r} cannot be the name of a header field: use printable ASCII without spaces")
    return f"{name}:"
