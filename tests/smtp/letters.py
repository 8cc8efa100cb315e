"""A letter, and a way to send it in one colour and look at what became of it: what the tests of SMTP share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen
from tests.colours import make_edge, run_in

from mailkit import DeliveryError, Envelope, Message
from mailkit.smtp.channel import SMTPChannel
from mailkit.smtp.transport import SMTP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

    from mailkit import Receipt
    from mailkit.edge import Edge
    from mailkit.testing import SMTPServer
    from mailkit.transport import ServerInfo

__all__ = ["BOB", "EVE", "Post", "big", "letter", "transport_to"]

BOB = "bob@example.org"
EVE = "eve@example.net"


def letter(number: int = 1, **changes: Any) -> Message:
    """Return a complete message to bob and eve, which is told from others by its number."""
    fields: dict[str, Any] = {
        "from_": "ada@example.com",
        "to": [BOB, EVE],
        "subject": f"Letter {number}",
        "text": f"This is letter {number}.\n",
        "date": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "message_id": f"letter-{number}@example.com",
    }
    return Message(**(fields | changes))


def big(size: int, number: int = 1) -> bytes:
    """Return a prepared message of `size` octets."""
    header = b"From: ada@example.com\r\nSubject: big\r\nMessage-ID: <letter-%d@example.com>\r\n\r\n" % number
    line = b"0123456789abcdef" * 4 + b"\r\n"
    body = line * ((size - len(header)) // len(line))
    return header + body + b"x" * (size - len(header) - len(body) - 2) + b"\r\n"


def transport_to(server: SMTPServer, **options: Any) -> SMTP:
    """Return the transport to a test server."""
    return SMTP(server.host, port=server.port, **options)


@frozen
class Post:
    """A channel to a server in one colour. Every call runs to its end; on the async edges in an event loop of its own.

    Args:
        server: Where the mail goes.
        colour: How.
        edge: The edge, whose clock a test may turn.
        channel: The channel.
    """

    server: SMTPServer
    colour: Colour
    edge: Edge
    channel: SMTPChannel

    @classmethod
    def to(cls, server: SMTPServer, colour: Colour = "blocking", *, timeout: float = 5.0, **options: Any) -> Post:
        """Open a channel to a server."""
        edge = make_edge(colour, timeout)
        return cls(server, colour, edge, SMTPChannel(transport_to(server, **options), edge))

    def send(self, message: Message | None = None, envelope: Envelope | None = None) -> Receipt:
        """Send a message."""
        message = message or letter()
        return run_in(self.colour, self.channel.send, message, envelope or Envelope.from_message(message))

    def send_raw(self, data: bytes | Path, envelope: Envelope | None = None) -> Receipt:
        """Send prepared bytes."""
        return run_in(self.colour, self.channel.send_raw, data, envelope or Envelope("ada@example.com", [BOB, EVE]))

    def attempt(self, message: Message | bytes | None = None) -> Receipt | DeliveryError:
        """Send; return the error instead of raising it."""
        try:
            return self.send_raw(message) if isinstance(message, bytes) else self.send(message)
        except DeliveryError as error:
            return error

    def verify(self) -> ServerInfo:
        """Verify."""
        return run_in(self.colour, self.channel.verify)

    def later(self, seconds: float) -> None:
        """Turn the clock on."""
        now = self.edge.now
        self.edge.now = lambda: now() + seconds  # type: ignore[method-assign]

    def close(self) -> None:
        """Close the channel."""
        run_in(self.colour, self.channel.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
