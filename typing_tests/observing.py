"""Observing: hooks get the events that they are for."""

from __future__ import annotations

from typing import Literal, assert_type

from mailkit import AsyncMailer, Envelope, Hooks, Mailer, Message, Receipt
from mailkit.events import (
    AfterAttempt,
    AfterSend,
    BeforeAttempt,
    BeforeSend,
    BreakerChanged,
    Event,
    FailedOver,
    Retrying,
)
from mailkit.integrations.opentelemetry import Telemetry


def before_send(event: BeforeSend) -> None:
    assert_type(event.message_id, str | None)
    assert_type(event.transport, str)
    assert_type(event.recipients, int)
    assert_type(event.message, Message | None)
    assert_type(event.envelope, Envelope)


def after_send(event: AfterSend) -> None:
    assert_type(event.outcome, Literal["accepted", "deferred", "rejected", "not_sent", "unknown"])
    assert_type(event.receipt, Receipt | None)
    assert_type(event.error, BaseException | None)
    assert_type(event.duration, float)
    assert_type(event.accepted, int)
    assert_type(event.attempts, int)


def before_attempt(event: BeforeAttempt) -> None:
    assert_type(event.attempt, int)


def after_attempt(event: AfterAttempt) -> int:
    return event.attempt


def on_retry(event: Retrying) -> float:
    return event.wait


def on_failover(event: FailedOver) -> None:
    assert_type(event.to, str)


def on_event(event: Event) -> None:
    assert_type(event.title, str)
    if isinstance(event, BreakerChanged):
        assert_type(event.after, Literal["closed", "open", "half-open"])


def hooks() -> None:
    heard: list[Event] = []
    every = Hooks(
        before_send=before_send,
        after_send=[after_send, heard.append],
        before_attempt=before_attempt,
        after_attempt=after_attempt,
        on_retry=on_retry,
        on_failover=on_failover,
        on_event=(on_event, heard.append, Telemetry(), Telemetry(data="personal")),
        log="personal",
    )
    Hooks()
    Hooks(log="off")
    Hooks(on_event=on_event, before_send=on_event)
    Mailer("null://", hooks=every)
    AsyncMailer("null://", hooks=every)
