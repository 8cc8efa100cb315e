from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime.headers import (
    custom,
    date,
    field,
    identifiers,
    mailbox,
    mailboxes,
    mailing_list_targets,
    unstructured,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", "Subject:\r\n"),
        ("Hello", "Subject: Hello\r\n"),
        ("a  b", "Subject: a  b\r\n"),
        ("100% =", "Subject: 100% =\r\n"),
        ("=?", "Subject: =?utf-8?b?PT8=?=\r\n"),
        (" lead", "Subject: =?utf-8?q?_lead?=\r\n"),
        ("trail ", "Subject: =?utf-8?q?trail_?=\r\n"),
        ("混合 ascii 混合", "Subject: =?utf-8?b?5re35ZCIIGFzY2lpIOa3t+WQiA==?=\r\n"),
        ("混合 " + "x" * 50 + " 混合", f"Subject: =?utf-8?b?5re35ZCI?=\r\n {'x' * 50} =?utf-8?b?5re35ZCI?=\r\n"),
        ("é é", "Subject: =?utf-8?b?w6kgw6k=?=\r\n"),
        ("é  a", "Subject: =?utf-8?b?w6kgIGE=?=\r\n"),
        ("x" * 900, f"Subject: {'x' * 900}\r\n"),
        (f"{'x' * 66} yy zz", f"Subject: {'x' * 66} yy\r\n zz\r\n"),
        (f"{'x' * 64}  yy zz", f"Subject: {'x' * 64}  yy\r\n zz\r\n"),
        (f"{'x' * 66} y  y zz", f"Subject: {'x' * 66}\r\n y  y zz\r\n"),
        (f"{'x' * 70} y", f"Subject:\r\n {'x' * 70} y\r\n"),
    ],
)
def test_free_text_is_written(text: str, written: str) -> None:
    """As it is where it can be, else in encoded words; folded at single spaces only."""
    assert unstructured("Subject", text) == written


def test_an_encoded_word_starts_a_line_where_its_name_leaves_no_room() -> None:
    """After a field name of 60 characters a line has no room for a word of its own."""
    name = "X-" + "a" * 58
    assert unstructured(name, "é" * 5) == f"{name}:\r\n =?utf-8?b?w6nDqcOpw6nDqQ==?=\r\n"


@given(
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=400),
    name=st.sampled_from(["A", "X-" + "n" * 74]),
)
def test_no_line_of_free_text_is_too_long(text: str, name: str) -> None:
    """Lines with encoded words have at most 76 characters; every further line has a space and something after it."""
    written = unstructured(name, text)
    assert written.isascii()
    assert written.endswith("\r\n")
    first, *rest = written.removesuffix("\r\n").split("\r\n")
    assert first.startswith(f"{name}:")
    assert all(line.startswith(" ") and line.strip() for line in rest)
    assert all(len(line) <= 76 or "=?" not in line for line in (first, *rest))
    assert all(len(line) <= 998 for line in (first, *rest))


@pytest.mark.parametrize("size", [901, 5000, 100_000])
def test_a_word_that_no_line_holds_is_encoded(size: int) -> None:
    """A long run without a space becomes encoded words, because it cannot be folded."""
    written = unstructured("Subject", "A" * size)
    assert max(map(len, written.split("\r\n"))) <= 76


@pytest.mark.parametrize("text", ["a\r\nX: 1", "a\nb", "a\rb", "a\0b", "a\tb", "\x7f", "a\x0bb", "é\x1b", "\ud800"])
def test_control_characters_are_refused(text: str) -> None:
    """They are never encoded, because some reader decodes them into a header field."""
    with pytest.raises(MessageError):
        unstructured("Subject", text)
    with pytest.raises(MessageError):
        mailbox("To", text, "a@b.example")


