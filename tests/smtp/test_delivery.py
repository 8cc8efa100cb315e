"""A message over one conversation: who gets it, in how many transactions, and when writing stops."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from tests.patience import given_time
from tests.smtp.letters import BOB, EVE, Post, big, letter
from tests.smtp.wires import Later, Wire

from mailkit import (
    ConnectError,
    DeliveryError,
    Envelope,
    ProtocolError,
    RateLimitedError,
    Receipt,
    RejectedError,
    Reply,
    TransientError,
)
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.mail_parameters import MailParameters
from mailkit.receipt import RecipientResult
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.delivery import Delivered, Delivery, envelope_lines
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.raw import RawContent
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transaction import Transaction
from mailkit.testing import CloseAfter, Disconnect, SMTPServer, StopReading

if TYPE_CHECKING:
    from tests.colours import Colour

MODES: dict[str, tuple[str, ...]] = {
    "chunking": (),
    "pipelining": ("CHUNKING", "BINARYMIME"),
    "neither": ("CHUNKING", "BINARYMIME", "PIPELINING"),
}
every_mode = pytest.mark.parametrize("mode", MODES)


def statuses(heard: Receipt | DeliveryError) -> dict[str, str]:
    """Return the status of each recipient."""
    return {result.address: result.status for result in heard.recipients}


def crowd(count: int) -> Envelope:
    """Return an envelope with many recipients."""
    return Envelope("ada@example.com", [f"reader{number}@example.org" for number in range(count)])


@every_mode
def test_who_is_accepted_gets_the_message(mode: str, colour: Colour) -> None:
    """With recipients="any" one refused recipient does not keep the message from the other."""
    with SMTPServer(without=MODES[mode]) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no such user", match=BOB)
        receipt = post.send()
        assert statuses(receipt) == {BOB: "rejected", EVE: "accepted"}
        assert [result.address for result in receipt.refused] == [BOB]
        assert receipt.provider_id == "00000001"
        assert server.messages[0].rcpt_to == (EVE,)


@every_mode
@pytest.mark.parametrize(
    ("codes", "kind", "told"),
    [
        (("550 5.1.1 no", "550 5.1.1 no"), RejectedError, ("rejected", "rejected")),
        (("451 4.2.1 later", "451 4.2.1 later"), TransientError, ("deferred", "deferred")),
        (("451 4.2.1 later", "550 5.1.1 no"), RejectedError, ("deferred", "rejected")),
    ],
)
def test_when_all_are_refused_nothing_is_delivered(
    mode: str, codes: tuple[str, str], kind: type[DeliveryError], told: tuple[str, str]
) -> None:
    """Deferred if all were deferred, else rejected; the connection is kept."""
    with SMTPServer(without=MODES[mode]) as server, Post.to(server) as post:
        for address, text in zip((BOB, EVE), codes, strict=True):
            server.script("RCPT", text, match=address)
        error = post.attempt()
        assert type(error) is kind
        assert tuple(statuses(error).values()) == told
        assert error.reply is not None
        assert error.reply.code == int(codes[0][:3])
        assert server.committed == ()
        post.send(letter(2))
        assert len(server.connections) == 1


@pytest.mark.parametrize("mode", ["pipelining", "neither"])
def test_no_content_is_written_when_nobody_wants_it(mode: str) -> None:
    """Where the content waits for its 354, a message whose recipients were all refused is not written at all."""
    with SMTPServer(without=MODES[mode]) as server, Post.to(server) as post:
        server.script("RCPT", "550 5.1.1 no", times=2)
        assert isinstance(post.attempt(), RejectedError)
        (record,) = server.connections
        assert record.bytes_received == sum(len(line) + 2 for line in record.commands)


def test_a_354_although_every_recipient_was_refused_gets_no_content(colour: Colour) -> None:
    """Whatever came then could be taken for a message, even an empty one: the connection is dropped instead."""
    with SMTPServer(without=MODES["pipelining"]) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no", times=2).script("DATA", "354 go on")
        error = post.attempt()
        assert isinstance(error, RejectedError)
        assert statuses(error) == {BOB: "rejected", EVE: "rejected"}
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.committed == ()
        assert server.connections[0].bytes_received == sum(len(line) + 2 for line in server.connections[0].commands)
        post.send(letter(2))
        assert len(server.connections) == 2


@every_mode
@pytest.mark.parametrize(
    ("code", "kind", "told"), [("550 5.1.1 no", RejectedError, "rejected"), ("450 4.2.1 x", TransientError, "deferred")]
)
def test_all_or_nothing(mode: str, code: str, kind: type[DeliveryError], told: str, colour: Colour) -> None:
    """With recipients="all" one refused recipient means that nobody gets the message, and no content is written."""
    with SMTPServer(without=MODES[mode]) as server, Post.to(server, colour, recipients="all") as post:
        server.script("RCPT", code, match=EVE)
        error = post.attempt(letter(1))
        assert type(error) is kind
        assert statuses(error) == {BOB: "not_sent", EVE: told}
        assert server.committed == ()
        assert {"DATA", "BDAT"}.isdisjoint(server.connections[0].verbs)
        # And nobody of that envelope gets the next message.
        post.send(letter(2))
        assert "RSET" in server.connections[0].verbs
        assert [message.rcpt_to for message in server.messages] == [(BOB, EVE)]
        assert len(server.connections) == 1


@every_mode
def test_all_or_nothing_with_all(mode: str) -> None:
    """With recipients="all" and every recipient accepted the message goes out, in one round trip more at most."""
    with SMTPServer(without=MODES[mode]) as server, Post.to(server, recipients="all") as post:
        assert statuses(post.send()) == {BOB: "accepted", EVE: "accepted"}
        assert server.connections[0].round_trips == {"chunking": 3, "pipelining": 4, "neither": 6}[mode]


@every_mode
def test_many_recipients_go_in_several_transactions(mode: str, colour: Colour) -> None:
    """Where the server says nothing else a transaction has 100 recipients, and each gets the message once, in order."""
    envelope = crowd(250)
    with SMTPServer(without=MODES[mode]) as server, Post.to(server, colour) as post:
        server.script("RCPT", "550 5.1.1 no", match="reader120@example.org")
        receipt = post.send(envelope=envelope)
        assert [result.address for result in receipt.recipients] == [str(path) for path in envelope.rcpt_to]
        assert [result.address for result in receipt.refused] == ["reader120@example.org"]
        assert [len(message.rcpt_to) for message in server.messages] == [100, 99, 50]
        assert len({message.data for message in server.messages}) == 1
        assert len(server.connections) == 1


@every_mode
def test_a_server_may_name_a_lower_limit(mode: str) -> None:
    """LIMITS RCPTMAX (RFC 9422) is kept to, without a single refusal."""
    with SMTPServer(without=MODES[mode], limits={"RCPTMAX": 2}) as server, Post.to(server) as post:
        receipt = post.send(envelope=crowd(5))
        assert len(receipt.accepted) == 5
        assert [len(message.rcpt_to) for message in server.messages] == [2, 2, 1]
        assert server.connections[0].verbs.count("RCPT") == 5


@every_mode
def test_too_many_recipients_are_carried_into_the_next_transaction(mode: str, colour: Colour) -> None:
    """A 452 4.5.3 after accepted recipients is no refusal: the rest goes in a next transaction."""
    without = (*MODES[mode], "LIMITS")
    with SMTPServer(without=without, limits={"RCPTMAX": 2}) as server, Post.to(server, colour) as post:
        receipt = post.send(envelope=crowd(5))
        assert len(receipt.accepted) == 5
        assert [message.rcpt_to for message in server.messages] == [
            ("reader0@example.org", "reader1@example.org"),
            ("reader2@example.org", "reader3@example.org"),
            ("reader4@example.org",),
        ]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("452 4.5.3 too many recipients", "accepted"),
        ("452 too many recipients", "accepted"),
        ("552 5.5.3 too many recipients", "accepted"),
        ("552 too many recipients", "accepted"),
        ("552 5.2.2 mailbox full", "rejected"),
        ("452 4.2.2 over quota", "deferred"),
    ],
)
def test_which_refusals_mean_too_many(code: str, told: str) -> None:
    """452 and the old 552 do, unless the enhanced code says that they are about the mailbox."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("RCPT", code, match=EVE)
        assert statuses(post.send()) == {BOB: "accepted", EVE: told}
        assert len(server.messages) == (2 if told == "accepted" else 1)


