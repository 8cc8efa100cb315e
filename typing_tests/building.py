"""Building messages: every way that the documentation shows."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import assert_type

from mailkit import Address, Attachment, Message, MessageBuilder, Template


def an_address_is_made_of() -> None:
    assert_type(Address.parse("Ada Lovelace <ada@example.com>"), Address)
    assert_type(Address("ada@example.com"), Address)
    assert_type(Address("ada@example.com", name="Ada Lovelace").name, str)
    assert_type(Address("ada@example.com").email, str)
    assert_type(str(Address("ada@example.com")), str)


def an_attachment_is_made_of() -> None:
    assert_type(Attachment.from_path("report.pdf"), Attachment)
    assert_type(Attachment.from_path(Path("report.pdf")), Attachment)
    assert_type(Attachment.from_bytes(b"%PDF", "report.pdf", "application/pdf"), Attachment)
    assert_type(Attachment.from_text("a,b", "table.csv"), Attachment)


def a_message_is_made_of() -> None:
    Message()
    Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")
    Message(
        from_="Ada Lovelace <ada@example.com>",
        sender="office@example.com",
        to=["bob@example.org", Address("eve@example.net", name="Eve")],
        cc=(address for address in ("team@example.org",)),
        bcc="archive@example.org",
        reply_to="help@example.com",
        subject="Quarterly report",
        text="See attached.",
        html="<p>See attached.</p>",
        attachments=[Attachment.from_bytes(b"%PDF", "report.pdf", "application/pdf")],
        headers={"X-Campaign": "q3"},
        date=datetime.now(UTC),
        message_id="1@example.com",
        in_reply_to="0@example.com",
        references=["0@example.com"],
        return_path="bounces@example.com",
        tags=["report"],
        metadata={"quarter": "q3"},
        track_opens=False,
        track_clicks=False,
        send_at=datetime.now(UTC),
        template=Template("welcome", {"name": "Bob"}),
        idempotency_key="report-q3",
        options={"postmark": {"MessageStream": "outbound"}},
    )


def a_message_is_built() -> None:
    message = (
        MessageBuilder()
        .from_("Ada Lovelace <ada@example.com>")
        .to("bob@example.org", Address("eve@example.net", name="Eve"))
        .cc("team@example.org")
        .bcc("archive@example.org")
        .reply_to("help@example.com")
        .subject("Quarterly report")
        .text("See attached.")
        .html('<p>See attached.</p><img src="cid:logo">')
        .embed("logo.png", content_id="logo")
        .attach("report.pdf")
        .header("X-Campaign", "q3")
        .tag("report")
        .metadata(quarter="q3")
        .list_unsubscribe("https://example.com/u/1", one_click=True)
        .build()
    )
    assert_type(message, Message)


def a_message_is_used(message: Message, stdlib_message: EmailMessage) -> None:
    assert_type(message.evolve(subject="Changed"), Message)
    assert_type(message.as_bytes(), bytes)
    for block in message.iter_bytes():
        assert_type(block, bytes)
    assert_type(Message.from_dict(message.to_dict()), Message)
    assert_type(Message.from_json(message.to_json()), Message)
    assert_type(Message.from_email_message(stdlib_message), Message)
    assert_type(message.to_email_message(), EmailMessage)
    assert_type(message.from_, Address | None)
    assert_type(message.to, tuple[Address, ...])
    assert_type(message.subject, str | None)
    assert_type(message.attachments, tuple[Attachment, ...])
