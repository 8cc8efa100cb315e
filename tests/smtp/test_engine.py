"""The engine, fed replies whole, byte by byte and in random cuts: the same bytes always mean the same."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.errors import ProtocolError, TLSError, TransientError
from mailkit.redaction import Redactor
from mailkit.secret import Secret
from mailkit.smtp.engine import Awaited, Engine, Expected, TranscriptLine
from mailkit.smtp.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.errors import DeliveryError

GREETING = b"220 mx.test ESMTP\r\n"
RECIPIENTS = [Address("bob@example.org"), Address("eve@example.net"), Address("joe@example.com")]

# A pipelined message, then a RSET: every kind of answer in one row.
CONVERSATION = (
    GREETING
    + b"250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
    + b"250 2.1.0 sender ok\r\n"
    + b"250 2.1.5 bob ok\r\n"
    + b"550-5.1.1 no such user\r\n550 5.1.1 ask the postmaster\r\n"
    + b"451 4.7.1 greylisted\r\n"
    + b"250 2.0.0 queued as 4711\r\n"
    + b"250 2.0.0 reset\r\n"
)


def engine_in_conversation() -> tuple[Engine, Transaction]:
    """Return an engine that awaits everything that CONVERSATION answers."""
    engine = Engine()
    transaction = Transaction(RECIPIENTS, chunked=True)
    engine.expect(b"EHLO c.test\r\n", Expected(Awaited.EHLO))
    engine.expect(b"MAIL FROM:<>\r\n", Expected(Awaited.MAIL, transaction))
    engine.expect_all(
        (b"RCPT TO:<%b>\r\n" % str(each).encode(), Expected(Awaited.RCPT, transaction, index))
        for index, each in enumerate(RECIPIENTS)
    )
    engine.expect(b"BDAT 0 LAST\r\n", Expected(Awaited.CONTENT, transaction))
    engine.expect(b"RSET\r\n", Expected(Awaited.RSET))
    transaction.commit_at = 0
    return engine, transaction


def fed(engine: Engine, pieces: Iterable[bytes]) -> list[tuple[str, int, int, bool]]:
    """Feed pieces; return what was answered: the kind, whom, the code and whether it is a yes."""
    return [
        (answer.expected.what.value, answer.expected.index, answer.reply.code, answer.is_positive)
        for piece in pieces
        for answer in engine.feed(piece)
    ]


ANSWERED = [
    ("greeting", 0, 220, True),
    ("ehlo", 0, 250, True),
    ("mail", 0, 250, True),
    ("rcpt", 0, 250, True),
    ("rcpt", 1, 550, False),
    ("rcpt", 2, 451, False),
    ("content", 0, 250, True),
    ("rset", 0, 250, True),
]


def test_replies_are_matched_by_counting() -> None:
    """The n-th reply answers the n-th thing that awaits one, whatever its code."""
    engine, _ = engine_in_conversation()
    assert engine.awaiting == len(ANSWERED)
    assert fed(engine, [CONVERSATION]) == ANSWERED
    assert engine.awaiting == 0
    assert engine.broken is None


def test_byte_by_byte_is_the_same() -> None:
    """A conversation that arrives byte by byte gives the same answers."""
    engine, _ = engine_in_conversation()
    assert fed(engine, (CONVERSATION[index : index + 1] for index in range(len(CONVERSATION)))) == ANSWERED


@given(st.lists(st.integers(0, len(CONVERSATION))))
def test_random_cuts_are_the_same(cuts: list[int]) -> None:
    """However a conversation is cut, the answers are the same."""
    engine, _ = engine_in_conversation()
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    assert fed(engine, (CONVERSATION[a:b] for a, b in pairwise(edges))) == ANSWERED


YES = {
    Awaited.GREETING: {220},
    Awaited.EHLO: set(range(200, 300)),
    Awaited.STARTTLS: {220},
    Awaited.AUTH: {235, 334},
    Awaited.MAIL: set(range(200, 300)),
    Awaited.RCPT: set(range(200, 300)),
    Awaited.DATA: {354},
    Awaited.CHUNK: set(range(200, 300)),
    Awaited.CONTENT: set(range(200, 300)),
    Awaited.RSET: set(range(200, 300)),
    Awaited.QUIT: set(range(200, 300)),
}


@pytest.mark.parametrize("what", Awaited)
def test_a_code_is_a_yes_a_no_or_nonsense(what: Awaited) -> None:
    """Of all codes, some are a yes to a command, every 4xx and 5xx a no, and every other breaks the connection."""
    for code in range(200, 600):
        engine = Engine()
        engine.feed(GREETING)
        engine.expect(b"X\r\n", Expected(what))
        answers = engine.feed(b"%d x\r\n" % code)
        if code in YES[what]:
            assert [answer.verdict for answer in answers] == ["positive"]
        elif code >= 400:
            assert [answer.verdict for answer in answers] == ["negative"]
        else:
            assert answers == []
            assert isinstance(engine.broken, ProtocolError)
            assert str(code) in str(engine.broken)
            assert engine.broken.reply is not None


def test_every_kind_of_command_is_in_the_table() -> None:
    """The table above and the enumeration name the same kinds."""
    assert set(YES) == set(Awaited)


def test_the_greeting_comes_unasked() -> None:
    """A new engine awaits the greeting."""
    engine = Engine()
    assert engine.awaiting == 1
    assert fed(engine, [GREETING]) == [("greeting", 0, 220, True)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"250 out of nowhere\r\n", ProtocolError),
        (b"554 5.0.0 out of nowhere\r\n", ProtocolError),
        (b"421 4.4.2 idle for too long\r\n", TransientError),
    ],
)
def test_an_unsolicited_reply_ends_the_connection(data: bytes, kind: type[DeliveryError]) -> None:
    """What nothing asked for breaks the connection: as a violation, or as the server's goodbye where it is a 421."""
    engine = Engine()
    engine.feed(GREETING)
    assert engine.feed(data) == []
    assert type(engine.broken) is kind
    assert engine.broken.outcome == "not_sent"
    assert engine.broken.reply is not None
    assert engine.broken.reply.code == int(data[:3])


