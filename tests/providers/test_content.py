"""Parts of messages in the forms that JSON APIs want."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import Address, Attachment, Message, MessageError, Template, UnsupportedFeatureError
from mailkit.message import ListUnsubscribe
from mailkit.providers import Postmark
from mailkit.providers.content import (
    base64_of,
    dump,
    encoded_mailbox,
    header_mapping,
    header_pairs,
    headers_with_metadata,
    joined,
    mailbox,
    mailboxes,
    merged,
    path_part,
    refuse_beside_template,
    typed_name,
)

_POSTMARK = Postmark("KEY")


def test_json_is_short_and_utf8() -> None:
    """Nothing is escaped that need not be, and frozen mappings are written like others."""
    message = Message(metadata={"plan": "größer"})
    assert dump({"a": message.metadata}) == '{"a":{"plan":"größer"}}'.encode()


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800"])
def test_what_is_no_json_is_said(value: Any) -> None:
    """No TypeError and no UnicodeEncodeError escapes."""
    with pytest.raises(MessageError):
        dump({"a": value})


def test_header_pairs() -> None:
    """Threading, unsubscribing and custom fields come as fields, in this order."""
    message = Message(
        in_reply_to="1@example.com",
        references=["0@example.com", "1@example.com"],
        list_unsubscribe=ListUnsubscribe(["https://example.com/u", "mailto:u@example.com"], one_click=True),
        headers=[("X-A", "1"), ("X-A", "2")],
    )
    assert header_pairs(message) == [
        ("In-Reply-To", "<1@example.com>"),
        ("References", "<0@example.com> <1@example.com>"),
        ("List-Unsubscribe", "<https://example.com/u>, <mailto:u@example.com>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("X-A", "1"),
        ("X-A", "2"),
    ]
    assert header_pairs(Message(list_unsubscribe="mailto:u@example.com")) == [
        ("List-Unsubscribe", "<mailto:u@example.com>")
    ]


def test_a_mapping_has_each_name_once() -> None:
    """Two fields of one name are refused, whatever their case; none is dropped."""
    assert header_mapping(Message(headers={"X-A": "1"}), _POSTMARK) == {"X-A": "1"}
    with pytest.raises(UnsupportedFeatureError) as caught:
        header_mapping(Message(headers=[("X-A", "1"), ("x-a", "2")]), _POSTMARK)
    assert (caught.value.feature, caught.value.transport) == ("headers", "postmark://default")


def test_metadata_are_one_field() -> None:
    """They are JSON in ASCII, beside the other fields; without any there is no such field."""
    message = Message(headers={"X-A": "1"}, metadata={"k": "ü"})
    assert headers_with_metadata(message, _POSTMARK, "X-Meta") == {"X-A": "1", "X-Meta": '{"k": "\\u00fc"}'}
    assert headers_with_metadata(Message(headers={"x-meta": "1"}), _POSTMARK, "X-Meta") == {"x-meta": "1"}


@pytest.mark.parametrize(
    "message",
    [Message(headers={"x-meta": "1"}, metadata={"k": "v"}), Message(metadata={"k": "v" * 990})],
    ids=["the field is taken", "too long"],
)
def test_metadata_that_fit_into_no_field_are_refused(message: Message) -> None:
    """A field that the message has itself is not replaced, and no line is longer than RFC 5322 §2.1.1 lets it."""
    with pytest.raises(MessageError):
        headers_with_metadata(message, _POSTMARK, "X-Meta")


def test_joined_addresses_are_as_many_as_before() -> None:
    """An address that has the separator within quotes would be two, and is refused."""
    addresses = [Address("ada@example.com", name="Ada"), Address('"a,b"@example.org')]
    assert joined(addresses, ";") == 'ada@example.com;"a,b"@example.org'
    assert joined([], ",") == ""
    with pytest.raises(MessageError):
        joined(addresses, ",")


@pytest.mark.parametrize(
    ("address", "written"),
    [
        (Address("ada@example.com"), "ada@example.com"),
        (Address("ada@example.com", name="Ada Lovelace"), "Ada Lovelace <ada@example.com>"),
        (Address("ada@faß.test", name="Lovelace, Ada"), '"Lovelace, Ada" <ada@xn--fa-hia.test>'),
        (Address("ada@example.com", name='evil" <eve@example.org>'), '"evil\\" <eve@example.org>" <ada@example.com>'),
    ],
)
def test_mailboxes_read_back(address: Address, written: str) -> None:
    """A name that could be taken for something else is quoted; the text is read as the same mailbox."""
    assert mailbox(address) == written
    assert Address.parse(written) == address
    assert mailboxes([address, address]) == f"{written}, {written}"


@given(st.binary())
def test_base64_reads_back(data: bytes) -> None:
    """One line, no line end."""
    import base64

    encoded = base64_of(Attachment.from_bytes(data, "a.bin"))
    assert base64.b64decode(encoded, validate=True) == data
    assert "\n" not in encoded


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_part_of_a_path_stays_one(text: str) -> None:
    """Whatever it holds, it neither ends the path nor moves within it."""
    try:
        part = path_part(text)
    except MessageError:
        assert not text.strip(".")
        return
    path = urlsplit(f"https://api.example.com/v3/{part}/messages").path
    assert path.split("/") == ["", "v3", part, "messages"]
    assert unquote(part) == text


@pytest.mark.parametrize("text", ["", ".", "..", "..."])
def test_dots_alone_are_no_part_of_a_path(text: str) -> None:
    """They would be resolved away."""
    with pytest.raises(MessageError):
        path_part(text)


def test_options_are_laid_over_a_payload() -> None:
    """Mappings are merged as deep as they go; everything else is replaced; what was given stays as it was."""
    payload = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    before = json.dumps(payload)
    assert merged(payload, {"a": {"c": {"f": 3}}, "e": [2], "g": None}) == {
        "a": {"b": 1, "c": {"d": 2, "f": 3}},
        "e": [2],
        "g": None,
    }
    assert merged(payload, {"a": 1}) == {"a": 1, "e": [1]}
    assert json.dumps(payload) == before


def test_nothing_is_dropped_beside_a_template() -> None:
    """What the provider would ignore beside a template is refused by name; without one it is fine."""
    template = Template("welcome")
    refuse_beside_template(Message(text="x"), _POSTMARK, "text", "html")
    refuse_beside_template(Message(template=template, subject="x"), _POSTMARK, "text", "html")
    with pytest.raises(MessageError, match="text and html"):
        refuse_beside_template(Message(template=template, text="x", html="y"), _POSTMARK, "subject", "text", "html")


@pytest.mark.parametrize(
    ("address", "written"),
    [
        (Address("bob@example.org"), "bob@example.org"),
        (Address("bob@example.org", name="Doe, Jane"), '"Doe, Jane" <bob@example.org>'),
        (Address("bob@example.org", name="李"), "=?utf-8?b?5p2O?= <bob@example.org>"),
    ],
)
def test_names_are_ascii(address: Address, written: str) -> None:
    """Names beyond ASCII are encoded words, others stay as they are."""
    assert encoded_mailbox(address) == written


@pytest.mark.parametrize(
    ("attachment", "name"),
    [
        (Attachment.from_bytes(b"a", "a.txt", "image/png"), "a.txt"),
        (Attachment.from_bytes(b"a", "notes", "text/plain"), "notes"),
        (Attachment.from_bytes(b"a", media_type="image/png; x=1"), "attachment.png"),
        (Attachment.from_bytes(b"a", media_type="image/jpeg", content_id="logo@example.com"), "logo@example.com.jpg"),
        (Attachment.from_bytes(b"a", media_type="image/jpeg", content_id="logo.jpg"), "logo.jpg"),
        (Attachment.from_bytes(b"a", media_type="x-unheard/of"), "attachment"),
    ],
)
def test_a_name_says_what_it_is(attachment: Attachment, name: str) -> None:
    """A name that was given stays; one that was not gets the ending of its media type, where that has one."""
    assert typed_name(attachment) == name
