"""Hosts by SRV and MX: their order, what is remembered, and whose certificate is wanted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.name_server import NameServer

from mailkit import ConnectError, DeliveryTimeout
from mailkit.edge.records import MX, SRV
from mailkit.smtp.discovery import LONGEST_MEMORY, MAX_HOSTS, Discovery, ServerHost, in_mx_order, in_srv_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.edge import Edge

DOMAIN = "example.test"


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server."""
    with NameServer() as server:
        yield server


def discovery(edge: Edge, names: NameServer, by: Any, **options: Any) -> Discovery:
    """Return the discovery of the domain."""
    return Discovery(edge, DOMAIN, by, **({"port": 25, "tls": None, "name_servers": names.name_servers} | options))


def hosts(run: Callable[..., Any], edge: Edge, found: Discovery) -> list[ServerHost]:
    """Return the hosts to try."""
    result: list[ServerHost] = run(lambda: found.hosts(edge.now() + 5))
    return result


def lowest(_below: int) -> int:
    """Draw the lowest number."""
    return 0


def highest(below: int) -> int:
    """Draw the highest number."""
    return below - 1


# -- order -------------------------------------------------------------------------------------------------------------


def test_mx_records_are_sorted_by_preference() -> None:
    """The lowest preference comes first."""
    records = [MX(20, "b"), MX(5, "a"), MX(30, "c")]
    assert [record.exchange for record in in_mx_order(records)] == ["a", "b", "c"]


def test_equal_mx_records_are_drawn() -> None:
    """Of two with one preference, each comes first at times (RFC 5321 §5.1)."""
    firsts = Counter(in_mx_order([MX(5, "a"), MX(5, "b"), MX(9, "c")])[0].exchange for _ in range(200))
    assert firsts.keys() == {"a", "b"}


def test_srv_records_are_sorted_by_priority_and_drawn_by_weight() -> None:
    """Within a priority, the draw falls into the running sum of the weights (RFC 2782)."""
    records = [SRV(1, 10, 1, "a"), SRV(1, 30, 2, "b"), SRV(0, 0, 3, "z")]
    assert [record.target for record in in_srv_order(records, lowest)] == ["z", "a", "b"]
    assert [record.target for record in in_srv_order(records, highest)] == ["z", "b", "a"]


@pytest.mark.parametrize(("mark", "first"), [(0, "z"), (1, "a"), (2, "b"), (3, "b"), (4, "b")])
def test_the_weights_are_shares(mark: int, first: str) -> None:
    """Of the numbers up to the sum, each record has as many as its weight, and weight 0 has the zero."""
    records = [SRV(1, 3, 2, "b"), SRV(1, 0, 3, "z"), SRV(1, 1, 1, "a")]
    assert in_srv_order(records, lambda below: min(mark, below - 1))[0].target == first


@given(st.lists(st.builds(SRV, st.integers(0, 3), st.integers(0, 5), st.integers(1, 9), st.sampled_from("abc"))))
def test_every_record_comes_once_and_priorities_in_order(records: list[SRV]) -> None:
    """Whatever is drawn, nothing is lost, nothing doubled, and no priority comes before a lower one."""
    order = in_srv_order(records)
    assert Counter(order) == Counter(records)
    assert [record.priority for record in order] == sorted(record.priority for record in records)


# -- SRV ---------------------------------------------------------------------------------------------------------------


def test_implicit_tls_is_preferred(names: NameServer, edge: Edge, run: Any) -> None:
    """Hosts for TLS from the first byte come before those for STARTTLS, each with its port (RFC 8314 §5.1)."""
    names.add(f"_submission._tcp.{DOMAIN}", "SRV", "0 1 587 start.example.test.")
    names.add(f"_submissions._tcp.{DOMAIN}", "SRV", "9 1 465 tls.example.test.", "5 1 4650 first.example.test.")
    assert hosts(run, edge, discovery(edge, names, "srv")) == [
        ServerHost(host="first.example.test", port=4650, security="implicit"),
        ServerHost(host="tls.example.test", port=465, security="implicit"),
        ServerHost(host="start.example.test", port=587, security="starttls"),
    ]


@pytest.mark.parametrize(
    ("tls", "port"), [("implicit", 465), ("starttls", 587), ("insecure", 587), ("opportunistic", 587)]
)
def test_a_tls_policy_selects_the_service(tls: Any, port: int, names: NameServer, edge: Edge, run: Any) -> None:
    """Where the transport says how to get TLS, only that service is asked for, and the policy stays its own."""
    names.add(f"_submission._tcp.{DOMAIN}", "SRV", "0 1 587 mail.example.test.")
    names.add(f"_submissions._tcp.{DOMAIN}", "SRV", "0 1 465 mail.example.test.")
    assert hosts(run, edge, discovery(edge, names, "srv", tls=tls)) == [ServerHost(host="mail.example.test", port=port)]
    assert len(names.asked) == 1


@pytest.mark.parametrize(
    "target", [None, "0 0 0 .", "0 0 587 .", "0 0 0 mail.example.test.", "0 0 587 a\\013b.example.test."]
)
def test_a_domain_without_the_service_is_a_configuration_failure(
    target: str | None, names: NameServer, edge: Edge, run: Any
) -> None:
    """No record, the record that says "not here", and targets that no host can have: nobody tries again by itself."""
    if target is not None:
        names.add(f"_submission._tcp.{DOMAIN}", "SRV", target)
    with pytest.raises(ConnectError, match="names no host that takes mail by SRV") as caught:
        hosts(run, edge, discovery(edge, names, "srv"))
    assert (caught.value.cause, caught.value.phase) == ("configuration", "resolve")


