"""A channel: messages in, receipts out, whatever connection carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.patience import given_time
from tests.smtp.letters import BOB, EVE, Post, big, letter

from mailkit import (
    Attachment,
    AuthenticationError,
    ConnectError,
    DeliveryTimeout,
    Envelope,
    MessageError,
    OutcomeUnknownError,
    ProtocolError,
    Receipt,
    RejectedError,
    UnsupportedFeatureError,
)
from mailkit.smtp.timeouts import Timeouts
from mailkit.testing import Disconnect, Garbage, SMTPServer, Stall

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour


def test_a_message_comes_back_as_a_receipt(colour: Colour) -> None:
    """The receipt has the Message-ID, the transport, the server's queue id and one result for each recipient."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        receipt = post.send()
        assert receipt.message_id == "letter-1@example.com"
        assert receipt.transport == f"smtp://127.0.0.1:{server.port}"
        assert receipt.provider_id == "00000001"
        assert receipt.attempts == 1
        assert [(r.address, r.status, r.code, r.phase) for r in receipt.recipients] == [
            (BOB, "accepted", 250, "content"),
            (EVE, "accepted", 250, "content"),
        ]
        parsed = server.messages[0].parse()
        assert parsed["Message-ID"] == "<letter-1@example.com>"
        assert parsed["Subject"] == "Letter 1"


def test_the_first_message_is_written_for_any_server_and_the_next_for_this_one(colour: Colour) -> None:
    """Before anything was offered a message is ASCII; then it goes out with what the server has offered."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1, text="naïve\n"))
        post.send(letter(2, text="naïve\n"))
        first, second = server.messages
        assert first.data.isascii()
        assert not second.data.isascii()
        assert {message.parse().get_content().strip() for message in server.messages} == {"naïve"}
        assert server.violations == ()


@pytest.mark.parametrize("source", ["bytes", "path"])
def test_prepared_bytes_arrive_unchanged(source: str, tmp_path: Path, colour: Colour) -> None:
    """From memory or from a file, not one byte differs, and the receipt names the message by its own Message-ID."""
    data = big(200_000, 7)
    path = tmp_path / "letter.eml"
    path.write_bytes(data)
    with SMTPServer() as server, Post.to(server, colour) as post:
        receipt = post.send_raw(data if source == "bytes" else path)
        assert server.messages[0].data == data
        assert receipt.message_id == "letter-7@example.com"


def test_prepared_bytes_that_are_no_message() -> None:
    """They are refused before anything is connected to."""
    with SMTPServer() as server, Post.to(server) as post:
        with pytest.raises(MessageError):
            post.send_raw(b"A: b\nC: d\n\n")
        assert server.connections == ()


def test_what_smtp_cannot_express_is_refused_before_any_io() -> None:
    """A feature of APIs is named together with the transport."""
    with SMTPServer() as server, Post.to(server) as post:
        with pytest.raises(UnsupportedFeatureError) as caught:
            post.send(letter(tags=["welcome"]))
        assert caught.value.feature == "tags"
        assert caught.value.transport == f"smtp://127.0.0.1:{server.port}"
        assert server.connections == ()


def test_a_stale_connection_is_replaced_once(colour: Colour) -> None:
    """When the fresh connection fails as well, that is told."""
    with SMTPServer(without=["CHUNKING", "BINARYMIME"]) as server, Post.to(server, colour) as post:
        post.send(letter(1))
        server.script("MAIL", Disconnect(), times=2)
        error = post.attempt(letter(2))
        assert isinstance(error, ConnectError)
        assert len(server.connections) == 2
        assert len(server.messages) == 1


@given_time(first=0.1)
def test_a_stale_connection_whose_replacement_cannot_be_had(colour: Colour, *, wait: float) -> None:
    """The reason why there is no fresh connection is the error, with the recipients."""
    with SMTPServer() as server, Post.to(server, colour, timeouts=Timeouts(greeting=wait)) as post:
        post.send(letter(1))
        server.kick()
        server.script("greeting", Stall())
        error = post.attempt(letter(2))
        assert isinstance(error, DeliveryTimeout)
        assert (error.outcome, error.phase) == ("not_sent", "greeting")
        assert [(result.address, result.phase) for result in error.recipients] == [(BOB, "greeting"), (EVE, "greeting")]
        server.release()


def test_a_fresh_connection_that_breaks_is_not_replaced(colour: Colour) -> None:
    """Trying again is the retry policy's business, not the channel's."""
    with SMTPServer(without=["CHUNKING", "BINARYMIME"]) as server, Post.to(server, colour) as post:
        server.script("MAIL", Disconnect())
        assert isinstance(post.attempt(letter(1)), ConnectError)
        assert len(server.connections) == 1


def test_a_server_that_wants_a_login_says_nothing_of_the_message(colour: Colour) -> None:
    """A 530 to MAIL is an error of the login, so a failover goes on; the connection is none the worse for it."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("MAIL", "530 5.7.0 Authentication required")
        error = post.attempt(letter(1))
        assert isinstance(error, AuthenticationError)
        assert (error.outcome, error.cause, error.phase) == ("not_sent", "configuration", "mail")
        assert [result.status for result in error.recipients] == ["not_sent", "not_sent"]
        post.send(letter(2))
        assert (len(server.connections), len(server.messages)) == (1, 1)


