"""The ledger of a transaction against the table in the design: what each answer, or none, means for each recipient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.address import Address
from mailkit.reply import Reply
from mailkit.smtp.engine import Answer, Awaited, Expected
from mailkit.smtp.transaction import Transaction

if TYPE_CHECKING:
    from mailkit.receipt import Status

BOB, EVE, JOE = (Address(text) for text in ("bob@example.org", "eve@example.net", "joe@example.com"))

Entry = tuple[Awaited, int, Reply]


def reply(text: str) -> Reply:
    """Return the reply that a text such as ``550 5.1.1 no`` spells."""
    code, _, rest = text.partition(" ")
    enhanced, _, words = rest.partition(" ")
    return Reply(int(code), words, enhanced_code=enhanced) if "." in enhanced else Reply(int(code), rest)


def enter(transaction: Transaction, *entries: str) -> None:
    """Enter answers such as ``mail 250``, ``rcpt0 550 5.1.1 no``, ``content 250``."""
    for entry in entries:
        what, _, text = entry.partition(" ")
        said = reply(text)
        kind, index = (Awaited.RCPT, int(what[4:])) if what.startswith("rcpt") else (Awaited(what), 0)
        positive = said.is_positive or said.code == 354
        transaction.record(Answer(Expected(kind, transaction, index), said, "positive" if positive else "negative"))


def told(transaction: Transaction, bytes_sent: int) -> list[tuple[str, int | None, str | None]]:
    """Return for each recipient its status, the deciding code, and the phase."""
    return [(result.status, result.code, result.phase) for result in transaction.results(bytes_sent)]


NOBODY: tuple[str, ...] = ()

# One recipient. What was answered, whether the content was written to its end, and what became of it.
ONE: list[tuple[tuple[str, ...], bool, tuple[str, int | None, str]]] = [
    # Lost before the commit point: not sent, in the phase that was waited in.
    (NOBODY, False, ("not_sent", None, "mail")),
    (("mail 250",), False, ("not_sent", None, "rcpt")),
    (("mail 250", "rcpt0 250"), False, ("not_sent", None, "data")),
    (("mail 250", "rcpt0 250", "data 354"), False, ("not_sent", None, "content")),
    # Lost after it, without an answer: unknown.
    (NOBODY, True, ("unknown", None, "content")),
    (("mail 250",), True, ("unknown", None, "content")),
    (("mail 250", "rcpt0 250", "data 354"), True, ("unknown", None, "content")),
    # MAIL 4xx, 5xx
    (("mail 451 4.3.0 later",), False, ("deferred", 451, "mail")),
    (("mail 552 5.2.3 too large",), False, ("rejected", 552, "mail")),
    # What follows a refused MAIL only repeats it.
    (("mail 550", "rcpt0 503", "content 503"), True, ("rejected", 550, "mail")),
    (("mail 550",), True, ("rejected", 550, "mail")),
    # RCPT
    (("mail 250", "rcpt0 450 4.2.1 greylisted"), False, ("deferred", 450, "rcpt")),
    (("mail 250", "rcpt0 550 5.1.1 no"), False, ("rejected", 550, "rcpt")),
    (("mail 250", "rcpt0 550 5.1.1 no", "content 554 5.5.1 no valid recipients"), True, ("rejected", 550, "rcpt")),
    (("mail 250", "rcpt0 251 will forward", "content 250"), True, ("accepted", 250, "content")),
    # 421 before the commit point
    (("mail 421",), False, ("not_sent", 421, "mail")),
    (("mail 421",), True, ("not_sent", 421, "mail")),
    (("mail 250", "rcpt0 421 4.7.0 rate"), False, ("not_sent", 421, "rcpt")),
    (("mail 250", "rcpt0 421 4.7.0 rate"), True, ("not_sent", 421, "rcpt")),
    (("mail 250", "rcpt0 250", "data 421"), False, ("not_sent", 421, "data")),
    (("mail 250", "rcpt0 250", "data 354", "content 421"), False, ("not_sent", 421, "content")),
    # DATA 4xx: not sent; 5xx: rejected
    (("mail 250", "rcpt0 250", "data 451"), False, ("not_sent", 451, "data")),
    (("mail 250", "rcpt0 250", "data 554"), False, ("rejected", 554, "data")),
    # A complete 4xx, 5xx in the middle of the content
    (("mail 250", "rcpt0 250", "data 354", "content 452"), False, ("deferred", 452, "content")),
    (("mail 250", "rcpt0 250", "data 354", "content 552"), False, ("rejected", 552, "content")),
    (("mail 250", "rcpt0 250", "bdat 452"), False, ("deferred", 452, "bdat")),
    (("mail 250", "rcpt0 250", "bdat 552", "content 503"), True, ("rejected", 552, "bdat")),
    # After the commit point
    (("mail 250", "rcpt0 250", "data 354", "content 250"), True, ("accepted", 250, "content")),
    (("mail 250", "rcpt0 250", "data 354", "content 421"), True, ("deferred", 421, "content")),
    (("mail 250", "rcpt0 250", "data 354", "content 451"), True, ("deferred", 451, "content")),
    (("mail 250", "rcpt0 250", "data 354", "content 554"), True, ("rejected", 554, "content")),
    # Where the enhanced code contradicts the reply code, the reply code decides (RFC 3463 §2).
    (("mail 250", "rcpt0 250", "content 250 5.0.0 weird"), True, ("accepted", 250, "content")),
    (("mail 250", "rcpt0 250", "content 450 5.7.1 greylisted"), True, ("deferred", 450, "content")),
    (("mail 250", "rcpt0 250", "content 550 4.7.1 later"), True, ("rejected", 550, "content")),
    # The server has taken the message in spite of what it said about a command.
    (("mail 503 nested", "rcpt0 250", "content 250"), True, ("accepted", 250, "content")),
    (("mail 250", "rcpt0 250", "bdat 452", "content 250"), True, ("accepted", 250, "content")),
]


@pytest.mark.parametrize(("entries", "committed", "expected"), ONE)
def test_one_recipient(entries: tuple[str, ...], committed: bool, expected: tuple[str, int | None, str]) -> None:
    """Each row of the table gives its outcome, its code and its phase."""
    transaction = Transaction([BOB])
    enter(transaction, *entries)
    transaction.commit_at = 100
    assert told(transaction, 100 if committed else 99) == [expected]


def test_what_was_never_written_is_not_committed() -> None:
    """Without a commit point no number of bytes makes an unanswered message unknown."""
    assert told(Transaction([BOB]), 10**9) == [("not_sent", None, "mail")]


def test_bdat_asks_for_no_permission() -> None:
    """A chunked transaction waits for its content where one with DATA waits for the 354."""
    transaction = Transaction([BOB], chunked=True)
    enter(transaction, "mail 250", "rcpt0 250")
    assert told(transaction, 0) == [("not_sent", None, "content")]


def test_some_are_refused_and_the_rest_gets_the_message() -> None:
    """Each recipient has the result of its own RCPT, or else of the content."""
    transaction = Transaction([BOB, EVE, JOE])
    enter(transaction, "mail 250", "rcpt0 550 5.1.1 no", "rcpt1 250", "rcpt2 451 4.7.1 later", "content 250 2.0.0 ok")
    transaction.commit_at = 10
    assert told(transaction, 10) == [("rejected", 550, "rcpt"), ("accepted", 250, "content"), ("deferred", 451, "rcpt")]
    assert (transaction.accepted_recipients, transaction.refused_recipients) == (1, 2)
    (bob, _, _) = transaction.results(10)
    assert (bob.address, bob.enhanced_code, bob.text) == ("bob@example.org", "5.1.1", "no")


def test_lmtp_answers_for_each_recipient() -> None:
    """Each answer after the dot belongs to one accepted recipient, in order; those that are missing are unknown."""
    transaction = Transaction([BOB, EVE, JOE], lmtp=True)
    enter(transaction, "mail 250", "rcpt0 250", "rcpt1 550", "rcpt2 250", "content 250")
    transaction.commit_at = 10
    assert told(transaction, 10) == [
        ("accepted", 250, "content"),
        ("rejected", 550, "rcpt"),
        ("unknown", None, "content"),
    ]
    assert not transaction.is_complete
    enter(transaction, "content 452")
    assert told(transaction, 10)[2] == ("deferred", 452, "content")
    assert transaction.is_complete
    assert transaction.content_reply == Reply(452)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (("mail 250", "rcpt0 250", "rcpt1 452 4.5.3 too many"), [EVE]),
        (("mail 250", "rcpt0 250", "rcpt1 452 too many"), [EVE]),
        (("mail 250", "rcpt0 250", "rcpt1 552 5.5.3 too many"), [EVE]),
        (("mail 250", "rcpt0 250", "rcpt1 552 too many"), [EVE]),
        (("mail 250", "rcpt0 250", "rcpt1 552 5.2.2 mailbox full"), []),
        (("mail 250", "rcpt0 250", "rcpt1 452 4.2.2 over quota"), []),
        (("mail 250", "rcpt0 250", "rcpt1 450 4.5.3 not that code"), []),
        (("mail 250", "rcpt0 452 4.5.3 too many", "rcpt1 452 4.5.3 too many"), []),
        (("mail 250", "rcpt0 250", "rcpt1 250"), []),
        (("mail 250", "rcpt0 250"), []),
    ],
)
def test_overflow(entries: tuple[str, ...], expected: list[Address]) -> None:
    """Who was too many for a transaction belongs into the next, but only if this one has a recipient at all."""
    transaction = Transaction([BOB, EVE])
    enter(transaction, *entries)
    assert list(transaction.overflow()) == expected


@pytest.mark.parametrize(
    ("chunked", "entries", "is_open"),
    [
        (False, (), False),
        (False, ("mail 550",), False),
        (False, ("mail 250",), True),
        (False, ("mail 250", "rcpt0 550"), True),
        (False, ("mail 250", "rcpt0 250", "data 554"), True),
        (False, ("mail 250", "rcpt0 250", "data 354", "content 250"), False),
        (False, ("mail 250", "rcpt0 250", "data 354", "content 554"), True),
        (True, ("mail 250", "rcpt0 250", "content 250"), False),
        (True, ("mail 250", "rcpt0 250", "content 554"), True),
        (True, ("mail 250", "rcpt0 550", "content 554"), True),
        (True, ("mail 250", "rcpt0 250", "bdat 552", "content 503"), True),
        (True, ("mail 550", "rcpt0 503", "content 503"), False),
    ],
)
def test_what_is_left_open_needs_a_reset(chunked: bool, entries: tuple[str, ...], is_open: bool) -> None:
    """Only content that was accepted ends a transaction for sure: Postfix keeps one open that a policy refused."""
    transaction = Transaction([BOB], chunked=chunked)
    enter(transaction, *entries)
    assert transaction.is_open is is_open


@pytest.mark.parametrize(
    ("entries", "refused", "closing"),
    [
        ((), False, False),
        (("mail 250", "rcpt0 550"), False, False),
        (("mail 550",), True, False),
        (("mail 421",), True, True),
        (("mail 250", "rcpt0 421"), True, True),
        (("mail 250", "rcpt0 250", "data 451"), True, False),
        (("mail 250", "rcpt0 250", "content 250"), False, False),
        (("mail 250", "rcpt0 250", "content 552"), True, False),
        (("mail 250", "rcpt0 250", "content 421"), True, True),
    ],
)
def test_when_nothing_more_needs_to_be_written(entries: tuple[str, ...], refused: bool, closing: bool) -> None:
    """A no to MAIL, DATA or content ends a transaction; a no to one recipient does not, unless it is a goodbye."""
    transaction = Transaction([BOB])
    enter(transaction, *entries)
    assert (transaction.is_refused, transaction.is_closing) == (refused, closing)


def test_the_first_refusal_is_the_reason() -> None:
    """Of several refusals of one transaction the first one counts."""
    transaction = Transaction([BOB], chunked=True)
    enter(transaction, "mail 250", "rcpt0 250", "bdat 452 4.3.1 full", "bdat 503 5.5.1 no", "content 503 5.5.1 no")
    assert told(transaction, 0) == [("deferred", 452, "bdat")]


def test_without_an_answer_to_the_content_there_is_no_reply() -> None:
    """`content_reply` is None until the content was answered."""
    assert Transaction([BOB]).content_reply is None


# The model: a server that answers some prefix of a group, in order, with any codes, and then perhaps falls silent.

NO = st.sampled_from([421, 450, 451, 452, 500, 521, 550, 552, 554])


@st.composite
def histories(draw: st.DrawFn) -> tuple[bool, bool, list[Entry], bool]:
    """Return (chunked, lmtp, answers, committed): a possible course of a transaction of three recipients."""
    chunked, lmtp = draw(st.booleans()), draw(st.booleans())
    row: list[Entry] = [(Awaited.MAIL, 0, Reply(draw(st.just(250) | NO)))]
    row += [(Awaited.RCPT, index, Reply(draw(st.sampled_from([250, 251]) | NO))) for index in range(3)]
    accepted = sum(entry[2].is_positive for entry in row[1:])
    if chunked:
        row += [(Awaited.CHUNK, 0, Reply(draw(st.just(250) | NO))) for _ in range(draw(st.integers(0, 2)))]
    else:
        row.append((Awaited.DATA, 0, Reply(draw(st.just(354) | NO))))
    written = chunked or row[-1][2].code == 354
    committed = written and draw(st.booleans())
    if written:
        codes = st.just(250) | NO if committed else NO
        row += [(Awaited.CONTENT, 0, Reply(draw(codes))) for _ in range(max(1, accepted) if lmtp else 1)]
    return chunked, lmtp, row[: draw(st.integers(0, len(row)))], committed


def model(index: int, row: list[Entry], *, lmtp: bool, committed: bool) -> Status:
    """Say, from the design's table alone, what became of one recipient."""
    mail = next((said for what, _, said in row if what is Awaited.MAIL), None)
    rcpts = [next((said for what, i, said in row if what is Awaited.RCPT and i == n), None) for n in range(3)]
    between = [(what, said) for what, _, said in row if what in {Awaited.DATA, Awaited.CHUNK}]
    contents = [said for what, _, said in row if what is Awaited.CONTENT]
    mine = rcpts[index]
    accepted_before = sum(said is not None and said.is_positive for said in rcpts[:index])
    share = accepted_before if lmtp else 0
    content = contents[share] if mine is not None and mine.is_positive and len(contents) > share else None

    def no(what: Awaited, said: Reply) -> Status:
        if said.code == 421 and not (what is Awaited.CONTENT and committed):
            return "not_sent"
        if what is Awaited.DATA and said.is_transient:
            return "not_sent"
        return "deferred" if said.is_transient else "rejected"

    if content is not None and content.is_positive:
        return "accepted"
    if mail is not None and not mail.is_positive:
        return no(Awaited.MAIL, mail)
    if mine is not None and not mine.is_positive:
        return no(Awaited.RCPT, mine)
    for what, said in between:
        if said.code >= 400:
            return no(what, said)
    if content is not None:
        return no(Awaited.CONTENT, content)
    return "unknown" if committed else "not_sent"


