"""mailkit, Postfix and Dovecot: every mechanism that Dovecot 2.3 knows, each on a port that offers no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from mailkit import AuthenticationError, DeliveryError, Mailer
from mailkit.smtp import SMTP

from .cutting_proxy import CuttingProxy
from .dovecot import ACCOUNTS
from .letters import note
from .postfix import MECHANISMS

if TYPE_CHECKING:
    from .colours import Post
    from .dovecot import Dovecot
    from .postfix import Mechanism, Postfix

PASSWORDS: list[Mechanism] = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"]
TOKENS: list[Mechanism] = ["XOAUTH2", "OAUTHBEARER"]


def submission(postfix: Postfix, mechanism: Mechanism, **credentials: Any) -> SMTP:
    """The port where TLS and this mechanism are required."""
    port = postfix.ports.mechanism[mechanism]
    return SMTP("127.0.0.1", port=port, tls="starttls", ca_file=postfix.ca_file, **credentials)


@pytest.mark.parametrize("mechanism", PASSWORDS)
@pytest.mark.parametrize("account", ["any", "quoting", "unicode"])
def test_passwords(postfix: Postfix, domain: str, mechanism: Mechanism, account: str) -> None:
    """Plain and awkward names and passwords, in and beyond ASCII, log in by each mechanism."""
    who = ACCOUNTS[account]
    with Mailer(submission(postfix, mechanism, username=who.username, password=who.password)) as mailer:
        assert mailer.verify().authenticated == mechanism
        mailer.send(note(f"bob@{domain}"))
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert b"with ESMTPSA " in delivered.data or b"with UTF8SMTPSA " in delivered.data
    assert b"(Authenticated sender: " in delivered.data


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_in_every_colour(postfix: Postfix, dovecot: Dovecot, post: Post, mechanism: Mechanism) -> None:
    """Each mechanism logs in from blocking code, asyncio and trio."""
    who = ACCOUNTS["any"]
    secret = {"token": dovecot.token(who.username)} if mechanism in TOKENS else {"password": who.password}
    learned = post.verify(submission(postfix, mechanism, username=who.username, **secret))
    assert (learned.authenticated, learned.mechanisms) == (mechanism, (mechanism,))


@pytest.mark.parametrize(
    ("account", "mechanism"), [("hashed", "PLAIN"), ("cram", "CRAM-MD5"), ("scram", "SCRAM-SHA-256")]
)
def test_stored_as_the_mechanism_needs(postfix: Postfix, account: str, mechanism: Mechanism) -> None:
    """Passwords that the server keeps in one mechanism's own form fit that mechanism."""
    who = ACCOUNTS[account]
    with Mailer(submission(postfix, mechanism, username=who.username, password=who.password)) as mailer:
        assert mailer.verify().authenticated == mechanism


def test_strongest_mechanism_is_chosen(postfix: Postfix, dovecot: Dovecot) -> None:
    """Of all that is offered a password goes by SCRAM-SHA-256, a token by a token's mechanism."""
    who = ACCOUNTS["any"]
    port, ca_file = postfix.ports.submission, postfix.ca_file
    by_password = SMTP(
        "localhost", port=port, tls="starttls", ca_file=ca_file, username=who.username, password=who.password
    )
    with Mailer(by_password) as mailer:
        assert mailer.verify().authenticated == "SCRAM-SHA-256"
    token = dovecot.token(who.username)
    by_token = SMTP("localhost", port=port, tls="starttls", ca_file=ca_file, username=who.username, token=token)
    with Mailer(by_token) as mailer:
        assert mailer.verify().authenticated in TOKENS


def test_credentials_in_a_url(postfix: Postfix, post: Post, domain: str) -> None:
    """User and password of a URL are percent-decoded, also where they are not ASCII, and appear in no text."""
    who = ACCOUNTS["unicode"]
    user, password = quote(who.username, safe=""), quote(who.password, safe="")
    url = f"smtp://{user}:{password}@localhost:{postfix.ports.submission}?tls=starttls&ca_file={postfix.ca_file}"
    [receipt] = post.send(url, note(f"bob@{domain}"))
    assert receipt.transport == f"smtp://localhost:{postfix.ports.submission}"
    postfix.mailboxes.one(f"bob@{domain}")


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_wrong_password(postfix: Postfix, post: Post, domain: str, mechanism: Mechanism) -> None:
    """A wrong password is an authentication error: not sent, a matter of configuration, and not repeated anywhere."""
    transport = submission(postfix, mechanism, username=ACCOUNTS["any"].username, password="not the one")
    with pytest.raises(AuthenticationError) as caught:
        post.send(transport, note(f"bob@{domain}"))
    error = caught.value
    assert (error.outcome, error.cause, error.retryable) == ("not_sent", "configuration", False)
    if mechanism != "SCRAM-SHA-256":  # which may notice by itself
        assert error.reply is not None
        assert error.reply.code == 535
    assert "not the one" not in f"{error} {error!r} {transport!r}"


def test_no_login_where_one_is_needed(postfix: Postfix, domain: str) -> None:
    """Without credentials the submission port refuses every recipient."""
    transport = SMTP("127.0.0.1", port=postfix.ports.submission, tls="starttls", ca_file=postfix.ca_file)
    with Mailer(transport) as mailer, pytest.raises(DeliveryError) as caught:
        mailer.send(note(f"bob@{domain}"))
    assert caught.value.outcome == "rejected"


@pytest.mark.parametrize("mechanism", TOKENS)
def test_expired_token_is_renewed(postfix: Postfix, dovecot: Dovecot, post: Post, mechanism: Mechanism) -> None:
    """A token function that first returns an expired token is asked once more after the refusal, and it is enough."""
    username = ACCOUNTS["any"].username
    lifetimes = iter([-60.0, 3600.0])
    asked: list[str] = []

    def token() -> str:
        asked.append(dovecot.token(username, lifetime=next(lifetimes)))
        return asked[-1]

    learned = post.verify(submission(postfix, mechanism, username=username, token=token))
    assert (learned.authenticated, len(asked)) == (mechanism, 2)


def test_password_in_clear_only_when_asked_for(postfix: Postfix, domain: str) -> None:
    """With tls="insecure" the password goes over a connection without TLS; a strong mechanism hides it even so."""
    who = ACCOUNTS["any"]
    with CuttingProxy(postfix.ports.auth_in_clear) as proxy:
        transport = SMTP("127.0.0.1", port=proxy.port, tls="insecure", username=who.username, password=who.password)
        with Mailer(transport) as mailer:
            mailer.send(note(f"bob@{domain}"))
        said = bytes(proxy.exchanges[0].to_server)
    assert b"AUTH SCRAM-SHA-256 " in said
    assert who.password.encode() not in said
    postfix.mailboxes.one(f"bob@{domain}")
