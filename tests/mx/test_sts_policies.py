"""MTA-STS from the record to the connection: whose policies bind, when, and for how long."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from tests.mx.world import BOB, World, letter, statuses, tlsa

from mailkit import ConnectError, TLSError
from mailkit.testing.certificates import make_certificate

pytestmark = pytest.mark.slow

MX = "mx.example.org"


def enforcing(world: World, certificate: Any = "valid", mx: str = MX, **options: Any) -> Any:
    """Start an exchanger and publish a policy that binds; return the policy's server."""
    server = world.server(MX, tls="starttls", certificate=certificate, **options)
    world.domain("example.org", MX)
    policy = world.policy("example.org", mx)
    world.open(ca_file=server.ca_file)
    return policy


def test_an_enforced_policy_wants_a_verified_certificate(world: World) -> None:
    """A host that the policy names, with a certificate for its name, gets the message; the policy is fetched once."""
    policy = enforcing(world)
    assert statuses(world.send(BOB)) == ["accepted"]
    world.send(BOB)
    assert world.servers[0].messages[0].tls is not None
    assert policy.requests == [("mta-sts.example.org", "/.well-known/mta-sts.txt")]


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-host", "untrusted"])
def test_a_certificate_that_does_not_verify_gets_nothing(kind: Any) -> None:
    """Under an enforced policy the certificate has to be the host's."""
    with World() as world:
        # "wrong-host" is given as a certificate, because the server's own names are added to a kind.
        enforcing(world, make_certificate(kind, MX))
        error = world.attempt(BOB)
        assert isinstance(error, TLSError)
        assert (error.outcome, error.cause) == ("not_sent", "security")
        assert "MAIL" not in world.servers[0].transcript


def test_starttls_cannot_be_stripped(world: World) -> None:
    """Under an enforced policy a host without STARTTLS gets nothing."""
    enforcing(world, without=("STARTTLS",))
    assert isinstance(world.attempt(BOB), TLSError)
    assert "MAIL" not in world.servers[0].transcript


def test_a_host_that_the_policy_does_not_name_gets_nothing(world: World) -> None:
    """Whoever has forged an MX record finds his host left out."""
    enforcing(world, mx="*.mail.example.org")
    error = world.attempt(BOB)
    assert isinstance(error, TLSError)
    assert (error.outcome, error.cause) == ("not_sent", "security")
    assert "MTA-STS" in str(error)
    assert not world.servers[0].connections


def test_the_host_that_the_policy_names_gets_it(world: World) -> None:
    """An exchanger that the policy does not name is passed over for one that it names."""
    first = world.server("evil.test", tls="starttls")
    world.server(MX, tls="starttls")
    world.domain("example.org", "evil.test", MX)
    world.policy("example.org", MX)
    world.open(ca_file=first.ca_file)
    world.send(BOB)
    assert world.received() == [0, 1]


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_that_does_not_bind_changes_nothing(mode: str) -> None:
    """In the modes testing and none TLS stays opportunistic."""
    with World() as world:
        world.server(MX, tls="starttls", certificate="self-signed")
        world.domain("example.org", MX)
        policy = world.policy("example.org", "other.example.org", mode=mode)
        world.open(ca_file=world.servers[0].ca_file)
        assert statuses(world.send(BOB)) == ["accepted"]
        assert len(policy.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {"Content-Type": "text/plain"}, None),
        (301, {"Content-Type": "text/plain", "Location": "https://mta-sts.example.org/other"}, None),
        (200, {"Content-Type": "text/html"}, None),
        (200, {}, None),
        (200, {"Content-Type": "text/plain"}, b"version: STSv1\n"),
        (200, {"Content-Type": "text/plain"}, b"x: y\n" * 20_000),
    ],
    ids=["not found", "redirect", "html", "no type", "incomplete", "too long"],
)
def test_what_is_no_policy_is_none(status: int, headers: dict[str, str], body: bytes | None) -> None:
    """An answer that is not one policy as text/plain is ignored, and not asked for again with each message."""
    with World() as world:
        policy = enforcing(world, make_certificate("self-signed", MX))
        policy.status, policy.headers = status, headers
        policy.body = policy.body if body is None else body
        assert statuses(world.send(BOB)) == ["accepted"]
        world.send(BOB)
        assert len(policy.requests) == 1
        world.later(301)
        world.send(BOB)
        assert len(policy.requests) == 2


def test_a_policy_s_host_must_have_a_certificate_of_its_own(world: World) -> None:
    """A policy from a host whose certificate is not trusted is none."""
    enforcing(world, make_certificate("self-signed", MX))
    world.channel = None
    world.open(ca_file=None)
    assert statuses(world.send(BOB)) == ["accepted"]


