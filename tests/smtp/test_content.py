"""What is refused before the first byte, because the server has said that it cannot take it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest
from attrs import evolve, frozen
from tests.smtp.letters import BOB, EVE, Post, big, letter

from mailkit import DeliveryError, Envelope, MailkitError, RejectedError, UnsupportedFeatureError
from mailkit.mail_parameters import MailParameters
from mailkit.reply import Reply
from mailkit.smtp.content import MAX_RECIPIENTS, recipient_limit, refuse_unsendable, suits
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.options import SMTPOptions
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour

OPTIONS = SMTPOptions(host="mx.test", port=587, name="smtp://mx.test:587")
ENVELOPE = Envelope("ada@example.com", [BOB, EVE])


@frozen
class Prepared:
    """Content with any needs."""

    size: int = 100
    body_type: Literal["7BIT", "8BITMIME", "BINARYMIME"] = "7BIT"
    needs_smtputf8: bool = False
    message_id: str = "one@example.com"

    def iter_bytes(self) -> Iterator[bytes]:
        """Nobody reads it."""
        raise NotImplementedError


def offering(*lines: str) -> Extensions:
    """Return what an EHLO reply with these lines offers."""
    return Extensions.parse(Reply(250, "\n".join(("mx.test", *lines))))


def asking(**parameters: Any) -> Envelope:
    """Return an envelope whose MAIL has parameters."""
    return evolve(ENVELOPE, mail_parameters=MailParameters(**parameters))


@pytest.mark.parametrize(
    ("lines", "envelope", "content"),
    [
        ([], ENVELOPE, Prepared()),
        (["SIZE 100"], ENVELOPE, Prepared(size=100)),
        (["SIZE 0"], ENVELOPE, Prepared(size=10**9)),
        (["SIZE"], ENVELOPE, Prepared(size=10**9)),
        (["8BITMIME"], ENVELOPE, Prepared(body_type="8BITMIME")),
        (["BINARYMIME", "CHUNKING"], ENVELOPE, Prepared(body_type="BINARYMIME")),
        (["SMTPUTF8"], Envelope("ada@example.com", "jörg@example.org"), Prepared(needs_smtputf8=True)),
        (["REQUIRETLS"], asking(require_tls=True), Prepared()),
        (["MT-PRIORITY"], asking(priority=4), Prepared()),
        (["DELIVERBY"], asking(deliver_by=60), Prepared()),
        (["FUTURERELEASE 1000 2030-01-01T00:00:00Z"], asking(hold_until=datetime(2029, 1, 1, tzinfo=UTC)), Prepared()),
        (["AUTH PLAIN"], asking(submitter="<>"), Prepared()),
    ],
)
def test_what_a_server_offers_can_be_sent(lines: list[str], envelope: Envelope, content: Prepared) -> None:
    """Where every extension that is needed is offered, nothing is refused."""
    refuse_unsendable(OPTIONS, offering(*lines), envelope, content)


@pytest.mark.parametrize(
    ("lines", "envelope", "content", "feature"),
    [
        ([], Envelope("ada@example.com", "jörg@example.org"), Prepared(), "smtputf8"),
        ([], Envelope("jörg@example.org", BOB), Prepared(), "smtputf8"),
        ([], ENVELOPE, Prepared(needs_smtputf8=True), "smtputf8"),
        ([], ENVELOPE, Prepared(body_type="8BITMIME"), "8bitmime"),
        (["BINARYMIME"], ENVELOPE, Prepared(body_type="BINARYMIME"), "binarymime"),
        (["CHUNKING"], ENVELOPE, Prepared(body_type="BINARYMIME"), "binarymime"),
        ([], asking(ret="HDRS"), Prepared(), "dsn"),
        ([], asking(require_tls=True), Prepared(), "require_tls"),
        ([], asking(priority=4), Prepared(), "priority"),
        ([], asking(deliver_by=60), Prepared(), "deliver_by"),
        ([], asking(hold_until=datetime(2029, 1, 1, tzinfo=UTC)), Prepared(), "send_at"),
        ([], asking(submitter="<>"), Prepared(), "submitter"),
    ],
)
def test_what_a_server_does_not_offer_is_refused(
    lines: list[str], envelope: Envelope, content: Prepared, feature: str
) -> None:
    """The error names the feature, the server, and what to do."""
    with pytest.raises(UnsupportedFeatureError, match="nothing was sent") as caught:
        refuse_unsendable(OPTIONS, offering(*lines), envelope, content)
    assert caught.value.feature == feature
    assert caught.value.transport == "mx.test"


def test_binary_content_needs_bdat() -> None:
    """Where chunking is switched off, BINARYMIME is of no use."""
    extensions = offering("BINARYMIME", "CHUNKING")
    assert suits(Prepared(body_type="BINARYMIME"), OPTIONS, extensions)
    assert not suits(Prepared(body_type="BINARYMIME"), evolve(OPTIONS, chunking=False), extensions)


@pytest.mark.parametrize("tls", ["opportunistic", "insecure"])
def test_require_tls_needs_a_verified_connection(tls: Any) -> None:
    """REQUIRETLS fails closed: a connection that anybody could have answered does not do (RFC 8689 §2)."""
    with pytest.raises(UnsupportedFeatureError, match="verified TLS"):
        refuse_unsendable(evolve(OPTIONS, tls=tls), offering("REQUIRETLS"), asking(require_tls=True), Prepared())


def test_what_is_too_large_is_rejected_here() -> None:
    """The error has everything that a server's refusal would have."""
    with pytest.raises(RejectedError) as caught:
        refuse_unsendable(OPTIONS, offering("SIZE 99"), ENVELOPE, Prepared(size=100))
    error = caught.value
    assert (error.outcome, error.phase, error.retryable) == ("rejected", "mail", False)
    assert (error.transport, error.message_id) == ("smtp://mx.test:587", "one@example.com")
    assert [(result.address, result.status) for result in error.recipients] == [(BOB, "rejected"), (EVE, "rejected")]


