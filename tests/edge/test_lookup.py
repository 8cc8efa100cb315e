from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import dns.resolver
import pytest
from tests.colours import make_edge
from tests.name_server import NameServer
from tests.patience import patiently

from mailkit.edge import lookup
from mailkit.edge.records import AAAA, MX, SRV, TLSA, TXT, A, NameServers
from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.edge import Edge


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server."""
    with NameServer() as server:
        yield server


def ask(edge: Edge, names: NameServer, name: str, kind: Any, wait: float = 5.0, **options: Any) -> Any:
    """Return the coroutine of a look-up."""
    name_servers = NameServers([("127.0.0.1", names.port)], **options)
    return edge.resolve_records(name, kind, deadline=edge.now() + wait, name_servers=name_servers)


@pytest.mark.parametrize(
    ("kind", "text", "record"),
    [
        (A, "192.0.2.1", A("192.0.2.1")),
        (AAAA, "2001:db8::1", AAAA("2001:db8::1")),
        (MX, "10 mx.example.test.", MX(10, "mx.example.test")),
        (MX, "0 .", MX(0, ".")),
        (SRV, "1 2 465 mail.example.test.", SRV(1, 2, 465, "mail.example.test")),
        (TXT, '"v=STSv1; " "id=1"', TXT(b"v=STSv1; id=1")),
        (TLSA, "3 1 1 " + "ab" * 32, TLSA(3, 1, 1, b"\xab" * 32)),
    ],
)
def test_each_kind_of_record_becomes_a_value(
    kind: Any, text: str, record: object, edge: Edge, run: Any, names: NameServer
) -> None:
    """The record's fields arrive typed, names without a final dot, the strings of a text joined."""
    names.add("example.test", kind.__name__, text, ttl=77)
    answer = run(lambda: ask(edge, names, "example.test", kind))
    assert (answer.status, answer.records) == ("found", (record,))
    assert (answer.name, answer.canonical_name, answer.ttl) == ("example.test", "example.test", 77)
    assert not answer.authenticated


def test_a_name_that_is_not_there_is_an_answer(edge: Edge, run: Any, names: NameServer) -> None:
    """NXDOMAIN has a status of its own and no records."""
    answer = run(lambda: ask(edge, names, "nobody.test", MX))
    assert (answer.status, answer.records, answer.canonical_name) == ("no_name", (), "nobody.test")


def test_a_name_without_such_records_is_another_answer(edge: Edge, run: Any, names: NameServer) -> None:
    """NODATA is told apart from NXDOMAIN."""
    names.add("example.test", "A", "192.0.2.1")
    answer = run(lambda: ask(edge, names, "example.test", MX))
    assert (answer.status, answer.records) == ("no_records", ())


def test_aliases_are_followed_and_named(edge: Edge, run: Any, names: NameServer) -> None:
    """The canonical name is where the chain of CNAMEs ends, and the shortest time to live holds."""
    names.add("www.example.test", "CNAME", "host.example.test.", ttl=5)
    names.add("host.example.test", "A", "192.0.2.1", ttl=50)
    answer = run(lambda: ask(edge, names, "www.example.test", A))
    assert (answer.canonical_name, answer.records, answer.ttl) == ("host.example.test", (A("192.0.2.1"),), 5)


@pytest.mark.parametrize("fault", ["servfail", "refused"])
def test_a_name_server_that_fails_is_a_transient_failure(fault: Any, edge: Edge, run: Any, names: NameServer) -> None:
    """SERVFAIL and REFUSED are errors and no answers: not sent, may be tried again."""
    names.fail("example.test", fault)
    with pytest.raises(ConnectError, match="no name server could answer") as caught:
        run(lambda: ask(edge, names, "example.test", MX))
    error = caught.value
    assert (error.cause, error.phase, error.outcome, error.retryable) == ("transient", "resolve", "not_sent", True)


@pytest.mark.parametrize("fault", ["silence", "garbage"])
def test_a_name_server_that_does_not_answer_is_a_timeout(fault: Any, edge: Edge, run: Any, names: NameServer) -> None:
    """Silence ends at the deadline, and so does an answer that cannot be read, for a forged one must not end it."""
    names.fail("example.test", fault)

    def attempt(wait: float) -> None:
        began = edge.now()
        with pytest.raises((DeliveryTimeout, ConnectError)) as caught:
            run(lambda: ask(edge, names, "example.test", MX, wait=wait))
        assert caught.value.phase == "resolve"
        assert edge.now() - began < wait + 2.6
        assert isinstance(caught.value, DeliveryTimeout) or fault == "garbage"

    patiently(attempt, first=0.4)


