"""The channel: single messages, prepared bytes and the key's standing, in three colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.http_server import Answer, HTTPServer
from tests.providers.acme import KEY, TO_BOB, Acme, Raw, message_to_bob, sent, with_channel

from mailkit import Attachment, Envelope, MessageError
from mailkit.errors import (
    ConnectError,
    DeliveryTimeout,
    UnsupportedFeatureError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

    from mailkit.edge import Edge
    from mailkit.transport import Channel


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """One colour after the other."""
    colour: Colour = request.param
    return colour


def test_what_is_refused_before_any_request(colour: Colour) -> None:
    """A feature, a number of recipients, an unreadable file and options that are no JSON never get to the server."""
    with HTTPServer(lambda _request: Answer()) as server:
        for message, error in (
            (message_to_bob(tags=["a"]), UnsupportedFeatureError),
            (message_to_bob(to=[f"user{number}@example.org" for number in range(4)]), MessageError),
        ):
            with pytest.raises(error):
                sent(colour, server, message)
    assert not server.requests


def test_files_are_read(colour: Colour) -> None:
    """Attachments are read when the request is built."""
    with HTTPServer(lambda _request: Answer()) as server:
        sent(colour, server, message_to_bob(attachments=[Attachment.from_bytes(b"abc", "a.bin")]))
    assert server.requests[0].json()["files"] == [3]


def test_prepared_bytes(colour: Colour, tmp_path: Path) -> None:
    """They arrive as they are, from memory or a file, with a key of their own; who is in the header has no say."""
    data = b"From: ada@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHi\r\n"
    path = tmp_path / "message.eml"
    path.write_bytes(data)
    with HTTPServer(lambda _request: Answer()) as server:
        for source in (data, path):
            receipt = with_channel(
                colour, server, lambda channel, _edge, source=source: channel.send_raw(source, TO_BOB), kind=Raw
            )
            assert receipt.message_id == "1@example.com"
            assert [each.address for each in receipt.accepted] == ["bob@example.org"]
        crowd = Envelope("ada@example.com", [f"user{number}@example.org" for number in range(4)])
        with pytest.raises(MessageError):
            with_channel(colour, server, lambda channel, _edge: channel.send_raw(data, crowd), kind=Raw)
        with pytest.raises(UnsupportedFeatureError):
            with_channel(colour, server, lambda channel, _edge: channel.send_raw(data, TO_BOB))
    assert [request.body for request in server.requests] == [data, data]
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1


def test_verifying_without_a_connection(colour: Colour) -> None:
    """Where there is nothing to ask, nothing is; where there is, the error names the transport."""

    class Asking(Acme):
        verify_path: ClassVar[str | None] = "/me"

    async def verify(_channel: Channel, edge: Edge) -> None:
        with pytest.raises((ConnectError, DeliveryTimeout)) as caught:
            await Asking(KEY, host="127.0.0.1", port=server.port).open(edge).verify()
        assert caught.value.transport == f"asking://127.0.0.1:{server.port}"

    with HTTPServer(lambda _request: Answer()) as server:
        assert with_channel(colour, server, lambda channel, _edge: channel.verify()).extensions == ()
    assert not server.requests
    with_channel(colour, server, verify)
