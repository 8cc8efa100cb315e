from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import fields

from mailkit.envelope import Envelope
from mailkit.local import MemoryTransport, Sent
from mailkit.message import Message

if TYPE_CHECKING:
    from tests.local.conftest import Send, SendRaw

_FIELDS = [each.name for each in fields(Message)]
_SNAPSHOTS = ("snapshot", "assert_matches_snapshot")


@pytest.mark.parametrize("name", _FIELDS)
def test_every_field_of_the_message_can_be_read(name: str, send: Send, message: Message) -> None:
    """A field of the message is an attribute of what was sent."""
    transport = MemoryTransport()
    send(transport, message)
    sent = transport.outbox[0]
    assert getattr(sent, name) == getattr(sent.message, name)


def test_a_misspelt_field_is_an_error(send: Send, message: Message) -> None:
    """A name that no message has is an AttributeError, not None."""
    transport = MemoryTransport()
    send(transport, message)
    with pytest.raises(AttributeError, match="subjekt"):
        transport.outbox[0].subjekt  # type: ignore[attr-defined]  # noqa: B018


def test_nothing_else_is_delegated() -> None:
    """What was sent has the fields of a message, its own, and no others."""
    public = {name for name in dir(Sent) if not name.startswith("_")}
    assert public == {*_FIELDS, "envelope", "receipt", "raw", "message", "is_prepared", *_SNAPSHOTS}


def test_prepared_octets_are_read_as_a_message(send_raw: SendRaw) -> None:
    """The fields of what was sent raw come from its octets."""
    transport = MemoryTransport()
    send_raw(transport, b"From: ada@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHi\r\n")
    sent = transport.outbox[0]
    assert sent.is_prepared
    assert sent.subject == "Grüße"
    assert sent.envelope == Envelope("ada@example.com", "bob@example.org")


def test_its_repr_shows_no_content(send: Send, message: Message) -> None:
    """The repr tells the envelope and leaves out the octets."""
    transport = MemoryTransport()
    send(transport, message)
    assert "Hi Bob" not in repr(transport.outbox[0])
    assert "bob@example.org" in repr(transport.outbox[0])