def test_a_deadline_in_the_past_asks_nobody(edge: Edge, run: Any, names: NameServer) -> None:
    """No time left: a timeout, without a question."""
    with pytest.raises(DeliveryTimeout):
        run(lambda: ask(edge, names, "example.test", MX, wait=0.0))
    assert names.asked == []


def test_a_truncated_answer_is_asked_for_by_tcp(edge: Edge, run: Any, names: NameServer) -> None:
    """TC over UDP: the records come by TCP."""
    names.add("example.test", "MX", "10 mx.example.test.")
    names.fail("example.test", "truncate")
    answer = run(lambda: ask(edge, names, "example.test", MX))
    assert answer.records == (MX(10, "mx.example.test"),)
    assert len(names.asked) == 2


@pytest.mark.parametrize("name", ["example.test", "nobody.test"])
def test_the_ad_bit_of_a_name_server_on_loopback_is_believed(
    name: str, edge: Edge, run: Any, names: NameServer
) -> None:
    """Also for the answer that there is nothing; and a server that does not validate is believed by nobody."""
    names.authentic = True
    names.add("example.test", "MX", "10 mx.example.test.")
    assert run(lambda: ask(edge, names, name, MX)).authenticated
    assert not run(lambda: ask(edge, names, name, MX, validating=False)).authenticated
    names.authentic = False
    assert not run(lambda: ask(edge, names, name, MX, validating=True)).authenticated


@pytest.mark.parametrize(
    ("servers", "is_trusted"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.53", "::1"], True),
        (["127.0.0.1", "192.0.2.53"], False),
        (["https://dns.example/dns-query"], False),
    ],
)
def test_the_ad_bit_is_believed_only_from_this_machine(servers: list[str], is_trusted: bool) -> None:
    """Whoever is on the way to a server elsewhere could have set it."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = list(servers)
    assert lookup._is_trusted(resolver, None) is is_trusted


def test_the_systems_name_servers_are_asked_by_default(
    edge: Edge, run: Any, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without name_servers, what the system's configuration names is used."""
    names.add("example.test", "MX", "10 mx.example.test.")

    def read_resolv_conf(self: Any, path: Any) -> None:
        self.nameservers, self.port = ["127.0.0.1"], names.port

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", read_resolv_conf)
    answer = run(lambda: edge.resolve_records("example.test", MX, deadline=edge.now() + 5))
    assert answer.records == (MX(10, "mx.example.test"),)


def test_a_system_without_name_servers_is_a_configuration_failure(
    edge: Edge, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody to ask: not sent, and nobody tries again."""

    def read_resolv_conf(self: Any, path: Any) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", read_resolv_conf)
    with pytest.raises(ConnectError, match="names no name server") as caught:
        run(lambda: edge.resolve_records("example.test", MX, deadline=edge.now() + 5))
    assert (caught.value.cause, caught.value.phase) == ("configuration", "resolve")


@pytest.mark.parametrize(
    "name", ["", ".", "a b.test", "mx.test\r\nX", "b\u00fccher.test", "x" * 64 + ".test", "a..b", "@"]
)
def test_what_is_no_name_is_refused(name: str, edge: Edge, run: Any, names: NameServer) -> None:
    """A configuration error before any question."""
    with pytest.raises(ConfigurationError, match="is no name that DNS knows"):
        run(lambda: ask(edge, names, name, MX))
    assert names.asked == []


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_lookup_ends_at_once(colour: Any, names: NameServer) -> None:
    """The task goes on while the thread still waits for the name server."""
    names.fail("example.test", "silence")
    edge = make_edge(colour)

    async def conversation(wait: float) -> tuple[float, bool]:
        began = edge.now()
        with anyio.move_on_after(0.2) as scope:
            await ask(edge, names, "example.test", MX, wait=wait)
        return edge.now() - began, scope.cancelled_caught

    def attempt(wait: float) -> None:
        took, was_cancelled = anyio.run(conversation, wait, backend=colour)
        assert took < wait - 0.1
        assert was_cancelled

    patiently(attempt, first=1.0)
