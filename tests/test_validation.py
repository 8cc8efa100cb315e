from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import validation
from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTROLS = [chr(code) for code in (*range(0x20), 0x7F)]


@pytest.mark.parametrize("control", _CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
def test_a_control_character_is_refused_with_its_place_and_field(control: str) -> None:
    """Each C0 character and DEL is refused in header text, and the error says where it stands."""
    with pytest.raises(MessageError, match=rf"^subject holds U\+{ord(control):04X} at index 3"):
        validation.header_text(f"abc{control}d", "subject")


@pytest.mark.parametrize(
    "text", ["", "Grüße", "a\u0085b", "a\u2028b", "\u560a\u560d", "=?utf-8?q?=0A?=", "e\u0301", "\xa0"]
)
def test_text_is_kept_as_it_is(text: str) -> None:
    """What is no control character passes unchanged, also what some call a line separator."""
    assert validation.header_text(text, "subject") == text


@pytest.mark.parametrize("check", [validation.header_text, validation.body_text])
def test_half_a_character_is_a_message_error(check: Callable[[object, str], str]) -> None:
    """A lone surrogate is refused here, before an encoder would stumble over it."""
    with pytest.raises(MessageError, match=r"holds U\+D83D at index 1.*half a character"):
        check("a\ud83d", "text")


@given(st.text())
def test_header_text_either_encodes_or_is_refused(text: str) -> None:
    """Header text that passes is UTF-8 without C0 and DEL; what does not pass holds one of them or a surrogate."""
    hostile = any(ord(c) < 0x20 or ord(c) == 0x7F or 0xD800 <= ord(c) <= 0xDFFF for c in text)
    if hostile:
        with pytest.raises(MessageError):
            validation.header_text(text, "subject")
    else:
        assert validation.header_text(text, "subject").encode().decode() == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_body_may_hold_every_character(text: str) -> None:
    """Line ends of every kind, NUL and all other characters may stand in a body."""
    assert validation.body_text(text, "text") == text


@pytest.mark.parametrize("check", [validation.header_text, validation.body_text])
def test_bytes_are_no_text(check: Callable[[object, str], str]) -> None:
    """A value of another type is refused by the name of its type, and is not shown."""
    with pytest.raises(MessageError, match=r"^text has to be a str, not of type bytes$"):
        check(b"secret", "text")


@pytest.mark.parametrize("token", ["a", "key-1", "a b", "~" * 255])
def test_a_token_is_printable_ascii(token: str) -> None:
    """Identifiers for HTTP headers are 1 to 255 printable ASCII characters."""
    assert validation.token_text(token, "idempotency_key") == token


@pytest.mark.parametrize("token", ["", "é", " a", "a ", "x" * 256])
def test_what_is_no_token_is_refused(token: str) -> None:
    """An empty, long, padded or non-ASCII identifier is refused by the name of its field."""
    with pytest.raises(MessageError, match=r"^idempotency_key "):
        validation.token_text(token, "idempotency_key")


@pytest.mark.parametrize("name", ["X-Campaign", "x", "!#$%&'*+-.^_`|~", "X" * 76])
def test_a_header_name_is_a_token(name: str) -> None:
    """Header names are printable ASCII without colon and space, up to 76 characters."""
    assert validation.header_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "X A", " X", "X:", "X-A:", "X-é", "X\u200b", "X\u2028", "X\r\nY", "X\x00", "X" * 77, None, b"X"]
)
def test_what_is_no_header_name_is_refused(name: object) -> None:
    """Spaces, colons, controls, look-alikes and long names are refused."""
    with pytest.raises(MessageError, match="header"):
        validation.header_name(name)


@pytest.mark.parametrize("value", ["a@b", "a.b-c@x.test", "1%a@[192.0.2.1]", "a@[]", "=_{x}@h"])
def test_a_message_id_loses_its_brackets(value: str) -> None:
    """A message identifier may come with its angle brackets and is kept without them."""
    assert validation.message_id(value, "message_id") == value
    assert validation.message_id(f"<{value}>", "message_id") == value


