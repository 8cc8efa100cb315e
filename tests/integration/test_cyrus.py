"""mailkit and Cyrus: a real JMAP server, which submits to an SMTP server of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import Envelope, Mailer, MessageError, OutcomeUnknownError, RejectedError, RetryPolicy
from mailkit.errors import UnsupportedFeatureError
from mailkit.testing import Disconnect

from .letters import assert_is, letter, note
from .maildir import Delivered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .colours import Post
    from .cyrus import Cyrus

_AT_ONCE = RetryPolicy(attempts=3, wait=lambda _state: 0.0)


@pytest.fixture(autouse=True)
def _as_it_should_be(cyrus: Cyrus) -> Iterator[None]:
    """What a test has the SMTP server do wrong ends with the test."""
    yield
    cyrus.submitted.clear_script()


def test_a_letter(cyrus: Cyrus, post: Post, domain: str) -> None:
    """It arrives as it was sent, at everybody, Bcc unseen; a copy lies in Sent, seen, and none in Drafts."""
    message = letter([f"bob@{domain}", f"eve@{domain}"], bcc=f"archive@{domain}", subject=f"At {domain}")
    [receipt] = post.send(cyrus.url, message)
    assert len(receipt.accepted) == 3
    assert receipt.provider_id
    [arrived] = cyrus.arrived(domain)
    assert (arrived.mail_from, arrived.rcpt_to) == (
        "ada@example.test",
        (f"bob@{domain}", f"eve@{domain}", f"archive@{domain}"),
    )
    assert_is(Delivered(f"bob@{domain}", arrived.data.replace(b"\r\n", b"\n")), message)
    assert arrived.parse()["Message-ID"] == f"<{receipt.message_id}>"
    [kept] = cyrus.mailbox("Sent", f"At {domain}")
    assert kept.endswith(arrived.data)
    assert b"\\Seen" in kept.partition(b"\r\n")[0]
    assert b"\\Draft" not in kept.partition(b"\r\n")[0]
    assert not cyrus.mailbox("Drafts", f"At {domain}")


def test_no_copy(cyrus: Cyrus, post: Post, domain: str) -> None:
    """Where none is wanted, nothing stays behind."""
    post.send(f"{cyrus.url}?save-copy=off", note(f"bob@{domain}", subject=f"At {domain}"))
    assert cyrus.arrived(domain)
    assert not [each for name in ("Sent", "Drafts") for each in cyrus.mailbox(name, f"At {domain}")]


def test_prepared_bytes(cyrus: Cyrus, post: Post, domain: str) -> None:
    """They arrive octet for octet, to the envelope's recipients, from its return path."""
    data = b"From: ada@example.test\r\nMessage-ID: <as.it.is@example.test>\r\nsubject:  odd\r\n\r\n.\r\nHi\r\n"
    receipt = post.send_raw(cyrus.url, data, Envelope("bounces@example.test", f"bob@{domain}"))
    [arrived] = cyrus.arrived(domain)
    assert (arrived.mail_from, arrived.data) == ("bounces@example.test", data)
    assert receipt.message_id == "as.it.is@example.test"


def test_many(cyrus: Cyrus, post: Post, domain: str) -> None:
    """Several requests at once submit each message once."""
    messages = [note(f"user{number}@{domain}") for number in range(12)]
    outcomes = post.send_many(cyrus.url, messages, connections=3)
    assert all(outcome.ok for outcome in outcomes)
    arrived = [path for each in cyrus.arrived(domain, 12) for path in each.rcpt_to]
    assert sorted(arrived) == sorted(f"user{number}@{domain}" for number in range(12))


def test_notifications(cyrus: Cyrus, post: Post, domain: str) -> None:
    """What is asked for each recipient and for the message is passed on to SMTP, encoded as that wants it."""
    options = {"ret": "HDRS", "envid": "order+7", "notify": "FAILURE", "orcpt": f"rfc822;bob+7@{domain}"}
    post.send(cyrus.url, note(f"bob@{domain}", options={"smtp": options}))
    [arrived] = cyrus.arrived(domain)
    mail = {name: value for name, value in arrived.mail_parameters.items() if name in {"RET", "ENVID"}}
    assert mail == {"RET": "HDRS", "ENVID": "order+2B7"}
    assert arrived.rcpt_parameters == ({"NOTIFY": "FAILURE", "ORCPT": f"rfc822;bob+2B7@{domain}"},)


def test_what_is_not_offered(cyrus: Cyrus, post: Post, domain: str) -> None:
    """What neither Cyrus nor the SMTP server behind it offers is refused by name."""
    with pytest.raises(UnsupportedFeatureError) as caught:
        post.send(cyrus.url, note(f"bob@{domain}", options={"smtp": {"require_tls": True}}))
    assert caught.value.feature == "require_tls"


def test_a_refused_recipient(cyrus: Cyrus, post: Post, domain: str) -> None:
    """Cyrus sends to nobody where one is refused: the others get it at the next attempt, and nobody gets it twice."""
    cyrus.submitted.script("RCPT", "550 5.1.1 no such user", times=None, match=f"eve@{domain}")
    [receipt] = post.send(cyrus.url, note([f"bob@{domain}", f"eve@{domain}"], subject=f"At {domain}"), retry=_AT_ONCE)
    assert [each.status for each in receipt.recipients] == ["accepted", "rejected"]
    assert [each.rcpt_to for each in cyrus.arrived(domain)] == [(f"bob@{domain}",)]
    assert len(cyrus.mailbox("Sent", f"At {domain}")) == 1
    assert not cyrus.mailbox("Drafts", f"At {domain}")


@pytest.mark.parametrize("answer", [Disconnect(), "554 5.7.1 not from you"], ids=["lost", "refused"])
def test_a_doubtful_answer(cyrus: Cyrus, post: Post, domain: str, answer: Disconnect | str) -> None:
    """Cyrus has one word for an answer that was lost, to a message that was taken, and for a refusal: it is unknown."""
    cyrus.submitted.script("DOT", answer)
    with pytest.raises(OutcomeUnknownError, match="smtpProtocolError"):
        post.send(cyrus.url, note(f"bob@{domain}"))


def test_another_sender(cyrus: Cyrus, post: Post, domain: str) -> None:
    """The account's only identity is its own address."""
    with pytest.raises(MessageError, match=r"identities are ada@example\.test"):
        post.send(cyrus.url, note(f"bob@{domain}", from_="eve@example.test", return_path="eve@example.test"))


def test_the_same_again(cyrus: Cyrus, domain: str) -> None:
    """Cyrus keeps no two messages of the same octets: they are sent again all the same, and the first copy stays."""
    message = note(f"bob@{domain}", subject=f"At {domain}").completed()
    for url in (cyrus.url, cyrus.url, f"{cyrus.url}?save-copy=off"):
        with Mailer(url) as mailer:
            assert mailer.send(message).accepted
    cyrus.submitted.script("RCPT", "550 5.1.1 no such user", match=f"bob@{domain}")
    with Mailer(cyrus.url) as mailer, pytest.raises(RejectedError):
        mailer.send(message)
    assert len({each.data for each in cyrus.arrived(domain, 3)}) == 1
    assert len(cyrus.mailbox("Sent", f"At {domain}")) == 1


def test_verifying(cyrus: Cyrus, post: Post) -> None:
    """The session tells what the SMTP server behind it offers."""
    info = post.verify(cyrus.url)
    assert "DSN" in info.extensions
    assert info.authenticated == "Basic"