def test_a_server_that_takes_nobody_is_not_asked_for_ever() -> None:
    """When a transaction has no recipient at all, "too many" is an answer like any other 4xx."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("RCPT", "452 4.5.3 too many recipients", times=None)
        assert isinstance(post.attempt(), TransientError)
        assert server.connections[0].verbs.count("MAIL") == 1


def test_what_a_second_transaction_meets_does_not_undo_the_first() -> None:
    """When the server says goodbye in the second transaction, those of the first keep their receipt."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("MAIL", CloseAfter(), skip=1)
        receipt = post.send(envelope=crowd(150))
        assert (len(receipt.accepted), len(receipt.refused)) == (100, 50)
        assert {result.status for result in receipt.refused} == {"not_sent"}
        assert {result.code for result in receipt.refused} == {421}


def test_a_connection_lost_in_a_second_transaction_does_not_undo_the_first() -> None:
    """What was accepted before the connection broke stays accepted; the reply to it names the receipt."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("DOT", Disconnect(), skip=1)
        receipt = post.send(envelope=crowd(150))
        assert (len(receipt.accepted), len(receipt.unknown)) == (100, 50)
        assert receipt.provider_id == "00000001"


@pytest.mark.parametrize(("rset", "told"), [("250 2.0.0 ok", "rejected"), ("502 5.5.1 no", "not_sent")])
def test_between_transactions_what_is_open_is_reset(rset: str, told: str) -> None:
    """A transaction that was left open is reset before the next; where that fails, the rest is not sent."""
    with SMTPServer(without=MODES["pipelining"]) as server, Post.to(server) as post:
        server.script("DATA", "554 5.7.1 no", times=2).script("RSET", rset)
        with pytest.raises(RejectedError) as caught:
            post.send(envelope=crowd(101))
        assert [result.status for result in caught.value.recipients] == ["rejected"] * 100 + [told]
        assert server.connections[0].verbs.count("RSET") == 1


def test_greylisting_is_a_limit_of_rate(colour: Colour) -> None:
    """4.7.1 defers the message, says when to come back, and is not tried again within the call."""
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("RCPT", "450 4.7.1 greylisted", times=None)
        error = post.attempt()
        assert isinstance(error, RateLimitedError)
        assert (error.outcome, error.cause, error.retry_after) == ("deferred", "throttled", 300.0)
        assert server.connections[0].verbs.count("MAIL") == 1
        assert statuses(error) == {BOB: "deferred", EVE: "deferred"}


def test_one_greylisted_recipient_does_not_hold_up_the_other() -> None:
    """The receipt names who was deferred, and when to come back for that one."""
    with SMTPServer() as server, Post.to(server) as post:
        server.script("RCPT", "450 4.7.1 greylisted", match=EVE)
        receipt = post.send()
        assert statuses(receipt) == {BOB: "accepted", EVE: "deferred"}
        assert receipt.recipients[1].retry_after == 300.0


@pytest.mark.parametrize("mode", ["pipelining", "neither"])
@pytest.mark.parametrize(("code", "kind"), [("452 4.3.1 full", TransientError), ("552 5.3.4 too big", RejectedError)])
def test_an_early_refusal_stops_the_writing(mode: str, code: str, kind: type[DeliveryError], colour: Colour) -> None:
    """A complete 4xx or 5xx in the middle of the content ends it: the rest is never written, the connection dropped."""
    size = 16 * 1024 * 1024
    with SMTPServer(without=MODES[mode]) as server, Post.to(server, colour) as post:
        server.script("body", code, after=1000)
        error = post.attempt(big(size))
        assert type(error) is kind
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].bytes_received < size
        assert server.committed == ()


def test_a_refused_chunk_stops_the_writing(colour: Colour) -> None:
    """After a refused BDAT no further chunk is written, and the connection is dropped."""
    size = 16 * 1024 * 1024
    with SMTPServer() as server, Post.to(server, colour) as post:
        server.script("BDAT", "552 5.3.4 too big", skip=1)
        error = post.attempt(big(size))
        assert isinstance(error, RejectedError)
        assert server.wait_until(lambda s: s.connections[0].closed)
        assert server.connections[0].bytes_received < size
        assert server.committed == ()


@given_time(first=0.3)
def test_last_words_outweigh_a_broken_pipe(*, wait: float) -> None:
    """A server that refuses in the middle of the content and hangs up is heard, although writing has failed."""
    with SMTPServer(without=MODES["pipelining"]) as server, Post.to(server, timeouts=Timeouts(data_block=wait)) as post:
        # It says why, and then reads no more: the writer runs into its timeout with the answer already there.
        server.script("body", "552 5.3.4 too big", after=1000).script("body", StopReading(), after=1000)
        error = post.attempt(big(16 * 1024 * 1024))
        assert isinstance(error, RejectedError)
        assert {result.code for result in error.recipients} == {552}
        server.release()


def delivery_over(wire: Wire, data: bytes, *extensions: str) -> Delivery:
    """Return the delivery of prepared bytes to bob over a wire whose server has shaken hands."""
    conversation = Conversation(wire, BlockingEdge(), SMTPOptions(host="mx.test", port=587))
    conversation.engine.feed(b"220 mx.test\r\n")
    offered = Extensions.parse(Reply(250, "\n".join(("mx.test", *extensions))))
    return Delivery(conversation, offered, Envelope("ada@example.com", BOB), RawContent.read(data))


def test_who_hangs_up_behind_the_354_is_noticed_before_the_commit_point() -> None:
    """An end of the stream that has arrived with the 354 is seen before the content is written: not sent."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", b"")
    delivered = run_sync(delivery_over(wire, big(500), "PIPELINING").run())
    assert [result.status for result in delivered.results] == ["not_sent"]
    assert isinstance(delivered.error, ConnectError)
    assert len(wire.written) == 1


