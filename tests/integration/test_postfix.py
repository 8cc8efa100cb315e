"""mailkit and Postfix: what is sent is what arrives, whatever the server offers and whomever it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import (
    Attachment,
    DeliveryError,
    Envelope,
    Mailer,
    RejectedError,
    RetryPolicy,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.smtp import SMTP

from .cutting_proxy import CuttingProxy
from .letters import assert_is, letter, note
from .postfix import RECIPIENT_LIMIT, SIZE_LIMIT

if TYPE_CHECKING:
    from .colours import Post
    from .postfix import Postfix


def url(port: int) -> str:
    """A server on the loopback interface, where TLS is used if it is offered."""
    return f"smtp://127.0.0.1:{port}"


def results(error: DeliveryError) -> dict[str, tuple[str, int | None, str | None]]:
    """Recipient → status, code and enhanced code."""
    return {each.address: (each.status, each.code, each.enhanced_code) for each in error.recipients}


def test_delivers_what_was_sent(postfix: Postfix, post: Post, domain: str) -> None:
    """Header, bodies, inline image and attachments arrive unchanged, a Bcc recipient gets a copy nobody sees."""
    message = letter(f"bob@{domain}", cc=f"Zoë <zoe@{domain}>", bcc=f"archive@{domain}")
    [receipt] = post.send(url(postfix.ports.smtp), message)
    assert [result.address for result in receipt.accepted] == [f"{user}@{domain}" for user in ("bob", "zoe", "archive")]
    assert (receipt.refused, receipt.attempts) == ((), 1)
    for delivered in postfix.mailboxes.wait(f"@{domain}", count=3):
        assert_is(delivered, message)
        assert delivered.return_path == "ada@example.test"
        assert delivered.message["Message-ID"] == f"<{receipt.message_id}>"


@pytest.mark.parametrize(
    "port", ["smtp", "no_chunking", "no_pipelining", "bare", "seven_bit", "no_smtputf8", "no_starttls"]
)
def test_delivers_whatever_is_offered(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """With few extensions or none, three messages over one connection arrive unchanged and each once."""
    messages = [letter(f"user{number}@{domain}") for number in range(3)]
    post.send(url(getattr(postfix.ports, port)), *messages)
    for message in messages:
        assert_is(postfix.mailboxes.one(message.to[0].email), message)


@pytest.mark.parametrize(
    "offer",
    [
        ("smtp", {"EHLO", "MAIL", "RCPT", "BDAT", "QUIT"}),
        ("no_chunking", {"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}),
        ("no_pipelining", {"EHLO", "MAIL", "RCPT", "DATA", "QUIT"}),
    ],
)
def test_uses_what_is_offered(postfix: Postfix, post: Post, domain: str, offer: tuple[str, set[str]]) -> None:
    """BDAT where CHUNKING is offered, else DATA; two messages go over one connection without RSET or NOOP."""
    port, verbs = offer
    with CuttingProxy(getattr(postfix.ports, port)) as proxy:
        transport = SMTP("127.0.0.1", port=proxy.port, tls="insecure")
        post.send(transport, note(f"bob@{domain}"), note(f"eve@{domain}"))
        [exchange] = proxy.exchanges
        assert exchange.ended.wait(10)
        lines = bytes(exchange.to_server).decode().splitlines()
    assert {line[:4] for line in lines if line[:4] in verbs | {"RSET", "NOOP", "HELO", "BDAT", "DATA"}} == verbs
    assert [line for line in lines if line.startswith("RCPT")] == [f"RCPT TO:<{u}@{domain}>" for u in ("bob", "eve")]
    postfix.mailboxes.wait(f"@{domain}", count=2)


def test_large_attachment(postfix: Postfix, post: Post, domain: str) -> None:
    """Eight megabytes of every byte arrive unchanged."""
    data = bytes(range(256)) * (8 * 4096)
    message = letter(f"bob@{domain}", attachments=[Attachment.from_bytes(data, "large.bin")])
    post.send(url(postfix.ports.smtp), message)
    assert_is(postfix.mailboxes.one(f"bob@{domain}", seconds=30), message)


@pytest.mark.parametrize("port", ["smtp", "no_chunking", "no_pipelining"])
def test_raw_bytes_are_unchanged(postfix: Postfix, post: Post, domain: str, port: str) -> None:
    """Prepared bytes arrive as they are, with dots, without a last line end, and with nothing added."""
    data = b"From: ada@example.test\r\nSubject: raw\r\n\r\n.dot\r\n..\r\n.\r\nno end"
    post.send_raw(url(getattr(postfix.ports, port)), data, Envelope("ada@example.test", f"bob@{domain}"))
    assert postfix.mailboxes.one(f"bob@{domain}").content.rstrip(b"\r\n") == data


class TestRefusals:
    """Recipients, senders and contents that Postfix does not take."""

    @pytest.mark.parametrize("port", ["smtp", "no_chunking", "no_pipelining"])
    def test_refused_among_good_ones(self, postfix: Postfix, post: Post, domain: str, port: str) -> None:
        """The good recipients get the message; the receipt says who was refused, who deferred, and why."""
        users = ("bob", "refused", "eve", "deferred", "greylisted", "full", "gone")
        message = letter([f"{user}@{domain}" for user in users])
        [receipt] = post.send(url(getattr(postfix.ports, port)), message)
        said = {
            each.address.partition("@")[0]: (each.status, each.code, each.enhanced_code) for each in receipt.refused
        }
        assert said == {
            "refused": ("rejected", 550, "5.1.1"),
            "deferred": ("deferred", 450, "4.2.0"),
            "greylisted": ("deferred", 450, "4.7.1"),
            "full": ("deferred", 452, "4.2.2"),
            "gone": ("rejected", 551, "5.1.6"),
        }
        assert [each.address for each in receipt.accepted] == [f"bob@{domain}", f"eve@{domain}"]
        with pytest.raises(RejectedError, match="refused@"):
            receipt.raise_for_refused()
        for delivered in postfix.mailboxes.wait(f"@{domain}", count=2):
            assert_is(delivered, message)

    @pytest.mark.parametrize("port", ["smtp", "no_chunking", "no_pipelining"])
    def test_all_or_nobody(self, postfix: Postfix, post: Post, domain: str, port: str) -> None:
        """With recipients="all" one refusal keeps the message from everybody, and the connection stays usable."""
        transport = SMTP("127.0.0.1", port=getattr(postfix.ports, port), recipients="all")
        with pytest.raises(RejectedError) as caught:
            post.send(transport, note([f"bob@{domain}", f"refused@{domain}"]))
        assert results(caught.value)[f"refused@{domain}"] == ("rejected", 550, "5.1.1")
        assert results(caught.value)[f"bob@{domain}"][0] == "not_sent"
        post.send(transport, note([f"carol@{domain}", f"dan@{domain}"]))
        delivered = postfix.mailboxes.wait(f"@{domain}", count=2)
        assert {each.recipient for each in delivered} == {f"carol@{domain}", f"dan@{domain}"}

    @pytest.mark.parametrize("port", ["smtp", "no_chunking", "no_pipelining"])
    def test_everybody_refused(self, postfix: Postfix, post: Post, domain: str, port: str) -> None:
        """When no recipient is left the message is rejected, and no empty message arrives."""
        with pytest.raises(RejectedError) as caught:
            post.send(url(getattr(postfix.ports, port)), note([f"refused@{domain}", f"gone@{domain}"]))
        assert (caught.value.outcome, caught.value.retryable) == ("rejected", False)
        assert set(results(caught.value).values()) == {("rejected", 550, "5.1.1"), ("rejected", 551, "5.1.6")}
        post.send(url(getattr(postfix.ports, port)), note(f"carol@{domain}"))
        assert postfix.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"carol@{domain}"

    def test_everybody_deferred(self, postfix: Postfix, post: Post, domain: str) -> None:
        """When all recipients are deferred so is the message, which may be tried again."""
        with pytest.raises(TransientError) as caught:
            post.send(url(postfix.ports.smtp), note([f"deferred@{domain}", f"full@{domain}"]))
        assert (caught.value.outcome, caught.value.retryable) == ("deferred", True)

    def test_greylisted_is_not_tried_again_at_once(self, postfix: Postfix, domain: str) -> None:
        """A greylisted recipient is deferred as throttled; the policy's other attempts do not hammer the server."""
        refused = pytest.raises(DeliveryError)
        with Mailer(url(postfix.ports.smtp), retry=RetryPolicy(attempts=3)) as mailer, refused as caught:
            mailer.send(note(f"greylisted@{domain}"))
        assert (caught.value.outcome, caught.value.cause, caught.value.attempts) == ("deferred", "throttled", 1)

    @pytest.mark.parametrize(
        "refusal",
        [("refused-sender", 550), ("deferred-sender", 451), ("refused-content", 554), ("deferred-content", 451)],
    )
    @pytest.mark.parametrize("port", ["smtp", "no_chunking", "no_pipelining"])
    def test_refused_sender_and_content(
        self, postfix: Postfix, domain: str, refusal: tuple[str, int], port: str
    ) -> None:
        """A message refused at MAIL or after its data is refused for all; the connection carries the next one."""
        sender, code = refusal
        message = note([f"bob@{domain}", f"eve@{domain}"], from_=f"{sender}@example.test")
        status = "deferred" if code == 451 else "rejected"
        with CuttingProxy(getattr(postfix.ports, port)) as proxy:
            with Mailer(SMTP("127.0.0.1", port=proxy.port, tls="insecure"), retry=RetryPolicy.none()) as mailer:
                with pytest.raises(RejectedError if status == "rejected" else TransientError) as caught:
                    mailer.send(message)
                mailer.send(note(f"carol@{domain}"))
            assert len(proxy.exchanges) == 1
        assert caught.value.reply is not None
        assert caught.value.reply.code == code
        assert {address: result[:2] for address, result in results(caught.value).items()} == {
            f"bob@{domain}": (status, code),
            f"eve@{domain}": (status, code),
        }
        assert postfix.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"carol@{domain}"

    @pytest.mark.parametrize(
        ("port", "outcome"), [("smtp", "unknown"), ("no_chunking", "not_sent"), ("no_pipelining", "not_sent")]
    )
    def test_hangs_up_at_a_recipient(self, postfix: Postfix, domain: str, port: str, outcome: str) -> None:
        """After a 421 at RCPT nobody got the message; content that had left in the same write is in doubt.

        The next message goes over a fresh connection.
        """
        transport = SMTP("127.0.0.1", port=getattr(postfix.ports, port))
        with Mailer(transport, retry=RetryPolicy.none()) as mailer:
            with pytest.raises(DeliveryError) as caught:
                mailer.send(note([f"bob@{domain}", f"closing@{domain}"]))
            mailer.send(note(f"carol@{domain}"))
        assert results(caught.value)[f"closing@{domain}"] == ("not_sent", 421, "4.3.2")
        assert caught.value.outcome == outcome
        assert postfix.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"carol@{domain}"