@given(histories())
def test_results_agree_with_the_model(history: tuple[bool, bool, list[Entry], bool]) -> None:
    """Whatever a server answers, each recipient's status is the table's, and the three invariants hold."""
    chunked, lmtp, row, committed = history
    transaction = Transaction([BOB, EVE, JOE], chunked=chunked, lmtp=lmtp)
    for what, index, said in row:
        positive = said.is_positive or said.code == 354
        transaction.record(Answer(Expected(what, transaction, index), said, "positive" if positive else "negative"))
    transaction.commit_at = 100
    results = transaction.results(100 if committed else 99)

    expected = [model(index, row, lmtp=lmtp, committed=committed) for index in range(3)]
    assert [result.status for result in results] == expected
    assert [result.address for result in results] == [str(each) for each in (BOB, EVE, JOE)]

    rcpts = {index: said for what, index, said in row if what is Awaited.RCPT}
    yes = [said for what, _, said in row if what is Awaited.CONTENT and said.is_positive]
    for index, result in enumerate(results):
        takes_part = index in rcpts and rcpts[index].is_positive
        if yes and takes_part and not lmtp:
            assert result.status == "accepted"
        if result.status == "accepted":
            assert takes_part
            assert yes
            assert committed
        if result.status == "unknown":
            assert committed
            assert result.code is None
        if result.status in {"deferred", "rejected"}:
            assert result.code is not None
            assert result.code // 100 == (4 if result.status == "deferred" else 5)
        assert result.phase is not None
