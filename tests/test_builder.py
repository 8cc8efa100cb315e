from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.builder import MessageBuilder
from mailkit.errors import AddressError, MessageError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Message, Template

_NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a folder with a report and a logo in it."""
    monkeypatch.chdir(tmp_path)
    Path("report.pdf").write_bytes(b"%PDF-1.7")
    Path("logo.png").write_bytes(b"\x89PNG")


def test_the_contract_s_example_builds() -> None:
    """The example of the documentation gives the message that its arguments say."""
    message = (
        MessageBuilder()
        .from_("Ada Lovelace <ada@example.com>")
        .to("bob@example.org", Address("eve@example.net", name="Eve"))
        .cc("team@example.org").bcc("archive@example.org").reply_to("help@example.com")
        .subject("Quarterly report")
        .text("See attached.").html('<p>See attached.</p><img src="cid:logo">')
        .embed("logo.png", content_id="logo")
        .attach("report.pdf")
        .header("X-Campaign", "q3").tag("report").metadata(quarter="q3")
        .list_unsubscribe("https://example.com/u/1", one_click=True)
        .build()
    )  # fmt: skip
    assert message == Message(
        from_="Ada Lovelace <ada@example.com>",
        to=["bob@example.org", Address("eve@example.net", name="Eve")],
        cc="team@example.org",
        bcc="archive@example.org",
        reply_to="help@example.com",
        subject="Quarterly report",
        text="See attached.",
        html='<p>See attached.</p><img src="cid:logo">',
        attachments=[
            Attachment.from_path("logo.png", content_id="logo"),
            Attachment.from_path("report.pdf"),
        ],
        headers={"X-Campaign": "q3"},
        tags="report",
        metadata={"quarter": "q3"},
        list_unsubscribe=ListUnsubscribe("https://example.com/u/1", one_click=True),
    )


def test_every_field_of_a_message_has_a_method() -> None:
    """Each field can be reached, with the same value as by the constructor."""
    calls: dict[str, tuple[Any, ...]] = {
        "from_": ("a@x.test",), "sender": ("b@x.test",), "to": ("c@x.test",), "cc": ("d@x.test",), "bcc": ("e@x.test",),
        "reply_to": ("f@x.test",), "subject": ("s",), "text": ("t",), "html": ("h",), "amp": ("a",),
        "calendar": ("BEGIN:VCALENDAR\n",), "date": (_NOON,), "message_id": ("1@x",), "in_reply_to": ("0@x",),
        "references": ("0@x",), "return_path": ("",), "list_unsubscribe": ("https://x.test",), "track_opens": (True,),
        "track_clicks": (False,), "send_at": (_NOON,), "template": ("welcome", {"a": 1}), "idempotency_key": ("k",),
    }  # fmt: skip
    builder = MessageBuilder().attach("report.pdf").header("X-A", "1").tag("t").metadata(a="b").options("ses", a=1)
    for name, arguments in calls.items():
        assert getattr(builder, name)(*arguments) is builder
    expected: dict[str, Any] = {name: arguments[0] for name, arguments in calls.items()}
    expected |= {
        "attachments": Attachment.from_path("report.pdf"),
        "headers": {"X-A": "1"},
        "tags": "t",
        "metadata": {"a": "b"},
        "options": {"ses": {"a": 1}},
        "template": Template("welcome", {"a": 1}),
    }
    assert set(expected) == {attribute.name for attribute in attrs.fields(Message)}
    assert builder.build() == Message(**expected)


def test_what_can_be_repeated_is_added() -> None:
    """Recipients, attachments, header fields, tags, references, metadata and options grow with each call."""
    message = (
        MessageBuilder()
        .to("a@x.test").to("b@x.test", "c@x.test").reply_to("d@x.test").reply_to("e@x.test")
        .text("one").text("two")
        .attach("report.pdf").attach("report.pdf", filename="b.pdf")
        .header("X-A", "1").header("X-A", "2")
        .tag("a", "b").tag("c")
        .references("0@x").references("1@x")
        .metadata(a="1").metadata(b="2", a="3")
        .options("ses", a=1).options("ses", b=2).options("postmark", c=3)
        .build()
    )  # fmt: skip
    assert [address.email for address in message.to] == ["a@x.test", "b@x.test", "c@x.test"]
    assert [address.email for address in message.reply_to] == ["d@x.test", "e@x.test"]
    assert message.text == "two"
    assert [attachment.filename for attachment in message.attachments] == ["report.pdf", "b.pdf"]
    assert message.headers == (("X-A", "1"), ("X-A", "2"))
    assert message.tags == ("a", "b", "c")
    assert message.references == ("0@x", "1@x")
    assert message.metadata == {"a": "3", "b": "2"}
    assert message.options == {"ses": {"a": 1, "b": 2}, "postmark": {"c": 3}}


def test_what_is_attached_may_be_an_attachment() -> None:
    """An attachment is taken as it is, or under another name or type."""
    own = Attachment.from_bytes(b"x", "a.bin")
    first, second = (
        MessageBuilder()
        .to("a@x.test")
        .attach(own)
        .attach(own, filename="b.pdf", media_type="text/x")
        .build()
        .attachments
    )
    assert first is own or first == own
    assert (second.filename, second.media_type, second.read()) == ("b.pdf", "text/x", b"x")


@pytest.mark.parametrize("source", ["logo.png", Path("logo.png"), Attachment.from_bytes(b"\x89PNG", "logo.png")])
def test_what_is_embedded_is_inline(source: Any) -> None:
    """An embedded image is inline under its content id, from a path or an attachment."""
    (image,) = MessageBuilder().to("a@x.test").embed(source, content_id="logo").build().attachments
    assert image == Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo")


def test_a_file_is_looked_for_when_it_is_attached() -> None:
    """A missing file is an error at the call that names it."""
    with pytest.raises(MessageError, match=r"missing\.pdf' cannot be read"):
        MessageBuilder().attach("missing.pdf")
    with pytest.raises(MessageError, match="the path of an attachment has to be a str or a path"):
        MessageBuilder().attach(b"%PDF")  # type: ignore[arg-type]


def test_the_rest_is_checked_when_it_is_built() -> None:
    """Wrong values are errors of build, and not of sending."""
    with pytest.raises(AddressError, match=r"^to: "):
        MessageBuilder().to("nobody").text("x").build()
    with pytest.raises(MessageError, match=r"^subject "):
        MessageBuilder().to("a@x.test").subject("a\nb").build()
    with pytest.raises(MessageError, match="list_unsubscribe names no URL"):
        MessageBuilder().list_unsubscribe()


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_one_recipient_of_any_kind_is_enough(field: str) -> None:
    """A message to blind copies alone is legal; one to nobody is refused."""
    assert getattr(getattr(MessageBuilder().text("x"), field)("a@x.test").build(), field)
    with pytest.raises(MessageError, match=r"has no recipient: call to\(\), cc\(\) or bcc\(\)"):
        getattr(MessageBuilder().text("x"), field)().build()


def test_an_author_may_come_later() -> None:
    """A mailer's defaults may say whom it is from."""
    assert MessageBuilder().to("a@x.test").text("x").build().from_ is None


def test_a_message_says_something() -> None:
    """A message without any content is a mistake; an empty text that somebody asked for is not."""
    with pytest.raises(MessageError, match="is empty: call at least one of"):
        MessageBuilder().from_("a@x.test").to("a@x.test").build()
    assert MessageBuilder().to("a@x.test").text("").build().text == ""
    assert MessageBuilder().to("a@x.test").template("welcome").build().template == Template("welcome")


def test_a_builder_goes_on_after_build() -> None:
    """What was built does not change when the builder goes on."""
    builder = MessageBuilder().to("a@x.test").text("x")
    first = builder.build()
    assert builder.to("b@x.test").build().to == (*first.to, Address("b@x.test"))
    assert len(first.to) == 1


def test_the_repr_names_fields_only() -> None:
    """A builder shows what was set, and not to what."""
    assert repr(MessageBuilder().to("a@x.test").text("secret")) == "MessageBuilder(to, text)"
