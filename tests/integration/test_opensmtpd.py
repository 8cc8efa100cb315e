"""mailkit and OpenSMTPD: a server that offers neither PIPELINING nor CHUNKING."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import DeliveryError, RejectedError, TransientError

from .letters import assert_is, letter, note

if TYPE_CHECKING:
    from .colours import Post
    from .opensmtpd import OpenSMTPD


def url(opensmtpd: OpenSMTPD) -> str:
    """The server."""
    return f"smtp://127.0.0.1:{opensmtpd.port}"


def test_delivers_what_was_sent(opensmtpd: OpenSMTPD, post: Post, domain: str) -> None:
    """Several letters over one connection arrive unchanged, each once for each recipient."""
    messages = [letter([f"bob{number}@{domain}", f"eve{number}@{domain}"]) for number in range(3)]
    post.send(url(opensmtpd), *messages)
    for message in messages:
        for recipient in message.to:
            assert_is(opensmtpd.mailboxes.one(recipient.email), message)


def test_refused_among_good_ones(opensmtpd: OpenSMTPD, post: Post, domain: str) -> None:
    """The good recipients get the message, the receipt says what became of the others."""
    users = ("bob", "refused", "eve", "deferred")
    [receipt] = post.send(url(opensmtpd), note([f"{user}@{domain}" for user in users]))
    assert [(each.address.partition("@")[0], each.status, each.code) for each in receipt.refused] == [
        ("refused", "rejected", 550),
        ("deferred", "deferred", 450),
    ]
    opensmtpd.mailboxes.wait(f"@{domain}", count=2)


@pytest.mark.parametrize(("user", "kind"), [("refused", RejectedError), ("deferred", TransientError)])
def test_everybody_refused(opensmtpd: OpenSMTPD, post: Post, domain: str, user: str, kind: type[DeliveryError]) -> None:
    """A message with no recipient left is refused as its recipients were, and the next one is delivered."""
    with pytest.raises(kind):
        post.send(url(opensmtpd), note(f"{user}@{domain}"))
    post.send(url(opensmtpd), note(f"carol@{domain}"))
    assert opensmtpd.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"carol@{domain}"


def test_refused_sender(opensmtpd: OpenSMTPD, post: Post, domain: str) -> None:
    """A sender that is refused at MAIL has its message rejected for every recipient."""
    with pytest.raises(RejectedError) as caught:
        post.send(url(opensmtpd), note([f"bob@{domain}", f"eve@{domain}"], from_="refused-sender@example.test"))
    assert [(each.status, each.code) for each in caught.value.recipients] == [("rejected", 550)] * 2


def test_hangs_up_at_a_recipient(opensmtpd: OpenSMTPD, post: Post, domain: str) -> None:
    """After a 421 at RCPT nobody got the message, and it may be sent again."""
    with pytest.raises(DeliveryError) as caught:
        post.send(url(opensmtpd), note([f"bob@{domain}", f"closing@{domain}"]))
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)


def test_many_messages(opensmtpd: OpenSMTPD, post: Post, domain: str) -> None:
    """Of a hundred messages with refused and deferred ones among them, exactly the accepted ones arrive."""
    kinds = {3: "refused", 5: "deferred"}
    users = [kinds.get(number % 9, f"user{number}") for number in range(100)]
    outcomes = post.send_many(url(opensmtpd), [note(f"{user}@{domain}") for user in users])
    accepted = [user for user, outcome in zip(users, outcomes, strict=True) if outcome.ok]
    assert accepted == [user for user in users if user not in kinds.values()]
    delivered = opensmtpd.mailboxes.wait(f"@{domain}", count=len(accepted), seconds=30)
    assert {each.recipient for each in delivered} == {f"{user}@{domain}" for user in accepted}
