"""What each field of a message accepts, asked of the message itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.calendar import Calendar
from mailkit.errors import AddressError, MessageError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Message
from mailkit.template import Template

_ADA = Address("ada@example.com", name="Ada")


@pytest.mark.parametrize("field", ["from_", "sender", "return_path"])
def test_one_address_is_parsed(field: str) -> None:
    """A field of one address takes an Address as it is and parses a str."""
    assert getattr(Message(**{field: _ADA}), field) is _ADA
    assert getattr(Message(**{field: "Ada <ada@example.com>"}), field) == _ADA
    assert getattr(Message(), field) is None


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
@pytest.mark.parametrize(
    "values", [_ADA, "Ada <ada@example.com>", [_ADA], ("Ada <ada@example.com>",), iter([_ADA]), {_ADA}]
)
def test_addresses_may_be_one_or_many(field: str, values: Any) -> None:
    """A field of addresses takes one, as Address or str, or any iterable of them, and keeps a tuple."""
    values = [_ADA] if not isinstance(values, str | Address | list | tuple | set) else values
    assert getattr(Message(**{field: values}), field) == (_ADA,)


@pytest.mark.parametrize("field", ["from_", "sender", "to", "cc", "bcc", "reply_to", "return_path"])
@pytest.mark.parametrize("value", ["nobody", "a@x.test\r\nBcc: b@x.test", "a@x.test, b@x.test", 5, b"a@x.test"])
def test_a_wrong_address_is_named_with_its_field(field: str, value: Any) -> None:
    """An address that is none is an AddressError that names the field and keeps the position."""
    with pytest.raises(AddressError, match=f"^{field}: ") as caught:
        Message(**{field: value})
    if isinstance(value, str):
        assert caught.value.value == value
        assert caught.value.position is not None


@pytest.mark.parametrize("value", ["", "<>"])
def test_the_null_reverse_path_is_the_empty_str(value: str) -> None:
    """A message that must not bounce has the null reverse-path, which is not the same as an open one."""
    assert Message(return_path=value).return_path == ""
    assert Message().return_path is None


@pytest.mark.parametrize("field", ["subject", "message_id", "in_reply_to", "idempotency_key", "references", "tags"])
@pytest.mark.parametrize("value", ["a@b\r\nBcc: c@d", "a@b\x00", "a@b\x7f", "a@b\ud800"])
def test_a_field_that_reaches_a_header_holds_no_control(field: str, value: str) -> None:
    """Controls and halves of characters are refused in each field that becomes part of a header."""
    with pytest.raises(MessageError, match=r"holds U\+"):
        Message(**{field: value})


@pytest.mark.parametrize("field", ["subject", "text", "html", "amp"])
@pytest.mark.parametrize("value", [b"x", 5, ["x"]])
def test_texts_are_str(field: str, value: Any) -> None:
    """A text of another type is refused by the name of its field."""
    with pytest.raises(MessageError, match=f"^{field} has to be a str"):
        Message(**{field: value})


@pytest.mark.parametrize("field", ["text", "html", "amp"])
def test_bodies_are_kept_as_they_are(field: str) -> None:
    """Bodies may hold anything that UTF-8 has, and "" is not the same as none."""
    assert getattr(Message(**{field: "a\r\n\x00.\u2028"}), field) == "a\r\n\x00.\u2028"
    assert getattr(Message(**{field: ""}), field) == ""
    with pytest.raises(MessageError, match=f"^{field} holds U"):
        Message(**{field: "\udfff"})


def test_a_calendar_may_be_its_text() -> None:
    """The text of an invitation becomes a Calendar."""
    text = "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n"
    assert Message(calendar=text).calendar == Calendar(text, method="REQUEST")


def test_attachments_may_be_one_or_many() -> None:
    """One attachment or any iterable of them becomes a tuple."""
    one = Attachment.from_bytes(b"x", "a")
    assert Message(attachments=one).attachments == (one,)
    assert Message(attachments=iter([one, one])).attachments == (one, one)


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", b"x", Path("/etc/passwd"), ["/etc/passwd"], ["http://169.254.169.254/"], [Path("a")], [b"x"],
     {"a": b"x"}, [None], 3],
)  # fmt: skip
def test_nothing_is_guessed_to_be_a_file(value: Any) -> None:
    """A str or a path in the place of an attachment is refused; the error says which constructor opens a file."""
    with pytest.raises(
        MessageError, match=r"attachments? has to be an .*Attachment.*Attachment\.from_path opens a file"
    ):
        Message(attachments=value)


def test_a_content_id_is_there_once() -> None:
    """Two attachments with one content id are refused: nobody could say which of them cid: means."""
    logo = Attachment.from_bytes(b"x", "a.png", content_id="logo")
    with pytest.raises(MessageError, match="two attachments have the content_id 'logo'"):
        Message(attachments=[logo, logo])


@pytest.mark.parametrize(
    "value", [{"X-A": "1", "X-B": "2"}, [("X-A", "1"), ("X-B", "2")], (pair for pair in [["X-A", "1"], ("X-B", "2")])]
)
def test_headers_are_pairs_in_order(value: Any) -> None:
    """Header fields come as a mapping or as pairs."""
    if not isinstance(value, dict | list):
        value = list(value)
    assert Message(headers=value).headers == (("X-A", "1"), ("X-B", "2"))


def test_a_header_may_come_twice() -> None:
    """Repeated fields are kept, in their order."""
    pairs = (("Received", "b"), ("received", "a"))
    assert Message(headers=pairs).headers == pairs


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("From", "from_="), ("Sender", "sender="), ("To", "to="), ("Cc", "cc="), ("bCC", "bcc="),
        ("Resent-Bcc", "bcc="),
        ("Reply-To", "reply_to="), ("SUBJECT", "subject="), ("Date", "date="), ("Message-ID", "message_id="),
        ("In-Reply-To", "in_reply_to="), ("References", "references="), ("Return-Path", "return_path="),
        ("List-Unsubscribe", "list_unsubscribe="), ("List-Unsubscribe-Post", "one_click=True"),
        ("MIME-Version", "mailkit writes it"), ("Content-Type", "media_type"), ("Content-Transfer-Encoding", "mailkit"),
        ("content-anything", "mailkit"),
    ],
)  # fmt: skip
def test_a_field_with_a_place_of_its_own_is_refused(name: str, advice: str) -> None:
    """Header fields that have a field of the message are refused, and the error names it."""
    with pytest.raises(MessageError, match=f"^headers cannot set {name}: .*{advice}"):
        Message(headers={name: "x"})


@pytest.mark.parametrize("value", ["X-A: 1", b"x", 3, ["X-A: 1"], [("X-A",)], [("X-A", "1", "2")], [None]])
def test_what_is_no_header_is_refused(value: Any) -> None:
    """Header fields are pairs and not lines of text."""
    with pytest.raises(MessageError, match=r"header.* has to be a"):
        Message(headers=value)


@pytest.mark.parametrize(("name", "value"), [("X-A", "v\r\nX: 1"), ("X-A", None), ("X A", "v"), ("X-A\r\nX: 1", "v")])
def test_a_header_is_checked(name: str, value: Any) -> None:
    """Name and value of a header field are checked, and the error says header."""
    with pytest.raises(MessageError, match="header"):
        Message(headers=[(name, value)])


@pytest.mark.parametrize("field", ["date", "send_at"])
def test_a_moment_needs_a_time_zone(field: str) -> None:
    """A datetime is kept as it is if it is aware, and refused by name if it is naive."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert getattr(Message(**{field: moment}), field) is moment
    with pytest.raises(MessageError, match=f"^{field} .*no time zone"):
        Message(**{field: moment.replace(tzinfo=None)})


