"""SMTPServer when the script makes it misbehave: byte-exactly, at each phase, and never in its bookkeeping."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mailkit.testing import (
    CloseAfter,
    Disconnect,
    Drip,
    Endless,
    Garbage,
    InjectAfter,
    RawReply,
    Refuse,
    SMTPServer,
    Stall,
    StopReading,
    TruncateTLS,
)
from mailkit.testing.received import Ledger
from mailkit.testing.wire import Gates, PeerGone

if TYPE_CHECKING:
    from tests.testing.conftest import Connect

    from mailkit.testing import Phase

ENVELOPE = b"MAIL FROM:<ada@x.test>\r\nRCPT TO:<bob@x.test>\r\n"


@pytest.mark.parametrize(
    ("phase", "before", "command"),
    [
        ("greeting", [], b""),
        ("EHLO", [b""], b"EHLO c.example\r\n"),
        ("HELO", [b""], b"HELO c.example\r\n"),
        ("MAIL", [b"", b"EHLO c.example\r\n"], b"MAIL FROM:<ada@x.test>\r\n"),
        ("RCPT", [b"", b"EHLO c.example\r\n", b"MAIL FROM:<>\r\n"], b"RCPT TO:<bob@x.test>\r\n"),
        ("DATA", [b"", b"EHLO c.example\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<b@x.test>\r\n"], b"DATA\r\n"),
        ("BDAT", [b"", b"EHLO c.example\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<b@x.test>\r\n"], b"BDAT 1\r\nx"),
        ("DOT", [b"", b"EHLO c.example\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<b@x.test>\r\n"], b"BDAT 0 LAST\r\n"),
        ("RSET", [b""], b"RSET\r\n"),
        ("NOOP", [b""], b"NOOP\r\n"),
        ("VRFY", [b""], b"VRFY x\r\n"),
        ("EXPN", [b""], b"EXPN x\r\n"),
        ("HELP", [b""], b"HELP\r\n"),
        ("QUIT", [b""], b"QUIT\r\n"),
    ],
)
def test_a_reply_can_be_scripted_and_cut_at_each_phase(
    connect: Connect, phase: Phase, before: list[bytes], command: bytes
) -> None:
    """At every phase a text replaces the reply, and a connection can end after any byte of the server's own."""
    with SMTPServer() as server:
        server.script(phase, "499 4.9.9 scripted").script(phase, Disconnect(after_bytes=2)).script(phase, Disconnect())
        for expected in (b"499 4.9.9 scripted\r\n", None, b""):
            client = connect(server)
            for line in before:
                client.send(line)
                client.reply()
            client.send(command)
            if expected is None:
                rest = client.rest()
                assert len(rest) == 2
                assert rest.isdigit()
            elif expected:
                assert client.reply() == expected
            else:
                assert client.rest() == expected
        assert server.unplayed == ()


def test_a_refused_recipient_is_matched_by_address(connect: Connect) -> None:
    """Match picks the recipient, in any case; the others are accepted and the cue is used up once."""
    with SMTPServer() as server:
        server.script("RCPT", "550 5.1.1 no such user", match="Bob@x.test")
        client = connect(server)
        client.hello()
        client.send(
            b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<bob@x.test>\r\nRCPT TO:<bob@x.test>\r\nBDAT 0 LAST\r\n"
        )
        assert client.codes(5) == [250, 250, 550, 250, 250]
        assert server.messages[0].rcpt_to == ("a@x.test", "bob@x.test")


def test_a_scripted_yes_lets_the_command_take_effect(connect: Connect) -> None:
    """A positive text replaces only the words: the recipient of a 251 gets the message."""
    with SMTPServer() as server:
        server.script("RCPT", Refuse(251, "2.1.5 will forward"))
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
        assert client.codes(3) == [250, 251, 250]
        assert server.messages[0].rcpt_to == ("bob@x.test",)