@pytest.mark.parametrize("position", range(8))
def test_a_421_in_every_place_is_a_no_to_what_it_answers(position: int) -> None:
    """A 421 answers the oldest thing that is awaited, and what came before it still counts."""
    lines = [
        GREETING,
        b"250 a\r\n",
        b"250 b\r\n",
        b"250 c\r\n",
        b"250 d\r\n",
        b"250 e\r\n",
        b"250 f\r\n",
        b"250 g\r\n",
    ]
    engine, _ = engine_in_conversation()
    answers = fed(engine, [*lines[:position], b"421 4.3.2 shutting down\r\n"])
    assert [code for _, _, code, _ in answers] == [*[220, *[250] * 7][:position], 421]
    assert [positive for _, _, _, positive in answers] == [*[True] * position, False]
    assert engine.awaiting == 8 - position - 1
    assert engine.broken is None


def test_answers_before_a_violation_count_and_nothing_after_it() -> None:
    """What the server said before it broke the protocol is returned; what comes then is not looked at."""
    engine, _ = engine_in_conversation()
    assert fed(engine, [GREETING + b"250 x\r\nHTTP/1.1 400 Bad Request\r\n250 y\r\n"]) == ANSWERED[:2]
    assert isinstance(engine.broken, ProtocolError)
    assert "HTTP/1.1 400" in str(engine.broken)
    assert fed(engine, [b"250 z\r\n"]) == []


def test_after_a_reply_that_makes_no_sense_nothing_more_is_matched() -> None:
    """Replies behind one that breaks the connection are no answers, although they came in the same read."""
    engine, _ = engine_in_conversation()
    assert fed(engine, [GREETING + b"354 go\r\n250 x\r\n"]) == ANSWERED[:1]
    assert engine.awaiting == 7


