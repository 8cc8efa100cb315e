"""One connection's share of a stream: what it writes ahead, what that costs, and what is left when it breaks."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest
from tests.colours import make_edge, run_in
from tests.patience import given_time
from tests.smtp.letters import Post
from tests.smtp.streams import OFFERS, WITHOUT, note, send_many, statuses, stream, taken
from tests.smtp.wires import Later, Wire

from mailkit import (
    AuthenticationError,
    ConnectError,
    DeliveryTimeout,
    MessageError,
    OutcomeUnknownError,
    RejectedError,
    UnsupportedFeatureError,
)
from mailkit.edge.base import run_sync
from mailkit.edge.stream import SocketStream
from mailkit.smtp import SMTP, PoolLimits, Timeouts
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.delivery import ONE_WRITE
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.handshake import Handshake
from mailkit.smtp.lane import GROUP, Lane
from mailkit.smtp.line import HOPELESS_FOR
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.pool import Pool
from mailkit.smtp.session import Session
from mailkit.testing import CloseAfter, Disconnect, Garbage, InjectAfter, SMTPServer, Stall, StopReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour

    from mailkit import Message
    from mailkit.smtp.flight import Flight

pytestmark = pytest.mark.slow


def groups(count: int, most: int) -> int:
    """How many round trips a window takes that opens by one with each answer."""
    size, trips = 1, 0
    while count > 0:
        written = min(size, count)
        count, size, trips = count - written, min(size + written, most), trips + 1
    return trips


# -- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "window", "most"), [(200, None, 32), (200, 32, 32), (50, 2, 2), (30, 1, 1), (9, 50, 50)]
)
def test_a_window_costs_one_round_trip(colour: Colour, count: int, window: int | None, most: int) -> None:
    """With CHUNKING n messages take n/window round trips, and those in which it opens; a window of 1 takes n."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        outcomes = stream(post, (note(number) for number in range(count)), window=window)
        assert all(outcome.ok for outcome in outcomes)
        (record,) = server.connections
        assert record.round_trips == 1 + groups(count, most)  # the first one is EHLO's
        assert len(taken(server)) == count


def test_content_is_grouped_with_the_next_envelope(colour: Colour) -> None:
    """With PIPELINING alone n messages take n + 2 round trips: the first one does not wait for the second."""
    with SMTPServer(without=WITHOUT["pipelining"]) as server, Post.to(server, colour) as post:
        outcomes = stream(post, (note(number) for number in range(50)))
        assert all(outcome.ok for outcome in outcomes)
        (record,) = server.connections
        assert record.round_trips == 1 + 50 + 2
        assert len(taken(server)) == 50


def test_without_pipelining_every_command_is_answered(colour: Colour) -> None:
    """With neither, a message costs one round trip for each of MAIL, RCPT, DATA and the content."""
    with SMTPServer(without=WITHOUT["neither"]) as server, Post.to(server, colour) as post:
        assert all(outcome.ok for outcome in stream(post, (note(number) for number in range(20))))
        (record,) = server.connections
        assert record.round_trips == 1 + 4 * 20
        assert server.violations == ()


@pytest.mark.parametrize("offers", OFFERS)
def test_the_extensions_can_be_switched_off(offers: str) -> None:
    """What the transport says may not be used is not, though the server offers it."""
    with (
        SMTPServer() as server,
        Post.to(server, chunking=offers == "chunking", pipelining=offers != "neither") as post,
    ):
        assert all(outcome.ok for outcome in stream(post, (note(number) for number in range(10))))
        (record,) = server.connections
        assert ("BDAT" in record.verbs) == (offers == "chunking")
        assert record.round_trips == 1 + {"chunking": groups(10, 32), "pipelining": 12, "neither": 40}[offers]