def test_cues_repeat_skip_and_are_cleared(connect: Connect) -> None:
    """Times repeats, skip passes by, None repeats for ever, clear_script ends it, and unplayed tells the rest."""
    with SMTPServer() as server:
        server.script("NOOP", "450 4.0.0 skipped two", skip=2, times=2)
        client = connect(server)
        client.hello()
        assert [client.ask("NOOP")[:3] for _ in range(5)] == [b"250", b"250", b"450", b"450", b"250"]
        server.script("NOOP", "451 4.0.0 always", times=None)
        assert [client.ask("NOOP")[:3] for _ in range(3)] == [b"451"] * 3
        server.script("RSET", "452 4.0.0 never asked")
        assert [cue.phase for cue in server.unplayed] == ["RSET"]
        server.clear_script()
        assert server.unplayed == ()
        assert client.ask("NOOP").startswith(b"250")


@pytest.mark.parametrize("after_bytes", [0, 1, 3, 4, 20])
@pytest.mark.parametrize("command", [b"BDAT 4 LAST\r\nhi\r\n", b"DATA\r\n"])
def test_a_message_whose_reply_was_cut_is_committed_but_not_accepted(
    connect: Connect, command: bytes, after_bytes: int
) -> None:
    """`committed` has the message although `messages` has not: accepted perhaps, and the reply lost."""
    with SMTPServer() as server:
        server.script("DOT", Disconnect(after_bytes=after_bytes))
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + command)
        client.codes(2)
        if command.startswith(b"DATA"):
            client.code()
            client.send(b"hi\r\n.\r\n")
        assert client.rest() == b"250 2.0.0 OK: queued as 00000001\r\n"[:after_bytes]
        assert (len(server.messages), len(server.committed)) == (0, 1)
        assert server.committed[0].data == b"hi\r\n"


def test_a_disconnect_after_the_whole_reply_is_an_acceptance(connect: Connect) -> None:
    """A cut behind the last byte of the reply leaves the message accepted."""
    with SMTPServer() as server:
        server.script("DOT", Disconnect(after_bytes=1000))
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
        client.codes(3)
        assert client.rest() == b""
        assert len(server.messages) == 1


def test_a_reset_is_a_reset(connect: Connect) -> None:
    """rst=True ends the connection with RST; what was sent before it can still be read."""
    with SMTPServer() as server:
        server.script("NOOP", Disconnect(after_bytes=3, rst=True))
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert client.socket.recv(3) == b"250"
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


def test_replies_before_a_cut_still_arrive(connect: Connect) -> None:
    """The answers to earlier commands of a group leave before the fault, and none after it does."""
    with SMTPServer() as server:
        server.script("RCPT", Disconnect(after_bytes=5), skip=1)
        client = connect(server)
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\n")
        assert client.rest() == b"250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2"


def test_closing_after_a_reply(connect: Connect) -> None:
    """CloseAfter sends its text and ends the connection; the command had no effect."""
    with SMTPServer() as server:
        server.script("DOT", CloseAfter())
        server.script("DOT", CloseAfter("250 2.0.0 taken, and good bye"))
        for expected in (b"421 4.3.2 Service shutting down\r\n", b"250 2.0.0 taken, and good bye\r\n"):
            client = connect(server)
            client.hello()
            client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
            client.codes(2)
            assert client.rest() == expected
        assert [message.number for message in server.messages] == [2]


def test_raw_replies_and_garbage_leave_byte_by_byte_as_given(connect: Connect) -> None:
    """RawReply and Garbage put exactly their bytes in place of the reply, and the connection lives on."""
    with SMTPServer() as server:
        server.script("NOOP", RawReply(b"250-a\n250 \xff\n")).script("NOOP", Garbage()).script("NOOP", Garbage(b"\0"))
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert client.read(12) == b"250-a\n250 \xff\n"
        client.send(b"NOOP\r\n")
        garbage = b"\x00\xff\xfenot a reply\r\n\x80\r\n"
        assert client.read(len(garbage)) == garbage
        client.send(b"NOOP\r\nRSET\r\n")
        assert client.read(15) == b"\x00250 2.0.0 OK\r\n"


