"""Sending, sync and async: what a caller may write, and what a type checker must know about the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from mailkit import (
    Address,
    AsyncMailer,
    DeliveryError,
    Envelope,
    Mailer,
    MailkitError,
    Message,
    Outcome,
    Receipt,
    RecipientResult,
    Reply,
    RetryPolicy,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def messages() -> Iterator[Message]:
    yield Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


async def messages_later() -> AsyncIterator[Message]:
    for message in messages():
        yield message


def a_mailer_is_made_of(transport: Transport) -> None:
    Mailer()
    Mailer("smtp://user:secret@mail.example.com")
    Mailer(transport)
    Mailer(
        "smtp://mail.example.com",
        retry=RetryPolicy(attempts=5, deadline=60.0),
        defaults=Message(from_="ada@example.com"),
        timeout=10.0,
    )
    Mailer("null://", retry=RetryPolicy.none())
    Mailer("null://", retry=RetryPolicy(on_unknown="retry"))
    AsyncMailer()
    AsyncMailer(transport, retry=RetryPolicy.none(), defaults=None, timeout=1.5)


def sync_sending(message: Message, envelope: Envelope) -> None:
    with Mailer("null://") as mailer:
        assert_type(mailer, Mailer)
        assert_type(mailer.send(message), Receipt)
        assert_type(mailer.send_raw(b"Subject: x\r\n\r\n", envelope), Receipt)
        assert_type(mailer.send_raw(Path("message.eml"), envelope), Receipt)
        for outcome in mailer.send_many(messages()):
            assert_type(outcome, Outcome)
        for outcome in mailer.send_many([message], connections=4):
            assert_type(outcome.message, Message)
            assert_type(outcome.ok, bool)
            assert_type(outcome.receipt, Receipt | None)
            assert_type(outcome.error, MailkitError | None)
        assert_type(mailer.verify().host, str)
        mailer.close()


async def async_sending(message: Message, envelope: Envelope) -> None:
    async with AsyncMailer("null://") as mailer:
        assert_type(mailer, AsyncMailer)
        assert_type(await mailer.send(message), Receipt)
        assert_type(await mailer.send_raw(b"Subject: x\r\n\r\n", envelope), Receipt)
        assert_type(await mailer.send_raw(Path("message.eml"), envelope), Receipt)
        async for outcome in mailer.send_many(messages()):
            assert_type(outcome, Outcome)
        async for outcome in mailer.send_many(messages_later(), connections=4):
            assert_type(outcome, Outcome)
        assert_type((await mailer.verify()).tls_version, str | None)
        await mailer.close()


def what_a_receipt_says(receipt: Receipt) -> None:
    assert_type(receipt.message_id, str)
    assert_type(receipt.provider_id, str | None)
    assert_type(receipt.transport, str)
    assert_type(receipt.accepted, tuple[RecipientResult, ...])
    assert_type(receipt.refused, tuple[RecipientResult, ...])
    assert_type(receipt.unknown, tuple[RecipientResult, ...])
    assert_type(receipt.attempts, int)
    assert_type(receipt.raise_for_refused(), Receipt)
    for result in receipt.recipients:
        assert_type(result.address, str)
        assert_type(result.code, int | None)
        assert_type(result.enhanced_code, str | None)
        assert_type(result.text, str)
        assert_type(result.provider_id, str | None)
        if result.status in ("accepted", "deferred", "rejected", "not_sent", "unknown"):
            pass


def what_an_error_says(error: DeliveryError) -> None:
    assert_type(error.retryable, bool)
    assert_type(error.retry_after, float | None)
    assert_type(error.recipients, tuple[RecipientResult, ...])
    assert_type(error.reply, Reply | None)
    assert_type(error.transport, str | None)
    match error.outcome:
        case "not_sent" | "deferred" | "rejected" | "unknown":
            pass


def an_envelope_is_made_of(address: Address, message: Message) -> None:
    Envelope("ada@example.com", ["bob@example.org"])
    Envelope(None, (address,))
    assert_type(Envelope.from_message(message), Envelope)
    assert_type(Envelope(address, [address]).rcpt_to, tuple[Address, ...])
    assert_type(Envelope(address, [address]).mail_from, Address | None)