def test_large_messages_have_the_connection_to_themselves(colour: Colour) -> None:
    """Content beyond 64 KiB is streamed, between small messages that share; the order of outcomes is kept."""
    sizes = [20, 20, 20, ONE_WRITE + 1, 20, 20, 300_000, 20]
    messages = [
        note(number, text="x" * 60 + "\n" * 1, html="<p>" + ("word " * 10 + "\n") * (size // 51))
        for number, size in enumerate(sizes)
    ]
    with SMTPServer() as server, Post.to(server, colour) as post:
        outcomes = stream(post, messages)
        assert [outcome.message for outcome in outcomes] == messages
        assert all(outcome.ok for outcome in outcomes)
        assert len(taken(server)) == len(messages)
        assert len(server.connections) == 1


def test_the_octets_in_flight_are_bounded(colour: Colour) -> None:
    """Many messages of 40 KiB are answered before more than 256 KiB of them are in flight."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("DOT", Stall(0.5))  # so that some are in flight, however fast the server is
        body = ("All work and no play.\n" * 1900)[:40_000]
        flights = [post.channel._flight(note(number, text=body)) for number in range(60)]
        lane = Lane(post.channel._pool)
        most = 0

        async def send() -> None:
            nonlocal most
            for flight in flights:
                await lane.submit(flight)  # type: ignore[arg-type]
                most = max(most, lane._octets)
            await lane.drain()
            await lane.close()

        run_in(colour, send)
        assert ONE_WRITE < most <= 256 * 1024
        assert lane._octets == 0
        assert len(taken(server)) == 60


def test_the_replies_in_flight_are_bounded(colour: Colour) -> None:
    """Messages with 100 recipients are answered before more than 512 replies are awaited."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("DOT", Stall(0.5))
        crowd = [f"r{index}@example.org" for index in range(100)]
        flights = [post.channel._flight(note(number, to=crowd)) for number in range(14)]
        lane = Lane(post.channel._pool)
        most = 0

        async def send() -> None:
            nonlocal most
            for flight in flights:
                await lane.submit(flight)  # type: ignore[arg-type]
                session = lane._line.session
                assert session is not None
                most = max(most, session.conversation.engine.awaiting)
            await lane.drain()
            await lane.close()

        run_in(colour, send)
        assert 300 < most <= 512 + 3  # RSET, MAIL and BDAT of the last one
        assert len(taken(server)) == 1400


def test_small_messages_go_in_few_writes(colour: Colour) -> None:
    """A window of small messages is written in one piece, not one by one."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        stream(post, (note(number) for number in range(31 + 64)))
        (record,) = server.connections
        assert record.reads <= 1 + groups(31 + 64, 32) + 2 * (record.bytes_received // GROUP)


# -- what may not get mixed up ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_refused_bdat", [False, True])
@pytest.mark.parametrize("refusal", ["550 5.7.1 no", "452 4.2.2 later"])
@pytest.mark.parametrize("offers", OFFERS)
def test_a_refused_message_never_lends_its_envelope(
    colour: Colour, offers: str, refusal: str, keeps_refused_bdat: bool
) -> None:
    """A message behind a refused one keeps its own sender and recipients, also if the server keeps the old ones."""
    count = 60
    with (
        SMTPServer(without=WITHOUT[offers], keeps_refused_bdat=keeps_refused_bdat) as server,
        Post.to(server, colour) as post,
    ):
        refused = set(range(20, count, 5)) | {57, 58}
        for number in refused:
            phase: Any = "DOT" if number % 2 else "MAIL"
            match = f"r{number}@example.org" if number % 2 else f"m{number}@example.com"
            server.script(phase, refusal, match=match)
        outcomes = stream(post, (note(number) for number in range(count)))
        assert [number for number, outcome in enumerate(outcomes) if not outcome.ok] == sorted(refused)
        for received in server.committed:
            number = int(received.mail_from[1:].partition("@")[0])
            assert received.rcpt_to == (f"r{number}@example.org",)
            assert f"<letter-{number}@example.com>".encode() in received.data
        assert len(taken(server)) == count - len(refused)
        assert server.unplayed == ()


def test_a_large_message_behind_a_refused_one_begins_anew(colour: Colour) -> None:
    """What a refused BDAT left open is cleared before a message that has the connection to itself."""
    with SMTPServer(keeps_refused_bdat=True) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no", match="r0@example.org")
        messages = [note(0), note(1, text="word\n" * 20_000), note(2)]
        assert [outcome.ok for outcome in stream(post, messages)] == [False, True, True]
        assert [received.mail_from for received in server.messages] == ["m1@example.com", "m2@example.com"]
        assert len(server.connections) == 1


def test_a_connection_that_cannot_be_cleared_is_given_up(colour: Colour) -> None:
    """When the RSET in front of a message that goes alone is refused, it goes over a fresh connection."""
    with SMTPServer(keeps_refused_bdat=True) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no", match="r0@example.org").script("RSET", "500 5.5.1 what?")
        messages = [note(0), note(1, text="word\n" * 20_000)]
        assert [outcome.ok for outcome in stream(post, messages)] == [False, True]
        assert [received.connection for received in server.messages] == [2]


def test_what_is_left_open_at_the_end_is_not_the_next_streams(colour: Colour) -> None:
    """A stream that ends with a refusal returns a connection that the next user can have as new."""
    with SMTPServer(keeps_refused_bdat=True) as server, Post.to(server, colour) as post:
        server.script("DOT", "550 5.7.1 no", match="r0@example.org")
        assert not stream(post, [note(0)])[0].ok
        post.send(note(1))
        assert [received.rcpt_to for received in server.messages] == [("r1@example.org",)]
        assert len(server.connections) == 1


def test_a_354_without_recipients_gets_no_content(colour: Colour) -> None:
    """A server that says 354 although every RCPT failed is left alone; the next message takes a new connection."""
    with SMTPServer(without=WITHOUT["pipelining"]) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no", match="r1@example.org")
        server.script("DATA", "354 go ahead", skip=1)
        outcomes = stream(post, [note(0), note(1), note(2)])
        assert [outcome.ok for outcome in outcomes] == [True, False, True]
        assert isinstance(outcomes[1].error, RejectedError)
        assert [received.connection for received in server.committed] == [1, 2]


def test_a_refused_data_is_the_outcome(colour: Colour) -> None:
    """A 5xx to DATA rejects the message, a 4xx means that it was not sent; both leave the connection in order."""
    with SMTPServer(without=WITHOUT["pipelining"]) as server, Post.to(server, colour) as post:
        server.script("DATA", "554 5.7.1 not that", skip=1).script("DATA", "451 4.3.0 not now", skip=1)
        outcomes = stream(post, (note(number) for number in range(5)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        assert found == ["accepted", "rejected", "not_sent", "accepted", "accepted"]
        assert len(server.connections) == 1


# -- several transactions for one message ----------------------------------------------------------------------------


@pytest.mark.parametrize("offers", OFFERS)
def test_recipients_beyond_the_servers_limit_follow(colour: Colour, offers: str) -> None:
    """Recipients answered with 452 4.5.3 go into a next transaction, as often as it takes; one outcome for all."""
    crowd = [f"r{index}@example.org" for index in range(8)]
    with (
        SMTPServer(without=(*WITHOUT[offers], "LIMITS"), limits={"RCPTMAX": 3}) as server,
        Post.to(server, colour) as post,
    ):
        outcomes = stream(post, [note(0), note(1, to=crowd), note(2)])
        assert statuses(outcomes[1]) == dict.fromkeys(crowd, "accepted")
        assert all(outcome.ok for outcome in outcomes)
        assert len(taken(server)) == 10


@pytest.mark.parametrize("offers", OFFERS)
def test_more_recipients_than_one_transaction_may_have(colour: Colour, offers: str) -> None:
    """More than 100 recipients, or than the server announces, are split; one outcome for all, in its place."""
    crowd = [f"r{index}@example.org" for index in range(230)]
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        outcomes = stream(post, [note(0), note(1, to=crowd), note(2)])
        assert statuses(outcomes[1]) == dict.fromkeys(crowd, "accepted")
        assert sorted(len(received.rcpt_to) for received in server.messages) == [1, 1, 30, 100, 100]


def test_a_message_in_parts_goes_on_over_a_fresh_connection(colour: Colour) -> None:
    """What a server does not take because it counts messages goes on elsewhere, and nobody gets it twice."""
    crowd = [f"r{index}@example.org" for index in range(450)]
    with SMTPServer(without=("LIMITS",), limits={"MAILMAX": 2}) as server, Post.to(server, colour) as post:
        outcomes = stream(post, [note(0, to=crowd)])
        assert statuses(outcomes[0]) == dict.fromkeys(crowd, "accepted")
        assert len(taken(server)) == 450
        assert len(server.connections) == 3


@pytest.mark.parametrize("offers", OFFERS)
def test_everybody_or_nobody(colour: Colour, offers: str) -> None:
    """With recipients="all" one refused recipient keeps the message from all, also when the connection is then lost."""
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour, recipients="all") as post:
        server.script("RCPT", "550 5.1.1 no", match="eve1@example.org")
        server.script("RCPT", CloseAfter("550 5.1.1 no"), match="bob2@example.org")
        messages = [note(number, to=[f"bob{number}@example.org", f"eve{number}@example.org"]) for number in range(4)]
        outcomes = stream(post, messages)
        assert [outcome.ok for outcome in outcomes] == [True, False, False, True]
        assert statuses(outcomes[1]) == {"bob1@example.org": "not_sent", "eve1@example.org": "rejected"}
        assert statuses(outcomes[2]) == {"bob2@example.org": "rejected", "eve2@example.org": "not_sent"}
        assert {recipient for _, recipient in taken(server)} == {
            f"{who}{n}@example.org" for who in ("bob", "eve") for n in (0, 3)
        }


# -- refused here ----------------------------------------------------------------------------------------------------


def test_what_the_server_cannot_take_is_refused_in_its_place(colour: Colour) -> None:
    """Messages that are too large, or need what the server lacks, are refused here; those around them are sent."""
    with SMTPServer(max_size=5_000, without=("SMTPUTF8",)) as server, Post.to(server, colour) as post:
        messages = [note(0), note(1, text="word\n" * 2_000), note(2), note(3, to=["j\u00fcrgen@example.org"]), note(4)]
        outcomes = stream(post, messages)
        assert [outcome.ok for outcome in outcomes] == [True, False, True, False, True]
        assert isinstance(outcomes[1].error, RejectedError)
        assert isinstance(outcomes[3].error, UnsupportedFeatureError)
        assert len(taken(server)) == 3


def test_a_file_that_has_gone_is_the_outcome_of_its_message(colour: Colour, tmp_path: Any) -> None:
    """Content that breaks off spoils neither the connection nor the messages around it."""
    from mailkit import Attachment

    path = tmp_path / "report.txt"
    path.write_text("word\n" * 10)
    big = tmp_path / "big.bin"
    big.write_bytes(b"x" * 200_000)
    messages = [
        note(0),
        note(1, attachments=[Attachment.from_path(path)]),
        note(2),
        note(3, attachments=[Attachment.from_path(big)]),
        note(4),
    ]
    with SMTPServer() as server, Post.to(server, colour) as post:
        flights = [post.channel._flight(message) for message in messages]
        path.unlink()
        big.unlink()
        lane = Lane(post.channel._pool)

        async def send() -> None:
            for flight in flights:
                await lane.submit(flight)  # type: ignore[arg-type]
            await lane.drain()
            await lane.close()

        run_in(colour, send)
        errors = [flight.outcome.error for flight in flights]  # type: ignore[union-attr]
        assert [type(error) for error in errors] == [type(None), MessageError, type(None), MessageError, type(None)]
        assert len(taken(server)) == 3


# -- lost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [Disconnect(), Disconnect(after_bytes=3), Disconnect(rst=True), Garbage()])
@pytest.mark.parametrize("offers", OFFERS)
def test_a_connection_lost_before_the_commit_point(colour: Colour, offers: str, loss: Any) -> None:
    """One at a time, a message whose MAIL is not answered is sent again, once; with CHUNKING it is unknown."""
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        server.script("MAIL", loss, match="m3@example.com")
        outcomes = stream(post, (note(number) for number in range(6)), window=1)
        # With CHUNKING the whole message went out together with its MAIL.
        lost = "unknown" if offers == "chunking" else "accepted"
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        assert found == ["accepted"] * 3 + [lost] + ["accepted"] * 2
        assert len(taken(server)) == found.count("accepted")
        assert len(server.connections) == 2


@pytest.mark.parametrize("offers", OFFERS)
def test_a_connection_lost_behind_the_commit_point(colour: Colour, offers: str) -> None:
    """A message whose answer is lost is unknown, and neither it nor an answered one is sent again."""
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        server.script("DOT", Disconnect(), match="r3@example.org")
        outcomes = stream(post, (note(number) for number in range(6)), window=1)
        assert [outcome.ok for outcome in outcomes] == [True] * 3 + [False] + [True] * 2
        assert isinstance(outcomes[3].error, OutcomeUnknownError)
        assert [len([one for one in server.committed if f"m{n}@" in one.mail_from]) for n in range(6)] == [1] * 6


def test_of_a_window_what_was_committed_is_unknown(colour: Colour) -> None:
    """When the connection breaks, of a whole window those answered are answered and those behind them unknown."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("DOT", Disconnect(), match="r20@example.org")
        outcomes = stream(post, (note(number) for number in range(60)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        # How many were written by the time of the loss depends on who was faster.
        unknown = found.count("unknown")
        assert 1 <= unknown <= 32
        assert found == ["accepted"] * 20 + ["unknown"] * unknown + ["accepted"] * (40 - unknown)
        assert len(server.connections) == 2
        # The window has closed, and opened again.
        assert server.connections[1].round_trips >= 1 + groups(40 - unknown, 32)


def test_a_421_in_the_middle_of_a_window(colour: Colour) -> None:
    """The message that a 421 is about was not taken, and goes again; those written behind it are unknown."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("MAIL", CloseAfter("421 4.3.2 shutting down"), match="m20@example.com")
        outcomes = stream(post, (note(number) for number in range(60)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        # How many were written by the time of the 421 depends on who was faster.
        unknown = found.count("unknown")
        assert unknown < 32
        assert found == ["accepted"] * 21 + ["unknown"] * unknown + ["accepted"] * (39 - unknown)
        assert len(taken(server)) == 60 - unknown


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "RSET"])
@pytest.mark.parametrize("offers", OFFERS)
def test_a_421_without_a_goodbye(colour: Colour, offers: str, phase: Any) -> None:
    """A server that says 421 and goes on answering is left nevertheless; everything arrives, once."""
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour) as post:
        server.script(phase, "421 4.7.0 too busy", skip=4)
        outcomes = stream(post, (note(number) for number in range(30)))
        assert all(outcome.ok for outcome in outcomes)
        assert len(taken(server)) == 30
        played = server.unplayed == ()
        assert played == (phase in server.connections[0].verbs or phase == "MAIL")
        assert len(server.connections) == 1 + played
        if offers == "chunking" and played:
            second = server.connections[1]
            assert second.round_trips == 1 + groups(second.verbs.count("MAIL"), 32)  # the window has closed


@pytest.mark.parametrize("offers", OFFERS)
def test_a_server_that_hangs_up_after_so_many_messages(colour: Colour, offers: str) -> None:
    """Untold, what was written ahead of its 421 is in doubt, and nothing is sent twice; told, nothing is in doubt."""
    with (
        SMTPServer(without=(*WITHOUT[offers], "LIMITS"), limits={"MAILMAX": 7}) as server,
        Post.to(server, colour) as post,
    ):
        outcomes = stream(post, (note(number) for number in range(40)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        assert set(found) <= ({"accepted", "unknown"} if offers == "chunking" else {"accepted"})
        assert len(taken(server)) == found.count("accepted")
    with SMTPServer(without=WITHOUT[offers], limits={"MAILMAX": 7}) as server, Post.to(server, colour) as post:
        assert all(outcome.ok for outcome in stream(post, (note(number) for number in range(40))))
        assert len(taken(server)) == 40
        assert len(server.connections) == 6
        assert server.violations == ()


def test_a_connection_carries_no_more_messages_than_it_may(colour: Colour) -> None:
    """The pool's bounds hold inside a window: after so many messages a fresh connection is taken."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(max_messages=9)) as post:
        assert all(outcome.ok for outcome in stream(post, (note(number) for number in range(30))))
        assert [record.verbs.count("MAIL") for record in server.connections] == [9, 9, 9, 3]


@pytest.mark.parametrize("offers", OFFERS)
@pytest.mark.parametrize("hold", [Stall(), StopReading()])
@given_time(first=0.3)
def test_a_server_that_falls_silent(colour: Colour, offers: str, hold: Any, *, wait: float) -> None:
    """It is given up at the deadline; what was committed is unknown, and the rest goes over a fresh connection."""
    soon = Timeouts(command=wait, data_block=wait, data_end=wait)
    with SMTPServer(without=WITHOUT[offers]) as server, Post.to(server, colour, timeouts=soon) as post:
        server.script("DOT", hold, match="r5@example.org")
        outcomes = stream(post, (note(number) for number in range(12)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        # 3 to 6 went together; the answers to 3 and 4 made room for 7 to 10.
        unknown = 6 if offers == "chunking" else 1
        assert found == ["accepted"] * 5 + ["unknown"] * unknown + ["accepted"] * (7 - unknown)


@given_time(first=0.3)
def test_a_full_window_and_a_server_that_stops_reading(colour: Colour, *, wait: float) -> None:
    """Nothing stands still for ever: the write ends at its deadline, and what was not all written goes again."""
    body = ("All work and no play.\n" * 3000)[:60_000]
    soon = Timeouts(command=wait, data_block=wait, data_end=wait)
    with SMTPServer() as server, Post.to(server, colour, timeouts=soon) as post:
        server.script("MAIL", StopReading(), match="m9@example.com")
        outcomes = stream(post, (note(number, text=body) for number in range(30)))
        found = [next(iter(statuses(outcome).values())) for outcome in outcomes]
        assert set(found) <= {"accepted", "unknown"}
        assert found[:9] == ["accepted"] * 9
        assert found[-10:] == ["accepted"] * 10
        assert found.count("unknown") < 6
        numbers = [int(received.mail_from[1:].partition("@")[0]) for received in server.messages]
        assert numbers == sorted(numbers)  # what goes again goes in its turn
        assert len(taken(server)) >= found.count("accepted")


def test_a_server_that_hung_up_while_nothing_was_sent(colour: Colour) -> None:
    """An end that has arrived is seen before anything more is written: nothing is in doubt, and nobody notices."""
    with SMTPServer() as server, Post.to(server, colour) as post:

        def messages() -> Iterator[Message]:
            yield note(0)
            assert server.wait_until(lambda one: one.accepted_count == 1)
            server.kick(CloseAfter("421 4.4.2 idle"))
            yield note(1)
            yield note(2)

        assert all(outcome.ok for outcome in send_many(post, messages()))
        assert [received.connection for received in server.messages] == [1, 2, 2]


@pytest.mark.parametrize(
    "goodbye", [Disconnect(), CloseAfter("421 4.4.2 idle"), "421 4.4.2 idle", InjectAfter(b"250 ?\r\n")]
)
def test_an_end_while_content_is_held_back(colour: Colour, goodbye: Any) -> None:
    """With the content still held back for the next envelope, an end that has arrived puts nothing in doubt."""
    with SMTPServer(without=WITHOUT["pipelining"]) as server, Post.to(server, colour) as post:

        def messages() -> Iterator[Message]:
            yield note(0)
            yield note(1)
            # Its envelope has been answered, its content not been written.
            assert server.wait_until(lambda one: one.connections[0].verbs.count("DATA") == 2)
            assert server.wait_until(lambda _: server.kick(goodbye) == 1)
            yield note(2)

        assert all(outcome.ok for outcome in stream(post, messages()))
        assert len(server.committed) == 3
        assert [received.connection for received in server.messages] == [1, 2, 2]


def test_what_goes_again_goes_before_what_has_not_gone(colour: Colour) -> None:
    """A message that was queued when the connection ended keeps its place in front of the next one."""
    with SMTPServer() as server, Post.to(server, colour, pool=PoolLimits(max_messages=2)) as post:

        def messages() -> Iterator[Message]:
            yield note(0)
            yield note(1)
            assert server.wait_until(lambda one: one.accepted_count == 1)
            assert server.wait_until(lambda _: server.kick(Disconnect()) == 1)
            yield note(2)

        assert all(outcome.ok for outcome in stream(post, messages()))
        assert [received.mail_from for received in server.messages] == [f"m{number}@example.com" for number in range(3)]
        assert [received.connection for received in server.messages] == [1, 2, 2]


def test_an_end_while_the_last_content_is_held_back(colour: Colour) -> None:
    """The same at the end of the stream, where no further envelope comes."""
    with SMTPServer(without=WITHOUT["pipelining"]) as server, Post.to(server, colour) as post:

        def messages() -> Iterator[Message]:
            yield note(0)
            yield note(1)
            assert server.wait_until(lambda one: one.connections[0].verbs.count("DATA") == 2)
            assert server.wait_until(lambda _: server.kick(Disconnect()) == 1)

        assert all(outcome.ok for outcome in stream(post, messages()))
        assert [received.connection for received in server.messages] == [1, 2]


def test_what_the_server_said_before_a_write_failed_counts() -> None:
    """When writing fails, the answers that are there are read, and tell a refusal from a message that was not sent."""
    answers = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n"
    wire = Wire(answers, Later(b"250 2.0.0 ok\r\n550 5.7.1 you are blocked\r\n"), takes=10)
    flights, lane = over(wire, 3)
    run_sync(lane.submit(flights[0]))
    run_sync(lane.push())
    run_sync(lane.submit(flights[1]))
    run_sync(lane.submit(flights[2]))
    run_sync(lane.drain())
    run_sync(lane.close())
    outcomes = [flight.outcome for flight in flights]
    assert [next(iter(statuses(outcome).values())) for outcome in outcomes if outcome] == [
        "accepted",
        "rejected",
        "not_sent",
    ]
    assert lane._octets == 0


@given_time(first=0.05)
def test_closing_hears_the_answers_that_are_there(colour: Colour, *, wait: float) -> None:
    """A stream that is broken off knows of every answer that has arrived by then, whether or not it was asked for."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        flights: list[Any] = [post.channel._flight(note(number)) for number in range(7)]
        lane = Lane(post.channel._pool)

        async def send() -> None:
            for flight in flights:
                await lane.submit(flight)  # groups of 1, 2 and 4
            assert server.wait_until(lambda one: one.accepted_count == 7)
            assert any(flight.outcome is None for flight in flights)
            await post.edge.sleep(wait)  # on its way from one socket to the other
            await lane.close()

        run_in(colour, send)
        assert all(flight.outcome is not None and flight.outcome.ok for flight in flights)


# -- no connection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
def test_a_server_that_is_down(colour: Colour, connections: int) -> None:
    """Every message gets an error of its own, and nothing hangs."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.close()
        outcomes = stream(post, (note(number) for number in range(50)), connections=connections)
        errors = [outcome.error for outcome in outcomes]
        assert len({id(error) for error in errors}) == 50
        for number, error in enumerate(errors):
            assert isinstance(error, ConnectError)
            assert (error.outcome, error.message_id) == ("not_sent", f"letter-{number}@example.com")
            assert statuses(outcomes[number]) == {f"r{number}@example.org": "not_sent"}


@pytest.mark.parametrize("connections", [1, 4])
def test_a_login_that_fails_is_tried_once(colour: Colour, connections: int) -> None:
    """A thousand wrong logins lock an account: one is enough to know, for all messages and connections."""
    with (
        SMTPServer(users={"ada": "secret"}) as server,
        Post.to(server, colour, username="ada", password="wrong") as post,
    ):
        outcomes = stream(post, (note(number) for number in range(50)), connections=connections)
        assert all(isinstance(outcome.error, AuthenticationError) for outcome in outcomes)
        assert len(server.connections) == 1


def test_a_login_that_failed_is_tried_again_much_later(colour: Colour) -> None:
    """A stream may go on for days: after five minutes somebody may have set right what was wrong."""
    with (
        SMTPServer(users={"ada": "secret"}) as server,
        Post.to(server, colour, username="ada", password="secret") as post,
    ):
        server.script("AUTH", "535 5.7.8 no")

        def messages() -> Iterator[Message]:
            yield note(0)
            post.later(HOPELESS_FOR - 1)
            yield note(1)
            post.later(2)
            yield note(2)
            yield note(3)

        outcomes = stream(post, messages())
        assert [outcome.ok for outcome in outcomes] == [False, False, True, True]
        assert len(server.connections) == 2


def test_a_server_that_is_busy_is_asked_again(colour: Colour) -> None:
    """A greeting of 421 is about now, so the next message asks again."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("greeting", CloseAfter("421 4.3.2 busy"), times=2)
        outcomes = stream(post, (note(number) for number in range(5)))
        assert [outcome.ok for outcome in outcomes] == [False, False, True, True, True]


@pytest.mark.parametrize("connections", [1, 2])
@given_time(first=0.5)
def test_a_server_that_lets_us_wait_does_so_once(colour: Colour, connections: int, *, wait: float) -> None:
    """After a timeout the next messages of a stream have their answer at once, and the next stream asks anew."""
    with (
        SMTPServer() as server,
        Post.to(server, colour, timeouts=Timeouts(greeting=wait)) as post,
    ):
        server.script("greeting", Stall())
        outcomes = stream(post, (note(number) for number in range(50)), connections=connections)
        errors = [outcome.error for outcome in outcomes]
        assert all(isinstance(error, DeliveryTimeout) and error.outcome == "not_sent" for error in errors)
        assert len(server.connections) == 1
        post.later(1)
        assert [outcome.ok for outcome in stream(post, [note(50)])] == [True]


def test_a_server_that_always_breaks_off_is_given_up(colour: Colour) -> None:
    """A message that nothing was taken of goes out a second time; when that fails as well, it was not sent."""
    with SMTPServer(without=WITHOUT["neither"]) as server, Post.to(server, colour) as post:
        server.script("MAIL", Disconnect(), times=None)
        outcomes = stream(post, (note(number) for number in range(3)))
        assert [next(iter(statuses(outcome).values())) for outcome in outcomes] == ["not_sent"] * 3
        assert len(server.connections) == 6


# -- both write at once ----------------------------------------------------------------------------------------------


def pool_of_one(session: Session) -> Pool:
    """A pool of one connection, after which there is none."""
    sessions = [session]

    async def connect() -> Session:
        if not sessions:
            raise ConnectError("there is none")
        return sessions.pop()

    return Pool(make_edge("blocking"), connect, PoolLimits())


def over(wire: Wire, count: int) -> tuple[list[Flight], Lane]:
    """Some messages, and a lane over a wire, whose greetings have been exchanged."""
    options = SMTPOptions(host="mx.test", port=587)
    conversation = Conversation(wire, make_edge("blocking"), options)
    conversation.engine.feed(b"220 mx.test\r\n")
    offered = Extensions(keywords={"PIPELINING": (), "CHUNKING": (), "ENHANCEDSTATUSCODES": ()})
    session = Session(conversation, Handshake(host="mx.test", extensions=offered, tls_info=None, mechanism=None))
    flights: list[Any] = [SMTP("mx.test").open(make_edge("blocking"))._flight(note(number)) for number in range(count)]
    return flights, Lane(pool_of_one(session))


class Chatterbox:
    """A server that says much, and reads on only when all of that was taken.

    Its buffers and the client's are small, so that a client that only writes would wait for it for ever.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.host: str = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        conn, _ = self._listener.accept()
        text = b"250-" + b"x" * 1500 + b"\r\n"
        with conn, conn.makefile("rb") as reader:
            conn.settimeout(10)
            conn.sendall(b"220 mx.test\r\n")
            while line := reader.readline():
                verb = line.split()[0]
                if verb == b"EHLO":
                    conn.sendall(b"250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
                    continue
                if verb == b"QUIT":
                    return
                if verb == b"BDAT":
                    reader.read(int(line.split()[1]))
                    self.accepted += 1
                conn.sendall(text * 12 + b"250 ok\r\n")


def test_a_server_that_must_be_read_before_it_reads(colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long answers and full buffers on both sides: the client takes the answers in while it writes, and all is sent."""
    connect = SocketStream.__init__

    def with_small_buffers(self: SocketStream, sock: socket.socket, *others: Any) -> None:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 16_384)
        connect(self, sock, *others)

    monkeypatch.setattr(SocketStream, "__init__", with_small_buffers)
    body = ("All work and no play.\n" * 3000)[:50_000]
    timeouts = Timeouts(command=3.0, data_block=3.0, data_end=3.0)
    with Chatterbox() as chatterbox, Post.to(chatterbox, colour, timeouts=timeouts) as post:  # type: ignore[arg-type]
        outcomes = stream(post, (note(number, text=body) for number in range(6)))
        assert all(outcome.ok for outcome in outcomes), [outcome.error for outcome in outcomes if not outcome.ok][:1]
    assert chatterbox.accepted == 6
