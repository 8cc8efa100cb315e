"""Weighted round robin: everybody has his share of the turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.policies.cast import Player, collect, letter
from tests.policies.clock import SimulatedBlocking

from mailkit.edge.base import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError
from mailkit.local import NullTransport
from mailkit.policies.circuit import Breaker
from mailkit.policies.weighted import Weighted
from mailkit.testing import Delivered, FakeTransport, TransportContract

if TYPE_CHECKING:
    from mailkit.transport import Transport


def _takers(transport: Transport, count: int) -> str:
    channel = transport.open(SimulatedBlocking())

    async def send() -> str:
        takers = ""
        for number in range(count):
            message = letter(number=number)
            takers += (await channel.send(message, Envelope.from_message(message))).transport[0]
        return takers

    return run_sync(send())


def test_weights_decide_who_has_how_many_turns() -> None:
    """Three of four, evenly spread, and nothing is random."""
    a, b = Player(name="a"), Player(name="b")
    assert _takers(Weighted({a: 3, b: 1}), 8) == "aabaaaba"
    assert _takers(Weighted([(a, 1), (b, 1)]), 4) == "abab"
    assert _takers(Weighted([(a, 2000), (b, 1000)]), 6) == "abaaba"


def test_one_transport_may_be_there_twice() -> None:
    """Pairs may name the same transport more than once."""
    fake = FakeTransport()
    assert _takers(Weighted([(fake, 1), (fake, 2)]), 3) == "fff"


def test_who_is_down_hands_its_turns_to_the_others() -> None:
    """To those whose turns come next."""
    a, b, c = Player(name="a", acts=["refused"]), Player(name="b"), Player(name="c")
    takers = _takers(Weighted({a: 4, b: 2, c: 1}, breaker=Breaker(failures=1)), 70)
    assert len(a.asked) == 1
    assert takers.count("b") > takers.count("c") >= 20


def test_a_stream_is_shared_out_by_weight() -> None:
    """Each share is a stream of its own."""
    a, b = Player(name="a"), Player(name="b")
    outcomes = collect(Weighted({a: 3, b: 1}).open(SimulatedBlocking()), [letter(number=each) for each in range(100)])
    assert "".join(outcome.receipt.transport[0] for outcome in outcomes if outcome.receipt) == "aaba" * 25
    assert (a.streams, b.streams) == ([75], [25])


@pytest.mark.parametrize(
    "wrong",
    [{}, {NullTransport(): 0}, {NullTransport(): -1}, {NullTransport(): 1.5}, {NullTransport(): "3"},
     [NullTransport()], [(NullTransport(), 1, 2)], [(1, NullTransport())], [("smtp://host", 1)], 3,
     [(NullTransport(), 99991), (NullTransport(), 99989)]],
)  # fmt: skip
def test_weights_that_make_no_sense_are_refused(wrong: Any) -> None:
    """Positive whole numbers for transports, and no round of a hundred thousand turns."""
    with pytest.raises(ConfigurationError):
        Weighted(wrong)


def test_it_is_a_value() -> None:
    """It can be compared, and says what it is."""
    assert Weighted({NullTransport(): 3}) == Weighted([(NullTransport(), 3)])
    assert hash(Weighted({NullTransport(): 3})) == hash(Weighted([(NullTransport(), 3)]))
    assert str(Weighted([(NullTransport(), 3)], breaker=None)) == "weighted(3*null://)?breaker=off"
    assert Weighted({NullTransport(): 3}).capabilities == NullTransport().capabilities


class TestContract(TransportContract):
    """Weighted round robin keeps every promise of a transport."""

    def make_transport(self) -> Transport:
        """Turns of one fake, so that what arrives has an order."""
        self.fake = FakeTransport()
        return Weighted({self.fake: 2})

    def delivered(self) -> list[Delivered]:
        """What the fake has."""
        return [Delivered(content=sent.raw) for sent in self.fake.outbox]

    def name_of(self, transport: Transport) -> str:
        """The fake's name."""
        del transport
        return "fake://"
