"""TransportContract: what every transport promises, as tests to inherit."""

from __future__ import annotations

import pickle
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from mailkit.envelope import Envelope
from mailkit.errors import MailkitError, MessageError, UnsupportedFeatureError
from mailkit.receipt import Outcome
from mailkit.testing.colours import ASYNC_COLOURS, COLOURS, Colour
from mailkit.testing.features import FEATURES
from mailkit.testing.rehearsal import Delivered, Rehearsal, opened
from mailkit.transport import Capabilities, Channel, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Delivered", "TransportContract"]

_COUNTED = 1000  # no transport is tried with more of anything
_PREPARED = (
    b"From: ada@example.com\r\nTo: bob@example.org\r\nSubject: As it is\r\nMessage-ID: <as.it.is@example.com>\r\n"
    b"X-Odd:  two  spaces\r\n\r\nHi Bob,\r\n.\r\n..bye\r\n"
)


class TransportContract(Rehearsal):
    """The conformance suite. A transport's own test class inherits it and says how to make one and what arrived.

    pytest makes a new object of the class for each test, so ``self`` may hold a server. Every test that does I/O runs
    three times: blocking, on asyncio and on trio.

    Example:
        >>> from mailkit.testing import Delivered, FakeTransport
        >>> class TestFake(TransportContract):
        ...     def make_transport(self):
        ...         self.fake = FakeTransport()
        ...         return self.fake
        ...
        ...     def delivered(self):
        ...         return [Delivered(content=sent.raw) for sent in self.fake.outbox]
    """

    @pytest.fixture(params=COLOURS)
    def colour(self, request: pytest.FixtureRequest) -> Colour:
        """One colour after the other."""
        colour: Colour = request.param
        return colour

    @pytest.fixture
    def transport(self) -> Transport:
        """The transport to test."""
        return self.make_transport()

    def test_it_is_a_transport(self, transport: Transport) -> None:
        """It has capabilities, opens channels, and is a value that can be a key."""
        assert isinstance(transport, Transport)
        assert isinstance(transport.capabilities, Capabilities)
        assert isinstance(transport.open(Colour("blocking").edge()), Channel)
        assert {transport: 1}[transport] == 1

    def test_its_name_is_one_line_without_secrets(self, transport: Transport) -> None:
        """Neither its name nor its repr shows a secret, in plain or encoded."""
        name = str(transport)
        assert name
        assert name.isprintable()
        self.check_no_secret(f"{name} {transport!r}")

    def test_pickling_gives_no_secret_away(self, transport: Transport) -> None:
        """Pickling it is refused with a TypeError, or gives an equal transport and no secret."""
        try:
            pickled = pickle.dumps(transport)
        except TypeError:
            return
        self.check_no_secret(pickled.decode("latin-1"))
        assert str(pickle.loads(pickled)) == str(transport)  # noqa: S301 - made above

    def test_a_message_arrives(self, transport: Transport, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
        """The receipt has the message's id, the transport's name and each recipient, and one message has arrived."""
        message = self.make_message(to=["bob@example.org", "eve@example.net"])
        caplog.set_level(0)
        receipt = self.send(transport, colour, message)
        assert receipt.message_id == message.message_id
        assert receipt.transport == self.name_of(transport)
        assert receipt.attempts == 1
        assert [(each.address, each.status) for each in receipt.recipients] == [
            ("bob@example.org", "accepted"),
            ("eve@example.net", "accepted"),
        ]
        self.check_arrived("Hello")
        self.check_no_secret(caplog.text + repr(receipt))

    def test_the_envelope_decides_who_gets_it(self, transport: Transport, colour: Colour) -> None:
        """A message goes to the envelope's recipients, whoever is in To."""
        envelope = Envelope("ada@example.com", ["eve@example.net"])
        receipt = self.send(transport, colour, self.make_message(), envelope)
        assert [each.address for each in receipt.recipients] == ["eve@example.net"]
        for each in self.delivered() or ():
            assert each.recipients in {None, ("eve@example.net",)}

    def test_bcc_is_for_nobody_to_see(self, transport: Transport, colour: Colour) -> None:
        """A Bcc recipient gets the message, and nothing in it tells the others so."""
        if not transport.capabilities.bcc:
            return self.check_refused(transport, colour, "bcc", self.make_message(bcc="archive@example.net"))
        receipt = self.send(transport, colour, self.make_message(bcc="archive@example.net"))
        assert [each.address for each in receipt.accepted] == ["bob@example.org", "archive@example.net"]
        self.check_arrived("Hello")
        for each in self.delivered() or ():
            assert b"archive@example.net" not in each.content
            assert b"\nbcc:" not in each.content.lower()
            assert each.recipients is None or "archive@example.net" in each.recipients
        return None

    @pytest.mark.parametrize("feature", FEATURES)
    def test_a_feature_works_or_is_refused(self, transport: Transport, colour: Colour, feature: str) -> None:
        """What the capabilities name is sent; anything else is refused with the feature's name, and nothing arrives."""
        most = int(getattr(transport.capabilities, feature))
        if most < _COUNTED:
            message = self.make_message(**self.fields_that_need(feature, most + 1))
            if most == 0 or len(message.tags) + len(message.metadata) + len(message.reply_to) > 1:
                self.check_refused(transport, colour, feature, message)
        if most:
            message = self.make_message(**self.fields_that_need(feature))
            assert self.send(transport, colour, message).accepted
            self.check_arrived(message.subject or "")

    def test_a_message_that_cannot_be_read_is_refused(
        self, transport: Transport, colour: Colour, tmp_path: Path
    ) -> None:
        """A message whose attachment has gone is refused, and nothing of it arrives."""
        with pytest.raises(MessageError):
            self.send(transport, colour, self.broken_message(tmp_path))
        assert not self.delivered()

    def test_many_messages_have_their_outcomes_in_order(
        self, transport: Transport, colour: Colour, tmp_path: Path
    ) -> None:
        """One bad message, or one that was bad before, stops none of the others, over one connection or several."""
        earlier = Outcome(message=self.make_message(), error=MessageError("no From"))
        good = [self.make_message(subject=f"Number {number}") for number in range(6)]
        given: list[Message | Outcome] = [*good[:2], self.broken_message(tmp_path), good[2], earlier, *good[3:]]
        messages = [each.message if isinstance(each, Outcome) else each for each in given]
        for connections in (1, 2):
            outcomes = self.send_many(transport, colour, given, connections)
            assert [outcome.message for outcome in outcomes] == messages
            assert [outcome.ok for outcome in outcomes] == [True, True, False, True, False, True, True, True]
            assert isinstance(outcomes[2].error, MessageError)
            assert outcomes[4].error is earlier.error
            for outcome in outcomes:
                if outcome.receipt is not None:
                    assert outcome.receipt.message_id == outcome.message.message_id
            if connections == 1:
                self.check_arrived(*[f"Number {number}" for number in range(6)])

    def test_a_stream_of_messages_may_be_endless(self, transport: Transport, colour: Colour) -> None:
        """The first outcomes are there while the stream goes on, and the stream may be left."""

        async def endless() -> AsyncGenerator[Message | Outcome, None]:
            while True:
                yield self.make_message()

        async def take() -> list[Outcome]:
            taken: list[Outcome] = []
            async with (
                opened(transport, colour.edge()) as channel,
                aclosing(endless()) as messages,
                aclosing(channel.send_many(messages)) as outcomes,
            ):
                async for outcome in outcomes:
                    taken.append(outcome)
                    if len(taken) == 3:
                        break
            return taken

        assert [outcome.ok for outcome in colour.run(take)] == [True, True, True]

    @pytest.mark.parametrize("source", ["bytes", "path"])
    def test_prepared_bytes_arrive_unchanged_or_are_refused(
        self, transport: Transport, colour: Colour, source: str, tmp_path: Path
    ) -> None:
        """``send_raw`` changes nothing, whatever the bytes come from; a transport that would have to refuses them."""
        path = tmp_path / "raw.eml"
        path.write_bytes(_PREPARED)
        data = _PREPARED if source == "bytes" else path
        if not transport.capabilities.raw:
            with pytest.raises(UnsupportedFeatureError) as caught:
                self.send_raw(transport, colour, data)
            assert caught.value.feature == "raw"
            assert not self.delivered()
            return
        receipt = self.send_raw(transport, colour, data)
        assert receipt.message_id == "as.it.is@example.com"
        assert [each.address for each in receipt.accepted] == ["bob@example.org"]
        for each in self.delivered() or ():
            assert _PREPARED in each.content

    def test_prepared_bytes_with_bcc_are_refused(self, transport: Transport, colour: Colour) -> None:
        """Prepared bytes that name their Bcc recipients are not sent."""
        with pytest.raises(MessageError):
            self.send_raw(transport, colour, b"Bcc: archive@example.net\r\n" + _PREPARED)
        assert not self.delivered()

    def test_verifying_sends_nothing(self, transport: Transport, colour: Colour) -> None:
        """``verify`` names the transport and delivers no message."""

        async def verify() -> str:
            async with opened(transport, colour.edge()) as channel:
                return (await channel.verify()).transport

        assert colour.run(verify) == self.name_of(transport)
        assert not self.delivered()

    def test_closing_twice_is_closing_once(self, transport: Transport, colour: Colour) -> None:
        """A channel can be closed before its first message, after its last, and again."""

        async def close() -> None:
            await transport.open(colour.edge()).close()
            async with opened(transport, colour.edge()) as channel:
                message = self.make_message()
                await channel.send(message, Envelope.from_message(message))
                await channel.close()

        colour.run(close)
        self.check_arrived("Hello")

    def test_a_closed_channel_sends_or_says_why_not(self, transport: Transport, colour: Colour) -> None:
        """Sending after closing either works or raises one of mailkit's errors."""

        async def send() -> bool:
            async with opened(transport, colour.edge()) as channel:
                await channel.close()
                message = self.make_message()
                try:
                    await channel.send(message, Envelope.from_message(message))
                except MailkitError:
                    return False
            return True

        if colour.run(send):
            self.check_arrived("Hello")
        else:
            assert not self.delivered()

    def test_one_channel_serves_many_at_once(self, transport: Transport, colour: Colour) -> None:
        """Messages that threads or tasks send at the same time all arrive."""

        async def send_all() -> list[Receipt]:
            edge = colour.edge()
            async with opened(transport, edge) as channel:

                async def send(number: int) -> Receipt:
                    message = self.make_message(subject=f"Number {number}")
                    return await channel.send(message, Envelope.from_message(message))

                return await edge.run_all([lambda number=number: send(number) for number in range(8)])  # type: ignore[misc]

        receipts = colour.run(send_all)
        assert len({receipt.message_id for receipt in receipts}) == 8
        self.check_arrived(*[f"Number {number}" for number in range(8)], in_order=False)

    def test_one_transport_serves_two_channels(self, transport: Transport, colour: Colour) -> None:
        """Channels of one transport know nothing of each other: closing one leaves the other open."""

        async def send() -> None:
            async with opened(transport, colour.edge()) as second:
                async with opened(transport, colour.edge()) as first:
                    for channel in (first, second):
                        message = self.make_message()
                        await channel.send(message, Envelope.from_message(message))
                message = self.make_message()
                await second.send(message, Envelope.from_message(message))

        colour.run(send)
        self.check_arrived("Hello", "Hello", "Hello")

    @pytest.mark.parametrize("colour", ASYNC_COLOURS)
    def test_a_cancelled_message_leaves_the_channel_usable(self, transport: Transport, colour: Colour) -> None:
        """After a send was cancelled at once, the next message arrives, and at most these two."""
        import anyio

        async def send() -> None:
            async with opened(transport, colour.edge()) as channel:
                message = self.make_message()
                with anyio.move_on_after(0):
                    await channel.send(message, Envelope.from_message(message))
                message = self.make_message()
                await channel.send(message, Envelope.from_message(message))

        colour.run(send)
        assert len(self.delivered() or "?") in {1, 2}