def test_a_policy_binds_until_it_expires(world: World) -> None:
    """Once known, a policy binds although its record has gone and its server is down, until max_age is over."""
    enforcing(world).publish(MX, max_age=3600)
    world.send(BOB)
    world.servers[0].kick()
    world.dns.remove("_mta-sts.example.org", "TXT")
    world.dns.remove("example.org", "MX")
    world.server("evil.test", tls="starttls")
    world.domain("example.org", "evil.test")
    assert isinstance(world.attempt(BOB), TLSError)
    world.later(3601)
    assert statuses(world.send(BOB)) == ["accepted"]
    assert world.servers[1].accepted_count == 1


def test_a_policy_binds_while_name_servers_are_silent_about_it(world: World) -> None:
    """A record that cannot be looked up does not switch a known policy off."""
    enforcing(world)
    world.send(BOB)
    world.servers[0].kick()
    world.dns.broken.add(("_mta-sts.example.org", "TXT"))
    world.dns.remove("example.org", "MX")
    world.server("evil.test", tls="starttls")
    world.domain("example.org", "evil.test")
    assert isinstance(world.attempt(BOB), TLSError)


def test_a_new_id_has_the_policy_fetched_again(world: World) -> None:
    """A changed record makes a changed policy count at once; if it cannot be had, the old one goes on."""
    policy = enforcing(world)
    world.send(BOB)
    for number, status in ((2, 500), (3, 200)):
        world.dns.remove("_mta-sts.example.org", "TXT")
        world.dns.add("_mta-sts.example.org", "TXT", f'"v=STSv1; id={number};"')
        policy.publish("other.example.org")
        policy.status = status
        result = world.attempt(BOB)
        assert statuses(result) == (["accepted"] if status == 500 else ["not_sent"])
    assert len(policy.requests) == 3


def test_a_record_is_asked_for_again_when_its_time_is_over(world: World) -> None:
    """While the record holds, one question is enough for many messages."""
    world.dns.ttl = 100
    enforcing(world)
    for _ in range(3):
        world.send(BOB)
    assert world.dns.count("TXT") == 1
    world.later(101)
    world.send(BOB)
    assert world.dns.count("TXT") == 2


def test_a_policy_whose_server_is_down_is_none(world: World) -> None:
    """Without a known policy and without its server, TLS stays opportunistic."""
    enforcing(world, make_certificate("self-signed", MX))
    connect = world.edge.connect_tcp

    def refused(host: str, port: int, **options: Any) -> Any:
        if port == 443:
            raise ConnectError(f"{host} does not answer")
        return connect(host, port, **options)

    world.edge.connect_tcp = refused  # type: ignore[assignment, method-assign]
    assert statuses(world.send(BOB)) == ["accepted"]


def test_a_policy_s_server_in_a_private_network_is_not_asked(world: World) -> None:
    """Strangers cannot lead us to web servers of our own network."""
    policy = enforcing(world)
    world.channel = None
    world.open(private_networks=False)
    assert isinstance(world.attempt(BOB), ConnectError)
    assert not policy.requests


def test_a_policy_s_server_that_no_name_server_knows_today_is_down(world: World) -> None:
    """What cannot be looked up has no policy."""
    policy = enforcing(world, make_certificate("self-signed", MX))
    world.dns.broken |= {("mta-sts.example.org", "A"), ("mta-sts.example.org", "AAAA")}
    assert statuses(world.send(BOB)) == ["accepted"]
    assert not policy.requests


def test_dane_comes_before_mta_sts(world: World) -> None:
    """A certificate that DNSSEC vouches for will do, whatever the policy says (RFC 8461 §2)."""
    certificate = make_certificate("self-signed", MX)
    world.dns.authentic = True
    enforcing(world, certificate, mx="other.example.org")
    world.tlsa(MX, tlsa(certificate.chain))
    assert statuses(world.send(BOB)) == ["accepted"]


def test_mta_sts_does_not_override_a_failing_dane(world: World) -> None:
    """A certificate that the policy would accept, and DNSSEC does not vouch for, gets nothing."""
    world.dns.authentic = True
    enforcing(world)
    world.tlsa(MX, tlsa(make_certificate("self-signed", MX).chain))
    assert isinstance(world.attempt(BOB), TLSError)


def test_requiretls_goes_where_mta_sts_says_whom_we_meet(world: World) -> None:
    """An enforced policy authenticates enough for REQUIRETLS."""
    enforcing(world, extensions=("REQUIRETLS",))
    world.send(message=letter(options={"smtp": {"require_tls": True}}))
    assert "REQUIRETLS" in world.servers[0].messages[0].mail_parameters


def test_an_address_literal_has_no_policy(world: World) -> None:
    """For mail to an address neither records nor policies are asked for."""
    world.server(MX, tls="starttls")
    world.send("bob@[127.0.0.2]")
    assert world.dns.count("TXT") == 0
    assert socket.inet_aton("127.0.0.2")
