"""From exchanger to exchanger: which host is tried, when the next one is, and what that makes of the recipients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.mx.world import BOB, World, letter, statuses

from mailkit import (
    ConnectError,
    DeliveryTimeout,
    Envelope,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.mx.host import Host
from mailkit.smtp import PoolLimits
from mailkit.testing import CloseAfter, Disconnect

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.smtp.content import Content


def two_hosts(world: World, *preferences: int, **options: Any) -> None:
    """Publish two exchangers of example.org."""
    for number, preference in enumerate(preferences or (10, 20), 1):
        world.server(f"mx{number}.example.org", **options)
        world.dns.add("example.org", "MX", f"{preference} mx{number}.example.org.")


# Order (RFC 5321 §5.1)


def test_the_lowest_preference_is_first(world: World) -> None:
    """The exchanger with the lower number gets the message, whatever the order of the records."""
    two_hosts(world, 20, 10)
    world.send(BOB)
    assert world.received() == [0, 1]


@pytest.mark.parametrize(("drawn", "received"), [((1, 2), [1, 0]), ((2, 1), [0, 1])])
def test_equal_preferences_are_shuffled(drawn: tuple[int, int], received: list[int]) -> None:
    """Among exchangers of one preference chance decides."""
    with World() as world:
        two_hosts(world, 10, 10)
        numbers = list(drawn)
        # Name servers may answer in any order; the dice are thrown in that of the answer.
        world.open(draw=lambda _limit: numbers.pop(0))
        world.send(BOB)
        assert world.received() == received


def test_without_mx_the_domain_is_its_own_exchanger(world: World) -> None:
    """A domain that has only an address gets its mail there."""
    server = world.server("example.org")
    assert statuses(world.send(BOB)) == ["accepted"]
    assert server.accepted_count == 1


def test_an_alias_of_a_domain_leads_to_the_other_s_exchangers(world: World) -> None:
    """A CNAME is followed to the MX records behind it; the recipient keeps the domain that was written."""
    server = world.server("mx.elsewhere.test")
    world.dns.add("example.org", "CNAME", "elsewhere.test.")
    world.domain("elsewhere.test", "mx.elsewhere.test")
    world.send(BOB)
    assert server.messages[0].rcpt_to == (BOB,)


def test_an_international_domain_is_asked_for_in_a_labels(world: World) -> None:
    """Name servers are asked for what DNS knows."""
    server = world.server("mx.test")
    world.domain("xn--fa-hia.test", "mx.test")
    assert statuses(world.send("jane@faß.test")) == ["accepted"]
    assert server.messages[0].rcpt_to == ("jane@xn--fa-hia.test",)


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_an_address_literal_is_connected_to(world: World, address: str) -> None:
    """Mail for ``user@[192.0.2.1]`` goes to that address, and no name server is asked."""
    server = world.server("mx.test", host=address)
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    assert statuses(world.send(f"bob@{literal}")) == ["accepted"]
    assert server.messages[0].rcpt_to == (f"bob@{literal}",)
    assert not world.dns.asked


def test_both_families_of_a_host_are_tried(world: World) -> None:
    """A host whose IPv6 address does not answer is reached by IPv4."""
    server = world.server("mx.example.org")
    world.dns.add("mx.example.org", "AAAA", "::1")
    world.domain("example.org", "mx.example.org")
    assert statuses(world.send(BOB)) == ["accepted"]
    assert server.accepted_count == 1


# The next host


@pytest.mark.parametrize("fault", ["421 4.3.2 busy", "554 5.3.2 go away", Disconnect(), "refused"])
def test_a_host_that_does_not_serve_us_is_passed_over(world: World, fault: Any) -> None:
    """After a refused connection, an end or a 4xx or 5xx greeting the next exchanger gets the message."""
    two_hosts(world)
    if fault == "refused":
        world.servers[0].close()
    else:
        world.servers[0].script("greeting", fault, times=None)
    assert statuses(world.send(BOB)) == ["accepted"]
    assert world.servers[1].accepted_count == 1


@pytest.mark.parametrize(
    ("phase", "reply", "status"),
    [
        ("MAIL", "550 5.7.1 no", "rejected"),
        ("MAIL", "451 4.3.0 later", "deferred"),
        ("RCPT", "550 5.1.1 nobody", "rejected"),
        ("RCPT", "450 4.2.1 greylisted", "deferred"),
        ("DOT", "554 5.7.1 spam", "rejected"),
        ("DOT", "451 4.3.0 disk full", "deferred"),
    ],
)
def test_a_host_that_has_decided_is_the_last_one(phase: Any, reply: str, status: str) -> None:
    """What one exchanger says of sender, recipient or message is not asked of the next one in the same call."""
    with World() as world:
        two_hosts(world)
        world.servers[0].script(phase, reply, times=None)
        assert statuses(world.attempt(BOB)) == [status]
        assert not world.servers[1].connections


def test_after_the_commit_point_no_other_host_is_tried(world: World) -> None:
    """A connection that is lost when the answer to the content is due leaves a doubt, not a second copy."""
    two_hosts(world)
    world.servers[0].script("DOT", Disconnect(), times=None)
    assert statuses(world.attempt(BOB)) == ["unknown"]
    assert not world.servers[1].connections


@pytest.mark.parametrize("fault", [CloseAfter("421 4.3.2 shutting down"), Disconnect()])
def test_a_host_that_hangs_up_before_the_commit_point_is_passed_over(world: World, fault: Any) -> None:
    """A connection that ends at MAIL has decided nothing: the next exchanger gets the message."""
    two_hosts(world, without=("PIPELINING", "CHUNKING"))
    world.servers[0].script("MAIL", fault, times=None)
    assert statuses(world.send(BOB)) == ["accepted"]
    assert world.servers[1].accepted_count == 1


def test_only_those_who_are_undecided_go_on_to_the_next_host(world: World) -> None:
    """Of two recipients the rejected one stays so; the one whom nobody asked for is tried at the next exchanger."""
    two_hosts(world, without=("PIPELINING", "CHUNKING"))
    world.servers[0].script("RCPT", "550 5.1.1 nobody", match="a@example.org")
    world.servers[0].script("RCPT", CloseAfter("421 4.3.2 shutting down"), match="b@example.org")
    receipt = world.send("a@example.org", "b@example.org")
    assert statuses(receipt) == ["rejected", "accepted"]
    assert world.servers[1].messages[0].rcpt_to == ("b@example.org",)


def test_a_421_that_no_other_host_makes_up_for_is_told(world: World) -> None:
    """The only exchanger says 421: not sent, with its words, and to be tried again."""
    server = world.server("mx.example.org", without=("PIPELINING", "CHUNKING"))
    world.domain("example.org", "mx.example.org")
    server.script("MAIL", CloseAfter("421 4.3.2 shutting down"), times=None)
    error = world.attempt(BOB)
    assert isinstance(error, TransientError)
    assert (error.outcome, error.retryable) == ("not_sent", True)
    assert (error.recipients[0].code, error.recipients[0].text) == (421, "shutting down")


def test_when_no_host_is_left_each_one_s_failure_is_told(world: World) -> None:
    """The error names every exchanger with what was wrong with it, and has the type of one that leaves hope."""
    two_hosts(world)
    world.servers[0].script("greeting", "554 5.3.2 go away", times=None)
    world.servers[1].close()
    error = world.attempt(BOB)
    assert isinstance(error, ConnectError)
    assert (error.outcome, error.cause, error.phase) == ("not_sent", "transient", "connect")
    assert "no mail exchanger of example.org took the message" in str(error)
    assert "mx1.example.org: the server does not take mail from us: 554" in str(error)
    assert "mx2.example.org: cannot connect" in str(error)
    assert "mx1.example.org" in error.recipients[0].text


def test_when_every_host_sends_us_away_trying_again_is_no_use(world: World) -> None:
    """A 5xx greeting everywhere is a matter of our address or name: not sent, and not retried."""
    two_hosts(world)
    for server in world.servers:
        server.script("greeting", "554 5.7.1 blocked", times=None)
    error = world.attempt(BOB)
    assert isinstance(error, RejectedError)
    assert (error.outcome, error.cause, error.retryable) == ("not_sent", "configuration", False)
    assert error.reply is not None
    assert error.reply.code == 554


def test_at_most_ten_hosts_are_tried() -> None:
    """Whoever publishes a hundred exchangers does not keep us busy with them."""
    with World(timeout=60.0) as world:
        for number in range(30):
            world.dns.add("example.org", "MX", f"{number} mx{number}.example.org.")
            world.dns.add(f"mx{number}.example.org", "A", "127.0.0.99")
        world.attempt(BOB)
        assert {name for name, kind in world.dns.asked if kind == "A"} == {f"mx{n}.example.org" for n in range(10)}


@pytest.mark.parametrize(("hosts", "seconds"), [(1, 20.0), (2, 10.0), (4, 5.0), (9, 5.0)])
def test_hosts_share_the_time_for_connecting(hosts: int, seconds: float) -> None:
    """Where nobody answers, the hosts of a domain take the timeout together, and not one each."""
    with World(timeout=20.0) as world:
        for number in range(hosts):
            world.dns.add("example.org", "MX", f"{number} mx{number}.example.org.")
            world.dns.add(f"mx{number}.example.org", "A", "127.0.0.99")
        allowed: list[float] = []

        async def nobody(host: str, port: int, *, deadline: float, **_: Any) -> None:
            allowed.append(deadline - world.edge.now())
            raise DeliveryTimeout("nobody answers")

        world.edge.connect_tcp = nobody  # type: ignore[assignment, method-assign]
        world.attempt(BOB)
        assert allowed == pytest.approx([seconds] * hosts, abs=2.4)


def test_what_the_host_says_is_too_large_is_rejected(world: World) -> None:
    """A message beyond the host's SIZE is rejected without a byte of it, and no other host is asked."""
    two_hosts(world, max_size=1000)
    error = world.attempt(message=letter(text="x" * 5000))
    assert isinstance(error, RejectedError)
    assert error.outcome == "rejected"
    assert error.cause is None
    assert not world.servers[1].connections


