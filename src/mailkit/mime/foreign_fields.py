"""The header of a standard library message → texts, whichever of the library's generations made it."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from mailkit.errors import MessageError

if TYPE_CHECKING:
    import email.message
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["ForeignField", "fields_in", "parse_date", "parse_identifiers"]

_FOLD = re.compile(r"\r?\n(?=[ \t])")
_IDENTIFIER = re.compile(r"<([^<>]*+)>")


class ForeignField(NamedTuple):
    """One header field.

    Attributes:
        name: As it is written.
        text: Unfolded, tabs as spaces, without white space around it.
        is_encoded: Whether encoded words in it are encoded words, and not what somebody really wrote.
        parameters: What the library has already read out of it, if it has.
    """

    name: str
    text: str
    is_encoded: bool
    parameters: Mapping[str, str] | None


def fields_in(message: email.message.Message[Any, Any]) -> list[ForeignField]:
    """Return the header fields of a message or of a part.

    Nothing is read through the library's own header parsers, which on hostile input take quadratic time and raise
    what they like. What a program has set itself is there already parsed.

    Raises:
        MessageError: A field is neither ASCII nor UTF-8, or cannot be read at all.
    """
    return [_field(str(name), value) for name, value in message.raw_items()]


def _field(name: str, value: Any) -> ForeignField:
    try:
        text = str(value)
        octets = text.encode("utf-8", "surrogateescape")
    except (ValueError, LookupError) as error:
        raise MessageError(f"the header field {name[:40]!r} cannot be read: {error}") from error
    try:
        text = _FOLD.sub("", octets.decode()).replace("\t", " ").strip(" \r\n")
    except UnicodeError:
        raise MessageError(f"the header field {name[:40]!r} is neither ASCII nor UTF-8: decode it by hand") from None
    return ForeignField(name, text, type(value) is str, getattr(value, "params", None))


def parse_identifiers(text: str, what: str) -> list[str]:
    """Return the identifiers of Message-ID, In-Reply-To or References, without their angle brackets.

    Raises:
        MessageError: There is something else in it.
    """
    if _IDENTIFIER.sub("", text).strip(" "):
        raise MessageError(f"{what} {text[:60]!r} holds more than identifiers in angle brackets: remove the rest")
    return [found[1].strip(" ") for found in _IDENTIFIER.finditer(text)]


def parse_date(text: str) -> datetime:
    """Return the moment of a Date field; one in an unknown zone (``-0000``) is taken as UTC.

    Raises:
        MessageError: It names no moment.
    """
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text[:200])
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        raise MessageError(f"the Date {text[:60]!r} names no moment (RFC 5322 §3.3)") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
