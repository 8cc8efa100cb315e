"""Rehearsal: what the tests of a transport have to know about it, and the steps that they share."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest
from attrs import field, frozen

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import UnsupportedFeatureError
from mailkit.message import Message
from mailkit.testing.features import fields_that_need

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.receipt import Outcome, Receipt
    from mailkit.testing.colours import Colour
    from mailkit.transport import Channel, Transport

__all__ = ["Delivered", "Rehearsal", "opened"]


@frozen(kw_only=True)
class Delivered:
    """One message as it arrived on the other side.

    Args:
        content: What the recipients get to see: RFC 5322 octets with CRLF line ends, or a provider's payload without
            what only the provider reads.
        recipients: The addresses that it was delivered to, where that can be told.
    """

    content: bytes = field(repr=False)
    recipients: tuple[str, ...] | None = None


@asynccontextmanager
async def opened(transport: Transport, edge: Edge) -> AsyncGenerator[Channel, None]:
    """Open a channel, and close it and its edge in the end."""
    channel = transport.open(edge)
    try:
        yield channel
    finally:
        await channel.close()
        await edge.close()


async def _each(messages: Sequence[Message | Outcome]) -> AsyncGenerator[Message | Outcome, None]:
    for message in messages:
        yield message


class Rehearsal:
    """How to make a transport and to find out what arrived; a transport's own test class says so."""

    secrets: ClassVar[Sequence[str]] = ()
    """The secrets that the transport is made with: none of them may ever be seen."""

    def make_transport(self) -> Transport:
        """Return the transport to test, with nothing delivered yet."""
        raise NotImplementedError(f"{type(self).__name__} has no make_transport(): return a new transport from it")

    def delivered(self) -> Sequence[Delivered] | None:
        """Return what has arrived so far, in order; None if nobody can know."""
        raise NotImplementedError(f"{type(self).__name__} has no delivered(): return what has arrived, or None")

    def name_of(self, transport: Transport) -> str:
        """Return what receipts call the transport: its own name, or that of one inside it that does the work."""
        return str(transport)

    def make_message(self, **fields: Any) -> Message:
        """Return a message that the other side takes, with some fields changed."""
        message = Message(from_="Ada Lovelace <ada@example.com>", to="bob@example.org", subject="Hello", text="Hi Bob")
        return message.evolve(**fields).completed()

    def fields_that_need(self, feature: str, count: int = 1) -> dict[str, Any]:
        """Return the fields of a message that needs a feature, in a form that the other side takes.

        Args:
            feature: Its name in :class:`mailkit.Capabilities`.
            count: How many, of what can be counted.
        """
        return fields_that_need(feature, count)

    def send(self, transport: Transport, colour: Colour, message: Message, envelope: Envelope | None = None) -> Receipt:
        """Send one message over a channel of its own."""

        async def send() -> Receipt:
            async with opened(transport, colour.edge()) as channel:
                return await channel.send(message, envelope or Envelope.from_message(message))

        return colour.run(send)

    @staticmethod
    def send_raw(transport: Transport, colour: Colour, data: bytes | Path) -> Receipt:
        """Send prepared bytes from Ada to Bob over a channel of its own."""

        async def send() -> Receipt:
            async with opened(transport, colour.edge()) as channel:
                return await channel.send_raw(data, Envelope("ada@example.com", "bob@example.org"))

        return colour.run(send)

    @staticmethod
    def send_many(
        transport: Transport, colour: Colour, messages: Sequence[Message | Outcome], connections: int
    ) -> list[Outcome]:
        """Send messages over a channel of its own; return their outcomes."""

        async def send() -> list[Outcome]:
            async with opened(transport, colour.edge()) as channel:
                return [each async for each in channel.send_many(_each(messages), connections=connections)]

        return colour.run(send)

    def broken_message(self, folder: Path) -> Message:
        """Return a message whose attachment has gone."""
        path = folder / "gone.bin"
        path.write_bytes(b"x")
        message = self.make_message(subject="Broken", attachments=[Attachment.from_path(path)])
        path.unlink()
        return message

    def check_refused(self, transport: Transport, colour: Colour, feature: str, message: Message) -> None:
        """Check that a message is refused for one feature, and that nothing has arrived."""
        with pytest.raises(UnsupportedFeatureError) as caught:
            self.send(transport, colour, message)
        assert caught.value.feature == feature
        assert caught.value.transport == self.name_of(transport)
        assert not self.delivered()

    def check_arrived(self, *subjects: str, in_order: bool = True) -> None:
        """Check which messages have arrived, by their subjects."""
        arrived = self.delivered()
        if arrived is None:
            return
        assert len(arrived) == len(subjects)
        if in_order:
            assert all(subject.encode() in each.content for subject, each in zip(subjects, arrived, strict=True))
        else:
            assert all(any(subject.encode() in each.content for each in arrived) for subject in subjects)

    def check_no_secret(self, text: str) -> None:
        """Check that a text shows no secret, in plain or encoded."""
        for secret in self.secrets:
            encoded = base64.b64encode(secret.encode()).decode()
            for form in (secret, quote(secret, safe=""), encoded.rstrip("=")):
                assert form not in text