@pytest.mark.parametrize("field", ["message_id", "in_reply_to"])
def test_an_identifier_is_kept_without_brackets(field: str) -> None:
    """Angle brackets of an identifier are taken off, and what is no identifier is refused by name."""
    assert getattr(Message(**{field: "<a@b>"}), field) == "a@b"
    with pytest.raises(MessageError, match=f"^{field} 'a' is not a message identifier"):
        Message(**{field: "a"})


@pytest.mark.parametrize("value", [["a@b", "<c@d>"], "<a@b> <c@d>", " a@b  c@d ", ("<a@b>", "c@d")])
def test_references_are_a_thread(value: Any) -> None:
    """References come as the text of the field or one by one."""
    assert Message(references=value).references == ("a@b", "c@d")


@pytest.mark.parametrize("value", [["a"], "a@b, c@d", b"a@b", 3, {"a@b": 1}, [None]])
def test_what_is_no_thread_is_refused(value: Any) -> None:
    """Each reference has to be an identifier."""
    with pytest.raises(MessageError, match=r"^references "):
        Message(references=value)


@pytest.mark.parametrize("value", ["https://x.test/u", ["https://x.test/u"], ListUnsubscribe("https://x.test/u")])
def test_list_unsubscribe_may_be_a_url(value: Any) -> None:
    """The way out of a list comes as a URL, several, or a value."""
    assert Message(list_unsubscribe=value).list_unsubscribe == ListUnsubscribe("https://x.test/u")


