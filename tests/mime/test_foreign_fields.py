from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, message_from_string, policy
from email.header import Header
from email.message import EmailMessage, Message

import pytest

from mailkit.errors import MessageError
from mailkit.mime.foreign_fields import fields_in, parse_date, parse_identifiers


@pytest.mark.parametrize("kind", [policy.default, policy.SMTP, policy.compat32])
def test_what_was_read_is_unfolded_and_not_decoded(kind: policy.Policy) -> None:
    """The same for every policy."""
    raw = b"Subject: =?utf-8?q?a?=\r\n\t b \r\nX-Raw: \xc3\xa9\n\n"
    fields = fields_in(message_from_bytes(raw, policy=kind))  # type: ignore[arg-type]
    assert [(field.name, field.text, field.is_encoded) for field in fields] == [
        ("Subject", "=?utf-8?q?a?=  b", True),
        ("X-Raw", "é", True),
    ]


def test_what_a_program_has_set_is_decoded_already() -> None:
    """By an EmailMessage with its parameters, by a Header of the older kind as its text."""
    message = EmailMessage()
    message["Subject"] = "=?utf-8?q?a?= ü"
    message["Content-Disposition"] = 'attachment; filename="é.pdf"'
    subject, disposition = fields_in(message)
    assert (subject.text, subject.is_encoded) == ("a ü", False)
    assert disposition.parameters == {"filename": "é.pdf"}

    old = Message()
    old["Subject"] = Header("ü", "iso-8859-1")
    old["X-Text"] = "ü"
    assert [(field.text, field.is_encoded) for field in fields_in(old)] == [("ü", False), ("ü", True)]


def test_what_is_no_text_is_refused() -> None:
    """Octets that are not UTF-8, and headers that the library itself cannot read."""
    with pytest.raises(MessageError, match="neither ASCII nor UTF-8"):
        fields_in(message_from_bytes(b"Subject: \xff\n\n"))
    with pytest.raises(MessageError, match="cannot be read"):
        fields_in(message_from_string("Subject: \ud800\n\n"))
    broken = Message()
    broken["Subject"] = Header(b"\xe9", "us-ascii", errors="surrogateescape")
    broken["Subject"]._chunks = [("x", "nope")]  # type: ignore[attr-defined]
    broken._headers = [("Subject", _Unprintable())]  # type: ignore[attr-defined,list-item]
    with pytest.raises(MessageError, match="cannot be read"):
        fields_in(broken)


class _Unprintable:
    def __str__(self) -> str:
        raise LookupError("unknown encoding: nope")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("<a@b>", ["a@b"]),
        ("<a@b> <c@d>", ["a@b", "c@d"]),
        ("<a@b><c@d>", ["a@b", "c@d"]),
        ("< a@b >", ["a@b"]),
    ],
)
def test_identifiers_are_read(text: str, expected: list[str]) -> None:
    """Without their brackets."""
    assert parse_identifiers(text, "References") == expected


@pytest.mark.parametrize("text", ["a@b", "<a@b", "<a@b> (x)", "your message of Monday <a@b>"])
def test_other_text_between_identifiers_is_refused(text: str) -> None:
    """Rather than dropped."""
    with pytest.raises(MessageError, match="more than identifiers"):
        parse_identifiers(text, "References")


def test_a_date_is_read() -> None:
    """With its zone; an unknown one is UTC."""
    east = timezone(timedelta(hours=2))
    assert parse_date("Sat, 2 May 2026 10:00:00 +0200") == datetime(2026, 5, 2, 10, tzinfo=east)
    assert parse_date("Sat, 2 May 2026 10:00:00 -0000") == datetime(2026, 5, 2, 10, tzinfo=UTC)
    assert parse_date("2 May 2026 10:00 GMT") == datetime(2026, 5, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "Sat",
        "32 May 2026 10:00:00 +0000",
        "2 May 2026 10:00:00 +9999",
        "0 0 0 0",
        "2 May 99999999999 1:1 +0000",
    ],
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    """Whatever the library raises for it."""
    with pytest.raises(MessageError, match="names no moment"):
        parse_date(text)