@pytest.mark.parametrize("code", [250, 299])
def test_a_yes_to_content_that_is_not_written_yet_is_a_violation(code: int) -> None:
    """No server can accept a message before its last byte was written: its answer belongs to something else."""
    engine, transaction = engine_in_conversation()
    transaction.commit_at = None
    answers = fed(engine, [CONVERSATION.replace(b"250 2.0.0 queued", b"%d 2.0.0 queued" % code)])
    assert answers == ANSWERED[:6]
    assert isinstance(engine.broken, ProtocolError)


@pytest.mark.parametrize("code", [421, 451, 552])
def test_a_no_to_content_may_come_early(code: int) -> None:
    """A refusal in the middle of the content is an answer to it."""
    engine, transaction = engine_in_conversation()
    transaction.commit_at = None
    answers = fed(engine, [CONVERSATION.replace(b"250 2.0.0 queued", b"%d 4.0.0 no" % code)])
    assert answers[6] == ("content", 0, code, False)
    assert engine.broken is None


def test_content_of_no_transaction_is_answered_like_a_command() -> None:
    """An expectation without a transaction has no commit point to wait for."""
    engine = Engine()
    engine.feed(GREETING)
    engine.await_answer(Expected(Awaited.CONTENT))
    assert fed(engine, [b"250 ok\r\n"]) == [("content", 0, 250, True)]


@given(st.lists(st.booleans(), min_size=1, max_size=3), st.data())
def test_lmtp_answers_content_once_for_each_accepted_recipient(accepted: list[bool], data: st.DataObject) -> None:
    """With LMTP as many replies answer the content as RCPTs were accepted, at least one, and no more are awaited."""
    engine = Engine()
    transaction = Transaction(RECIPIENTS[: len(accepted)], lmtp=True)
    transaction.commit_at = 0
    engine.feed(GREETING)
    for index in range(len(accepted)):
        engine.expect(b"R\r\n", Expected(Awaited.RCPT, transaction, index))
    engine.await_answer(Expected(Awaited.CONTENT, transaction))
    wire = b"".join(b"250 ok\r\n" if yes else b"550 no\r\n" for yes in accepted)
    codes = [data.draw(st.sampled_from([250, 451, 550])) for _ in range(max(1, sum(accepted)))]
    wire += b"".join(b"%d x\r\n" % code for code in codes)
    cut = data.draw(st.integers(0, len(wire)))
    engine.feed(wire[:cut])
    engine.feed(wire[cut:])
    assert transaction.is_complete
    assert engine.awaiting == 0
    shares = iter(codes)
    expected = [next(shares) if yes else 550 for yes in accepted]
    assert [result.code for result in transaction.results(1)] == expected


def test_outgoing_bytes_leave_in_one_piece_and_once() -> None:
    """Commands and content are collected in order, counted, and taken in one piece."""
    engine = Engine()
    engine.expect(b"MAIL FROM:<>\r\n", Expected(Awaited.MAIL))
    engine.content(b"body\r\n")
    assert engine.outgoing == 20
    assert engine.take_outgoing() == b"MAIL FROM:<>\r\nbody\r\n"
    assert engine.outgoing == 0
    assert engine.take_outgoing() == b""


def test_the_transcript_shows_both_sides_and_no_secret() -> None:
    """Each line is shown once; what must not be seen is replaced, and challenges are masked."""
    lines: list[TranscriptLine] = []
    engine = Engine(transcript=lines.append)
    engine.feed(b"220-mx.test\r\n220 ready\r\n")
    engine.expect(b"AUTH PLAIN AGFubgBodW50ZXIy\r\n", Expected(Awaited.AUTH), shown="AUTH PLAIN ***")
    engine.feed(b"334 VXNlcm5hbWU6\r\n")
    engine.content(b"Subject: x\r\n\r\n", shown="(14 octets of content)")
    engine.content(b"more")
    engine.expect(b"RSET\r\n", Expected(Awaited.RSET))
    engine.feed(b"250 2.0.0 ok\r\n")
    assert [str(line) for line in lines] == [
        "S: 220-mx.test",
        "S: 220 ready",
        "C: AUTH PLAIN ***",
        "S: 334 ***",
        "C: (14 octets of content)",
        "C: RSET",
        "S: 250 2.0.0 ok",
    ]