def test_our_own_rate_is_no_reason_to_bother_the_next_host(world: World) -> None:
    """A message beyond the pool's rate waits for its exchanger: it does not go to the backup instead."""
    two_hosts(world)
    world.open(pool=PoolLimits(messages_per_second=0.01, acquire_timeout=0.1))
    world.send(BOB)
    error = world.attempt(BOB)
    assert isinstance(error, RateLimitedError)
    assert (error.outcome, error.cause) == ("not_sent", "throttled")
    assert error.retry_after is not None
    assert error.retry_after > 90
    assert not world.servers[1].connections


def test_a_setting_that_cannot_be_used_is_a_result_like_every_other(world: World, tmp_path: Path) -> None:
    """Authorities that cannot be read concern the domain with a policy; the other domain's recipient is accepted."""
    for domain in ("example.org", "example.net"):
        world.server(f"mx.{domain}", tls="starttls")
        world.domain(domain, f"mx.{domain}")
    world.policy("example.org", "mx.example.org")
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(world.servers[0].ca_file.read_bytes())
    world.open(ca_file=ca_file, pool=PoolLimits(max_messages=1))
    assert statuses(world.send(BOB)) == ["accepted"]
    ca_file.unlink()
    world.edge._contexts.clear()  # type: ignore[attr-defined]
    receipt = world.send(BOB, "eve@example.net")
    assert statuses(receipt) == ["not_sent", "accepted"]
    assert "ca_file" in receipt.recipients[0].text
    error = world.attempt(BOB)
    assert isinstance(error, ConnectError)
    assert (error.cause, error.retryable) == ("configuration", False)


