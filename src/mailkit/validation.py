"""What one text of a message may hold, checked where the message is built and not where it is sent.

The header writer and the command writer check their bytes once more at the wire. These checks come first, so
that the error names the field and comes before any I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NoReturn, cast

from mailkit.errors import MessageError

__all__ = [
    "aware_datetime",
    "body_text",
    "content_id",
    "each_of",
    "file_name",
    "header_name",
    "header_text",
    "message_id",
    "refuse_type",
    "token_text",
]

_MAX_HEADER_NAME = 76
_MAX_MESSAGE_ID = 900  # with its field name it must fit a line of 998 octets, and nothing in it may be folded
_MAX_CONTENT_ID = 255
_MAX_FILE_NAME = 1024
_MAX_TOKEN_TEXT = 255
_SHOWN = 40

# C0 and DEL, and surrogates, which no encoding has. RFC 5322 §2.2 would let TAB stand, but readers disagree
# on whether it is a space. C1 controls, U+2028 and U+2029 are text, which the writer encodes.
_NOT_IN_HEADERS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 §3.6.8: printable US-ASCII without the colon
_DOT_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*"
_NO_FOLD_LITERAL = r"\[[!-Z^-~]*\]"
_MESSAGE_ID = re.compile(rf"{_DOT_ATOM}@(?:{_DOT_ATOM}|{_NO_FOLD_LITERAL})")  # RFC 5322 §3.6.4, without obs-id-*
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+(?:@[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\[\]:]+)?")


def header_text(value: object, field: str) -> str:
    """Return `value` if it may stand in a header field.

    Args:
        value: The text, not encoded in any way.
        field: How the user knows it, for the error.

    Raises:
        MessageError: It is no str, or holds a control character or a lone surrogate.
    """
    if not isinstance(value, str):
        refuse_type(value, field, "a str")
    if value.isprintable():  # by far the quickest check, and true of nearly everything
        return value
    found = _NOT_IN_HEADERS.search(value)
    if found is not None:
        _refuse_character(value, field, found.start())
    return value


def token_text(value: object, field: str) -> str:
    """Return `value` if it is 1 to 255 printable ASCII characters, as identifiers in HTTP headers are.

    Raises:
        MessageError: It is something else.
    """
    token = header_text(value, field)
    if not token or len(token) > _MAX_TOKEN_TEXT or not token.isascii() or token != token.strip():
        raise MessageError(
            f"{field} {_show(token)} has to be 1 to {_MAX_TOKEN_TEXT} printable ASCII characters"
            " without spaces around them"
        )
    return token


def body_text(value: object, field: str) -> str:
    """Return `value` if UTF-8 can encode it. Line ends of every kind and NUL are fine: the writer copes.

    Raises:
        MessageError: It is no str, or holds a lone surrogate.
    """
    if not isinstance(value, str):
        refuse_type(value, field, "a str")
    if not value.isascii():
        found = _SURROGATE.search(value)
        if found is not None:
            _refuse_character(value, field, found.start())
    return value


def header_name(value: object) -> str:
    """Return `value` if it is the name of a header field (RFC 5322 §3.6.8) of at most 76 characters.

    Raises:
        MessageError: It is none.
    """
    name = header_text(value, "the name of a header field")
    if len(name) > _MAX_HEADER_NAME:
        raise MessageError(
            f"the header name {_show(name)} has {len(name)} characters: shorten it to {_MAX_HEADER_NAME} at most"
        )
    if _FIELD_NAME.fullmatch(name) is None:
        raise MessageError(
            f"{_show(name)} cannot be the name of a header field: use printable ASCII without spaces and"
            " colons, such as 'X-Campaign'"
        )
    return name


def message_id(value: object, field: str) -> str:
    """Return a message identifier without its angle brackets (RFC 5322 §3.6.4).

    Raises:
        MessageError: It is not ``left@right`` in dot-atoms, of at most 900 characters.
    """
    bare = _without_brackets(header_text(value, field))
    if len(bare) > _MAX_MESSAGE_ID:
        raise MessageError(f"{field} has {len(bare)} characters: shorten it to {_MAX_MESSAGE_ID} at most")
    if _MESSAGE_ID.fullmatch(bare) is None:
        raise MessageError(
            f"{field} {_show(bare)} is not a message identifier: write it as 'unique-part@domain' in ASCII,"
            " without spaces, or leave it out to get one generated"
        )
    return bare


def content_id(value: object) -> str:
    """Return a content identifier without its angle brackets (RFC 2392), as the HTML names it after ``cid:``.

    RFC 2045 §7 asks for ``left@right``; mail programs also take a plain word such as ``logo``, as does this.

    Raises:
        MessageError: It holds what would need quoting in the header field or in the URL, or is too long.
    """
    bare = _without_brackets(header_text(value, "content_id"))
    if len(bare) > _MAX_CONTENT_ID:
        raise MessageError(f"content_id has {len(bare)} characters: shorten it to {_MAX_CONTENT_ID} at most")
    if _CONTENT_ID.fullmatch(bare) is None:
        raise MessageError(
            f"content_id {_show(bare)} cannot be used: write ASCII letters, digits, dots and dashes, such as"
            " 'logo' or 'logo@example.com', and '<img src=\"cid:logo\">' in the HTML"
        )
    return bare


def file_name(value: object) -> str:
    r"""Return the base name of `value`: what follows the last ``/`` or ``\``.

    Raises:
        MessageError: Nothing is left, or only dots; or it holds a control character; or it has more than
            1024 characters.
    """
    given = header_text(value, "filename")
    base = given.replace("\\", "/").rpartition("/")[2].strip(" ")
    if base in {"", ".", ".."}:
        raise MessageError(f"filename {_show(given)} names no file: give a name such as 'report.pdf'")
    if len(base) > _MAX_FILE_NAME:
        raise MessageError(f"filename has {len(base)} characters: shorten it to {_MAX_FILE_NAME} at most")
    return base


def aware_datetime(value: object, field: str) -> datetime:
    """Return `value` if it knows its offset from UTC.

    Raises:
        MessageError: It is naive, or no datetime.
    """
    if not isinstance(value, datetime):
        refuse_type(value, field, "an aware datetime")
    if value.utcoffset() is None:
        raise MessageError(
            f"{field} {value.isoformat()} has no time zone, so it names no instant:"
            " use datetime.now(timezone.utc), or value.astimezone() for local time"
        )
    return value


def each_of(values: object, field: str, wanted: str) -> Iterable[object]:
    """Return an iterable as it is, if its items are what the user means them to be.

    Raises:
        MessageError: It is none; or a str, bytes or a mapping, whose items are letters, numbers or keys.
    """
    given = values
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        refuse_type(given, field, wanted)
    return cast("Iterable[object]", values)


def refuse_type(value: object, field: str, wanted: str) -> NoReturn:
    """Say that `value` is of a wrong type, without showing it.

    Raises:
        MessageError: Always.
    """
    raise MessageError(f"{field} has to be {wanted}, not of type {type(value).__name__}")


def _without_brackets(value: str) -> str:
    return value[1:-1] if value[:1] == "<" and value[-1:] == ">" else value


def _refuse_character(value: str, field: str, index: int) -> NoReturn:
    code = ord(value[index])
    if 0xD800 <= code <= 0xDFFF:
        advice = "it is half a character: decode the text with the right encoding before it is used here"
    elif value[index] in "\r\n":
        advice = "a line break there could start a header field of its own: remove it"
    elif value[index] == "\t":
        advice = "write a space instead"
    else:
        advice = "remove it"
    raise MessageError(f"{field} holds U+{code:04X} at index {index}, which cannot be sent: {advice}")


def _show(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
