"""mailkit and Postfix: TLS is verified, and without it nothing that needs it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import DeliveryError, TLSError
from mailkit.smtp import SMTP

from .letters import assert_is, letter, note

if TYPE_CHECKING:
    from .colours import Post
    from .postfix import Postfix


def test_starttls(postfix: Postfix, post: Post, domain: str) -> None:
    """STARTTLS that is required and verified carries a message, by a URL."""
    message = letter(f"bob@{domain}")
    url = f"smtp://localhost:{postfix.ports.smtp}?tls=starttls&ca_file={postfix.ca_file}"
    post.send(url, message)
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert_is(delivered, message)
    assert b"with ESMTPS " in delivered.data
    assert b"using TLSv1.3" in delivered.data


def test_implicit_tls(postfix: Postfix, post: Post, domain: str) -> None:
    """TLS from the first byte carries a message, by a URL with an address for its host."""
    message = letter(f"bob@{domain}")
    post.send(f"smtps://127.0.0.1:{postfix.ports.smtps}?ca_file={postfix.ca_file}", message)
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert_is(delivered, message)
    assert b"with ESMTPS " in delivered.data


def test_opportunistic_tls_is_used_on_loopback(postfix: Postfix, post: Post, domain: str) -> None:
    """On a loopback host TLS is used where it is offered, without a certificate to trust, and clear text elsewhere."""
    for port, protocol in ((postfix.ports.smtp, b"with ESMTPS "), (postfix.ports.no_starttls, b"with ESMTP ")):
        post.send(f"smtp://127.0.0.1:{port}", note(f"port{port}@{domain}"))
        assert protocol in postfix.mailboxes.one(f"port{port}@{domain}").data


def test_server_hostname(postfix: Postfix, post: Post, domain: str) -> None:
    """The certificate is checked for the name that was given, where that differs from the host."""
    for name, fits in (("mail.example.test", True), ("mail.example.org", False)):
        transport = SMTP(
            "127.0.0.1", port=postfix.ports.smtps, tls="implicit", ca_file=postfix.ca_file, server_hostname=name
        )
        if fits:
            post.send(transport, note(f"bob@{domain}"))
        else:
            with pytest.raises(TLSError):
                post.send(transport, note(f"bob@{domain}"))
    postfix.mailboxes.one(f"bob@{domain}")


@pytest.mark.parametrize("port", ["smtps_other_host", "smtps_expired", "smtps_untrusted"])
def test_wrong_certificate(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """A certificate for another host, an expired one and a stranger's end it: not sent, for security, not retryable."""
    transport = SMTP("127.0.0.1", port=getattr(postfix.ports, port), tls="implicit", ca_file=postfix.ca_file)
    with pytest.raises(TLSError) as caught:
        post.send(transport, note(f"bob@{domain}"))
    assert (caught.value.outcome, caught.value.cause, caught.value.retryable) == ("not_sent", "security", False)
    assert postfix.mailboxes.of(f"@{domain}") == []


def test_unknown_authority_by_default(postfix: Postfix, post: Post, domain: str) -> None:
    """Without a ca_file the system's authorities decide, and they do not know the tests' own."""
    for transport in (
        SMTP("localhost", port=postfix.ports.smtp, tls="starttls"),
        SMTP("localhost", port=postfix.ports.smtps, tls="implicit"),
    ):
        with pytest.raises(TLSError) as caught:
            post.send(transport, note(f"bob@{domain}"))
        assert caught.value.cause == "security"
    assert postfix.mailboxes.of(f"@{domain}") == []


def test_starttls_not_offered(postfix: Postfix, post: Post, domain: str) -> None:
    """Where STARTTLS is required and missing, nothing is sent, and no password either."""
    transport = SMTP("127.0.0.1", port=postfix.ports.auth_in_clear, tls="starttls", username="ada", password="secret")
    with pytest.raises(TLSError) as caught:
        post.send(transport, note(f"bob@{domain}"))
    assert (caught.value.outcome, caught.value.cause) == ("not_sent", "security")


def test_client_certificate(postfix: Postfix, post: Post, domain: str) -> None:
    """A server that asks for a certificate takes mail from a client with one, and from no other."""
    client = postfix.certificates.client
    port = postfix.ports.client_certificate
    with pytest.raises(DeliveryError) as caught:
        post.send(SMTP("127.0.0.1", port=port, tls="starttls", ca_file=postfix.ca_file), note(f"eve@{domain}"))
    assert caught.value.outcome == "not_sent"
    transport = SMTP(
        "127.0.0.1",
        port=port,
        tls="starttls",
        ca_file=postfix.ca_file,
        certificate=client.chain_file,
        key=client.key_file,
    )
    post.send(transport, note(f"bob@{domain}"))
    assert postfix.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"bob@{domain}"


def test_verify(postfix: Postfix, post: Post) -> None:
    """What verify learns is what the server is."""
    learned = post.verify(SMTP("127.0.0.1", port=postfix.ports.smtp, tls="starttls", ca_file=postfix.ca_file))
    assert (learned.tls_version, learned.authenticated) == ("TLSv1.3", None)
    assert {extension.split()[0] for extension in learned.extensions} >= {"PIPELINING", "CHUNKING", "SMTPUTF8"}
    assert "SIZE 104857600" in learned.extensions
    assert "STARTTLS" not in learned.extensions  # what was said before TLS is forgotten