def test_a_port_of_something_else() -> None:
    """What does not even greet as a mail server is perhaps none; what breaks the protocol later is one."""
    engine = Engine()
    engine.feed(b"HTTP/1.1 400 Bad Request\r\n")
    assert str(engine.broken).endswith(
        "the connection was dropped: check that host and port are those of a mail server"
    )
    engine = Engine()
    engine.feed(GREETING + b"HTTP/1.1 400 Bad Request\r\n")
    assert str(engine.broken).endswith("the connection was dropped")


def test_content_without_a_transcript_is_only_queued() -> None:
    """What would be shown is forgotten when nobody looks."""
    engine = Engine()
    engine.content(b"x", shown="(1 octet of content)")
    assert engine.take_outgoing() == b"x"


def engine_with_secret() -> Engine:
    """Return an engine that is past its greeting and knows the secret hunter2."""
    engine = Engine()
    engine.feed(GREETING)
    engine.redact = Redactor([Secret("hunter2")])
    return engine


@pytest.mark.parametrize("form", ["hunter2", "aHVudGVyMg==", "AGFubgBodW50ZXIy"])
@pytest.mark.parametrize(
    "reply", ["535 5.7.8 no {}", "250 {}", "334 {}", "421 {}", "xx {}", "999 {}", "250-a\r\n2{}", "250x {}"]
)
def test_a_server_that_repeats_a_secret_is_not_repeated(form: str, reply: str) -> None:
    """Neither the answer nor any error shows the secret in any of its forms, wherever the server put it."""
    for what in (Awaited.MAIL, None):
        engine = engine_with_secret()
        if what is not None:
            engine.expect(b"X\r\n", Expected(what))
        answers = engine.feed(f"{reply.format(form)}\r\n".encode())
        told = f"{answers!r} {engine.broken!r} {engine.broken and engine.broken.reply!r}"
        assert form not in told
        assert answers or engine.broken is not None


def test_a_secret_that_is_cut_off_is_not_repeated_either() -> None:
    """An excerpt of a broken line ends somewhere; where a secret may be cut in two, none is shown."""
    engine = engine_with_secret()
    engine.expect(b"X\r\n", Expected(Awaited.MAIL))
    engine.feed(b"no reply " + b"." * 66 + b" hunter2\r\n")
    assert "hunt" not in str(engine.broken)
    assert "does not begin with a code" in str(engine.broken)


def test_a_challenge_reaches_its_mechanism_as_it_is() -> None:
    """Only the answer to AUTH keeps its challenge: masking it would break the login."""
    engine = engine_with_secret()
    engine.expect(b"AUTH X\r\n", Expected(Awaited.AUTH))
    (answer,) = engine.feed(b"334 aHVudGVyMg==\r\n")
    assert answer.reply.text == "aHVudGVyMg=="


def test_tls_starts_on_a_clean_line() -> None:
    """With nothing behind the 220, TLS may begin."""
    engine = Engine()
    engine.feed(GREETING)
    engine.tls_started()
    assert engine.broken is None


@pytest.mark.parametrize("injected", [b"2", b"250 ok\r\n", b"250-mx\r\n", b"421 x\r\n", b"garbage\r\n", b"\x16\x03"])
def test_bytes_behind_the_220_are_an_attack(injected: bytes) -> None:
    """Whatever came in clear behind the reply to STARTTLS, whole or not, is refused and stays refused."""
    for cut in (0, len(injected)):
        engine = Engine()
        engine.feed(GREETING)
        engine.expect(b"STARTTLS\r\n", Expected(Awaited.STARTTLS))
        (answer,) = engine.feed(b"220 go ahead\r\n" + injected[:cut])
        assert answer.is_positive
        engine.feed(injected[cut:])
        with pytest.raises(TLSError, match="injection") as caught:
            engine.tls_started()
        assert (caught.value.outcome, caught.value.cause, caught.value.phase) == ("not_sent", "security", "starttls")
        assert engine.broken is caught.value