def test_a_literal_that_does_not_answer_is_not_sent_to(world: World) -> None:
    """Nobody at the address: as with any other host."""
    world.server("mx.test")
    error = world.attempt("bob@[127.0.0.99]")
    assert isinstance(error, ConnectError)
    assert (error.outcome, error.cause) == ("not_sent", "transient")


@pytest.mark.parametrize("authentic", [True, False])
def test_the_longest_domain_gets_mail(world: World, authentic: bool) -> None:
    """A name that leaves no room for the prefixes of DANE and MTA-STS has neither, and gets its mail."""
    name = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 55))
    world.dns.authentic = authentic
    world.server(name, hostname="mx.test")
    assert len(name) == 247
    assert statuses(world.send(f"bob@{name}")) == ["accepted"]


# Nobody to go to


def test_a_domain_that_does_not_exist_is_rejected_here(world: World) -> None:
    """NXDOMAIN: rejected with 5.1.2, because of a setting, and not retried."""
    error = world.attempt(BOB)
    assert isinstance(error, RejectedError)
    assert (error.cause, error.phase, error.retryable) == ("configuration", "resolve", False)
    result = error.recipients[0]
    assert (result.status, result.code, result.enhanced_code, result.phase) == ("rejected", None, "5.1.2", "resolve")


