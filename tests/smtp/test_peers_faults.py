"""Faults that other clients have had, each by its name: none of them may come back here."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none
from tests.smtp.letters import BOB, EVE, Post, letter, transport_to

from mailkit import (
    AddressError,
    AsyncMailer,
    Attachment,
    Envelope,
    Mailer,
    OutcomeUnknownError,
    Receipt,
    RejectedError,
    RetryPolicy,
    TLSError,
    TransientError,
)
from mailkit.smtp.data import data_pieces
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.testing import Disconnect, InjectAfter, RawReply, SMTPServer, Stall

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

WITHOUT_CHUNKING = ("CHUNKING", "BINARYMIME")


def test_bytes_kept_across_starttls(colour: Colour) -> None:
    """CVE-2011-0411 and its descendants: what came in clear behind the 220 is not read as the answer inside TLS."""
    with (
        SMTPServer(tls="starttls") as server,
        Post.to(server, colour, tls="starttls", ca_file=server.ca_file) as post,
    ):
        server.script("STARTTLS", InjectAfter(b"250-evil.test\r\n250 AUTH PLAIN\r\n"))
        error = post.attempt()
        assert isinstance(error, TLSError)
        assert (error.outcome, error.cause) == ("not_sent", "security")
        assert server.connections[0].verbs == ("EHLO", "STARTTLS")


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c>\r\nRCPT TO:<evil@x.y",
        "a@b.c\r\nDATA",
        "a@b.c\n",
        "a\x00@b.c",
        '"a\r\nRSET"@b.c',
        "a@b.c> SIZE=1",
        "a@b.c\u2028RSET",
    ],
)
def test_an_address_that_becomes_two_commands(address: str) -> None:
    """An address with a line end in it is no address: nothing is connected to."""
    with SMTPServer() as server, Mailer(server.url) as mailer:
        with pytest.raises(AddressError):
            mailer.send(letter(to=[address]))
        with pytest.raises(AddressError):
            mailer.send_raw(b"Subject: x\r\n\r\n", Envelope("ada@example.com", [address]))
        with pytest.raises(AddressError):
            mailer.send_raw(b"Subject: x\r\n\r\n", Envelope(address, [BOB]))
        assert server.connections == ()


@pytest.mark.parametrize("text", ["no newline at the end", "", ".", "\n.", "a\n.", "a\r\n.\r\n"])
@pytest.mark.parametrize("without", [(), WITHOUT_CHUNKING])
def test_a_body_without_a_final_newline_that_never_ends(text: str, without: tuple[str, ...], colour: Colour) -> None:
    """A body that does not end with a line end, or that ends with a dot, ends all the same."""
    with SMTPServer(without=without) as server, Post.to(server, colour) as post:
        post.send(letter(text=text))
        post.send_raw(b"Subject: x\r\n\r\n" + text.replace("\r\n", "\n").replace("\n", "\r\n").encode())
        assert len(server.messages) == 2
        assert server.violations == ()


@pytest.mark.parametrize(
    "reply", ["250 envoyé".encode("latin-1"), b"250 \xff\xfe", "250 отправлено".encode("koi8-r"), "250 好".encode()]
)
def test_a_reply_that_is_not_ascii_raises_unicode_decode_error(reply: bytes, colour: Colour) -> None:
    """What a server says in any encoding, or none, is shown escaped; the code is what counts."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("DOT", RawReply(reply + b"\r\n"))
        receipt = post.send()
        assert len(receipt.accepted) == 2
        assert receipt.recipients[0].text.isprintable()
        server.script("RCPT", RawReply(b"5" + reply[1:] + b"\r\n"), times=2)
        assert isinstance(post.attempt(), RejectedError)


