"""mailkit and Postfix as a domain's mail exchanger: found by its records, and held to the certificate in them."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from tests.mx.name_server import NameServer

from mailkit import TLSError
from mailkit.mx import DirectMX

from .letters import assert_is, letter, note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .certificates import Certificates
    from .colours import Post
    from .postfix import Postfix

HOST = "mail.example.test"


def certificate_in(path: Path) -> bytes:
    """Return the first certificate of a PEM file as DER."""
    text = path.read_text("ascii")
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")


@pytest.fixture
def names(domain: str) -> Iterator[NameServer]:
    """A name server that knows the domain's exchanger, and whose answers are authentic."""
    with NameServer(authentic=True) as names:
        names.add(domain, "MX", f"10 {HOST}.")
        names.add(HOST, "A", "127.0.0.1")
        yield names


@pytest.fixture
def direct(postfix: Postfix, names: NameServer) -> DirectMX:
    """The way there."""
    return DirectMX("client.example.test", port=postfix.ports.smtp, private_networks=True, name_servers=names.servers)


def publish(names: NameServer, direct: DirectMX, usage: int, certificate: bytes) -> None:
    """Publish the TLSA record for a certificate."""
    digest = hashlib.sha256(certificate).hexdigest()
    names.add(f"_{direct.port}._tcp.{HOST}", "TLSA", f"{usage} 0 1 {digest}")


def test_opportunistic(postfix: Postfix, post: Post, domain: str, direct: DirectMX) -> None:
    """Without TLSA records TLS is used because it is offered; each recipient has a result of Postfix's own."""
    message = letter([f"bob@{domain}", f"refused@{domain}", f"greylisted@{domain}", "eve@gone.test"])
    [receipt] = post.send(direct, message)
    assert [(each.status, each.code, each.enhanced_code) for each in receipt.recipients] == [
        ("accepted", 250, "2.0.0"),
        ("rejected", 550, "5.1.1"),
        ("deferred", 450, "4.7.1"),
        ("rejected", None, "5.1.2"),
    ]
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert_is(delivered, message)
    assert b"with ESMTPS " in delivered.data
    assert b"from client.example.test " in delivered.data


def test_dane(
    postfix: Postfix, certificates: Certificates, post: Post, domain: str, direct: DirectMX, names: NameServer
) -> None:
    """With a record for Postfix's certificate the message goes to whom DNSSEC vouches for."""
    publish(names, direct, 3, certificate_in(certificates.server.chain_file))
    message = letter(f"bob@{domain}")
    post.send(direct, message)
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert_is(delivered, message)
    assert b"using TLSv1.3" in delivered.data


@pytest.mark.parametrize(("usage", "file"), [(3, "untrusted"), (2, "server")])
def test_another_certificate(
    postfix: Postfix,
    certificates: Certificates,
    post: Post,
    domain: str,
    direct: DirectMX,
    names: NameServer,
    usage: int,
    file: str,
) -> None:
    """With a record for another certificate, or for one as its own authority, nothing is sent."""
    publish(names, direct, usage, certificate_in(getattr(certificates, file).chain_file))
    with pytest.raises(TLSError) as caught:
        post.send(direct, note(f"bob@{domain}"))
    assert (caught.value.outcome, caught.value.cause, caught.value.retryable) == ("not_sent", "security", False)
    assert postfix.mailboxes.of(f"@{domain}") == []


def test_stripped(
    postfix: Postfix, certificates: Certificates, post: Post, domain: str, direct: DirectMX, names: NameServer
) -> None:
    """Where DNSSEC vouches for TLS, a port without STARTTLS gets nothing."""
    direct = evolve(direct, port=postfix.ports.no_starttls)
    publish(names, direct, 3, certificate_in(certificates.server.chain_file))
    with pytest.raises(TLSError):
        post.send(direct, note(f"bob@{domain}"))
    assert postfix.mailboxes.of(f"@{domain}") == []


def test_many(postfix: Postfix, post: Post, domain: str, direct: DirectMX) -> None:
    """Hundreds of messages over four connections: who was accepted has the message, once, and nobody else has."""
    messages = [note(f"{'refused' if number % 7 == 0 else f'user{number}'}@{domain}") for number in range(300)]
    outcomes = post.send_many(direct, messages, connections=4)
    assert [outcome.message for outcome in outcomes] == messages
    accepted = [outcome.message.to[0].email for outcome in outcomes if outcome.ok]
    assert accepted == [message.to[0].email for message in messages if message.to[0].local_part != "refused"]
    for address in accepted:
        postfix.mailboxes.one(address)
    assert len(postfix.mailboxes.of(f"@{domain}")) == len(accepted)