def test_who_refuses_behind_the_354_is_heard_before_the_commit_point() -> None:
    """A refusal that has arrived with the 354 is the answer to content that is not written any more."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", b"554 5.7.1 changed my mind\r\n")
    delivery = delivery_over(wire, big(500), "PIPELINING")
    delivered = run_sync(delivery.run())
    assert [(result.status, result.code) for result in delivered.results] == [("rejected", 554)]
    assert delivered.error is None
    assert len(wire.written) == 1


def test_who_refuses_in_one_piece_with_the_354_is_heard_too() -> None:
    """However the two replies were cut: the content is spared, the refusal is its answer, the connection over."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n554 5.7.1 changed my mind\r\n")
    delivery = delivery_over(wire, big(500), "PIPELINING")
    delivered = run_sync(delivery.run())
    assert [(result.status, result.code) for result in delivered.results] == [("rejected", 554)]
    assert delivered.error is None
    assert len(wire.written) == 1
    assert not delivery._conversation.is_usable


def test_last_words_after_the_last_block() -> None:
    """A refusal that is there when the end of the message cannot be written is the message's fate."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", Later(b"552 5.3.4 too big\r\n"), takes=100)
    delivered = run_sync(delivery_over(wire, big(500), "PIPELINING").run())
    assert [(result.status, result.code) for result in delivered.results] == [("rejected", 552)]
    assert delivered.error is None


def test_last_words_in_the_middle_of_the_content() -> None:
    """A refusal that is there when a block cannot be written stops the writing, and is the message's fate."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", Later(b"552 5.3.4 too big\r\n"), takes=100)
    delivery = delivery_over(wire, big(600_000), "PIPELINING")
    delivered = run_sync(delivery.run())
    assert [(result.status, result.code) for result in delivered.results] == [("rejected", 552)]
    assert len(wire.written) == 2


