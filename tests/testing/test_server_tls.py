"""SMTPServer under TLS: STARTTLS, implicit TLS, certificates good and bad, and faults inside the encryption."""

from __future__ import annotations

import hashlib
import os
import smtplib
import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mailkit.testing import (
    Certificate,
    Disconnect,
    Garbage,
    InjectAfter,
    SMTPServer,
    Stall,
    TruncateTLS,
    der,
)
from mailkit.testing.certificates import channel_binding, make_certificate
from mailkit.testing.p256 import SigningKey

if TYPE_CHECKING:
    from tests.testing.conftest import Connect

    from mailkit.testing import Fault
    from mailkit.testing.certificates import CertificateKind


def test_starttls_upgrades_the_connection_and_forgets_what_was_said(connect: Connect) -> None:
    """After the handshake a new EHLO is needed, STARTTLS is no longer offered, and the record knows the TLS."""
    with SMTPServer(tls="starttls") as server:
        client = connect(server)
        assert b"STARTTLS" in client.hello()
        assert client.ask("STARTTLS now").startswith(b"501")
        assert client.ask("STARTTLS").startswith(b"220")
        client.start_tls(server)
        assert client.ask("MAIL FROM:<>").startswith(b"503")
        assert b"STARTTLS" not in client.ask("EHLO client.example")
        assert client.ask("STARTTLS").startswith(b"503")
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nBDAT 0 LAST\r\n")
        assert client.codes(3) == [250, 250, 250]
        (record,) = server.connections
        assert (record.tls, record.server_name) == (client.socket.version(), "localhost")
        assert record.cipher == client.socket.cipher()[0]
        assert server.messages[0].tls == "TLSv1.3"
        client.send(b"QUIT\r\n")
        assert client.rest().startswith(b"221")
        assert server.violations == ()


def test_implicit_tls_begins_with_the_handshake() -> None:
    """tls="implicit" speaks TLS from the first byte, and its URL says smtps."""
    with SMTPServer(tls="implicit") as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        with smtplib.SMTP_SSL("localhost", server.port, context=context) as client:
            client.sendmail("a@x.test", ["b@x.test"], "Subject: x\r\n\r\n" + "long\r\n" * 50_000)
        assert len(server.wait_for(1)[0].data) == 300_014
        assert server.url == f"smtps://127.0.0.1:{server.port}"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "mail.example.com"])
def test_a_valid_certificate_verifies_for_each_of_its_names(connect: Connect, name: str) -> None:
    """The strictest checks of OpenSSL accept the certificate for host name, localhost and loopback addresses."""
    with SMTPServer(tls="implicit", hostname="mail.example.com") as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection((server.host, server.port)) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            assert secure.recv(4) == b"220 "


@pytest.mark.parametrize(
    ("kind", "verify_code"),
    [
        ("self-signed", 18),  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        ("untrusted", 20),  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        ("expired", 10),
        ("not-yet-valid", 9),
        ("wrong-host", 62),  # X509_V_ERR_HOSTNAME_MISMATCH
    ],
)
def test_each_bad_certificate_is_bad_in_its_own_way(connect: Connect, kind: CertificateKind, verify_code: int) -> None:
    """OpenSSL refuses each kind with the reason that the kind names, and the record shows the client's alert."""
    with SMTPServer(tls="implicit", certificate=kind) as server:
        client = connect(server)
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            client.start_tls(server)
        assert caught.value.verify_code == verify_code
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert "ALERT" in server.connections[0].tls_error


def test_certificates_are_made_once_for_the_same_names() -> None:
    """The same kind for the same hosts is the same certificate, so a suite pays for it once."""
    assert make_certificate("valid", "a.test") is make_certificate("valid", "a.test")
    assert make_certificate("valid", "a.test") != make_certificate("valid", "b.test")


def test_a_certificate_reads_back_as_it_was_meant() -> None:
    """An independent parser finds names, usages, identifiers and an even signature in a made certificate."""
    certificate = make_certificate("valid", "a.test", "192.0.2.1")
    leaf = x509.load_pem_x509_certificate(certificate.chain)
    authority = x509.load_pem_x509_certificate(certificate.authority)
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert repr(certificate).find("PRIVATE") == -1


