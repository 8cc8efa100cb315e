from __future__ import annotations

import copy
import email.message
import os
import pickle
import subprocess
import sys
import typing
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.errors import MessageError
from mailkit.message import Calendar, ListUnsubscribe, Message, Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
_FULL = Message(
    from_="Ada Lovelace <ada@example.com>",
    sender="office@example.com",
    to=["bob@example.org", "Eve <eve@例え.test>"],
    cc="team@example.org",
    bcc="archive@example.org",
    reply_to="help@example.com",
    subject="Grüße",
    text="Hi Bob",
    html='<p>Hi</p><img src="cid:logo">',
    amp="<html amp4email></html>",
    calendar="BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n",
    attachments=[
        Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
        Attachment.from_text("a;b", "a.csv", "text/csv"),
    ],
    headers=[("X-Campaign", "q3"), ("X-Campaign", "q4")],
    date=_NOON,
    message_id="1@example.com",
    in_reply_to="0@example.com",
    references=["0@example.com"],
    return_path="bounces@example.com",
    list_unsubscribe=ListUnsubscribe(["https://example.com/u", "mailto:u@example.com"], one_click=True),
    tags=["a", "b"],
    metadata={"quarter": "q3"},
    track_opens=True,
    track_clicks=False,
    send_at=_NOON,
    template=Template("welcome", {"items": [1, {"a": None}]}),
    idempotency_key="k-1",
    options={"postmark": {"MessageStream": "bulk", "List": [1, 2]}},
)
_FIELDS = [attribute.name for attribute in attrs.fields(Message)]


def test_the_fields_are_the_contract_s() -> None:
    """A message has exactly the published fields, in their order, and the full example sets each of them."""
    assert _FIELDS == [
        "from_",
        "sender",
        "to",
        "cc",
        "bcc",
        "reply_to",
        "subject",
        "text",
        "html",
        "amp",
        "calendar",
        "attachments",
        "headers",
        "date",
        "message_id",
        "in_reply_to",
        "references",
        "return_path",
        "list_unsubscribe",
        "tags",
        "metadata",
        "track_opens",
        "track_clicks",
        "send_at",
        "template",
        "idempotency_key",
        "options",
    ]
    for attribute in attrs.fields(Message):
        assert getattr(_FULL, attribute.name) != attribute.default, attribute.name


def test_a_message_may_be_empty() -> None:
    """Nothing is required of a message that is only a mailer's defaults."""
    message = Message()
    assert message.from_ is None
    assert message.to == message.attachments == message.headers == ()
    assert message.metadata == message.options == {}


def test_fields_are_given_by_name() -> None:
    """Positional arguments, misspelt fields and changes in place are refused by Python itself."""
    with pytest.raises(TypeError):
        Message("ada@example.com")  # type: ignore[misc]
    with pytest.raises(TypeError, match="form_"):
        Message(form_="ada@example.com")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        _FULL.subject = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        _FULL.subjekt = "x"  # type: ignore[attr-defined]


def test_evolve_changes_a_copy() -> None:
    """A copy has what was changed, checked as ever, and the rest as it was."""
    changed = _FULL.evolve(subject="Changed", to="carol@example.org", headers={})
    assert changed.subject == "Changed"
    assert changed.to == (Address("carol@example.org"),)
    assert changed.headers == ()
    assert changed.evolve(subject="Grüße", to=_FULL.to, headers=_FULL.headers) == _FULL
    with pytest.raises(MessageError, match=r"^subject "):
        _FULL.evolve(subject="a\nb")
    with pytest.raises(TypeError, match="subjekt"):
        _FULL.evolve(subjekt="x")


def test_a_message_of_its_own_values_is_the_same() -> None:
    """What a message holds is accepted for each of its fields: checks change nothing the second time."""
    assert Message(**{name: getattr(_FULL, name) for name in _FIELDS}) == _FULL


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_equal(again: Callable[[Any], object]) -> None:
    """Copying and pickling give an equal message with the same hash."""
    assert again(_FULL) == _FULL
    assert hash(again(_FULL)) == hash(_FULL)