@pytest.mark.parametrize("records", [["0 ."], ["0 .", "10 ."]])
def test_a_null_mx_is_respected(world: World, records: list[str]) -> None:
    """A domain that says that it takes no mail is believed, although it has an address (RFC 7505)."""
    server = world.server("example.org")
    world.dns.add("example.org", "MX", *records)
    error = world.attempt(BOB)
    assert isinstance(error, RejectedError)
    assert error.recipients[0].enhanced_code == "5.1.10"
    assert not server.connections


def test_a_null_mx_beside_others_is_passed_over(world: World) -> None:
    """A root name among real exchangers counts for nothing."""
    server = world.server("mx.example.org")
    world.dns.add("example.org", "MX", "0 .", "10 mx.example.org.")
    world.send(BOB)
    assert server.accepted_count == 1


@pytest.mark.parametrize("target", ["gone.example.org.", "text.example.org.", r"bad\032name.example.org."])
def test_a_target_without_address_is_passed_over(world: World, target: str) -> None:
    """An exchanger that does not exist, has no address or cannot even be asked for does not stop the next one."""
    server = world.server("mx.example.org")
    world.dns.add("text.example.org", "TXT", '"no address"')
    world.dns.add("example.org", "MX", f"10 {target}", "20 mx.example.org.")
    world.send(BOB)
    assert server.accepted_count == 1


@pytest.mark.parametrize("with_mx", [True, False])
def test_a_domain_without_any_address_is_rejected(world: World, with_mx: bool) -> None:
    """Where neither the exchangers nor the domain are anywhere, nobody can ever be reached: 5.4.4."""
    world.dns.add("example.org", "TXT", '"nothing here"')
    if with_mx:
        world.domain("example.org", "gone.example.org")
    error = world.attempt(BOB)
    assert isinstance(error, RejectedError)
    assert error.cause == "configuration"
    assert error.recipients[0].enhanced_code == "5.4.4"


@pytest.mark.parametrize("name", ["example.org", "mx.example.org"])
def test_a_broken_name_server_is_a_reason_to_wait(world: World, name: str) -> None:
    """SERVFAIL for the exchangers or for their addresses: not sent, transient."""
    world.domain("example.org", "mx.example.org")
    world.dns.broken |= {(name, "MX"), (name, "A"), (name, "AAAA")}
    error = world.attempt(BOB)
    assert isinstance(error, ConnectError)
    assert (error.outcome, error.cause, error.phase, error.retryable) == ("not_sent", "transient", "resolve", True)
    assert statuses(error) == ["not_sent"]


def test_a_silent_name_server_is_a_reason_to_wait() -> None:
    """No answer in time: not sent, transient, within the timeout."""
    with World(timeout=0.3) as world:
        world.dns.silent.add(("example.org", "MX"))
        error = world.attempt(BOB)
        assert isinstance(error, DeliveryTimeout)
        assert (error.outcome, error.cause) == ("not_sent", "transient")


def test_a_host_that_nobody_and_one_that_no_name_server_knows_today(world: World) -> None:
    """One exchanger without address and one that cannot be looked up now: it may work later."""
    world.domain("example.org", "gone.example.org", "mx.example.org")
    world.dns.broken |= {("mx.example.org", "A"), ("mx.example.org", "AAAA")}
    error = world.attempt(BOB)
    assert (error.outcome, error.cause) == ("not_sent", "transient")


