"""TLS with one exchanger: opportunistic, required, verified, and as DANE wants it; never in clear after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.mx.world import BOB, World, letter, statuses, tlsa

from mailkit import TLSError
from mailkit.testing import InjectAfter
from mailkit.testing.certificates import Certificate, make_certificate

if TYPE_CHECKING:
    from mailkit.testing import SMTPServer
    from mailkit.testing.certificates import CertificateKind

pytestmark = pytest.mark.slow

MX = "mx.example.org"


def with_chain(kind: CertificateKind, *names: str) -> Certificate:
    """Return a certificate that is sent together with its authority's."""
    made = make_certificate(kind, *names)
    return evolve(made, chain=made.chain + made.authority)


def secure(world: World, certificate: Certificate, *records: str, **options: Any) -> SMTPServer:
    """Start an exchanger of example.org, and publish what DNSSEC vouches for."""
    world.dns.authentic = True
    server = world.server(MX, tls="starttls", certificate=certificate, **options)
    world.domain("example.org", MX)
    world.tlsa(MX, *records)
    return server


# Opportunistic (RFC 7435)


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-host", "untrusted"])
def test_without_dane_and_mta_sts_any_certificate_will_do(kind: Any) -> None:
    """STARTTLS is used where it is offered, and nobody says what the certificate has to be."""
    with World() as world:
        server = world.server(MX, tls="starttls", certificate=kind)
        world.domain("example.org", MX)
        world.send(BOB)
        assert server.messages[0].tls is not None


def test_without_starttls_the_message_goes_in_clear(world: World) -> None:
    """A host without TLS gets its mail all the same."""
    server = world.server(MX)
    world.domain("example.org", MX)
    world.send(BOB)
    assert server.messages[0].tls is None


@pytest.mark.parametrize("fault", ["454 4.7.0 TLS not available", "501 5.5.4 no", InjectAfter()])
def test_starttls_that_fails_is_no_reason_for_clear_text(world: World, fault: Any) -> None:
    """A host that offers STARTTLS and cannot do it is passed over; the next one gets the message, inside TLS."""
    first = world.server("mx1.example.org", tls="starttls")
    second = world.server("mx2.example.org", tls="starttls")
    world.domain("example.org", "mx1.example.org", "mx2.example.org")
    first.script("STARTTLS", fault, times=None)
    world.send(BOB)
    assert second.messages[0].tls is not None
    assert "MAIL" not in first.transcript


def test_where_starttls_fails_everywhere_nothing_is_sent(world: World) -> None:
    """A handshake that fails leaves the message unsent, and in nobody's hands."""
    server = world.server(MX, tls="starttls")
    world.domain("example.org", MX)
    server.script("STARTTLS", "501 5.5.4 no", times=None)
    error = world.attempt(BOB)
    assert isinstance(error, TLSError)
    assert (error.outcome, error.cause) == ("not_sent", "security")
    assert "MAIL" not in server.transcript


@pytest.mark.parametrize("to", [BOB, "bob@[127.0.0.2]"])
def test_required_tls_is_required_of_everybody(world: World, to: str) -> None:
    """With ``require_tls`` a host without STARTTLS gets nothing, a literal's neither."""
    server = world.server(MX)
    world.domain("example.org", MX)
    world.open(require_tls=True)
    error = world.attempt(to)
    assert isinstance(error, TLSError)
    assert error.cause == "security"
    assert "MAIL" not in server.transcript


def test_required_tls_checks_no_certificate(world: World) -> None:
    """With ``require_tls`` a self-signed certificate will do where nobody says what it has to be."""
    server = world.server(MX, tls="starttls", certificate="self-signed")
    world.domain("example.org", MX)
    world.open(require_tls=True)
    world.send(BOB)
    assert server.messages[0].tls is not None


# DANE-EE (RFC 7672 §3.1.1)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-host"])
def test_a_certificate_that_dane_names_is_right(kind: Any, selector: int, matching: int) -> None:
    """With DANE-EE neither issuer nor dates nor names matter, in every form that a record can have."""
    with World() as world:
        certificate = make_certificate(kind, MX)
        server = secure(world, certificate, tlsa(certificate.chain, selector=selector, matching=matching))
        assert statuses(world.send(BOB)) == ["accepted"]
        assert server.messages[0].tls is not None


def test_dane_in_each_colour(world: World) -> None:
    """One record that matches is enough; the connection is used again."""
    certificate = make_certificate("self-signed", MX)
    other = make_certificate("self-signed", "other.example.org")
    server = secure(world, certificate, tlsa(other.chain), tlsa(certificate.chain))
    world.send(BOB)
    world.send(BOB)
    assert (server.accepted_count, len(server.connections)) == (2, 1)


