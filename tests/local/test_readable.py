from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.local.letter import Letter
from mailkit.local.readable import escaped, readable
from mailkit.message import Message, Template


def _letter(message: Message | None, envelope: Envelope | None = None, raw: bytes = b"") -> Letter:
    return Letter(
        envelope=envelope or Envelope.from_message(message or Message()),
        message=message,
        message_id="",
        size=len(raw),
        blocks=lambda: iter([raw[:5], raw[5:]]),
    )


def _message(**fields: Any) -> Message:
    return Message(from_="Ada <ada@example.com>", to="bob@example.org", **fields)


def test_a_message_is_shown_as_it_is_read() -> None:
    """Header, text, HTML and attachments follow each other as a person reads them."""
    message = _message(
        subject="Grüße",
        text="Hi Bob\r\nand all\r\n",
        html="<p>Hi",
        message_id="1@example.com",
        date=datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
        attachments=[
            Attachment.from_bytes(b"x" * 1234, "report.pdf"),
            Attachment.from_bytes(b"x", "logo.png", content_id="logo"),
            Attachment.from_bytes(b"x", media_type="text/csv"),
        ],
    )
    lines = readable(_letter(message)).split("\n")
    assert [line.rstrip("-") for line in lines] == [
        "-- mailkit: 0 bytes from ada@example.com to bob@example.org ",
        "From: Ada <ada@example.com>",
        "To: bob@example.org",
        "Subject: Grüße",
        "Date: 2026-11-23 12:00:00+00:00",
        "Message-ID: 1@example.com",
        "-- text ",
        "Hi Bob",
        "and all",
        "-- html ",
        "<p>Hi",
        "-- attachment: report.pdf, application/pdf, 1,234 bytes ",
        "-- inline: logo.png, image/png, 1 bytes, cid:logo ",
        "-- attachment: without a name, text/csv, 1 bytes ",
        "",
        "",
        "",
    ]


def test_nothing_that_is_set_is_left_out() -> None:
    """Every field of a message that was set is shown in some way."""
    shown = readable(
        _letter(
            _message(
                sender="sender@example.com",
                cc="cc@example.org",
                bcc="bcc@example.org",
                reply_to="reply@example.org",
                amp="<amp>",
                calendar="BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nEND:VCALENDAR\r\n",
                headers={"X-Own": "own"},
                in_reply_to="0@example.com",
                references=["0@example.com", "00@example.com"],
                return_path="return@example.com",
                list_unsubscribe="https://example.com/leave",
                tags=["tag1"],
                metadata={"key": "data1"},
                track_opens=True,
                track_clicks=False,
                send_at=datetime(2027, 1, 2, tzinfo=UTC),
                template=Template("template1", {"name": "gap1"}),
                idempotency_key="key1",
                options={"acme": {"raw": "option1"}},
            )
        )
    )
    for part in (
        "Sender: sender@example.com", "Cc: cc@example.org", "bcc@example.org", "Reply-To: reply@example.org", "<amp>",
        "METHOD:CANCEL", "X-Own: own", "In-Reply-To: 0@example.com", "References: 0@example.com 00@example.com",
        "from return@example.com", "https://example.com/leave", "tags: tag1", "data1", "track_opens: True",
        "track_clicks: False", "send_at: 2027-01-02", "template1", "gap1", "idempotency_key: key1", "option1",
    ):  # fmt: skip
        assert part in shown


def test_the_null_reverse_path_is_shown() -> None:
    """A message without a way back shows an empty sender."""
    assert "bytes from <> to" in readable(_letter(_message(return_path="")))


def test_prepared_octets_are_shown_as_text() -> None:
    """Prepared octets are shown line by line, what is no UTF-8 in them as escapes."""
    shown = readable(_letter(None, Envelope("", "bob@example.org"), b"Subject: \xff\x1b[2J\r\n\r\nHi\r\n"))
    assert "\nSubject: \\xff\\x1b[2J\n\nHi\n" in shown


def test_long_prepared_octets_are_cut() -> None:
    """Of prepared octets no more than 64 KiB is shown, and how much is missing."""
    shown = readable(_letter(None, Envelope("", "bob@example.org"), b"x" * 70_000))
    assert len(shown) < 66_000
    assert "(4,464 bytes more)" in shown


@given(st.text(st.characters()))
def test_no_terminal_command_is_shown(text: str) -> None:
    """Whatever a text holds, what is shown is printable but for line ends, tabs and no-break spaces."""
    assert all(each.isprintable() or each in "\n\t\xa0" for each in escaped(text))


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    """Letters, digits and punctuation of every script are left as they are."""
    assert escaped(text) == text