@pytest.mark.parametrize("name", _FIELDS)
def test_every_field_counts_for_equality(name: str) -> None:
    """Two messages that differ in one field are not equal."""
    assert _FULL.evolve(**{name: getattr(Message(), name)}) != _FULL


def test_the_annotations_can_be_resolved() -> None:
    """Libraries that read type hints at run time find every name in them."""
    assert set(_FIELDS) <= set(typing.get_type_hints(Message))


def test_the_repr_is_short_and_discreet() -> None:
    """A repr tells two messages apart, and shows neither text nor metadata nor who gets a blind copy."""
    assert repr(_FULL) == (
        "Message(from_='ada@example.com', to='bob@example.org' and 1 more, subject='Grüße', attachments=2)"
    )
    assert repr(Message()) == "Message()"
    assert (
        repr(Message(to="bob@example.org", subject="x" * 100))
        == f"Message(to='bob@example.org', subject='{'x' * 60}…')"
    )


class TestCompleted:
    def test_date_and_message_id_are_filled_in(self) -> None:
        """A message gets the time in whole seconds and a new identifier at its author's domain."""
        before = datetime.now(UTC).replace(microsecond=0)
        done = Message(from_="ada@faß.test").completed()
        assert done.date is not None
        assert before <= done.date <= datetime.now(UTC)
        assert done.date.microsecond == 0
        assert done.message_id is not None
        left, _, domain = done.message_id.partition("@")
        assert domain == "xn--fa-hia.test"
        assert len(bytes.fromhex(left)) == 16

    def test_identifiers_are_not_repeated(self) -> None:
        """Each completion draws a new identifier, which a message accepts."""
        message = Message(from_="ada@[192.0.2.1]")
        made = {message.completed().message_id for _ in range(100)}
        assert len(made) == 100
        assert Message(message_id=made.pop()).message_id

    def test_what_is_there_stays(self) -> None:
        """A complete message is returned as it is, so that each attempt sends the same."""
        done = Message(from_="ada@example.com").completed()
        assert done.completed() is done
        assert _FULL.completed() is _FULL
        assert _FULL.completed(Message(subject="x"), date=datetime.now(UTC), message_id="2@x") == _FULL

    def test_date_and_message_id_can_be_given(self) -> None:
        """The caller's clock and identifier fill what is open, in whole seconds and without brackets."""
        zone = timezone(timedelta(hours=2))
        done = Message(from_="a@x.test").completed(date=datetime(2026, 1, 2, 3, 4, 5, 6, zone), message_id="<a@b>")
        assert done.date == datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)
        assert done.date is not None
        assert done.date.utcoffset() == timedelta(hours=2)
        assert done.message_id == "a@b"

    @pytest.mark.parametrize("wrong", [{"date": datetime(2026, 1, 1)}, {"message_id": "a b"}])  # noqa: DTZ001 - naive
    def test_what_is_filled_in_is_checked(self, wrong: dict[str, Any]) -> None:
        """A naive clock and a broken identifier are refused."""
        with pytest.raises(MessageError, match=next(iter(wrong))):
            Message(from_="a@x.test").completed(**wrong)

    def test_nobody_has_written_it(self) -> None:
        """Without a From anywhere the message cannot be completed, and the error says where to set it."""
        with pytest.raises(MessageError, match="has no From address: set from_, or give the mailer defaults"):
            Message(to="bob@example.org").completed(Message(subject="x"))
        with pytest.raises(MessageError, match="has no From address"):
            Message(date=_NOON, message_id="a@b").completed()

    def test_an_empty_message_takes_all_defaults(self) -> None:
        """Every field of the defaults fills the same field, where the message leaves it open."""
        defaults = _FULL.evolve(message_id=None, idempotency_key=None)
        assert Message(message_id="2@x", idempotency_key="k").completed(defaults) == defaults.evolve(
            message_id="2@x", idempotency_key="k"
        )

    @pytest.mark.parametrize("name", sorted(set(_FIELDS) - {"headers", "tags", "metadata", "options", "from_"}))
    def test_the_message_wins(self, name: str) -> None:
        """A field that the message sets is not touched by the defaults."""
        other = Message(
            from_="z@x.test", sender="z@x.test", to="z@x.test", cc="z@x.test", bcc="z@x.test", reply_to="z@x.test",
            subject="z",
            text="z", html="z", amp="z", calendar="BEGIN:VCALENDAR\n", attachments=Attachment.from_bytes(b"z"),
            date=_NOON + timedelta(1), in_reply_to="z@z", references="z@z", return_path="z@x.test",
            list_unsubscribe="https://z.test", track_opens=False, track_clicks=True, send_at=_NOON + timedelta(1),
            template=Template("z"),
        )  # fmt: skip
        own = getattr(_FULL, name)
        assert getattr(other, name) != own
        assert getattr(Message(**{name: own}).completed(other), name) == own

    @pytest.mark.parametrize(
        ("name", "value"), [("subject", ""), ("track_opens", False), ("return_path", ""), ("text", "")]
    )
    def test_set_to_nothing_is_set(self, name: str, value: object) -> None:
        """An empty subject, a False and the null reverse-path are answers, and no open questions."""
        assert (
            getattr(Message(**{name: value}).completed(_FULL.evolve(message_id=None, idempotency_key=None)), name)
            == value
        )

    def test_headers_are_added_by_name(self) -> None:
        """A header field of the defaults comes along if the message has none of that name, in any case."""
        defaults = Message(from_="a@x.test", headers=[("X-A", "1"), ("X-B", "2"), ("X-B", "3")])
        assert Message(headers={"x-a": "0"}).completed(defaults).headers == (("x-a", "0"), ("X-B", "2"), ("X-B", "3"))

    def test_tags_metadata_and_options_are_added(self) -> None:
        """What is collected is collected from both, and the message's own wins."""
        defaults = Message(
            from_="a@x.test", tags=["b", "c"], metadata={"a": "1", "b": "2"},
            options={"ses": {"a": 1, "b": 2}, "postmark": {"c": 3}},
        )  # fmt: skip
        message = Message(tags=["a", "b"], metadata={"b": "0"}, options={"ses": {"b": 0}, "sendgrid": {}}).completed(
            defaults
        )
        assert message.tags == ("a", "b", "c")
        assert message.metadata == {"a": "1", "b": "0"}
        assert message.options == {"ses": {"a": 1, "b": 0}, "postmark": {"c": 3}, "sendgrid": {}}
        hash(message)

    @pytest.mark.parametrize("wrong", [{"message_id": "a@b"}, {"idempotency_key": "k"}])
    def test_what_each_message_needs_for_itself_is_no_default(self, wrong: dict[str, str]) -> None:
        """Defaults that would give all messages one identifier are refused."""
        with pytest.raises(MessageError, match="defaults cannot set message_id or idempotency_key"):
            Message(from_="a@x.test").completed(Message(**wrong))  # type: ignore[arg-type]

    def test_the_original_is_untouched(self) -> None:
        """Completing gives a copy that equals the same message built at once."""
        message = Message(from_="a@x.test", subject="x", metadata={"a": "b"})
        done = message.completed(date=_NOON, message_id="a@b")
        assert message.date is None
        assert done == message.evolve(date=_NOON, message_id="a@b")
        assert hash(done) == hash(message.evolve(date=_NOON, message_id="a@b"))