@pytest.mark.parametrize(
    "value",
    ["", "<>", "a", "@b", "a@", "a@b@c", "a b@c", "a..b@c", ".a@c", "a@b.", "<a@b", "a@b>", "a@b> <c@d", '"a"@b', "é@x",
     "a@b\r\nBcc: c", "a@[b", "x" * 899 + "@y"],
)  # fmt: skip
def test_what_is_no_message_id_is_refused(value: str) -> None:
    """Obsolete, quoted, doubled, long and broken identifiers are refused by the name of their field."""
    with pytest.raises(MessageError, match=r"^in_reply_to "):
        validation.message_id(value, "in_reply_to")


@pytest.mark.parametrize("value", ["logo", "logo@example.com", "image001.png@01DB", "a@[192.0.2.1]"])
def test_a_content_id_may_be_a_plain_word(value: str) -> None:
    """A content identifier may have no @, and may come in angle brackets."""
    assert validation.content_id(f"<{value}>") == validation.content_id(value) == value


@pytest.mark.parametrize(
    "value", ["", "a b", 'a"b@x', "é@x", "cid:logo", "javascript:alert(1)", "a@b@c", "x" * 256, "a\n"]
)
def test_what_would_need_quoting_is_no_content_id(value: str) -> None:
    """A content identifier that would be written differently in the header and in the URL is refused."""
    with pytest.raises(MessageError, match=r"^content_id "):
        validation.content_id(value)


@pytest.mark.parametrize(
    ("given_name", "base"),
    [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\windows\\x.dll", "x.dll"),
        ("C:\\secret\\x.doc", "x.doc"),
        ("a/b\\c/d.txt", "d.txt"),
        (".htaccess", ".htaccess"),
        (" a b.txt ", "a b.txt"),
        ("=?utf-8?q?=22?=.txt", "=?utf-8?q?=22?=.txt"),
        ("utf-8''x", "utf-8''x"),
        ("…", "…"),
    ],
)
def test_a_file_name_is_a_base_name(given_name: str, base: str) -> None:
    """Only what follows the last slash or backslash is kept of a file name, and it stays literal."""
    assert validation.file_name(given_name) == base


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/", "a\\", "/", "a/..", "a\r.txt", "a\tb", "\ud800", "x" * 1025]
)
def test_what_names_no_file_is_refused(name: str) -> None:
    """Empty names, dots, controls and very long names are refused."""
    with pytest.raises(MessageError, match=r"^filename "):
        validation.file_name(name)


def test_an_aware_datetime_is_kept() -> None:
    """A datetime with an offset from UTC passes."""
    now = datetime.now(UTC)
    assert validation.aware_datetime(now, "date") is now


def test_a_naive_datetime_is_refused_with_advice() -> None:
    """A datetime without a time zone is refused, and the error says how to get one."""
    with pytest.raises(MessageError, match=r"^date .* names no instant: use datetime\.now\(timezone\.utc\)"):
        validation.aware_datetime(datetime(2026, 1, 1), "date")  # noqa: DTZ001 - that is what is tested


def test_a_date_as_text_is_refused() -> None:
    """A str is no datetime."""
    with pytest.raises(MessageError, match=r"^date has to be an aware datetime, not of type str$"):
        validation.aware_datetime("2026-01-01T00:00:00+00:00", "date")


@pytest.mark.parametrize("values", ["ab", b"ab", {"a": 1}, 7, None])
def test_what_only_looks_like_a_list_is_refused(values: object) -> None:
    """The letters of a str, the numbers of bytes and the keys of a mapping are not taken for items."""
    with pytest.raises(MessageError, match=r"^tags has to be words, not of type "):
        validation.each_of(values, "tags", "words")


def test_an_iterable_is_not_consumed() -> None:
    """An iterable passes as it is."""
    values = iter(["a"])
    assert validation.each_of(values, "tags", "words") is values
