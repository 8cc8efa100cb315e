from __future__ import annotations

import pytest

from mailkit.calendar import Calendar
from mailkit.errors import MessageError

_PLAIN = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"
_REQUEST = _PLAIN.replace("VERSION", "METHOD:REQUEST\r\nVERSION")


def test_the_method_is_the_object_s_own() -> None:
    """Without being told, a calendar has the method that its text names."""
    assert Calendar(_REQUEST).method == "REQUEST"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_do_not_matter(end: str) -> None:
    """Lines end with CRLF, and the method is found, also with parameters and in lower case."""
    calendar = Calendar(f"BEGIN:VCALENDAR{end}method;x=y: Cancel{end}END:VCALENDAR{end}")
    assert calendar.method == "CANCEL"
    assert calendar.text == "BEGIN:VCALENDAR\r\nmethod;x=y: Cancel\r\nEND:VCALENDAR\r\n"


def test_a_text_that_speaks_of_a_method_does_not_set_it() -> None:
    """A folded line of a description that says METHOD: is no property."""
    text = _PLAIN.replace("VERSION", "DESCRIPTION:see\r\n METHOD:CANCEL\r\nVERSION")
    assert Calendar(text).method == "PUBLISH"


def test_the_text_s_own_method_must_be_one() -> None:
    """A METHOD line that names no method of iTIP is refused as well."""
    with pytest.raises(MessageError, match="the calendar's method 'X-Y' is none of iTIP's"):
        Calendar(_REQUEST.replace("REQUEST", "x-y"))


def test_the_same_method_may_be_said_twice() -> None:
    """A method in any case is fine if it is the text's."""
    assert Calendar(_REQUEST, method="request") == Calendar(_REQUEST)


def test_without_a_method_it_asks_nothing() -> None:
    """A text without METHOD is published, or has the method that is given."""
    assert Calendar(_PLAIN).method == "PUBLISH"
    assert Calendar(_PLAIN, method="CANCEL").method == "CANCEL"


def test_two_methods_are_refused() -> None:
    """A method that contradicts the text is refused, because no mail program would show its buttons."""
    with pytest.raises(MessageError, match="METHOD is REQUEST, not CANCEL"):
        Calendar(_REQUEST, method="CANCEL")


@pytest.mark.parametrize("method", ["INVITE", "", "REQUEST; x=1", "REQUEST\r\nX: 1"])
def test_an_unknown_method_is_refused(method: str) -> None:
    """Only the methods of iTIP are written into a header field."""
    with pytest.raises(MessageError, match="the calendar's method"):
        Calendar(_PLAIN, method=method)


@pytest.mark.parametrize(
    "text", ["", "Hello", "METHOD:REQUEST", "BEGIN:VCARD\r\n", None, b"BEGIN:VCALENDAR\r\n", "\ud800"]
)
def test_what_is_no_calendar_is_refused(text: object) -> None:
    """A text that is no iCalendar object is refused by the name of the field."""
    with pytest.raises(MessageError, match=r"^calendar "):
        Calendar(text)  # type: ignore[arg-type]


def test_a_byte_order_mark_goes() -> None:
    """What an editor put before BEGIN does not count."""
    assert Calendar("\ufeff" + _REQUEST).text == _REQUEST


def test_coerce_takes_text_and_calendars() -> None:
    """A str becomes a calendar, a calendar stays the same object."""
    calendar = Calendar(_REQUEST)
    assert Calendar.coerce(calendar) is calendar
    assert Calendar.coerce(_REQUEST) == calendar


def test_the_repr_leaves_the_text_out() -> None:
    """What people meet about does not get into logs."""
    assert repr(Calendar(_REQUEST)) == "Calendar(method='REQUEST')"