def test_all_or_nothing_needs_one_transaction() -> None:
    """With recipients="all", more recipients than one transaction takes are refused before anything is sent."""
    options = evolve(OPTIONS, recipients="all")
    refuse_unsendable(options, offering("LIMITS RCPTMAX=2"), ENVELOPE, Prepared())
    with pytest.raises(RejectedError, match="one transaction") as caught:
        refuse_unsendable(options, offering("LIMITS RCPTMAX=1"), ENVELOPE, Prepared())
    assert [result.status for result in caught.value.recipients] == ["not_sent", "not_sent"]
    refuse_unsendable(OPTIONS, offering("LIMITS RCPTMAX=1"), ENVELOPE, Prepared())


@pytest.mark.parametrize(("lines", "limit"), [([], 100), (["LIMITS RCPTMAX=7"], 7), (["LIMITS RCPTMAX=5000"], 100)])
def test_how_many_recipients_one_transaction_has(lines: list[str], limit: int) -> None:
    """A server may name fewer than the hundred that each must take; more would help nobody."""
    assert recipient_limit(offering(*lines)) == limit
    assert MAX_RECIPIENTS == 100


# The same over a connection: not a byte of MAIL leaves, and the connection carries the next message.


def refused(post: Post, data: bytes | None = None, **changes: Any) -> MailkitError:
    """Send what cannot be sent; return the error."""
    send = partial(post.send, letter(**changes)) if data is None else partial(post.send_raw, data)
    with pytest.raises(MailkitError) as caught:
        send()
    assert post.server.connections[0].verbs == ("EHLO",)
    assert post.send(letter(2, to=BOB)).accepted
    assert len(post.server.connections) == 1
    return caught.value


def test_a_message_over_size_costs_no_round_trip(colour: Colour) -> None:
    """What EHLO has said about the size is looked at before MAIL; and what fits is announced with its size."""
    with SMTPServer(max_size=1000) as server, Post.to(server, colour) as post:
        error = refused(post, big(1001))
        assert isinstance(error, RejectedError)
        assert "1,001 octets" in str(error)
        message = server.messages[0]
        assert message.mail_parameters["SIZE"] == str(len(message.data))


def test_an_address_that_needs_smtputf8(colour: Colour) -> None:
    """Without SMTPUTF8 it is refused; with it, it goes as it is, and only then is SMTPUTF8 said."""
    with SMTPServer(without=["SMTPUTF8"]) as server, Post.to(server, colour) as post:
        error = refused(post, to="jörg@example.org")
        assert isinstance(error, UnsupportedFeatureError)
        assert not isinstance(error, DeliveryError)
        assert "for 'jörg@example.org'" in str(error)
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1, to="jörg@example.org"))
        post.send(letter(2, to="joerg@bücher.example"))
        first, second = server.messages
        assert first.rcpt_to == ("jörg@example.org",)
        assert "SMTPUTF8" in first.mail_parameters
        assert second.rcpt_to == ("joerg@xn--bcher-kva.example",)
        assert "SMTPUTF8" not in second.mail_parameters


def test_a_header_field_that_needs_smtputf8(colour: Colour) -> None:
    """Of prepared bytes in UTF-8 the error says that it is not an address."""
    with SMTPServer(without=["SMTPUTF8"]) as server, Post.to(server, colour) as post:
        error = refused(post, "Subject: Grüße\r\n\r\n".encode())
        assert isinstance(error, UnsupportedFeatureError)
        assert "needs for a header field" in str(error)


def test_prepared_octets_above_127(colour: Colour) -> None:
    """Prepared bytes are not converted: without 8BITMIME they are refused, with it they go as they are."""
    data = b"Subject: x\r\n\r\nna\xc3\xafve\r\n"
    with SMTPServer(without=["8BITMIME"]) as server, Post.to(server, colour) as post:
        assert isinstance(refused(post, data), UnsupportedFeatureError)
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send_raw(data)
        assert server.messages[0].data == data
        assert server.messages[0].mail_parameters["BODY"] == "8BITMIME"
        assert server.violations == ()


def test_another_machine_behind_the_same_name(colour: Colour) -> None:
    """A message that was written for a server with 8BITMIME is written anew for one that has lost it."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1, text="naïve\n"))
        post.send(letter(2, text="naïve\n"))
        assert server.messages[1].mail_parameters["BODY"] == "8BITMIME"
        server.kick()
        server.script("EHLO", "250 mx2.test\nPIPELINING")
        post.send(letter(3, text="naïve\n"))
        message = server.messages[2]
        assert "BODY" not in message.mail_parameters
        assert message.via == "DATA"
        assert message.data.isascii()
        assert message.parse().get_content().strip() == "naïve"