class TestBytes:
    def test_lines_end_with_crlf_and_nobody_reads_bcc(self) -> None:
        """The octets are those of RFC 5322, and nobody learns who got a blind copy or where bounces go."""
        data = _FULL.as_bytes()
        assert data.startswith(b"From: Ada Lovelace <ada@example.com>\r\n")
        assert data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r")
        assert data.isascii()
        assert b"archive@" not in data
        assert b"bounces@" not in data
        assert b"\r\nMessage-ID: <1@example.com>\r\n" in data

    def test_the_size_is_known(self) -> None:
        """The size is that of the octets, however they are asked for."""
        assert _FULL.size == len(_FULL.as_bytes()) == len(b"".join(_FULL.iter_bytes()))

    def test_an_incomplete_message_has_bytes(self) -> None:
        """A message can be looked at before it is complete; Date and Message-ID are there."""
        data = Message(text="Hi").as_bytes()
        assert b"Date: " in data
        assert b"Message-ID: <" in data

    def test_an_address_may_need_smtputf8(self) -> None:
        """As bytes a message may hold an address that only some servers take."""
        assert "用户@".encode() in Message(from_="用户@x.test").as_bytes()

    def test_a_file_that_has_gone_is_a_message_error(self, tmp_path: Path) -> None:
        """A file is read when the octets are asked for, and a missing one is named."""
        file = tmp_path / "a.bin"
        file.write_bytes(b"x" * 100)
        message = Message(from_="a@x.test", attachments=Attachment.from_path(file))
        assert message.size > 100
        file.unlink()
        with pytest.raises(MessageError, match=r"a\.bin' cannot be read"):
            message.as_bytes()