def test_a_certificate_that_dane_does_not_name_is_wrong(world: World) -> None:
    """A valid certificate other than DNSSEC vouches for: nothing is sent, not even EHLO inside TLS."""
    server = secure(world, make_certificate("valid", MX), tlsa(make_certificate("self-signed", MX).chain))
    error = world.attempt(BOB)
    assert isinstance(error, TLSError)
    assert (error.outcome, error.cause, error.phase) == ("not_sent", "security", "starttls")
    assert statuses(error) == ["not_sent"]
    assert server.transcript.count("EHLO") == 1
    assert "MAIL" not in server.transcript


def test_dane_makes_starttls_mandatory(world: World) -> None:
    """A host with TLSA records that does not offer STARTTLS has been stripped of it: nothing is sent."""
    certificate = make_certificate("valid", MX)
    server = secure(world, certificate, tlsa(certificate.chain), without=("STARTTLS",))
    assert isinstance(world.attempt(BOB), TLSError)
    assert "MAIL" not in server.transcript


def test_the_next_host_may_be_the_one_that_dane_vouches_for(world: World) -> None:
    """A host with the wrong certificate is passed over for one with the right one."""
    certificate = make_certificate("valid", "mx2.example.org")
    world.dns.authentic = True
    world.server("mx1.example.org", tls="starttls", certificate="self-signed")
    world.server("mx2.example.org", tls="starttls", certificate=certificate)
    world.domain("example.org", "mx1.example.org", "mx2.example.org")
    for name in ("mx1.example.org", "mx2.example.org"):
        world.tlsa(name, tlsa(certificate.chain))
    world.send(BOB)
    assert world.received() == [0, 1]


@pytest.mark.parametrize("record", ["0 0 1 " + "00" * 32, "3 2 1 " + "00" * 32, "3 1 3 00", "1 1 0 00"])
def test_records_that_cannot_be_used_still_make_tls_mandatory(record: str) -> None:
    """PKIX usages and unknown numbers say that there is TLS, and not which certificate (RFC 7672 §2.2)."""
    with World() as world:
        server = secure(world, make_certificate("self-signed", MX), record)
        world.send(BOB)
        assert server.messages[0].tls is not None
    with World() as world:
        server = secure(world, make_certificate("self-signed", MX), record, without=("STARTTLS",))
        assert isinstance(world.attempt(BOB), TLSError)
        assert "MAIL" not in server.transcript


@pytest.mark.parametrize("insecure", ["example.org", MX, "tlsa"])
def test_without_dnssec_tlsa_records_say_nothing(insecure: str) -> None:
    """Records below an answer that is not authentic, at any step, could be anybody's: they are not looked at."""
    with World() as world:
        server = secure(world, make_certificate("self-signed", MX), "3 1 1 " + "00" * 32)
        world.dns.insecure.add(f"_{world.port}._tcp.{MX}" if insecure == "tlsa" else insecure)
        world.send(BOB)
        assert server.accepted_count == 1


@pytest.mark.parametrize("kind", ["TLSA", "A", "AAAA"])
def test_suppressed_answers_do_not_switch_dane_off(world: World, kind: str) -> None:
    """Where a signed zone's records cannot be had, whoever is in between may have removed them: wait."""
    server = secure(world, make_certificate("self-signed", MX), "3 1 1 " + "00" * 32)
    world.dns.broken.add((f"_{world.port}._tcp.{MX}" if kind == "TLSA" else MX, kind))
    error = world.attempt(BOB)
    assert (error.outcome, error.cause) == ("not_sent", "transient")
    assert not server.connections


def test_half_of_the_addresses_is_enough_without_dnssec(world: World) -> None:
    """A broken answer for AAAA does not keep us from the IPv4 address."""
    server = world.server(MX)
    world.domain("example.org", MX)
    world.dns.broken.add((MX, "AAAA"))
    world.send(BOB)
    assert server.accepted_count == 1


def test_an_implicit_exchanger_has_tlsa_records_too(world: World) -> None:
    """A signed domain without MX is its own host, certificate included."""
    certificate = make_certificate("self-signed", "example.org")
    world.dns.authentic = True
    world.server("example.org", tls="starttls", certificate="valid")
    world.tlsa("example.org", tlsa(certificate.chain))
    assert isinstance(world.attempt(BOB), TLSError)


