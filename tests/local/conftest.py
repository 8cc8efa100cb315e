"""Sending through a transport without a mailer, and the message that most tests send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.colours import colour, edge, run

from mailkit.edge.base import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.envelope import Envelope
from mailkit.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

    Send = Callable[[Transport, Message], Receipt]
    SendRaw = Callable[[Transport, bytes | Path], Receipt]

__all__ = ["ENVELOPE", "RAW", "colour", "edge", "run"]

ENVELOPE = Envelope("ada@example.com", ["bob@example.org"])
RAW = b"From: ada@example.com\r\nMessage-ID: <raw@example.com>\r\nSubject: Raw\r\n\r\nAs it is.\r\n"


@pytest.fixture
def message() -> Message:
    """A message with a recipient that nobody may see."""
    return Message(
        from_="Ada Lovelace <ada@example.com>",
        to="bob@example.org",
        bcc="archive@example.net",
        subject="Hello",
        text="Hi Bob",
    )


@pytest.fixture
def send() -> Send:
    """Send one message, blocking, in the envelope that it implies."""

    def send(transport: Transport, message: Message) -> Receipt:
        return run_sync(transport.open(BlockingEdge(5.0)).send(message, Envelope.from_message(message)))

    return send


@pytest.fixture
def send_raw() -> SendRaw:
    """Send prepared bytes, blocking, from Ada to Bob."""

    def send_raw(transport: Transport, data: bytes | Path) -> Receipt:
        return run_sync(transport.open(BlockingEdge(5.0)).send_raw(data, ENVELOPE))

    return send_raw
