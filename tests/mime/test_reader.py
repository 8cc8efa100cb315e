from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes, policy
from time import process_time
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.errors import MailkitError, MessageError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Message
from mailkit.mime import render
from mailkit.mime.reader import fields_of

pytestmark = pytest.mark.slow

POLICIES = [policy.default, policy.SMTP, policy.compat32]


def read(text: str, kind: Any = policy.default) -> dict[str, Any]:
    """Return the fields of a header."""
    found = fields_of(message_from_bytes((text + "\n\nx\n").encode(), policy=kind))
    del found["text"]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("From: Ada <a@b.example>", {"from_": Address("a@b.example", name="Ada")}),
        ("Sender: a@b.example", {"sender": Address("a@b.example")}),
        ("To: a@b.example\nTo: c@d.example", {"to": (Address("a@b.example"), Address("c@d.example"))}),
        ("To: undisclosed-recipients:;", {}),
        ("Cc: a@b.example", {"cc": (Address("a@b.example"),)}),
        ("Bcc: a@b.example", {"bcc": (Address("a@b.example"),)}),
        ("Reply-To: a@b.example", {"reply_to": (Address("a@b.example"),)}),
        ("Return-Path: <a@b.example>", {"return_path": Address("a@b.example")}),
        ("Return-Path: <>", {"return_path": ""}),
        ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", {"subject": "Grüße"}),
        ("Subject:", {"subject": ""}),
        ("Date: Sat, 2 May 2026 10:00:00 +0000", {"date": datetime(2026, 5, 2, 10, tzinfo=UTC)}),
        ("Message-ID: <a@b>", {"message_id": "a@b"}),
        ("In-Reply-To: <a@b>", {"in_reply_to": "a@b"}),
        ("References: <a@b>\n <c@d>", {"references": ("a@b", "c@d")}),
        ("References:", {}),
        ("X-A: =?utf-8?q?=C3=A9?=\nX-A: b", {"headers": (("X-A", "é"), ("X-A", "b"))}),
        ("Feedback-ID: =?utf-8?q?=C3=A9?=", {"headers": (("Feedback-ID", "=?utf-8?q?=C3=A9?="),)}),
        ("MIME-Version: 1.0\nContent-Description: x", {}),
        (
            "List-Unsubscribe: <https://b.example/1,2>, <mailto:u@b.example>",
            {"list_unsubscribe": ListUnsubscribe(["https://b.example/1,2", "mailto:u@b.example"])},
        ),
        (
            "List-Unsubscribe: <https://b.example/>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click",
            {"list_unsubscribe": ListUnsubscribe("https://b.example/", one_click=True)},
        ),
    ],
)
@pytest.mark.parametrize("kind", POLICIES)
def test_fields_are_read(text: str, expected: dict[str, Any], kind: Any) -> None:
    """Each into its argument, whichever policy has read it."""
    assert read(text, kind) == expected


@pytest.mark.parametrize(
    "text",
    [
        "From: a@b.example, c@d.example",
        "From: x",
        "From:",
        "From: a@b.example\nFrom: a@b.example",
        "Subject: a\nSubject: b",
        "Subject: =?nope?q?a?=",
        "Date: x",
        "Message-ID: <a@b> <c@d>",
        "Message-ID:",
        "In-Reply-To: your message",
        "Return-Path: x",
        "List-Unsubscribe: https://b.example/",
        "List-Unsubscribe: <ftp://b.example/>",
        "List-Unsubscribe:",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "List-Unsubscribe: <https://b.example/>\nList-Unsubscribe-Post: x",
        "List-Unsubscribe: <mailto:u@b.example>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ],
)
def test_what_cannot_be_expressed_is_refused(text: str) -> None:
    """Rather than dropped, or guessed."""
    with pytest.raises(MessageError):
        Message(**read(text))


@pytest.mark.parametrize("text", ["Content-Language: de", "Resent-Bcc: a@b.example", "X-A: =?utf-8?q?a=0D=0AX-B:_c?="])
def test_what_a_message_does_not_take_it_refuses(text: str) -> None:
    """The values are checked like those of any other message."""
    with pytest.raises(MessageError):
        Message(**read(text))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80)
BODY = TEXT.map(lambda text: text.replace("\r", ""))
NAMES = st.sampled_from(["a", "b c", "Doe, J.", "é", "=?utf-8?q?x?=", " ", '"', "日本" * 20])
ADDRESSES = st.lists(
    st.builds(Address, st.sampled_from(["a@b.example", '"x y"@c.example', "z@例え.test"]), name=NAMES), max_size=3
)
ATTACHMENTS = st.lists(
    st.builds(
        Attachment.from_bytes,
        st.binary(max_size=50),
        st.none() | TEXT.filter(lambda text: text.strip(" ./\\") != "" and not {"/", "\\"} & set(text)),
        st.sampled_from(["application/pdf", "text/csv; charset=utf-8", "image/png"]),
        disposition=st.sampled_from(["attachment", "inline"]),
    ),
    max_size=3,
)


