"""mailkit and Dovecot: its submission service, which passes on to Postfix, and LMTP into its own maildirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailkit import AuthenticationError, DeliveryError, Mailer, RetryPolicy
from mailkit.smtp import SMTP

from .letters import assert_is, letter, note

if TYPE_CHECKING:
    from .colours import Post
    from .dovecot import Dovecot
    from .postfix import Postfix


def submission(dovecot: Dovecot, **options: Any) -> SMTP:
    """The submission service, with a login."""
    account = dovecot.accounts["any"]
    given: dict[str, Any] = {
        "port": dovecot.ports.submission,
        "tls": "starttls",
        "ca_file": dovecot.ca_file,
        "username": account.username,
        "password": account.password,
    }
    return SMTP("127.0.0.1", **(given | options))


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_submission(dovecot: Dovecot, postfix: Postfix, post: Post, domain: str, tls: str) -> None:
    """A letter that is submitted over TLS with a login arrives unchanged."""
    port = dovecot.ports.submission if tls == "starttls" else dovecot.ports.submissions
    message = letter([f"bob@{domain}", f"eve@{domain}"], bcc=f"archive@{domain}")
    [receipt] = post.send(submission(dovecot, port=port, tls=tls), message)
    assert len(receipt.accepted) == 3
    for delivered in postfix.mailboxes.wait(f"@{domain}", count=3):
        assert_is(delivered, message)


def test_refusals_are_passed_on(dovecot: Dovecot, postfix: Postfix, post: Post, domain: str) -> None:
    """What Postfix answers for each recipient reaches the receipt through Dovecot."""
    users = ("bob", "refused", "deferred", "eve")
    [receipt] = post.send(submission(dovecot), note([f"{user}@{domain}" for user in users]))
    assert [(each.address.partition("@")[0], each.status, each.code) for each in receipt.recipients] == [
        ("bob", "accepted", 250),
        ("refused", "rejected", 550),
        ("deferred", "deferred", 450),
        ("eve", "accepted", 250),
    ]
    postfix.mailboxes.wait(f"@{domain}", count=2)


def test_wrong_password(dovecot: Dovecot, post: Post, domain: str) -> None:
    """A wrong password is refused by the service itself."""
    with pytest.raises(AuthenticationError):
        post.send(submission(dovecot, password="wrong"), note(f"bob@{domain}"))


def test_no_login(dovecot: Dovecot, post: Post, domain: str) -> None:
    """Without a login the service takes nothing."""
    with pytest.raises(DeliveryError) as caught:
        post.send(submission(dovecot, username=None, password=None), note(f"bob@{domain}"))
    assert caught.value.reply is not None
    assert caught.value.reply.code == 530


def test_many_messages(dovecot: Dovecot, postfix: Postfix, post: Post, domain: str) -> None:
    """Of two hundred messages with refused and deferred ones among them, exactly the accepted ones arrive."""
    kinds = {3: "refused", 5: "deferred"}
    users = [kinds.get(number % 9, f"user{number}") for number in range(200)]
    outcomes = post.send_many(submission(dovecot), [note(f"{user}@{domain}") for user in users])
    accepted = [user for user, outcome in zip(users, outcomes, strict=True) if outcome.ok]
    assert accepted == [user for user in users if user not in kinds.values()]
    delivered = postfix.mailboxes.wait(f"@{domain}", count=len(accepted), seconds=30)
    assert {each.recipient for each in delivered} == {f"{user}@{domain}" for user in accepted}


def lmtp(dovecot: Dovecot, over: str) -> str:
    """LMTP, by port or by socket."""
    return f"lmtp://127.0.0.1:{dovecot.ports.lmtp}" if over == "tcp" else f"lmtp://{dovecot.lmtp_socket}"


@pytest.mark.parametrize("over", ["tcp", "unix"])
class TestLMTP:
    """Dovecot answers once for each recipient after the content."""

    def test_delivers_what_was_sent(self, dovecot: Dovecot, post: Post, domain: str, over: str) -> None:
        """Letters over one connection arrive unchanged in every recipient's own maildir."""
        messages = [letter([f"bob{number}@{domain}", f"eve{number}@{domain}"]) for number in range(3)]
        post.send(lmtp(dovecot, over), *messages)
        for message in messages:
            for recipient in message.to:
                assert_is(dovecot.mailboxes.one(recipient.email), message)

    def test_each_recipient_has_an_answer(self, dovecot: Dovecot, post: Post, domain: str, over: str) -> None:
        """Refused at RCPT, deferred at RCPT, and then accepted, deferred and rejected after the content."""
        users = ("bob", "refused", "deferred", "broken", "full", "eve")
        [receipt] = post.send(lmtp(dovecot, over), note([f"{user}@{domain}" for user in users]))
        assert [(each.address.partition("@")[0], each.status, each.code) for each in receipt.recipients] == [
            ("bob", "accepted", 250),
            ("refused", "rejected", 550),
            ("deferred", "deferred", 451),
            ("broken", "deferred", 451),
            ("full", "rejected", 552),
            ("eve", "accepted", 250),
        ]
        delivered = dovecot.mailboxes.wait(f"@{domain}", count=2)
        assert {each.recipient for each in delivered} == {f"bob@{domain}", f"eve@{domain}"}

    @pytest.mark.parametrize(
        ("users", "outcome"), [(("refused", "full"), "rejected"), (("deferred", "broken"), "deferred")]
    )
    def test_nobody_is_left(
        self, dovecot: Dovecot, domain: str, over: str, users: tuple[str, str], outcome: str
    ) -> None:
        """When every answer is no, before or after the content, that is the message's outcome."""
        with Mailer(lmtp(dovecot, over), retry=RetryPolicy.none()) as mailer, pytest.raises(DeliveryError) as caught:
            mailer.send(note([f"{user}@{domain}" for user in users]))
        assert caught.value.outcome == outcome
        assert dovecot.mailboxes.of(f"@{domain}") == []

    def test_many_messages(self, dovecot: Dovecot, post: Post, domain: str, over: str) -> None:
        """Of two hundred messages with refused, deferred and broken ones, exactly the accepted ones arrive."""
        kinds = {3: "refused", 5: "deferred", 7: "broken", 8: "full"}
        users = [kinds.get(number % 10, f"user{number}") for number in range(200)]
        outcomes = post.send_many(lmtp(dovecot, over), [note(f"{user}@{domain}") for user in users])
        accepted = [user for user, outcome in zip(users, outcomes, strict=True) if outcome.ok]
        assert accepted == [user for user in users if user not in kinds.values()]
        delivered = dovecot.mailboxes.wait(f"@{domain}", count=len(accepted), seconds=30)
        assert {each.recipient for each in delivered} == {f"{user}@{domain}" for user in accepted}
