"""The servers ask for TLS and passwords as the other tests rely on: seen through smtplib."""

from __future__ import annotations

import smtplib
import ssl
from typing import TYPE_CHECKING

import pytest

from .dovecot import ACCOUNTS
from .postfix import MECHANISMS, Mechanism
from .stdlib_client import CONTENT, HOST, SENDER, encrypted, session

if TYPE_CHECKING:
    from .dovecot import Dovecot
    from .postfix import Postfix


class TestPostfixTLS:
    """Certificates and the ports that need TLS."""

    def test_starttls_is_verified(self, postfix: Postfix) -> None:
        """The certificate on the plain port stands a strict client's check, TLS 1.2 or newer."""
        with encrypted(postfix.ports.smtp, postfix.certificates.client_context()) as client:
            assert isinstance(client.sock, ssl.SSLSocket)
            assert client.sock.version() in {"TLSv1.2", "TLSv1.3"}

    def test_implicit_tls(self, postfix: Postfix, domain: str) -> None:
        """The smtps port speaks TLS from the first byte and takes mail."""
        context = postfix.certificates.client_context()
        with smtplib.SMTP_SSL("localhost", postfix.ports.smtps, context=context, timeout=20) as client:
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT

    @pytest.mark.parametrize(
        ("port", "reason"),
        [
            ("smtps_other_host", "IP address mismatch"),
            ("smtps_expired", "certificate has expired"),
            ("smtps_untrusted", "unable to get local issuer certificate"),
        ],
    )
    def test_wrong_certificates(self, postfix: Postfix, port: str, reason: str) -> None:
        """Each port with a wrong certificate is wrong in its own way."""
        context = postfix.certificates.client_context()
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            smtplib.SMTP_SSL(HOST, getattr(postfix.ports, port), context=context, timeout=20)

    def test_client_certificate_is_asked_for(self, postfix: Postfix, domain: str) -> None:
        """Without a certificate the client is sent away right after the handshake, with one it may send."""
        context = postfix.certificates.client_context()
        with session(postfix.ports.client_certificate) as client:
            client.starttls(context=context)
            assert client.ehlo()[0] == 421
        context.load_cert_chain(postfix.certificates.client.chain_file, postfix.certificates.client.key_file)
        with encrypted(postfix.ports.client_certificate, context) as client:
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        postfix.mailboxes.one(f"bob@{domain}")


class TestPostfixAuthentication:
    """Who may send through the submission ports."""

    def test_submission_needs_tls_and_a_login(self, postfix: Postfix, domain: str) -> None:
        """Without TLS there is no AUTH and no MAIL; with TLS but without a login there is no recipient."""
        with session(postfix.ports.submission) as client:
            assert "auth" not in client.esmtp_features
            assert client.mail(SENDER)[0] == 530
        with encrypted(postfix.ports.submission, postfix.certificates.client_context()) as client:
            assert set(client.esmtp_features["auth"].split()) == set(MECHANISMS)
            client.mail(SENDER)
            assert client.rcpt(f"bob@{domain}")[0] == 554

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
    @pytest.mark.parametrize("account", ["any", "quoting"])
    def test_passwords(self, postfix: Postfix, domain: str, mechanism: Mechanism, account: str) -> None:
        """On a port for one mechanism, that one is offered alone, and lets the account send."""
        who = ACCOUNTS[account]
        with encrypted(postfix.ports.mechanism[mechanism], postfix.certificates.client_context()) as client:
            assert client.esmtp_features["auth"].split() == [mechanism]
            client.login(who.username, who.password)
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        assert postfix.mailboxes.one(f"bob@{domain}").content == CONTENT

    def test_each_stored_scheme_fits_its_mechanism(self, postfix: Postfix) -> None:
        """A hashed password works with PLAIN only, a CRAM-MD5 secret with CRAM-MD5 too."""
        context = postfix.certificates.client_context()
        fitting: list[tuple[str, Mechanism]] = [("hashed", "PLAIN"), ("cram", "CRAM-MD5"), ("scram", "PLAIN")]
        for account, mechanism in fitting:
            who = ACCOUNTS[account]
            with encrypted(postfix.ports.mechanism[mechanism], context) as client:
                assert client.login(who.username, who.password)[0] == 235
        refused = pytest.raises(smtplib.SMTPAuthenticationError)
        with encrypted(postfix.ports.mechanism["CRAM-MD5"], context) as client, refused:
            client.login(ACCOUNTS["hashed"].username, ACCOUNTS["hashed"].password)

    def test_wrong_password(self, postfix: Postfix) -> None:
        """A wrong password is a 535, at once."""
        refused = pytest.raises(smtplib.SMTPAuthenticationError)
        context = postfix.certificates.client_context()
        with encrypted(postfix.ports.submission, context) as client, refused as caught:
            client.login(ACCOUNTS["any"].username, "wrong")
        assert caught.value.smtp_code == 535

    @pytest.mark.parametrize(
        ("mechanism", "initial"),
        [
            ("XOAUTH2", "user={user}\x01auth=Bearer {token}\x01\x01"),
            ("OAUTHBEARER", "n,a={user},\x01auth=Bearer {token}\x01\x01"),
        ],
    )
    def test_tokens(self, postfix: Postfix, dovecot: Dovecot, mechanism: Mechanism, initial: str) -> None:
        """A token is taken while it is valid and refused when it has expired."""
        user = ACCOUNTS["any"].username

        def answer(lifetime: float) -> int:
            token = dovecot.token(user, lifetime=lifetime)
            with encrypted(postfix.ports.mechanism[mechanism], postfix.certificates.client_context()) as client:

                def reply(challenge: bytes | None = None) -> str:
                    return initial.format(user=user, token=token) if challenge is None else "\x01"

                try:
                    return client.auth(mechanism, reply)[0]
                except smtplib.SMTPAuthenticationError as error:
                    return error.smtp_code

        assert answer(3600) == 235
        assert answer(-60) == 535

    def test_authentication_in_clear(self, postfix: Postfix, domain: str) -> None:
        """One port takes passwords without TLS, which it does not even offer."""
        who = ACCOUNTS["any"]
        with session(postfix.ports.auth_in_clear) as client:
            assert "starttls" not in client.esmtp_features
            client.login(who.username, who.password)
            client.sendmail(SENDER, [f"bob@{domain}"], CONTENT)
        postfix.mailboxes.one(f"bob@{domain}")
