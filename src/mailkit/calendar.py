"""Calendar: an invitation that mail programs show with buttons (RFC 5545, RFC 6047)."""

from __future__ import annotations

import re
from typing import final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.validation import body_text, header_text

__all__ = ["Calendar"]

# RFC 5546 §1.4, the methods of iTIP.
_METHODS = ("ADD", "CANCEL", "COUNTER", "DECLINECOUNTER", "PUBLISH", "REFRESH", "REPLY", "REQUEST")
# At the start of a line: one that goes on starts with a space (RFC 5545 §3.1).
_METHOD_LINE = re.compile(r"\nMETHOD(?:;[^:\r\n]*)?:([^\r\n]*)", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_BEGIN = re.compile(r"\s*BEGIN:VCALENDAR[ \t]*[\r\n]", re.IGNORECASE)


def _object(value: object) -> str:
    text = body_text(value, "calendar").removeprefix("\ufeff")
    if _BEGIN.match(text) is None:
        raise MessageError("calendar is no iCalendar object (RFC 5545): its text has to start with BEGIN:VCALENDAR")
    # RFC 5545 §3.1. What comes back from a mail has lost its line ends, and is to be equal all the same.
    return _LINE_END.sub("\r\n", text)


@final
@frozen(init=False)
class Calendar:
    r"""An iCalendar object and the method that both it and its media type name.

    Outlook and Gmail show their buttons only if the two agree (RFC 6047 §2.4), so a difference is an error.

    Example:
        >>> Calendar("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n").method
        'REQUEST'

    Args:
        text: The iCalendar object, ``BEGIN:VCALENDAR`` to ``END:VCALENDAR``.
        method: What the receiver is asked to do with it. By default the object's own METHOD, else
            ``"PUBLISH"``, which asks nothing.

    Raises:
        MessageError: It is no iCalendar object, or the method is unknown or not the object's own.
    """

    text: str = field(repr=False)
    """The iCalendar object, with CRLF."""
    method: str
    """Its method, in upper case."""

    def __init__(self, text: str, *, method: str | None = None) -> None:
        body = _object(text)
        own = _METHOD_LINE.search(body)
        wanted = method if method is None else header_text(method, "the calendar's method").upper()
        named = None if own is None else own[1].strip().upper()
        if wanted is not None and named is not None and wanted != named:
            raise MessageError(f"the calendar's METHOD is {named}, not {wanted}: give the same in both places")
        found = wanted if wanted is not None else named if named is not None else "PUBLISH"
        if found not in _METHODS:
            known = ", ".join(_METHODS)
            raise MessageError(f"the calendar's method {found!r} is none of iTIP's (RFC 5546): use one of {known}")
        keep = object.__setattr__  # past the frozen __setattr__, as attrs itself does it
        keep(self, "text", body)
        keep(self, "method", found)

    @classmethod
    def coerce(cls, value: str | Calendar) -> Calendar:
        """Return a calendar as it is, and a str as a calendar with its own method."""
        return value if isinstance(value, Calendar) else cls(value)
