from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.local.conftest import ENVELOPE, RAW

from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError
from mailkit.local import MemoryTransport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from tests.local.conftest import Send

    from mailkit.edge import Edge
    from mailkit.message import Message


def test_what_was_sent_is_there(edge: Edge, run: Any, message: Message) -> None:
    """The outbox holds the message, its envelope, its receipt and its octets."""
    transport = MemoryTransport()
    receipt = run(transport.open(edge).send, message, Envelope.from_message(message))
    (sent,) = transport.outbox
    assert (sent.subject, sent.receipt) == ("Hello", receipt)
    assert sent.envelope == Envelope.from_message(message)
    assert b"Subject: Hello\r\n" in sent.raw
    assert b"archive@example.net" not in sent.raw


def test_prepared_bytes_are_there_too(edge: Edge, run: Any) -> None:
    """What is sent raw lies in the outbox as it is."""
    transport = MemoryTransport()
    run(transport.open(edge).send_raw, RAW, ENVELOPE)
    assert transport.outbox[0].raw == RAW


def test_a_limit_keeps_the_newest(send: Send, message: Message) -> None:
    """With a limit, the oldest messages go."""
    transport = MemoryTransport(limit=2)
    for number in range(4):
        send(transport, message.evolve(subject=str(number)))
    assert [sent.subject for sent in transport.outbox] == ["2", "3"]


def test_two_transports_have_two_outboxes(send: Send, message: Message) -> None:
    """Each URL makes a transport of its own."""
    first, second = transport_from_url("memory://"), transport_from_url("memory://?limit=5")
    send(first, message)
    assert isinstance(first, MemoryTransport)
    assert isinstance(second, MemoryTransport)
    assert (len(first.outbox), len(second.outbox), second.limit) == (1, 0, 5)
    assert first != second
    assert str(first) == "memory://"


@pytest.mark.parametrize("url", ["memory://?limit=0x", "memory://u@", "memory://?limits=1", "memory://:1"])
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    """What means nothing in its URL is an error."""
    with pytest.raises(ConfigurationError):
        transport_from_url(url)


def test_a_limit_of_nothing_is_refused() -> None:
    """At least one message is kept."""
    with pytest.raises(ConfigurationError, match="NullTransport"):
        MemoryTransport(limit=0)
