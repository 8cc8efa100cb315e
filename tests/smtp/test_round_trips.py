"""How many round trips and writes a message costs, counted by the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.smtp.letters import BOB, EVE, Post, big, letter

from mailkit import Envelope, RejectedError
from mailkit.smtp.session import DOUBTFUL_AFTER
from mailkit.testing import Disconnect, SMTPServer

if TYPE_CHECKING:
    from tests.colours import Colour

WITHOUT_CHUNKING = ("CHUNKING", "BINARYMIME")
WITHOUT_BOTH = (*WITHOUT_CHUNKING, "PIPELINING")

# Which extensions the server lacks, what a message to two recipients costs on a warm connection and on a fresh one
# (greeting and EHLO are two more), and what it is made of.
COSTS = [
    pytest.param((), 1, ["MAIL", "RCPT", "RCPT", "BDAT"], id="chunking"),
    pytest.param(WITHOUT_CHUNKING, 2, ["MAIL", "RCPT", "RCPT", "DATA"], id="pipelining"),
    pytest.param(WITHOUT_BOTH, 1 + 2 + 1 + 1, ["MAIL", "RCPT", "RCPT", "DATA"], id="neither"),
]


@pytest.mark.parametrize(("without", "cost", "verbs"), COSTS)
def test_a_message_costs_as_few_round_trips_as_the_server_allows(
    without: tuple[str, ...], cost: int, verbs: list[str], colour: Colour
) -> None:
    """Cold, a message costs one round trip for EHLO more than warm; warm, 1 with CHUNKING and 2 with PIPELINING."""
    with SMTPServer(without=without) as server, Post.to(server, colour) as post:
        post.send(letter(1))
        (record,) = server.connections
        cold = record.round_trips
        post.send(letter(2))
        post.send(letter(3))
        assert record.round_trips - cold == 2 * cost
        # EHLO answers the greeting: that wait is over when the first command of the message arrives.
        assert cold == 1 + cost
        assert record.verbs == ("EHLO", *verbs * 3)
        assert server.violations == ()


@pytest.mark.parametrize(("without", "cost", "verbs"), COSTS)
def test_what_belongs_together_leaves_in_one_write(
    without: tuple[str, ...], cost: int, verbs: list[str], colour: Colour
) -> None:
    """The server reads exactly once for each round trip: no group is torn into several segments."""
    with SMTPServer(without=without) as server, Post.to(server, colour) as post:
        post.send(letter(1))
        (record,) = server.connections
        reads, octets = record.reads, record.bytes_received
        post.send(letter(2))
        assert record.reads - reads == cost
        assert record.bytes_received - octets == octets - len(record.commands[0] + b"\r\n")


def test_login_costs_one_round_trip_with_an_initial_response() -> None:
    """PLAIN goes out with AUTH, so a cold message with a login costs one round trip more."""
    with (
        SMTPServer(users={"ada": "secret"}, mechanisms=["PLAIN"]) as server,
        Post.to(server, username="ada", password="secret") as post,
    ):
        post.send()
        assert server.connections[0].round_trips == 3
        assert server.connections[0].verbs == ("EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "BDAT")


@pytest.mark.parametrize(("without", "cost", "verbs"), COSTS)
def test_after_a_few_seconds_idle_one_round_trip_more_once(
    without: tuple[str, ...], cost: int, verbs: list[str], colour: Colour
) -> None:
    """After more than five seconds the content waits for MAIL, once; where it waits anyway, nothing changes."""
    with SMTPServer(without=without) as server, Post.to(server, colour) as post:
        post.send(letter(1))
        (record,) = server.connections
        costs = []
        for seconds in (0.0, DOUBTFUL_AFTER + 1, 0.0):
            post.later(seconds)
            before = record.round_trips
            post.send(letter(2))
            costs.append(record.round_trips - before)
        assert costs == [cost, cost + (cost == 1), cost]
        assert len(server.connections) == 1


def test_a_connection_that_only_verified_is_doubtful_after_a_while() -> None:
    """A connection that has carried no message yet is as doubtful as any other after lying idle."""
    with SMTPServer() as server, Post.to(server) as post:
        post.verify()
        post.later(DOUBTFUL_AFTER + 1)
        before = server.connections[0].round_trips
        post.send()
        assert server.connections[0].round_trips - before == 2


def test_a_doubtful_connection_that_died_unseen_is_found_before_the_commit_point(colour: Colour) -> None:
    """The envelope goes first, meets a dead end, and the message goes over a fresh connection: nobody needs to know."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send(letter(1))
        post.later(DOUBTFUL_AFTER + 1)
        server.script("MAIL", Disconnect(rst=True))
        assert len(post.send(letter(2)).accepted) == 2
        assert [message.connection for message in server.messages] == [1, 2]
        assert "BDAT" not in server.connections[0].verbs[5:]