@pytest.mark.parametrize("bare", [b"220\r\n", b"220 \r\n", b"220\n"])
def test_a_bare_220_is_taken_for_a_violation(bare: bytes) -> None:
    """RFC 5321 §4.2: the text is optional, in the greeting as anywhere."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("greeting", RawReply(bare))
        server.script("MAIL", RawReply(b"250\r\n")).script("RCPT", RawReply(b"250\r\n")).script(
            "DOT", RawReply(b"250\r\n")
        )
        assert len(post.send().accepted) == 2


def test_a_pool_that_bounds_only_idle_connections() -> None:
    """In lettre, threads are not bounded: here twenty threads and a bound of two make two connections, not twenty."""
    with (
        SMTPServer() as server,
        Mailer(transport_to(server, pool=PoolLimits(max_connections=2))) as mailer,
        ThreadPoolExecutor(20) as threads,
    ):
        server.script("DOT", Stall(), times=2)
        receipts = [threads.submit(mailer.send, letter(number)) for number in range(20)]
        assert server.wait_until(lambda s: s.held == 2)
        server.release()
        assert all(receipt.result().accepted for receipt in receipts)
        assert len(server.connections) == 2


@given(st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\r\n.\r\n", b"..\r\n"])), st.data())
def test_dot_stuffing_broke_across_chunks(parts: list[bytes], data: st.DataObject) -> None:
    """RUSTSEC-2021-0069 in lettre: wherever blocks are cut, no line of content can end it early."""
    content = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)))))
    edges = [0, *cuts, len(content)]
    wire = b"".join(data_pieces(content[a:b] for a, b in pairwise(edges)))
    assert wire.endswith(b".\r\n")
    lines = (b"\r\n" + wire).split(b"\r\n")
    assert lines.count(b".") == 1
    assert lines.index(b".") == len(lines) - 2
    received = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines[1:-2])
    assert received + b"\r\n" in {content, content + b"\r\n"} or (not content and not received)


def test_two_messages_interleaved_on_one_pooled_connection() -> None:
    """In nodemailer (#265) two senders could share a connection; here two that begin at the same moment never do."""
    with SMTPServer() as server, Post.to(server) as post, ThreadPoolExecutor(2) as threads:
        post.send(letter(0))  # one connection lies idle, and both want it
        gate = threading.Barrier(2)

        def send(number: int) -> Receipt:
            gate.wait()
            return post.send(letter(number, text=f"{number} " * 2000))

        for _ in range(20):
            for receipt in threads.map(send, (1, 2)):
                assert receipt.accepted
        for message in server.messages[1:]:
            parsed = message.parse()
            assert set(parsed.get_content().split()) == {parsed["Subject"].removeprefix("Letter ")}
        assert server.violations == ()


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_connection_that_is_closed_after_a_5xx(phase: Any, colour: Colour) -> None:
    """In nodemailer it was: a refused message is no reason to hang up."""
    with SMTPServer(without=WITHOUT_CHUNKING) as server, Post.to(server, colour) as post:
        server.script(phase, "550 5.7.1 no", times=2 if phase == "RCPT" else 1)
        assert isinstance(post.attempt(letter(1)), RejectedError)
        assert post.send(letter(2)).accepted
        assert len(server.connections) == 1


def test_one_noop_and_one_rset_for_each_message(colour: Colour) -> None:
    """In go-mail, yes; here a warm connection carries messages and nothing else."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        for number in range(5):
            post.send(letter(number))
        assert server.connections[0].verbs == ("EHLO", *("MAIL", "RCPT", "RCPT", "BDAT") * 5)


def test_code_points_narrowed_to_line_ends() -> None:
    """Where characters are cut to their low byte, U+560A and U+560D become a line end; here they become an A-label."""
    with SMTPServer() as server, Post.to(server) as post:
        post.send(letter(to=["bob@x\u560d\u560arset.example"]))
        assert server.connections[0].verbs == ("EHLO", "MAIL", "RCPT", "BDAT")
        assert server.messages[0].rcpt_to[0].startswith("bob@xn--xrset-")


def test_a_40_mib_attachment_in_a_fraction_of_its_size(tmp_path: Path) -> None:
    """The peak of aiosmtplib is 395 MiB; here an attachment is read while it is sent, and costs next to no memory."""
    path = tmp_path / "film.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 40)
    # The server shares this process. It reads all, keeps nothing of it, and so says 552 in the end.
    without = ("SIZE", *WITHOUT_CHUNKING)
    with SMTPServer(without=without, max_size=10_000, keep="counts") as server, Post.to(server) as post:
        post.send()  # what is loaded once is loaded
        tracemalloc.start()
        try:
            error = post.attempt(letter(2, attachments=[Attachment.from_path(path)]))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(error, RejectedError)
        assert server.connections[0].bytes_received > 40 * 2**20 * 4 / 3
        assert peak < 8 * 2**20


def test_a_large_attachment_does_not_freeze_the_event_loop(tmp_path: Path) -> None:
    """In aiosmtplib it stops the loop for 2.0 s: here other tasks get their turn all the time."""
    path = tmp_path / "film.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 20)
    pauses: list[float] = []

    async def tick() -> None:
        while True:
            before = time.thread_time()  # what the loop's own thread was busy with: the machine may do other things
            await asyncio.sleep(0.001)
            pauses.append(time.thread_time() - before)

    async def main(server: SMTPServer) -> None:
        async with AsyncMailer(server.url) as mailer:
            ticking = asyncio.create_task(tick())
            await mailer.send(letter(attachments=[Attachment.from_path(path)]))
            ticking.cancel()

    with SMTPServer(keep="counts") as server:
        asyncio.run(main(server))
    assert len(pauses) > 20
    assert max(pauses) < 1.0


def test_requeueing_without_limit_after_a_drop(colour: Colour) -> None:
    """In nodemailer (#1105); here a server that drops every connection is tried as often as the policy says."""
    with SMTPServer() as server:
        server.script("MAIL", Disconnect(), times=None)
        with (
            Mailer(transport_to(server, chunking=False), retry=RetryPolicy(attempts=3, wait=wait_none())) as mailer,
            pytest.raises(ConnectionError) as caught,
        ):
            mailer.send(letter())
        assert len(server.connections) == 3
        assert caught.value.outcome == "not_sent"  # type: ignore[attr-defined]


@pytest.mark.parametrize("rset", ["502 5.5.1 no", Disconnect(), "421 4.3.2 bye"])
def test_delivered_mail_reported_as_failed_because_its_rset_failed(rset: Any, colour: Colour) -> None:
    """In go-mail (#463, #551); here what was accepted stays accepted, whatever happens to the connection then."""
    with SMTPServer(limits={"RCPTMAX": 1}) as server, Post.to(server, colour) as post:
        # The first transaction delivers to bob; eve's is refused and leaves one open; joe's needs the RSET.
        server.script("DOT", "554 5.7.1 no", skip=1).script("RSET", rset)
        receipt = post.send(envelope=Envelope("ada@example.com", [BOB, EVE, "joe@example.com"]))
        assert [result.status for result in receipt.recipients] == ["accepted", "rejected", "not_sent"]
        assert server.unplayed == ()


def test_resending_whatever_the_phase(colour: Colour) -> None:
    """In python-emails, always; here a message whose answer was lost is not sent again unless that was asked for."""
    with SMTPServer() as server:
        server.script("DOT", Disconnect())
        policy = RetryPolicy(attempts=3, wait=wait_none())
        with (
            Mailer(transport_to(server), retry=policy) as mailer,
            pytest.raises(OutcomeUnknownError) as caught,
        ):
            mailer.send(letter())
        assert caught.value.attempts == 1
        assert len(server.committed) == 1


def test_empty_mails_because_data_was_pipelined_under_all_or_nothing() -> None:
    """In MailKit (#1459); here, with recipients="all", no DATA goes out before every RCPT was answered."""
    with SMTPServer(without=WITHOUT_CHUNKING) as server, Post.to(server, recipients="all") as post:
        server.script("RCPT", "550 5.1.1 no", match=EVE).script("DATA", "354 go on")
        assert isinstance(post.attempt(), RejectedError)
        assert "DATA" not in server.connections[0].verbs
        assert server.committed == ()


def test_nagle(monkeypatch: pytest.MonkeyPatch, colour: Colour) -> None:
    """In nodemailer TCP_NODELAY is never set, which costs 40 ms a message."""
    options: list[tuple[int, int, int]] = []
    setsockopt = socket.socket.setsockopt

    def spy(self: socket.socket, level: int, name: int, value: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            options.append((level, name, value))
        setsockopt(self, level, name, value)

    monkeypatch.setattr(socket.socket, "setsockopt", spy)
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send()
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


def test_a_login_challenge_that_is_worded_otherwise() -> None:
    """The question of aiosmtpd is "User Name" and a NUL: challenges of LOGIN are counted, not read."""
    with (
        SMTPServer(users={"ada": "secret"}, mechanisms=["LOGIN"]) as server,
        Post.to(server, username="ada", password="secret") as post,
    ):
        server.script("AUTH", "334 VXNlciBOYW1lAA==")
        assert post.send().accepted
        assert server.messages[0].user == "ada"


@pytest.mark.parametrize("text", ["5004291 rejected", "see 550 in RFC 5321", "421 was not meant"])
def test_errors_told_apart_by_substrings(text: str) -> None:
    """In upyo, "5004291 rejected" was a rate limit because it contains 429: only codes decide."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("DOT", f"451 4.3.0 {text}")
        assert type(post.attempt()) is TransientError
        server.script("DOT", f"250 2.0.0 {text}")
        assert post.send().accepted