@pytest.mark.parametrize(("kind", "name"), [("valid", "sha256"), ("sha384", "sha384")])
def test_channel_binding_uses_the_hash_of_the_signature(kind: CertificateKind, name: str) -> None:
    """tls-server-end-point hashes the certificate with the hash that signed it."""
    encoded = ssl.PEM_cert_to_DER_cert(make_certificate(kind, "a.test").chain.decode())
    assert x509.load_der_x509_certificate(encoded).signature_hash_algorithm.name == name
    assert channel_binding(encoded) == hashlib.new(name, encoded).digest()


def test_a_certificate_of_ones_own_can_be_used(connect: Connect) -> None:
    """A Certificate value replaces the made one, chain and authority included."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    certificate = Certificate(
        chain=b"".join(pem.bytes() for pem in leaf.cert_chain_pems),
        key=leaf.private_key_pem.bytes(),
        authority=authority.cert_pem.bytes(),
    )
    with SMTPServer(tls="implicit", certificate=certificate) as server:
        client = connect(server)
        client.start_tls(server)
        assert client.reply().startswith(b"220")
        assert server.ca_file.read_bytes() == authority.cert_pem.bytes()


def test_an_old_tls_version_is_spoken_on_request(connect: Connect) -> None:
    """maximum_tls caps the version: 1.2 connects, and a client that insists on 1.2 refuses 1.1."""
    with SMTPServer(tls="implicit", maximum_tls=ssl.TLSVersion.TLSv1_2) as server:
        client = connect(server)
        client.start_tls(server)
        assert client.socket.version() == "TLSv1.2"
        assert client.reply().startswith(b"220")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        server = SMTPServer(tls="implicit", maximum_tls=ssl.TLSVersion.TLSv1_1)
    with server:
        client = connect(server)
        with pytest.raises(ssl.SSLError):
            client.start_tls(server)


def test_bytes_after_starttls_are_a_violation_and_thrown_away(connect: Connect) -> None:
    """What a client sends in clear behind STARTTLS is recorded and never taken for a command."""
    with SMTPServer(tls="starttls") as server:
        client = connect(server)
        client.hello()
        client.send(b"STARTTLS\r\nNOOP\r\n")
        assert client.code() == 220
        client.start_tls(server)
        assert client.ask("EHLO client.example").startswith(b"250")
        assert [violation.rule for violation in server.violations] == ["not-last-in-group", "bytes-after-starttls"]
        assert server.connections[0].verbs == ("EHLO", "STARTTLS", "EHLO")


def test_replies_can_be_injected_behind_the_220(connect: Connect) -> None:
    """InjectAfter at STARTTLS puts plaintext behind the 220 in the same segment."""
    with SMTPServer(tls="starttls") as server:
        server.script("STARTTLS", InjectAfter(b"250 AUTH PLAIN\r\n"))
        client = connect(server)
        client.hello()
        assert client.ask("STARTTLS").startswith(b"220")
        assert client.line() == b"250 AUTH PLAIN\r\n"


def test_starttls_can_be_refused(connect: Connect) -> None:
    """A scripted 454 leaves the connection in clear, and a next STARTTLS works."""
    with SMTPServer(tls="starttls") as server:
        server.script("STARTTLS", "454 4.7.0 TLS not available")
        client = connect(server)
        client.hello()
        assert client.ask("STARTTLS").startswith(b"454")
        assert client.ask("STARTTLS").startswith(b"220")
        client.start_tls(server)
        assert client.ask("EHLO client.example").startswith(b"250")


@pytest.mark.parametrize("fault", [Garbage(), Disconnect(), Disconnect(rst=True)])
def test_a_handshake_can_fail(connect: Connect, fault: Fault) -> None:
    """Garbage or an end in place of the ServerHello fails the client's handshake."""
    with SMTPServer(tls="implicit") as server:
        server.script("TLS", fault)
        client = connect(server)
        with pytest.raises(OSError):  # noqa: PT011 (ssl.SSLError and ConnectionResetError alike)
            client.start_tls(server)


