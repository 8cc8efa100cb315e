"""What is asked of name servers, how often, and what their answers are taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.colours import run_in
from tests.mx.world import BOB, World

from mailkit.edge.records import MX
from mailkit.mx.names import LONGEST_MEMORY, HostRecords, Names, Route, Unroutable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def names(world: World) -> Names:
    """Names as the world's name server tells them."""
    return Names(world.edge, deadline=lambda: world.edge.now() + 5.0, port=25, name_servers=world.dns.servers)


@pytest.fixture
def world() -> Iterator[World]:
    """One colour is enough here; the channel's tests have all three."""
    with World() as world:
        yield world


def test_exchangers_are_told_in_lower_case_and_once(world: World, names: Names) -> None:
    """The same host written twice is one."""
    world.dns.add("example.org", "MX", "20 B.example.org.", "10 a.example.org.", "10 A.Example.ORG.")
    route = run_in("blocking", names.route, "example.org")
    assert route == Route(
        exchangers=(MX(10, "a.example.org"), MX(20, "b.example.org")),
        authenticated=False,
    )


@pytest.mark.parametrize("authentic", [True, False])
def test_dnssec_vouches_for_the_absence_of_exchangers_too(world: World, names: Names, authentic: bool) -> None:
    """That a domain is its own exchanger is authentic if the empty answer was."""
    world.dns.authentic = authentic
    world.dns.add("example.org", "A", "127.0.0.2")
    route = run_in("blocking", names.route, "example.org")
    assert route == Route(exchangers=(MX(0, "example.org"),), authenticated=authentic)


def test_an_unroutable_domain_says_why(names: Names) -> None:
    """No such name: 5.1.2."""
    route = run_in("blocking", names.route, "gone.example.org")
    assert isinstance(route, Unroutable)
    assert (route.enhanced_code, "gone.example.org" in route.why) == ("5.1.2", True)


def test_addresses_take_turns(world: World, names: Names) -> None:
    """IPv6 and IPv4 alternate, so that a family that does not work costs one attempt at a time."""
    world.dns.add("mx.test", "AAAA", "2001:db8::1", "2001:db8::2")
    world.dns.add("mx.test", "A", "192.0.2.1")
    records = _host(names, "mx.test")
    assert [":" in address for address in records.addresses] == [True, False, True]
    assert records.tlsa == ()


def _host(names: Names, name: str, *, is_secure: bool = False) -> HostRecords:
    async def ask() -> HostRecords:
        return await names.host(name, is_secure=is_secure)

    return run_in("blocking", ask)


def test_answers_are_kept_for_their_time_to_live(world: World, names: Names) -> None:
    """Within the TTL no question is asked twice; after it, each is asked again."""
    world.dns.ttl = 60
    world.dns.authentic = True
    world.dns.add("example.org", "MX", "10 mx.test.")
    world.dns.add("mx.test", "A", "127.0.0.2")
    for seconds, times in ((0, 1), (59, 1), (2, 2)):
        world.later(seconds)
        for _ in range(2):
            run_in("blocking", names.route, "example.org")
            _host(names, "mx.test", is_secure=True)
        assert [world.dns.count(kind) for kind in ("MX", "A", "AAAA", "TLSA")] == [times] * 4


def test_answers_are_not_kept_for_ever(world: World, names: Names) -> None:
    """A week's TTL is five minutes here."""
    world.dns.ttl = 604_800
    world.dns.add("example.org", "MX", "10 mx.test.")
    run_in("blocking", names.route, "example.org")
    world.later(LONGEST_MEMORY - 1)
    run_in("blocking", names.route, "example.org")
    assert world.dns.count("MX") == 1
    world.later(2)
    run_in("blocking", names.route, "example.org")
    assert world.dns.count("MX") == 2


def test_what_was_learnt_without_dnssec_is_not_believed_with_it(world: World, names: Names) -> None:
    """A host that was looked up for an unsigned domain is looked up again, TLSA included, for a signed one."""
    world.dns.ttl = 60
    world.dns.authentic = True
    world.dns.add("mx.test", "A", "127.0.0.2")
    world.dns.add("_25._tcp.mx.test", "TLSA", "3 1 1 " + "00" * 32)
    assert not _host(names, "mx.test").tlsa
    assert _host(names, "mx.test", is_secure=True).tlsa_base == "mx.test"


def test_no_tlsa_records_are_asked_for_without_dnssec(world: World) -> None:
    """Unsigned domains cost no questions that lead nowhere."""
    world.server("mx.test")
    world.domain("example.org", "mx.test")
    world.send(BOB)
    assert world.dns.count("TLSA") == 0