class TestLimits:
    """SIZE, recipients and patience."""

    def test_size_exceeded(self, postfix: Postfix, post: Post, domain: str) -> None:
        """A message over the announced size is rejected before any MAIL; one below it is delivered."""
        large = note(f"bob@{domain}", attachments=[Attachment.from_bytes(bytes(SIZE_LIMIT), "large.bin")])
        with CuttingProxy(postfix.ports.small) as proxy:
            transport = SMTP("127.0.0.1", port=proxy.port, tls="insecure")
            with pytest.raises(RejectedError, match=r"20,?000") as caught:
                post.send(transport, large)
            assert b"MAIL" not in proxy.exchanges[0].to_server
            post.send(transport, note(f"carol@{domain}"))
        assert (caught.value.outcome, caught.value.retryable) == ("rejected", False)
        assert postfix.mailboxes.wait(f"@{domain}", count=1)[0].recipient == f"carol@{domain}"

    def test_more_recipients_than_the_server_takes(self, postfix: Postfix, post: Post, domain: str) -> None:
        """Recipients over the server's limit (452 4.5.3) get the message in further transactions."""
        names = [f"user{number}@{domain}" for number in range(2 * RECIPIENT_LIMIT + 5)]
        [receipt] = post.send(url(postfix.ports.few_recipients), note(names))
        assert [each.address for each in receipt.accepted] == names
        delivered = postfix.mailboxes.wait(f"@{domain}", count=len(names))
        assert {each.recipient for each in delivered} == set(names)

    def test_server_that_loses_patience(self, postfix: Postfix, post: Post, domain: str) -> None:
        """Where a server hangs up after some errors, every message has a true outcome and the rest still arrives."""
        users = [f"{'refused' if number % 2 else f'user{number}'}@{domain}" for number in range(20)]
        outcomes = post.send_many(url(postfix.ports.impatient), [note(user) for user in users])
        accepted = {outcome.message.to[0].email for outcome in outcomes if outcome.ok}
        assert [outcome.message.to[0].email for outcome in outcomes] == users
        statuses = {outcome.error.outcome for outcome in outcomes if isinstance(outcome.error, DeliveryError)}
        assert statuses <= {"rejected", "not_sent"}
        delivered = postfix.mailboxes.wait(f"@{domain}", count=len(accepted))
        assert {each.recipient for each in delivered} == accepted