@pytest.mark.parametrize("value", ["a", ["a"], ["a", "a"], iter(["a"])])
def test_a_tag_is_there_once(value: Any) -> None:
    """Tags are one or many; a repeated one counts once."""
    value = list(value) if not isinstance(value, str | list) else value
    assert Message(tags=value).tags == ("a",)


@pytest.mark.parametrize("value", [[""], [None], 3, b"a", {"a": 1}])
def test_what_is_no_tag_is_refused(value: Any) -> None:
    """Tags are words."""
    with pytest.raises(MessageError, match="tag"):
        Message(tags=value)


def test_metadata_are_frozen() -> None:
    """Metadata are a mapping of str to str that neither changes nor follows its original."""
    original = {"quarter": "q3"}
    message = Message(metadata=original)
    original["quarter"] = "q4"
    assert message.metadata["quarter"] == "q3"
    assert message.metadata == {"quarter": "q3"}
    with pytest.raises(TypeError, match="frozen value"):
        message.metadata["quarter"] = "q1"  # type: ignore[index]


@pytest.mark.parametrize("value", [{"a": 1}, {1: "a"}, {"": "a"}, {"a\n": "b"}, {"a": "b\r"}, [("a", "b")], "a", None])
def test_what_is_no_metadata_is_refused(value: Any) -> None:
    """Keys and values are one line of text each."""
    with pytest.raises(MessageError, match="metadata"):
        Message(metadata=value)


@pytest.mark.parametrize("field", ["track_opens", "track_clicks"])
def test_tracking_is_on_off_or_open(field: str) -> None:
    """Tracking is True, False or left to the account, and nothing else."""
    for value in (True, False, None):
        assert getattr(Message(**{field: value}), field) is value
    for wrong in ("no", 0, 1):
        with pytest.raises(MessageError, match=f"^{field} has to be True, False or None"):
            Message(**{field: wrong})


def test_a_template_is_a_template() -> None:
    """A template is a Template, and its name alone is not enough."""
    template = Template("welcome")
    assert Message(template=template).template is template
    with pytest.raises(MessageError, match=r"^template has to be a Template\(id, data\), not of type str"):
        Message(template="welcome")  # type: ignore[arg-type]


def test_options_are_frozen_by_provider() -> None:
    """Options are JSON by provider, and do not change."""
    message = Message(options={"postmark": {"Tags": ["a"]}})
    assert message.options == {"postmark": {"Tags": ("a",)}}
    with pytest.raises(TypeError, match="frozen value"):
        message.options["postmark"]["Tags"] = []  # type: ignore[index]


@pytest.mark.parametrize("value", [{"postmark": "x"}, {"postmark": None}, {1: {}}, [], {"postmark": {"a": b"x"}}])
def test_what_is_no_option_is_refused(value: Any) -> None:
    """Each provider has a mapping of what JSON has."""
    with pytest.raises(MessageError, match="options"):
        Message(options=value)