def test_one_service_that_cannot_be_asked_for_does_not_hide_the_other(names: NameServer, edge: Edge, run: Any) -> None:
    """SERVFAIL for one and records for the other: those are used, and the next time both are asked for again."""
    names.fail(f"_submissions._tcp.{DOMAIN}", "servfail")
    names.add(f"_submission._tcp.{DOMAIN}", "SRV", "0 1 587 mail.example.test.")
    found = discovery(edge, names, "srv")
    assert [host.port for host in hosts(run, edge, found)] == [587]
    asked = len(names.asked)
    hosts(run, edge, found)
    assert len(names.asked) > asked


@pytest.mark.parametrize(("fault", "error"), [("servfail", ConnectError), ("silence", DeliveryTimeout)])
def test_name_servers_that_fail_are_a_transient_failure(
    fault: Any, error: type[Exception], names: NameServer, edge: Edge, run: Any
) -> None:
    """Without an answer, nothing is known, and a later try may do better."""
    for service in ("_submissions", "_submission"):
        names.fail(f"{service}._tcp.{DOMAIN}", fault)
    with pytest.raises(error) as caught:
        run(lambda: discovery(edge, names, "srv").hosts(edge.now() + (0.5 if fault == "silence" else 10)))
    assert (caught.value.cause, caught.value.phase) == ("transient", "resolve")  # type: ignore[attr-defined]


# -- MX ----------------------------------------------------------------------------------------------------------------


def test_mail_exchangers_come_in_order(names: NameServer, edge: Edge, run: Any) -> None:
    """By preference, all with the transport's port."""
    names.add(DOMAIN, "MX", "20 b.example.test.", "10 a.example.test.")
    assert hosts(run, edge, discovery(edge, names, "mx", port=2525)) == [
        ServerHost(host="a.example.test", port=2525),
        ServerHost(host="b.example.test", port=2525),
    ]


@pytest.mark.parametrize("kind", [None, "A"])
def test_a_domain_without_mx_is_its_own_host(kind: str | None, names: NameServer, edge: Edge, run: Any) -> None:
    """RFC 5321 §5.1."""
    if kind:
        names.add(DOMAIN, "A", "192.0.2.1")
    assert hosts(run, edge, discovery(edge, names, "mx")) == [ServerHost(host=DOMAIN, port=25)]


def test_a_null_mx_means_no_mail(names: NameServer, edge: Edge, run: Any) -> None:
    """RFC 7505: nothing is tried instead."""
    names.add(DOMAIN, "MX", "0 .")
    with pytest.raises(ConnectError, match="names no host that takes mail by MX") as caught:
        hosts(run, edge, discovery(edge, names, "mx"))
    assert caught.value.cause == "configuration"


def test_no_more_than_ten_hosts_are_tried(names: NameServer, edge: Edge, run: Any) -> None:
    """A domain with hundreds of records does not keep us busy."""
    names.add(DOMAIN, "MX", *(f"{number} mx{number}.example.test." for number in range(40)))
    assert len(hosts(run, edge, discovery(edge, names, "mx"))) == MAX_HOSTS


# -- memory and trust --------------------------------------------------------------------------------------------------


def test_an_answer_is_remembered_for_its_time_to_live(names: NameServer, edge: Edge, run: Any) -> None:
    """It is asked for again when the shortest time to live is over, and after an hour at the latest."""
    now = edge.now()
    edge.now = lambda: now  # type: ignore[method-assign]
    names.add(DOMAIN, "MX", "10 a.example.test.", ttl=60)
    found = discovery(edge, names, "mx")
    for later, asked in ((0.0, 1), (59.0, 1), (61.0, 2)):
        edge.now = lambda later=later: now + later  # type: ignore[method-assign]
        hosts(run, edge, found)
        assert len(names.asked) == asked
    names.add(DOMAIN, "MX", "10 a.example.test.", ttl=999_999)
    edge.now = lambda: now + 200  # type: ignore[method-assign]
    hosts(run, edge, found)
    edge.now = lambda: now + 200 + LONGEST_MEMORY + 1  # type: ignore[method-assign]
    hosts(run, edge, found)
    assert len(names.asked) == 4


@pytest.mark.parametrize(
    ("target", "authentic", "certificate_name"),
    [
        ("mail.example.test", False, None),
        ("MAIL.Example.TEST", False, None),
        ("example.test", False, None),
        ("mail.provider.test", False, DOMAIN),
        ("evilexample.test", False, DOMAIN),
        ("mail.provider.test", True, None),
    ],
)
@pytest.mark.parametrize("by", ["srv", "mx"])
def test_who_can_forge_an_answer_cannot_choose_the_certificate(
    by: Any, target: str, authentic: bool, certificate_name: str | None, names: NameServer, edge: Edge, run: Any
) -> None:
    """A host outside of the domain needs the domain's certificate (RFC 6186 §6), unless DNSSEC vouches for it."""
    names.authentic = authentic
    names.add(DOMAIN, "MX", f"10 {target}.")
    names.add(f"_submissions._tcp.{DOMAIN}", "SRV", f"0 1 465 {target}.")
    found = hosts(run, edge, discovery(edge, names, by))
    assert [host.certificate_name for host in found] == [certificate_name]