def test_garbage_for_an_answer_accepts_nothing(connect: Connect) -> None:
    """A message answered with garbage, with half a 250 or with a 3xx is committed and not accepted."""
    with SMTPServer() as server:
        server.script("DOT", Garbage(b"250 ok\r\n"))
        server.script("DOT", RawReply(b"250 half"))
        server.script("DOT", "354 go on\n")
        client = connect(server)
        client.hello()
        for _ in range(3):
            client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
        assert server.wait_until(lambda s: len(s.committed) == 3)
        client.send(b"QUIT\r\n")
        client.rest()
        assert server.messages == ()


def test_a_stalled_reply_comes_when_released(connect: Connect) -> None:
    """Stall reads on in silence, is seen in `held`, and after release() the reply is the usual one."""
    with SMTPServer() as server:
        server.script("DOT", Stall())
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
        assert client.codes(2) == [250, 250]
        assert server.wait_until(lambda s: s.held == 1)
        assert (len(server.committed), len(server.messages)) == (1, 0)
        client.send(b"MAIL FROM:<>\r\n")
        server.release()
        assert client.codes(2) == [250, 250]
        assert len(server.messages) == 1
        assert server.held == 0
        server.release()


def test_a_stall_can_end_by_itself(connect: Connect) -> None:
    """Stall(seconds) delays the reply by that long."""
    with SMTPServer() as server:
        server.script("NOOP", Stall(0.05))
        client = connect(server)
        client.hello()
        started = time.monotonic()
        assert client.ask("NOOP").startswith(b"250")
        assert time.monotonic() - started >= 0.05


def test_a_stall_ends_when_the_client_goes(connect: Connect) -> None:
    """A client that gives up is noticed while its reply is held back, and the message stays unaccepted."""
    with SMTPServer() as server:
        server.script("DOT", Stall(), times=2)
        for number in (1, 2):
            client = connect(server)
            client.hello()
            client.send(ENVELOPE + b"BDAT 0 LAST\r\n")
            client.codes(2)
            assert server.wait_until(lambda s: s.held == 1)
            if number == 2:
                client.socket.setsockopt(*linger_zero())
            client.close()
            assert server.wait_until(lambda s, n=number: s.connections[n - 1].closed)
        assert (len(server.committed), len(server.messages)) == (2, 0)


def test_closing_the_server_ends_stalls(connect: Connect) -> None:
    """close() does not wait for a connection that is held."""
    with SMTPServer() as server:
        server.script("NOOP", Stall()).script("NOOP", StopReading())
        clients = [connect(server) for _ in range(2)]
        for client in clients:
            client.hello()
            client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.held == 2)
    for client in clients:
        with pytest.raises((EOFError, ConnectionResetError)):
            client.line()


def test_a_full_window_blocks_the_client_until_released(connect: Connect) -> None:
    """StopReading in the middle of content leaves the writer with a full window; after release all of it arrives."""
    body = b"0123456789abcde\r\n" * 1_000_000
    with SMTPServer() as server:
        server.script("body", StopReading(), after=100)
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"BDAT %d LAST\r\n" % len(body))
        client.codes(2)
        client.socket.settimeout(0.0)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < len(body):
                sent += client.socket.send(body[sent : sent + 100_000])
                assert server.wait_until(lambda s: s.held == 1)
        assert sent < len(body)
        client.socket.settimeout(10)
        server.release()
        client.send(body[sent:])
        assert client.code() == 250
        assert server.messages[0].data == body