def test_without_last_words_the_broken_pipe_is_the_reason() -> None:
    """What was not written to its end was not sent."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", takes=100)
    delivered = run_sync(delivery_over(wire, big(500), "PIPELINING").run())
    assert [(result.status, result.phase) for result in delivered.results] == [("not_sent", "content")]
    assert isinstance(delivered.error, ConnectError)


def test_a_violation_outweighs_a_broken_pipe() -> None:
    """Where the server sent nonsense before writing failed, that is told."""
    wire = Wire(b"250 ok\r\n250 ok\r\n354 go\r\n", Later(b"HTTP/1.1 400\r\n"), takes=100)
    delivered = run_sync(delivery_over(wire, big(500), "PIPELINING").run())
    assert isinstance(delivered.error, ProtocolError)


def test_a_delivery_that_has_not_begun_has_sent_nothing() -> None:
    """What became of each recipient can be asked at any moment."""
    results = delivery_over(Wire(), big(500)).results()
    assert [(result.address, result.status) for result in results] == [(BOB, "not_sent")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"require_tls": True}, {"REQUIRETLS": None}),
        ({"priority": -3}, {"MT-PRIORITY": "-3"}),
        ({"deliver_by": 120, "deliver_by_mode": "R"}, {"BY": "120;R"}),
        (
            {"hold_until": datetime(2030, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))},
            {"HOLDUNTIL": "2030-01-01T12:00:00Z"},
        ),
        ({"ret": "HDRS", "envid": "a+b"}, {"RET": "HDRS", "ENVID": "a+2Bb"}),
    ],
)
def test_what_is_asked_for_the_message_goes_with_mail(asked: dict[str, Any], said: dict[str, str | None]) -> None:
    """Each parameter is spelled as its RFC has it."""
    envelope = Envelope("ada@example.com", BOB, mail_parameters=MailParameters(**asked))
    lines = envelope_lines(Transaction([]), Extensions.none(), envelope, RawContent.read(big(500)))
    (mail, _), *_ = lines
    words = dict(word.partition("=")[::2] for word in mail.decode().split()[2:])
    assert words == {keyword: value or "" for keyword, value in said.items()}


@pytest.mark.parametrize("mode", ["chunking", "pipelining", "neither"])
def test_lmtp_answers_for_each_recipient(mode: str, colour: Colour) -> None:
    """RFC 2033: after the content each accepted recipient has an answer of its own."""
    with SMTPServer(lmtp=True, without=MODES[mode]) as server, Post.to(server, colour, protocol="lmtp") as post:
        server.script("RCPT", "550 5.1.1 no such user", match="joe@example.com")
        server.script("DOT", "452 4.2.2 over quota", match=EVE)
        receipt = post.send(envelope=Envelope("ada@example.com", [BOB, "joe@example.com", EVE]))
        assert statuses(receipt) == {BOB: "accepted", "joe@example.com": "rejected", EVE: "deferred"}
        assert server.connections[0].verbs[0] == "LHLO"
        assert post.send(letter(2)).accepted
        assert len(server.connections) == 1


@pytest.mark.parametrize("mode", ["chunking", "pipelining"])
def test_lmtp_that_is_cut_between_two_answers(mode: str, colour: Colour) -> None:
    """Of n answers those that were read are final, and the rest unknown."""
    with SMTPServer(lmtp=True, without=MODES[mode]) as server, Post.to(server, colour, protocol="lmtp") as post:
        server.script("DOT", Disconnect(), match=EVE)
        receipt = post.send()
        assert isinstance(receipt, Receipt)
        assert statuses(receipt) == {BOB: "accepted", EVE: "unknown"}


def test_a_server_without_lmtp() -> None:
    """SMTP on the other end is no LMTP: it refuses LHLO, and nothing is sent."""
    with SMTPServer() as server, Post.to(server, protocol="lmtp") as post:
        error = post.attempt()
        assert isinstance(error, RejectedError)
        assert (error.outcome, error.phase) == ("not_sent", "ehlo")
        assert "LMTP" in str(error)


def test_a_message_with_everything_arrives_unchanged(colour: Colour) -> None:
    """Dots, long lines folded by the encoding, and characters beyond ASCII read back as they were written."""
    text = ".leading dot\n..two\nné € 😀\n" + "word " * 300 + "\n."
    for without in MODES.values():
        with SMTPServer(without=without) as server, Post.to(server, colour) as post:
            post.send(letter(text=text))
            body = server.messages[0].parse().get_content()
            assert body.splitlines() == text.splitlines()
            assert server.violations == ()


@pytest.mark.parametrize(
    ("results", "stale"),
    [
        ([("not_sent", None)], True),
        ([("not_sent", 421), ("not_sent", None)], True),
        ([("not_sent", 451)], False),
        ([("not_sent", None), ("accepted", 250)], False),
        ([("unknown", None)], False),
    ],
)
def test_what_a_stale_connection_looks_like(results: list[tuple[Any, int | None]], stale: bool) -> None:
    """Nobody got anything, and no reply but a goodbye says why."""
    delivered = Delivered(tuple(RecipientResult("a@b.test", status=status, code=code) for status, code in results))
    assert delivered.is_stale is stale