class TestInternationalAddresses:
    """SMTPUTF8 and IDNA."""

    def test_smtputf8(self, postfix: Postfix, post: Post, domain: str) -> None:
        """Local parts and domains that are not ASCII reach their mailbox."""
        host = f"{domain.removesuffix('example.test')}bücher.test"
        message = letter(f"Jürgen <jürgen@{host}>", from_="Søren <søren@example.test>", cc=f"bob@{domain}")
        [receipt] = post.send(url(postfix.ports.smtp), message)
        assert len(receipt.accepted) == 2
        for recipient in (f"jürgen@{host}", f"bob@{domain}"):
            delivered = postfix.mailboxes.one(recipient)
            assert delivered.message["Subject"] == message.subject
            assert "<søren@example.test>" in delivered.content.decode().partition("\r\n\r\n")[0]

    def test_idna_needs_no_smtputf8(self, postfix: Postfix, post: Post, domain: str) -> None:
        """A domain that is not ASCII is sent as its A-label where the local part is ASCII."""
        label = domain.partition(".")[0]
        post.send(url(postfix.ports.no_smtputf8), note(f"bob@{label}.bücher.test"))
        postfix.mailboxes.one(f"bob@{label}.xn--bcher-kva.test")

    def test_smtputf8_not_offered(self, postfix: Postfix, post: Post, domain: str) -> None:
        """Where SMTPUTF8 is missing, an address that needs it is refused before MAIL and nothing is sent."""
        with pytest.raises((RejectedError, UnsupportedFeatureError), match="SMTPUTF8"):
            post.send(url(postfix.ports.no_smtputf8), note(f"jürgen@{domain}"))
        assert postfix.mailboxes.of(f"@{domain}") == []


def test_many_messages(postfix: Postfix, post: Post, domain: str) -> None:
    """Of three hundred messages with refused and deferred ones among them, exactly the accepted ones arrive."""
    users = [
        ("refused" if number % 7 == 3 else "deferred" if number % 11 == 5 else f"user{number}") for number in range(300)
    ]
    messages = [note(f"{user}@{domain}", subject=f"number {number}") for number, user in enumerate(users)]
    outcomes = post.send_many(url(postfix.ports.smtp), messages)
    assert [outcome.message for outcome in outcomes] == messages
    expected = {"refused": "rejected", "deferred": "deferred"}
    for user, outcome in zip(users, outcomes, strict=True):
        status = outcome.error.outcome if isinstance(outcome.error, DeliveryError) else "accepted"
        assert status == expected.get(user, "accepted")
    accepted = {outcome.message.subject for outcome in outcomes if outcome.ok}
    delivered = postfix.mailboxes.wait(f"@{domain}", count=len(accepted), seconds=30)
    assert {each.message["Subject"] for each in delivered} == accepted