def test_what_nobody_can_read_is_asked_for_once_more(colour: Colour) -> None:
    """A reply that cannot be parsed costs a connection and nothing else, as it does in a stream of messages."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("MAIL", Garbage())
        receipt = post.send_raw(big(100_000))
        assert (len(receipt.accepted), receipt.attempts) == (2, 1)
        assert [message.connection for message in server.committed] == [2]
        post.send(letter(2))
        assert len(server.connections) == 2


def test_a_clear_answer_to_something_else_is_told_at_once(colour: Colour) -> None:
    """Who says 250 to DATA can be read, and is not asked again by the channel."""
    with SMTPServer(without=["CHUNKING", "BINARYMIME"]) as server, Post.to(server, colour) as post:
        server.script("DATA", "250 fine")
        error = post.attempt(letter(1))
        assert isinstance(error, ProtocolError)
        assert (error.outcome, len(server.connections), server.committed) == ("not_sent", 1, ())


def test_what_nobody_can_read_twice_is_told(colour: Colour) -> None:
    """The second connection is the last: whoever retries knows of one attempt, in which nothing was sent."""
    with SMTPServer(without=["CHUNKING", "BINARYMIME"]) as server, Post.to(server, colour) as post:
        server.script("DATA", Garbage(), times=2)
        error = post.attempt(letter(1))
        assert isinstance(error, ProtocolError)
        assert (error.outcome, error.attempts, error.phase) == ("not_sent", 1, "data")
        assert len(server.connections) == 2
        assert server.committed == ()


def test_what_nobody_can_read_behind_the_commit_point_is_in_doubt(colour: Colour) -> None:
    """Nothing goes out once more where the server may have the message, or where it has decided about somebody."""
    with SMTPServer(without=["CHUNKING", "BINARYMIME"]) as server, Post.to(server, colour) as post:
        server.script("DOT", Garbage())
        assert isinstance(post.attempt(letter(1)), OutcomeUnknownError)
        assert len(server.connections) == 1
        server.script("RCPT", "550 5.1.1 no", match=EVE).script("DATA", Garbage())
        error = post.attempt(letter(2))
        assert isinstance(error, RejectedError)
        assert [result.status for result in error.recipients] == ["not_sent", "rejected"]
        assert len(server.connections) == 2


@given_time(first=0.1)
def test_a_connection_that_cannot_be_had_once_more(colour: Colour, *, wait: float) -> None:
    """Then the reason for that is the error."""
    with SMTPServer() as server, Post.to(server, colour, timeouts=Timeouts(greeting=wait)) as post:
        post.send(letter(1))
        server.script("MAIL", Garbage()).script("greeting", Stall())
        error = post.attempt(big(100_000, 2))
        assert isinstance(error, DeliveryTimeout)
        assert (error.outcome, error.phase) == ("not_sent", "greeting")
        server.release()


def test_an_attachment_that_changes_while_it_is_sent(tmp_path: Path, colour: Colour) -> None:
    """The message is not completed, the connection not used again, and the next message goes through."""
    path = tmp_path / "report.bin"
    path.write_bytes(b"x" * 1000)
    attachment = Attachment.from_path(path)
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1))

        message = letter(2, attachments=[attachment])
        path.write_bytes(b"x" * 500)
        with pytest.raises(MessageError):
            post.send(message)
        assert isinstance(post.send(letter(3)), Receipt)
        assert [m.parse()["Subject"] for m in server.messages] == ["Letter 1", "Letter 3"]


def test_verify_sends_nothing(colour: Colour) -> None:
    """To verify is to shake hands, and no more."""
    with SMTPServer(tls="starttls", users={"ada": "secret"}) as server:
        options = {"username": "ada", "password": "secret", "ca_file": server.ca_file, "tls": "starttls"}
        with Post.to(server, colour, **options) as post:
            info = post.verify()
            assert info.transport == f"smtp://127.0.0.1:{server.port}"
            assert (info.host, info.tls_version) == ("mx.test", "TLSv1.3")
            assert "SIZE 67108864" in info.extensions
            assert info.authenticated is not None
        assert server.committed == ()
        assert "MAIL" not in server.connections[0].verbs


def test_the_envelope_is_its_own() -> None:
    """Who gets a message is what the envelope says, not the header."""
    with SMTPServer() as server, Post.to(server) as post:
        post.send(letter(), Envelope("bounces@example.com", "joe@example.com"))
        assert server.messages[0].mail_from == "bounces@example.com"
        assert server.messages[0].rcpt_to == ("joe@example.com",)
