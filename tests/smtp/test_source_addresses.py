"""From which address each new connection comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.smtp.letters import Post, letter

from mailkit import ConfigurationError, ConnectError
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.source_addresses import LEFT_OUT, SourceAddresses, check_source_address
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from tests.colours import Colour

FOREIGN = "192.0.2.77"  # RFC 5737: nobody's
ONE_EACH = PoolLimits(max_messages=1)  # so that each message gets a new connection


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.time


def test_addresses_take_turns() -> None:
    """Each choice is the next one, and after the last comes the first."""
    sources = SourceAddresses(("192.0.2.1", "192.0.2.2", "192.0.2.3"), Clock())
    assert [sources.choose() for _ in range(4)] == [("192.0.2.1",), ("192.0.2.2",), ("192.0.2.3",), ("192.0.2.1",)]
    assert sources.most == 3


def test_each_family_has_turns_of_its_own() -> None:
    """One of IPv4 and one of IPv6: the destination decides which is used."""
    sources = SourceAddresses(("192.0.2.1", "2001:db8::1", "192.0.2.2"), Clock())
    assert [sources.choose() for _ in range(2)] == [("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::1")]
    assert sources.most == 2


@pytest.mark.parametrize("given", [None, "192.0.2.1"])
def test_one_or_none_is_no_choice(given: str | None) -> None:
    """There is one choice, always the same, also after a failure."""
    sources = SourceAddresses(given, Clock())
    chosen = sources.choose()
    assert chosen == (() if given is None else (given,))
    sources.note_failure(chosen)
    assert (sources.choose(), sources.most) == (chosen, 1)


def test_what_failed_is_left_out_for_a_while() -> None:
    """Its turns go to the next one, until the time is over."""
    clock = Clock()
    sources = SourceAddresses(("192.0.2.1", "192.0.2.2", "192.0.2.3"), clock)
    sources.note_failure(("192.0.2.2",))
    assert [sources.choose()[0][-1] for _ in range(6)] == ["1", "3", "3", "1", "3", "3"]
    clock.time += LEFT_OUT
    assert [sources.choose()[0][-1] for _ in range(3)] == ["1", "2", "3"]


def test_when_all_have_failed_none_is_to_blame() -> None:
    """A server that is down must not leave one address alone with all the work when it comes back."""
    sources = SourceAddresses(("192.0.2.1", "192.0.2.2"), Clock())
    for _ in range(2):
        sources.note_failure(sources.choose())
    assert [sources.choose()[0][-1] for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("127.0.0.2", "127.0.0.2"),
        (["127.0.0.2", "::1"], ("127.0.0.2", "::1")),
        ((each for each in ["127.0.0.2"]), ("127.0.0.2",)),
    ],
)
def test_one_or_several_may_be_given(given: Any, kept: object) -> None:
    """One stays as it is, several become a tuple."""
    assert check_source_address(given) == kept


@pytest.mark.parametrize("given", ["", "localhost", "127.0.0.2 ", [], ["127.0.0.2", "127.0.0.2"], ["127.0.0.2", "x"]])
def test_what_is_no_source_address_is_refused(given: Any) -> None:
    """A name, nothing at all and the same twice are configuration errors of the transport."""
    with pytest.raises(ConfigurationError, match="source_address"):
        SMTP("mail.example.com", source_address=given)


def test_a_url_lists_them_with_commas() -> None:
    """One is a text, several are a tuple."""
    one = transport_from_url("smtp://mail.example.com?source_address=192.0.2.1")
    several = transport_from_url("smtp://mail.example.com?source_address=192.0.2.1,2001:db8::1")
    assert isinstance(one, SMTP)
    assert isinstance(several, SMTP)
    assert one.source_address == "192.0.2.1"
    assert several.source_address == ("192.0.2.1", "2001:db8::1")


def test_the_server_sees_each_in_turn(colour: Colour) -> None:
    """Four connections come from three addresses."""
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    with SMTPServer() as server, Post.to(server, colour, source_address=addresses, pool=ONE_EACH) as post:
        for number in range(4):
            post.send(letter(number))
        assert [connection.peer for connection in server.connections] == [*addresses, addresses[0]]


def test_an_address_that_is_not_ours_is_passed_over(colour: Colour) -> None:
    """The message goes from the next one at once, and later ones do not try it again for a while."""
    addresses = [FOREIGN, "127.0.0.3"]
    with SMTPServer() as server, Post.to(server, colour, source_address=addresses, pool=ONE_EACH) as post:
        for number in range(3):
            assert post.send(letter(number)).attempts == 1
        assert [connection.peer for connection in server.connections] == ["127.0.0.3"] * 3


def test_when_no_address_will_do_it_is_a_configuration_failure(colour: Colour) -> None:
    """Every one was tried: not sent, nobody tries again by itself, and the message names an address."""
    with SMTPServer() as server, Post.to(server, colour, source_address=[FOREIGN, "192.0.2.78"]) as post:
        error: Any = post.attempt(letter())
        assert isinstance(error, ConnectError)
        assert (error.cause, error.phase, error.outcome) == ("configuration", "bind", "not_sent")
        assert "192.0.2.7" in str(error)
        assert server.connections == ()


def test_a_server_that_refuses_is_not_asked_from_everywhere(colour: Colour) -> None:
    """A refused connection is the server's doing: the next address is not tried for the same message."""
    with SMTPServer() as server, Post.to(server, colour, source_address=["127.0.0.2", "127.0.0.3"]) as post:
        server.close()
        error: Any = post.attempt(letter())
        assert isinstance(error, ConnectError)
        assert (error.cause, error.phase) == ("transient", "connect")
        assert "127.0.0.2" in str(error)
        assert "127.0.0.3" not in str(error)