@given(
    to=ADDRESSES,
    cc=ADDRESSES,
    subject=st.none() | TEXT,
    text=st.none() | BODY,
    html=st.none() | BODY,
    amp=st.none() | BODY,
    headers=st.lists(st.tuples(st.sampled_from(["X-A", "X-B"]), TEXT), max_size=3),
    attachments=ATTACHMENTS,
)
def test_what_the_writer_writes_is_read_back(**fields: Any) -> None:
    """A message goes out and comes back the same, whichever policy reads it."""
    message = Message(
        from_="ada@example.com",
        date=datetime(2026, 5, 2, 10, tzinfo=UTC),
        message_id="1@example.com",
        in_reply_to="0@example.com",
        references=["0@example.com"],
        list_unsubscribe=ListUnsubscribe("https://example.com/u", one_click=True),
        **fields,
    )
    if message.text is None and message.html is None and message.amp is None:
        message = message.evolve(text="" if not message.attachments else "text")
    raw = render(message).as_bytes()
    for kind in POLICIES:
        again = Message(**fields_of(message_from_bytes(raw, policy=kind)))  # type: ignore[arg-type]
        for field in attrs.fields(Message):
            assert getattr(again, field.name) == getattr(message, field.name), field.name


LINES = st.sampled_from(
    [
        "From: a@b.example",
        "To:",
        "To: a@b.example, <",
        "Subject: x",
        "Subject: =?utf-8?b?//8=?=",
        "Date: 1",
        "Message-ID: <",
        "Content-Type: multipart/mixed; boundary=x",
        'Content-Type: multipart/alternative; boundary="y"',
        "Content-Type: text/html",
        "Content-Type: message/rfc822",
        "Content-Type: text/plain; charset=utf-16",
        "Content-Type: a/b; name*0*=x'",
        "Content-Type: ;",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        'Content-Disposition: attachment; filename="',
        "Content-ID: <é>",
        "List-Unsubscribe: <x>",
        " folded",
        "",
        "",
        "",
        "--x",
        "--x--",
        "--y",
        "--y--",
        "text",
        "QQ",
        "ÿ",
        "\x00",
        "",
    ]
)


@given(lines=st.lists(LINES, max_size=40), noise=st.binary(max_size=40), kind=st.sampled_from(POLICIES))
def test_no_input_ends_in_another_error(lines: list[str], noise: bytes, kind: Any) -> None:
    """Whatever the library's parser has made of it: a message that can be written, or one of our errors."""
    raw = "\n".join(lines).encode("latin-1") + noise
    try:
        message = Message(**fields_of(message_from_bytes(raw, policy=kind)))
        written = render(message, smtputf8=True).as_bytes()
    except MailkitError:
        return
    assert written.endswith(b"\r\n")


def seconds(raw: bytes) -> float:
    """Return how long it takes to read a message."""
    best = float("inf")
    # Not with the newer policies: their parser itself takes quadratic time, and recurses without end.
    message = message_from_bytes(raw)
    for _ in range(3):
        start = process_time()
        with suppress(MessageError):
            fields_of(message)
        best = min(best, process_time() - start)
    return best


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        (b"Subject: " + b"=?utf-8?q?a?= %s", 2_000),
        (b"Subject: %s", 20_000),
        (b"To: %s", 20_000),
        (b'To: "%s', 20_000),
        (b"To: (%s", 20_000),
        (b"Content-Type: a/b; %s", 20_000),
        (b'Content-Type: a/b; c="%s', 20_000),
        (b"References: <%s", 20_000),
        (b"\n%s", 50_000),
    ],
)
@pytest.mark.parametrize(
    "repeated", [b"=?", b'\\"', b"(", b"<", b"a@b.example,", b";", b"*0=", b" ", b"=?utf-8?q?x?= ", b"\r\n "]
)
@pytest.mark.usefixtures("untraced")
def test_four_times_the_input_takes_about_four_times_the_time(pattern: bytes, size: int, repeated: bytes) -> None:
    """No header or body is read in more than linear time: quadratic would be sixteen times as long, not ten."""

    def raw(count: int) -> bytes:
        return pattern.replace(b"%s", repeated * (count // len(repeated))) + b"\n\nx\n"

    assert min(seconds(raw(4 * size)) / max(seconds(raw(size)), 1e-4) for _ in range(3)) <= 10
