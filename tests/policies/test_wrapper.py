"""The base of policies round one transport: it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from tests.policies.cast import ANN, Player, collect, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError
from mailkit.local import NullTransport
from mailkit.policies.wrapper import Wrapper, Wrapping
from mailkit.testing import Delivered, FakeTransport, TransportContract
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.transport import Channel, Transport


@frozen
class Plain(Wrapping):
    """A policy that does nothing."""

    scheme = "plain"

    def open(self, edge: Edge) -> Channel:  # noqa: D102 - the transport's
        return Wrapper(self.transport.open(edge), edge, self)


def test_it_is_what_it_wraps() -> None:
    """Its capabilities, and the name in its own."""
    player = Player(capabilities=Capabilities(tags=3))
    assert Plain(player).capabilities == Capabilities(tags=3)
    assert str(Plain(Plain(player))) == "plain(plain(a://))"
    assert Plain(NullTransport()) == Plain(NullTransport())
    assert {Plain(NullTransport()): 1}[Plain(NullTransport())] == 1


@pytest.mark.parametrize("wrong", ["smtp://host", NullTransport, None, Path("x")])
def test_what_is_no_transport_is_refused(wrong: Any) -> None:
    """A URL is none, and neither is a class; the error says what to do."""
    with pytest.raises(ConfigurationError, match="Plain wraps transports, not"):
        Plain(wrong)


def test_a_policy_opens_its_own_channel() -> None:
    """The base cannot."""
    with pytest.raises(NotImplementedError):
        Wrapping(NullTransport()).open(SimulatedBlocking())


def test_everything_is_handed_on() -> None:
    """Messages, streams with their options, bytes, verifying and closing."""
    player = Player(is_all_or_nothing=True)
    edge = SimulatedBlocking()
    channel = Plain(player).open(edge)
    message = letter()
    assert run_sync(channel.send(message, Envelope.from_message(message))).transport == "a://"
    assert run_sync(channel.send_raw(b"x", Envelope(None, [ANN]))).transport == "a://"
    assert len(collect(channel, [message, message], connections=4, window=5)) == 2
    assert (player.streams, player.options) == ([2], [(4, 5)])
    assert run_sync(channel.verify()).transport == "a://"
    run_sync(channel.close())
    assert (player.verified, player.closed) == (1, 1)
    assert channel.is_all_or_nothing
    assert not channel.retries_by_itself
    assert str(channel.transport) == "plain(a://)"


def test_a_channel_without_a_value_of_its_own_has_that_inside() -> None:
    """As the retries of a mailer, which are no transport."""
    inner = Player().open(SimulatedBlocking())
    assert Wrapper(inner, SimulatedBlocking()).transport is inner.transport


class TestContract(TransportContract):
    """It keeps every promise of the transport inside."""

    def make_transport(self) -> Transport:
        """Round a fake."""
        self.fake = FakeTransport()
        return Plain(self.fake)

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"