@pytest.mark.parametrize("base", ["real.example.net", MX])
def test_an_alias_s_tlsa_records_are_found(world: World, base: str) -> None:
    """The name behind an exchanger's CNAME is asked first, then its own (RFC 7672 §2.2.2)."""
    certificate = make_certificate("self-signed", "real.example.net")
    world.dns.authentic = True
    server = world.server("real.example.net", tls="starttls", certificate=certificate)
    world.dns.add(MX, "CNAME", "real.example.net.")
    world.domain("example.org", MX)
    world.tlsa(base, tlsa(certificate.chain))
    world.send(BOB)
    assert server.messages[0].tls is not None
    assert world.dns.count("TLSA") == (1 if base == "real.example.net" else 2)


# DANE-TA (RFC 7672 §3.1.2)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_a_certificate_below_a_named_anchor_is_right(selector: int, matching: int) -> None:
    """With DANE-TA the authority that DNSSEC vouches for is trusted, and no other."""
    with World() as world:
        certificate = with_chain("valid", MX)
        server = secure(world, certificate, tlsa(certificate.authority, usage=2, selector=selector, matching=matching))
        world.send(BOB)
        assert server.messages[0].tls is not None


def test_the_anchor_is_remembered(world: World) -> None:
    """Only the first of a host's connections is made twice."""
    certificate = with_chain("valid", MX)
    server = secure(world, certificate, tlsa(certificate.authority, usage=2))
    world.send(BOB)
    assert len(server.connections) == 2
    server.kick()
    world.send(BOB)
    assert (server.accepted_count, len(server.connections)) == (2, 3)


@pytest.mark.parametrize("kind", ["expired", "wrong-host", "untrusted"])
def test_below_an_anchor_dates_names_and_signatures_matter(world: World, kind: Any) -> None:
    """An expired certificate, one for another name, or one that the anchor did not sign gets nothing."""
    certificate = with_chain(kind, MX)
    server = secure(world, certificate, tlsa(certificate.authority, usage=2))
    error = world.attempt(BOB)
    assert isinstance(error, TLSError)
    assert (error.outcome, error.cause) == ("not_sent", "security")
    assert "MAIL" not in server.transcript


@pytest.mark.parametrize("name", ["example.org", "*.example.org"])
def test_below_an_anchor_several_names_will_do(name: str) -> None:
    """The recipient's domain and a wildcard for the exchanger count as well (RFC 7672 §3.2.3)."""
    with World() as world:
        certificate = with_chain("valid", name)
        server = secure(world, certificate, tlsa(certificate.authority, usage=2))
        world.send(BOB)
        assert server.accepted_count == 1


def test_an_anchor_that_the_server_does_not_send_is_not_found(world: World) -> None:
    """Without the anchor in the chain there is nothing to verify against: nothing is sent."""
    certificate = make_certificate("valid", MX)
    secure(world, certificate, tlsa(certificate.authority, usage=2))
    error = world.attempt(BOB)
    assert isinstance(error, TLSError)
    assert "not what its TLSA records say" in str(error)


def test_an_anchor_that_was_replaced_is_forgotten(world: World) -> None:
    """When the remembered anchor no longer verifies, one message fails and the next one looks again."""
    certificate = with_chain("valid", MX)
    server = secure(world, certificate, tlsa(certificate.authority, usage=2))
    world.send(BOB)
    server.kick()
    server.script("STARTTLS", "454 4.7.0 not now")
    error = world.attempt(BOB)
    assert (error.outcome, error.cause) == ("not_sent", "transient")
    before = len(server.connections)
    world.send(BOB)
    assert len(server.connections) == before + 2


# REQUIRETLS (RFC 8689)


def test_requiretls_goes_where_dane_says_whom_we_meet(world: World) -> None:
    """The parameter is passed on over a connection that DANE has authenticated."""
    certificate = make_certificate("self-signed", MX)
    server = secure(world, certificate, tlsa(certificate.chain), extensions=("REQUIRETLS",))
    world.send(message=letter(options={"smtp": {"require_tls": True}}))
    assert "REQUIRETLS" in server.messages[0].mail_parameters


def test_requiretls_is_not_content_with_unusable_records(world: World) -> None:
    """Encryption with nobody knows whom is not enough."""
    server = secure(world, make_certificate("self-signed", MX), "0 0 1 " + "00" * 32, extensions=("REQUIRETLS",))
    error = world.attempt(message=letter(options={"smtp": {"require_tls": True}}))
    assert error.feature == "require_tls"
    assert not server.connections