def test_a_host_without_address_beside_one_that_sends_us_away(world: World) -> None:
    """The error is that of a connection, whichever of the two is told first."""
    server = world.server("mx2.example.org")
    world.domain("example.org", "gone.example.org", "mx2.example.org")
    server.script("greeting", "554 5.7.1 blocked", times=None)
    error = world.attempt(BOB)
    assert type(error) is ConnectError
    assert (error.outcome, error.cause) == ("not_sent", "configuration")


# Where strangers may not lead us


@pytest.mark.parametrize("to", [BOB, "bob@[127.0.0.2]", "bob@[IPv6:::ffff:127.0.0.2]"])
def test_private_addresses_are_not_connected_to_unasked(world: World, to: str) -> None:
    """A recipient's domain or literal that leads to loopback leads nowhere, and trying again is no use."""
    server = world.server("mx.example.org")
    world.domain("example.org", "mx.example.org")
    world.open(private_networks=False)
    error = world.attempt(to)
    assert isinstance(error, ConnectError)
    assert (error.outcome, error.cause, error.retryable) == ("not_sent", "security", False)
    assert "private_networks=True" in str(error)
    assert not server.connections


# Extensions


def test_an_extension_that_the_next_host_offers_is_used_there(world: World) -> None:
    """A host without SMTPUTF8 is passed over for one that has it."""
    world.server("mx1.example.org", without=("SMTPUTF8",))
    world.server("mx2.example.org")
    world.domain("example.org", "mx1.example.org", "mx2.example.org")
    assert statuses(world.send(message=letter(from_="jürgen@example.com"))) == ["accepted"]
    assert world.received() == [0, 1]


def test_a_host_that_cannot_and_one_that_is_down_is_a_reason_to_wait(world: World) -> None:
    """Where one host lacks the extension and the other does not answer, it may work later."""
    world.server("mx1.example.org", without=("SMTPUTF8",))
    world.domain("example.org", "mx1.example.org", "mx2.example.org")
    world.dns.add("mx2.example.org", "A", "127.0.0.99")
    error = world.attempt(message=letter(from_="jürgen@example.com"))
    assert (error.outcome, error.cause, error.retryable) == ("not_sent", "transient", True)


def test_an_unknown_feature_has_the_general_code(world: World) -> None:
    """DSN that a host does not offer, beside an accepted recipient elsewhere, is 5.3.3."""
    world.server("mx1.test")
    world.server("mx2.test", without=("DSN",))
    world.domain("able.test", "mx1.test")
    world.domain("old.test", "mx2.test")
    message = letter("a@able.test", "b@old.test", options={"smtp": {"ret": "HDRS"}})
    receipt = world.send(message=message, envelope=Envelope.from_message(message))
    assert [each.enhanced_code for each in receipt.recipients][1] == "5.3.3"
    assert statuses(receipt) == ["accepted", "rejected"]


def test_requiretls_needs_somebody_to_say_whom_to_meet(world: World) -> None:
    """Without DANE and MTA-STS, REQUIRETLS is refused before anything is connected to (RFC 8689)."""
    server = world.server("mx.example.org", tls="starttls", extensions=("REQUIRETLS",))
    world.domain("example.org", "mx.example.org")
    error = world.attempt(message=letter(options={"smtp": {"require_tls": True}}))
    assert isinstance(error, UnsupportedFeatureError)
    assert error.feature == "require_tls"
    assert not server.connections


@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError])
def test_an_interrupt_behind_a_delivery(kind: type[BaseException]) -> None:
    """What the host has said is lost with the interrupt: the message is in doubt, and never "not sent"."""

    async def deliver(host: Host, envelope: Envelope, content: Content) -> None:
        await delivered(host, envelope, content)
        raise kind

    delivered = Host.deliver
    with World() as world, pytest.MonkeyPatch.context() as patch:
        server = world.server("example.org")
        patch.setattr(Host, "deliver", deliver)
        with pytest.raises(kind) as caught:
            world.send(BOB)
        assert server.accepted_count == 1
    assert caught.value.delivery.outcome == "unknown"  # type: ignore[attr-defined]