@pytest.mark.parametrize("how", ["DATA", "BDAT", "BDAT LAST"])
def test_a_reply_in_the_middle_of_content_is_the_only_one(connect: Connect, how: str) -> None:
    """A scripted text at `body` comes before the content has ended, and no second reply follows its end."""
    with SMTPServer() as server:
        server.script("body", "452 4.3.1 disk full", after=4)
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + (b"DATA\r\n" if how == "DATA" else b""))
        client.codes(3 if how == "DATA" else 2)
        client.send({"DATA": b"abcd", "BDAT": b"BDAT 6\r\nabcd", "BDAT LAST": b"BDAT 6 LAST\r\nabcd"}[how])
        assert client.code() == 452
        client.send(b"\r\n.\r\n" if how == "DATA" else b"\r\n")
        assert client.ask("RSET").startswith(b"250")
        assert server.messages == ()
        assert len(server.committed) == (how != "BDAT")


def test_other_refusals_stay_silent_after_a_reply_in_the_middle(connect: Connect) -> None:
    """Oversized content and chunks without recipient get no second reply either."""
    with SMTPServer(max_size=10) as server:
        server.script("body", "452 4.3.1 disk full", times=None)
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"BDAT 20 LAST\r\n" + b"x" * 20)
        assert client.codes(3) == [250, 250, 452]
        client.send(b"MAIL FROM:<>\r\nBDAT 2 LAST\r\nhi")
        assert client.codes(2) == [250, 452]
        server.script("DATA", "354 never mind")
        client.send(b"MAIL FROM:<>\r\nDATA\r\n")
        assert client.codes(2) == [250, 354]
        client.send(b".\r\n")
        assert client.code() == 452
        server.clear_script()
        assert client.ask("NOOP").startswith(b"250")


def test_a_cut_in_the_middle_of_content(connect: Connect) -> None:
    """Disconnect at `body` ends the connection after that much content; nothing is committed."""
    with SMTPServer() as server:
        server.script("body", Disconnect(), after=3)
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"DATA\r\n")
        client.codes(3)
        client.send(b"abcdef")
        assert client.rest() == b""
        assert server.committed == ()


def test_a_354_without_recipients_is_followed_by_the_refusal(connect: Connect) -> None:
    """A scripted 354 opens the input although no recipient was accepted; the dot gets 554."""
    with SMTPServer() as server:
        server.script("RCPT", "550 5.1.1 no").script("DATA", "354 go ahead")
        client = connect(server)
        client.hello()
        client.send(ENVELOPE + b"DATA\r\n")
        assert client.codes(3) == [250, 550, 354]
        client.send(b".\r\n")
        assert client.code() == 554
        assert server.committed == ()


def test_an_endless_reply_ends_with_the_client(connect: Connect) -> None:
    """Endless streams its line until the client has gone, and then the connection is closed."""
    with SMTPServer() as server:
        server.script("EHLO", Endless(b"250-more\r\n"))
        client = connect(server)
        client.reply()
        client.send(b"EHLO c.example\r\n")
        assert client.read(10 * 100_000) == b"250-more\r\n" * 100_000
        client.close()
        assert server.wait_until(lambda s: s.connections[0].closed)


def test_a_dripping_reply_comes_byte_by_byte(connect: Connect) -> None:
    """Drip sends the reply, or bytes of its own, one at a time and with pauses."""
    with SMTPServer() as server:
        server.script("NOOP", Drip(interval=0.001)).script("NOOP", Drip(b"250 x\r\n", interval=0.001))
        client = connect(server)
        client.hello()
        writes = server.connections[0].writes
        assert client.ask("NOOP") == b"250 2.0.0 OK\r\n"
        assert client.ask("NOOP") == b"250 x\r\n"
        assert server.connections[0].writes == writes + 14 + 7


def test_closing_the_server_ends_a_drip(connect: Connect) -> None:
    """close() does not wait for a drip of a byte an hour."""
    with SMTPServer() as server:
        server.script("NOOP", Drip(interval=3600))
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert client.read(1) == b"2"


def test_gates_hold_nobody_once_closed() -> None:
    """A connection that begins to stall while the server closes ends at once."""
    gates = Gates(Ledger())
    gates.close()
    with pytest.raises(PeerGone):
        gates.hold(None, None)