def test_a_connection_survives_a_refusal(colour: Colour) -> None:
    """After a 5xx to anything in a transaction the next message goes over the same connection."""
    with SMTPServer(without=WITHOUT_CHUNKING) as server, Post.to(server, colour) as post:
        for number, phase in enumerate(("MAIL", "DATA", "DOT"), 1):
            server.script(phase, "554 5.0.0 no")
            assert isinstance(post.attempt(letter(number)), RejectedError)
        assert len(post.send(letter(4)).accepted) == 2
        assert len(server.connections) == 1
        assert server.violations == ()


def test_what_a_refusal_leaves_open_is_reset_before_the_next_message() -> None:
    """RSET is said once, and only where the server may still hold a transaction: never after a message, never NOOP."""
    with SMTPServer() as server, Post.to(server) as post:
        post.send(letter(1))
        server.script("RCPT", "550 5.1.1 no", times=2)
        assert isinstance(post.attempt(letter(2)), RejectedError)
        post.send(letter(3))
        post.send(letter(4))
        message = ("MAIL", "RCPT", "RCPT", "BDAT")
        assert server.connections[0].verbs == ("EHLO", *message, *message, "RSET", *message, *message)


def test_refused_content_is_reset() -> None:
    """Behind refused content, by BDAT or DATA, a server may hold its transaction open (Postfix does), so RSET."""
    for without in ((), WITHOUT_CHUNKING):
        with SMTPServer(without=without) as server, Post.to(server) as post:
            server.script("DOT", "554 5.7.1 spam")
            assert isinstance(post.attempt(letter(1)), RejectedError)
            post.send(letter(2))
            assert server.connections[0].verbs.count("RSET") == 1


def test_refused_mail_costs_no_reset() -> None:
    """A MAIL that was refused has opened nothing."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("MAIL", "550 5.7.1 not from you")
        assert isinstance(post.attempt(letter(1)), RejectedError)
        post.send(letter(2))
        assert "RSET" not in server.connections[0].verbs


@pytest.mark.parametrize("mode", [(), WITHOUT_CHUNKING, WITHOUT_BOTH])
def test_no_noop_ever(mode: tuple[str, ...], colour: Colour) -> None:
    """Whether a connection is alive is never asked by a command: not when used again, not after idling, never."""
    with SMTPServer(without=mode) as server:
        with Post.to(server, colour) as post:
            for number in range(3):
                post.send(letter(number))
                post.later(10.0)
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert "NOOP" not in server.connections[0].verbs
        assert server.connections[0].verbs[-1] == "QUIT"


def test_long_content_waits_for_its_envelope_and_goes_in_chunks(colour: Colour) -> None:
    """Five megabytes go as several BDATs, unanswered ones in flight: two round trips on a warm connection."""
    data = big(5 * 1024 * 1024)
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send()
        (record,) = server.connections
        before = len(record.verbs)
        post.send_raw(data)
        assert record.verbs[before:] == ("MAIL", "RCPT", "RCPT", *["BDAT"] * 20)
        assert [line.split()[1:] for line in record.commands[-20:]] == [[b"262144"]] * 19 + [[b"262144", b"LAST"]]
        assert server.messages[-1].data == data
        assert server.violations == ()


def test_long_content_without_chunking_goes_through_data(colour: Colour) -> None:
    """Five megabytes arrive unchanged through DATA, dots stuffed and unstuffed."""
    data = big(5 * 1024 * 1024 - 3) + b".\r\n"
    with SMTPServer(without=WITHOUT_CHUNKING) as server, Post.to(server, colour) as post:
        post.send_raw(data)
        assert server.messages[0].data == data
        assert server.messages[0].via == "DATA"
        assert server.violations == ()


def test_chunks_without_pipelining_go_one_by_one() -> None:
    """Without PIPELINING each chunk waits for the answer to the one before."""
    data = big(600_000)
    with SMTPServer(without=("PIPELINING",)) as server, Post.to(server) as post:
        post.send_raw(data)
        assert server.messages[0].data == data
        assert server.connections[0].round_trips == 1 + 3 + 3
        assert server.violations == ()


@pytest.mark.parametrize(("option", "verbs"), [("chunking", "DATA"), ("pipelining", "BDAT")])
def test_what_a_server_breaks_under_can_be_switched_off(option: str, verbs: str) -> None:
    """chunking=False sends DATA although BDAT is offered; pipelining=False sends one command at a time."""
    options: dict[str, Any] = {option: False}
    with SMTPServer() as server, Post.to(server, **options) as post:
        post.send()
        (record,) = server.connections
        assert verbs in record.verbs
        assert record.round_trips == 1 + (2 if option == "chunking" else 4)


def test_one_recipient_and_the_null_reverse_path() -> None:
    """A bounce to one recipient is the shortest envelope, and costs one round trip as well."""
    with SMTPServer() as server, Post.to(server) as post:
        post.send_raw(b"Subject: bounce\r\n\r\n", Envelope(None, BOB))
        assert server.connections[0].commands[1].startswith(b"MAIL FROM:<>")
        assert server.messages[0].rcpt_to == (BOB,)
        assert EVE not in server.messages[0].rcpt_to