@pytest.mark.parametrize("name", ["", "A B", "A:", "Ü", "A\r\nB", "A\n", "X\u200b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """A field name is printable ASCII without a colon, also for the last check before the wire."""
    with pytest.raises(MessageError, match="name of a header field"):
        field(name, ["x"])


@pytest.mark.parametrize(
    ("tokens", "utf8"),
    [
        (["a\r\nb"], False),
        (["é"], False),
        (["x" * 999], False),
        (["é" * 500], True),
        (["é\u2028"], True),
        (["é\x85"], True),
    ],
)
def test_the_last_check_refuses_lines_that_cannot_be_sent(tokens: list[str], utf8: bool) -> None:
    """Whatever has come through before: no control, no raw UTF-8 where it may not be, no 999 octets."""
    with pytest.raises(MessageError, match="cannot be sent"):
        field("X-A", tokens, utf8=utf8)


def test_the_last_check_refuses_a_line_of_white_space() -> None:
    """RFC 5322 §2.2.3: some readers end the header there."""
    with pytest.raises(MessageError, match="cannot be sent"):
        field("X-A", ["x" * 80, " " * 80])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "ada@example.com"),
        ("Ada", "Ada <ada@example.com>"),
        ("Ada B. Lovelace", '"Ada B. Lovelace" <ada@example.com>'),
        ("Doe, Jane", '"Doe, Jane" <ada@example.com>'),
        ('Jane "JD" \\ Doe', '"Jane \\"JD\\" \\\\ Doe" <ada@example.com>'),
        ("evil@evil.example", '"evil@evil.example" <ada@example.com>'),
        (" a", '" a" <ada@example.com>'),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <ada@example.com>"),
        ("Ünïcödé", "=?utf-8?b?w5xuw69jw7Zkw6k=?= <ada@example.com>"),
        ("a" * 60 + " bb", "a" * 60 + " bb\r\n <ada@example.com>"),
        ("a." * 30 + " bb", '"' + "a." * 30 + ' bb"\r\n <ada@example.com>'),
    ],
)
def test_a_mailbox_is_written(name: str, written: str) -> None:
    """A phrase of atoms bare, other ASCII quoted, everything else encoded, never both."""
    assert mailbox("To", name, "ada@example.com") == f"To: {written}\r\n"


def test_a_name_that_no_line_holds_is_encoded() -> None:
    """An ASCII name without a space cannot be folded, so a very long one becomes encoded words."""
    lines = mailbox("To", "a" * 901, "ada@example.com").split("\r\n")
    assert max(map(len, lines)) <= 76


def test_mailboxes_are_folded_between_each_other() -> None:
    """Commas stay at the ends of lines."""
    assert mailboxes("Cc", [("", "a" * 40 + "@b.example"), ("Robert", "bob@b.example"), ("", "c@d.example")]) == (
        f"Cc: {'a' * 40}@b.example, Robert\r\n <bob@b.example>, c@d.example\r\n"
    )


def test_raw_utf8_stands_only_in_addresses() -> None:
    """A local part beyond ASCII is written as it is (RFC 6532); whether it may be sent is decided elsewhere."""
    assert mailbox("To", "", "用户@example.org") == "To: 用户@example.org\r\n"


@pytest.mark.parametrize("value", ["a b@c", "a>b@c", "<a@b>", "a@b\r\n", "é@b", ""])
def test_an_identifier_that_would_end_its_brackets_is_refused(value: str) -> None:
    """Message-ID, References and Content-ID hold printable ASCII without spaces and brackets."""
    with pytest.raises(MessageError):
        identifiers("Message-ID", (value,))


def test_identifiers_are_written() -> None:
    """One stays on the line of its name however long it is; several are folded."""
    assert identifiers("Message-ID", ("a" * 90,)) == f"Message-ID: <{'a' * 90}>\r\n"
    assert identifiers("References", ("a" * 40, "b" * 40)) == f"References: <{'a' * 40}>\r\n <{'b' * 40}>\r\n"


def test_list_unsubscribe_is_written() -> None:
    """RFC 2369: each target in brackets; RFC 8058: one click."""
    targets = ("https://example.com/u/1,2", "mailto:leave@lists.example.com")
    assert mailing_list_targets(targets, one_click=True) == (
        "List-Unsubscribe: <https://example.com/u/1,2>,\r\n <mailto:leave@lists.example.com>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    assert "Post" not in mailing_list_targets(targets, one_click=False)
    with pytest.raises(MessageError, match="percent-encode"):
        mailing_list_targets(("https://example.com/>",), one_click=False)


@pytest.mark.parametrize(
    "name", ["Bcc", "bCC", "Resent-Bcc", "Return-Path", "From", "Content-Type", "content-x", "MIME-Version", "Subject"]
)
def test_a_field_with_a_place_of_its_own_is_refused(name: str) -> None:
    """So nothing is said twice, and nobody reads who got a blind copy."""
    with pytest.raises(MessageError, match="headers cannot set"):
        custom(name, "x")


def test_a_structured_field_is_never_encoded() -> None:
    """An encoded word has no meaning in it, so what looks like one stays, and what is not ASCII is refused."""
    assert custom("Feedback-ID", "a:=?utf-8?q?x?=:c") == "Feedback-ID: a:=?utf-8?q?x?=:c\r\n"
    assert custom("X-Campaign", "ü") == "X-Campaign: =?utf-8?b?w7w=?=\r\n"
    with pytest.raises(MessageError):
        custom("Auto-Submitted", "ü")


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=ZONES,
)


@given(moment=MOMENTS)
def test_a_date_is_written_as_the_standard_library_does(moment: datetime) -> None:
    """Any moment in any zone."""
    assert date(moment) == f"Date: {format_datetime(moment)}\r\n"


def test_a_zone_with_seconds_becomes_utc() -> None:
    """RFC 5322 has no seconds in a zone; the moment stays the same."""
    amsterdam = timezone(timedelta(minutes=19, seconds=32))
    assert date(datetime(1936, 1, 1, 12, 19, 32, tzinfo=amsterdam)) == "Date: Wed, 01 Jan 1936 12:00:00 +0000\r\n"


def test_a_naive_date_is_refused() -> None:
    """It names no moment."""
    with pytest.raises(MessageError, match="time zone"):
        date(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))