class TestEmailMessage:
    def test_to_the_standard_library(self) -> None:
        """The standard library's form has the header, the text and the attachments, and no Bcc."""
        message = _FULL.to_email_message()
        assert isinstance(message, email.message.EmailMessage)
        assert message["Subject"] == "Grüße"
        assert message["Bcc"] is None
        assert [part.get_filename() for part in message.iter_attachments()] == ["a.csv"]
        body = message.get_body(("plain",))
        assert body is not None
        assert body.get_content().rstrip() == "Hi Bob"

    def test_there_and_back(self) -> None:
        """What a mail carries comes back equal; what only the envelope or a provider knows is gone."""
        carried = _FULL.evolve(
            bcc=(), return_path=None, tags=(), metadata={}, track_opens=None, track_clicks=None, send_at=None,
            template=None,
            idempotency_key=None, options={}, text="Hi Bob\n", html="<p>Hi</p>\n", amp="<html></html>\n",
        )  # fmt: skip
        back = Message.from_email_message(carried.to_email_message())
        assert back.evolve(text=None, html=None, amp=None) == carried.evolve(text=None, html=None, amp=None)
        assert (back.text or "").splitlines() == ["Hi Bob"]
        assert (back.html or "").splitlines() == ["<p>Hi</p>"]

    def test_from_a_message_that_a_program_has_built(self) -> None:
        """A message made with the standard library becomes one of ours, its Bcc included."""
        built = email.message.EmailMessage()
        built["From"] = "Ada <ada@example.com>"
        built["To"] = "bob@example.org, Eve <eve@example.net>"
        built["Bcc"] = "archive@example.org"
        built["Subject"] = "Grüße"
        built["X-Campaign"] = "q3"
        built.set_content("Hi Bob\n")
        built.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="résumé.pdf")
        message = Message.from_email_message(built)
        assert message.from_ == Address("ada@example.com", name="Ada")
        assert [address.email for address in message.to] == ["bob@example.org", "eve@example.net"]
        assert [address.email for address in message.bcc] == ["archive@example.org"]
        assert message.subject == "Grüße"
        assert message.headers == (("X-Campaign", "q3"),)
        assert message.attachments == (Attachment.from_bytes(b"%PDF", "résumé.pdf"),)

    def test_what_cannot_be_sent_again_is_a_message_error(self) -> None:
        """A foreign message with a broken address is refused by our own error."""
        broken = email.message.Message()
        broken["From"] = "nobody"
        with pytest.raises(MessageError):
            Message.from_email_message(broken)


def test_a_calendar_and_its_kin_are_found_beside_the_message() -> None:
    """The values that a message is made of are importable from its module."""
    assert isinstance(_FULL.calendar, Calendar)
    assert _FULL.calendar.method == "REQUEST"


def test_building_a_message_loads_no_renderer() -> None:
    """Neither the MIME writer nor the standard library's email package is loaded before it is needed."""
    code = (
        "import sys; from mailkit import Message\n"
        "Message(from_='a@x.test', to='b@x.test', text='x').completed()\n"
        "print([name for name in sys.modules if name.startswith(('mailkit.mime', 'email.', 'mimetypes', 'json'))])"
    )
    # Coverage's own start-up hook would import modules into the child.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