def test_a_handshake_can_stall(connect: Connect) -> None:
    """A held handshake goes on with what arrived meanwhile."""
    with SMTPServer(tls="implicit") as server:
        server.script("TLS", Stall(0.02))
        client = connect(server)
        client.start_tls(server)
        assert client.reply().startswith(b"220")


def test_a_client_that_speaks_no_tls_is_recorded(connect: Connect) -> None:
    """Plain text in place of a ClientHello ends the connection and names the reason."""
    with SMTPServer(tls="implicit") as server:
        client = connect(server)
        client.send(b"EHLO client.example\r\n")
        client.rest()
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].tls_error
        assert server.connections[0].tls is None


@pytest.mark.parametrize("record_bytes", [0, 5, 20])
def test_tls_can_be_truncated(connect: Connect, record_bytes: int) -> None:
    """The stream ends without close_notify, between records or inside one, and OpenSSL calls it an error."""
    with SMTPServer(tls="implicit") as server:
        server.script("NOOP", TruncateTLS(record_bytes=record_bytes))
        client = connect(server)
        client.start_tls(server)
        client.socket.suppress_ragged_eofs = False
        client.hello()
        with pytest.raises(ssl.SSLEOFError):
            client.ask("NOOP")


def test_a_disconnect_under_tls_says_close_notify(connect: Connect) -> None:
    """Disconnect ends TLS properly after the cut reply, so the client sees a clean end."""
    with SMTPServer(tls="implicit") as server:
        server.script("NOOP", Disconnect(after_bytes=3))
        client = connect(server)
        client.start_tls(server)
        client.socket.suppress_ragged_eofs = False
        client.hello()
        client.send(b"NOOP\r\n")
        assert client.rest() == b"250"


def test_kicks_and_stalls_work_under_tls(connect: Connect) -> None:
    """An unsolicited reply is encrypted while the server waits for input, and input during a stall is kept."""
    with SMTPServer(tls="implicit") as server:
        client = connect(server)
        client.start_tls(server)
        client.hello()
        server.kick("421 4.4.2 soon")
        assert client.reply() == b"421 4.4.2 soon\r\n"
        server.script("NOOP", Stall())
        client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.held == 1)
        client.send(b"RSET\r\n")
        client.send(b"NOOP\r\n")
        server.release()
        assert client.codes(3) == [250, 250, 250]
        server.kick()
        assert client.rest() == b""


def test_a_client_that_says_close_notify_has_gone(connect: Connect) -> None:
    """The client's close_notify ends the session and is answered by the server's own."""
    with SMTPServer(tls="implicit") as server:
        client = connect(server)
        client.start_tls(server)
        client.hello()
        client.socket.unwrap().close()
        assert server.wait_until(lambda s: s.connections[0].closed)


def test_a_broken_record_ends_the_session(connect: Connect) -> None:
    """Bytes that are no TLS record end an encrypted connection."""
    with SMTPServer(tls="implicit") as server:
        client = connect(server)
        client.start_tls(server)
        client.hello()
        os.write(client.socket.fileno(), b"NOOP\r\n" * 10)
        assert server.wait_until(lambda s: s.connections[0].closed)


def test_times_from_2050_are_generalized() -> None:
    """DER times have two digits for the year through 2049 and four from 2050 (RFC 5280 §4.1.2.5)."""
    assert der.time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)) == b"\x17\x0d491231235959Z"
    assert der.time(datetime(2050, 1, 1, tzinfo=UTC)) == b"\x18\x0f20500101000000Z"


def test_signatures_of_the_curve_verify() -> None:
    """An independent implementation accepts the signatures and finds the same public point."""
    for _ in range(5):
        key = SigningKey.generate()
        theirs = ec.derive_private_key(key.secret, ec.SECP256R1()).public_key()
        assert (theirs.public_numbers().x, theirs.public_numbers().y) == key.public
        signature = encode_dss_signature(*key.sign(hashlib.sha256(b"text").digest()))
        theirs.verify(signature, b"text", ec.ECDSA(hashes.SHA256()))


def test_the_authority_file_goes_with_the_server() -> None:
    """ca_file exists while the server runs, and no longer."""
    with SMTPServer(tls="starttls") as server:
        path = server.ca_file
        assert b"BEGIN CERTIFICATE" in path.read_bytes()
    assert not path.exists()