def test_bytes_can_follow_a_reply_unasked(connect: Connect) -> None:
    """InjectAfter sends the usual reply and more in the same write."""
    with SMTPServer() as server:
        server.script("NOOP", InjectAfter(b"421 4.3.2 bye\r\n"))
        client = connect(server)
        client.hello()
        writes = server.connections[0].writes
        assert client.ask("NOOP").startswith(b"250")
        assert client.line() == b"421 4.3.2 bye\r\n"
        assert server.connections[0].writes == writes + 1


def test_kicking_ends_idle_connections(connect: Connect) -> None:
    """kick() ends every open connection cleanly, and says how many there were."""
    with SMTPServer() as server:
        clients = [connect(server) for _ in range(3)]
        for client in clients:
            client.hello()
        assert server.kick() == 3
        assert [client.rest() for client in clients] == [b"", b"", b""]


@pytest.mark.parametrize("rst", [False, True])
def test_kicking_can_speak_first(connect: Connect, *, rst: bool) -> None:
    """An unsolicited 421 arrives before the end; a reset really is one."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        assert server.kick("421 4.4.2 timeout") == 1
        assert client.reply() == b"421 4.4.2 timeout\r\n"
        assert client.ask("NOOP").startswith(b"250")
        assert server.kick(Disconnect(rst=True) if rst else CloseAfter("421 4.3.2 bye")) == 1
        if rst:
            assert server.wait_until(lambda s: s.connections[0].closed)
            with pytest.raises(ConnectionResetError):
                client.rest()
        else:
            assert client.rest() == b"421 4.3.2 bye\r\n"
            assert server.transcript.endswith("S: 421 4.3.2 bye")


def test_a_kicked_client_that_writes_on_gets_no_answer(connect: Connect) -> None:
    """What a client sends after the server's end of file is read away, not answered."""
    with SMTPServer() as server:
        client = connect(server)
        client.hello()
        server.kick()
        client.send(ENVELOPE)
        assert client.rest() == b""
        client.close()
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].verbs == ("EHLO",)


def test_a_busy_connection_is_kicked_when_it_waits_again(connect: Connect) -> None:
    """A kick waits for a held connection no longer than told, and is done once the connection asks for input."""
    with SMTPServer() as server:
        server.script("NOOP", Stall())
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.held == 1)
        assert server.kick(timeout=0.01) == 0
        server.release()
        assert client.rest() == b"250 2.0.0 OK\r\n"


def test_a_kick_does_not_wait_for_a_connection_that_ends(connect: Connect) -> None:
    """A connection that ends while a kick waits for it is not counted; neither is one that was kicked before."""
    with SMTPServer() as server:
        server.script("NOOP", Stall())
        idle, client = connect(server), connect(server)
        idle.hello()
        client.hello()
        client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.held == 1)
        counts: list[int] = []
        kicking = threading.Thread(target=lambda: counts.append(server.kick()))
        kicking.start()
        assert idle.rest() == b""
        client.close()
        kicking.join(10)
        assert counts == [1]
        assert server.kick() == 0


def test_a_kicked_client_that_has_gone_is_no_error(connect: Connect) -> None:
    """A kick onto a connection that the client has reset is carried out in silence."""
    with SMTPServer() as server:
        server.script("NOOP", StopReading())
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert server.wait_until(lambda s: s.held == 1)
        client.socket.setsockopt(*linger_zero())
        client.close()
        assert server.kick(CloseAfter(), timeout=0.0) == 0
        server.release()
        assert server.wait_until(lambda s: s.connections[0].closed)


def test_a_truncated_reply_without_tls_is_cut_too(connect: Connect) -> None:
    """TruncateTLS on a plain connection cuts the reply itself."""
    with SMTPServer() as server:
        server.script("NOOP", TruncateTLS(record_bytes=4))
        client = connect(server)
        client.hello()
        client.send(b"NOOP\r\n")
        assert client.rest() == b"250 "


def linger_zero() -> tuple[int, int, bytes]:
    """Return the socket option that turns a close into a reset."""
    return socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
