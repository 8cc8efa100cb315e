"""One message of a stream: what is known of its recipients at any moment, over however many transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.colours import make_edge
from tests.smtp.letters import BOB, EVE, letter
from tests.smtp.wires import Wire

from mailkit import (
    ConnectError,
    Envelope,
    MessageError,
    OutcomeUnknownError,
    Reply,
    TransientError,
)
from mailkit.mime import render
from mailkit.receipt import RecipientResult
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.engine import Answer, Awaited, Expected
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.flight import Flight
from mailkit.smtp.handshake import Handshake
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.session import Session

if TYPE_CHECKING:
    from mailkit.smtp.transaction import Transaction

WITH_BDAT = Extensions(keywords={"PIPELINING": (), "CHUNKING": (), "8BITMIME": (), "ENHANCEDSTATUSCODES": ()})


def flight(**changes: Any) -> Flight:
    """A message to bob and eve."""
    message = letter(1, **changes)
    envelope = Envelope.from_message(message)
    return Flight(
        message,
        envelope,
        render(message, eight_bit=True),
        render=lambda extensions: render(message, eight_bit=extensions.eight_bit_mime),
        transport="smtp://mail.example.com:587",
    )


def session(wire: Wire | None = None, extensions: Extensions = WITH_BDAT) -> Session:
    """A connection that has shaken hands."""
    options = SMTPOptions(host="mail.example.com", port=587)
    conversation = Conversation(wire or Wire(), make_edge("blocking"), options)
    return Session(
        conversation, Handshake(host="mail.example.com", extensions=extensions, tls_info=None, mechanism=None)
    )


def answer(transaction: Transaction, what: Awaited, reply: Reply, index: int = 0) -> None:
    """Enter an answer."""
    verdict: Any = "positive" if reply.code < 400 else "negative"
    transaction.record(Answer(Expected(what, transaction, index), reply, verdict))


def statuses(one: Flight) -> dict[str, str]:
    """What became of each recipient, by the outcome."""
    assert one.outcome is not None
    said: Any = one.outcome.receipt or one.outcome.error
    return {result.address: result.status for result in said.recipients}


def test_a_message_that_never_went_out_was_not_sent() -> None:
    """Without a transaction each recipient is "not sent", and the error is the one that says why."""
    one = flight()
    outcome = one.settle(ConnectError("no connection"))
    assert outcome is one.outcome
    assert (outcome.message, outcome.receipt) == (one.message, None)
    assert isinstance(outcome.error, ConnectError)
    assert outcome.error.message_id == "letter-1@example.com"
    assert statuses(one) == {BOB: "not_sent", EVE: "not_sent"}


def test_errors_are_made_for_each_message() -> None:
    """A connection that broke under two messages gives each an error of its own."""
    lost = ConnectError("lost")
    errors = [flight().settle(lost).error for _ in range(2)]
    assert errors[0] is not errors[1]
    assert lost not in errors


@pytest.mark.parametrize(("sent", "status"), [(99, "not_sent"), (100, "unknown"), (101, "unknown")])
def test_the_commit_point_decides(sent: int, status: str) -> None:
    """Without an answer, the last byte of the content tells "not sent" from "unknown"."""
    wire = Wire()
    one = flight()
    transaction = one.begin(session(wire))
    transaction.commit_at, wire.bytes_sent = 100, sent
    assert [result.status for result in one.enter()] == [status, status]
    error = one.settle(ConnectError("lost")).error
    assert isinstance(error, OutcomeUnknownError) == (status == "unknown")


def test_settling_enters_the_transaction_at_hand() -> None:
    """Whenever it is settled, also without having been concluded, the transaction's answers count."""
    one = flight()
    transaction = one.begin(session())
    answer(transaction, Awaited.MAIL, Reply(250, "ok"))
    answer(transaction, Awaited.RCPT, Reply(250, "ok"), 0)
    answer(transaction, Awaited.RCPT, Reply(550, "no"), 1)
    answer(transaction, Awaited.CONTENT, Reply(250, "ok"))
    assert one.settle().ok
    assert statuses(one) == {BOB: "accepted", EVE: "rejected"}


def test_a_transaction_is_entered_once() -> None:
    """What a later transaction brings is not overwritten by an earlier one."""
    one = flight()
    transaction = one.begin(session())
    answer(transaction, Awaited.MAIL, Reply(250, "ok"))
    answer(transaction, Awaited.RCPT, Reply(250, "ok"), 0)
    answer(transaction, Awaited.RCPT, Reply(452, "too many", enhanced_code="4.5.3"), 1)
    answer(transaction, Awaited.CONTENT, Reply(250, "ok"))
    one.rest = transaction.overflow()
    assert [path.addr_spec for path in one.rest] == [EVE]
    assert len(one.enter()) == 2
    assert one.enter() == ()
    one.note([RecipientResult(EVE, status="accepted")])
    assert one.settle().ok
    assert statuses(one) == {BOB: "accepted", EVE: "accepted"}


@pytest.mark.parametrize(
    ("result", "untaken"),
    [
        (None, True),
        (RecipientResult(BOB, status="not_sent"), True),
        (RecipientResult(BOB, status="not_sent", code=421), True),
        (RecipientResult(BOB, status="not_sent", code=451), False),
        (RecipientResult(BOB, status="deferred", code=450), False),
        (RecipientResult(BOB, status="rejected", code=550), False),
        (RecipientResult(BOB, status="unknown"), False),
        (RecipientResult(BOB, status="accepted", code=250), False),
    ],
)
def test_who_was_not_taken(result: RecipientResult | None, untaken: bool) -> None:
    """Only he may be sent to again without a word whom no reply is about, or none but "I am closing"."""
    one = flight(to=[BOB])
    one.note([] if result is None else [result])
    assert bool(one.untaken) == untaken


def test_only_the_rest_can_be_untaken() -> None:
    """Who was not part of the last transaction is not sent to again."""
    one = flight()
    one.rest = one.envelope.rcpt_to[1:]
    assert [path.addr_spec for path in one.untaken] == [EVE]


def test_a_refusal_here_is_the_outcome() -> None:
    """What is refused before anything was written keeps its error as it is."""
    one = flight()
    error = MessageError("too strange")
    assert one.fail(error).error is error


def test_a_refusal_here_after_a_lost_connection_is_the_outcome() -> None:
    """That a first connection took nothing does not hide why the second one cannot take it."""
    one = flight()
    one.note([RecipientResult(BOB, status="not_sent", code=421), RecipientResult(EVE, status="not_sent")])
    error = MessageError("too strange")
    assert one.fail(error).error is error


def test_a_refusal_here_does_not_hide_who_was_accepted_before() -> None:
    """When an earlier transaction has delivered to somebody, the outcome says so."""
    one = flight()
    one.note([RecipientResult(BOB, status="accepted", code=250)])
    outcome = one.fail(MessageError("a file has gone"))
    assert outcome.ok
    assert statuses(one) == {BOB: "accepted", EVE: "not_sent"}


def test_a_refusal_here_does_not_hide_who_was_refused_before() -> None:
    """When an earlier transaction has brought a refusal, it stays one."""
    one = flight()
    one.note([RecipientResult(BOB, status="deferred", code=450, text="later")])
    assert isinstance(one.fail(MessageError("a file has gone")).error, TransientError)
    assert statuses(one) == {BOB: "deferred", EVE: "not_sent"}


def test_it_is_written_anew_for_a_server_that_takes_less() -> None:
    """Content of 8BITMIME becomes 7BIT for a server that offers nothing; what fits stays the same object."""
    one = flight(text="Gr\u00fc\u00dfe\n")
    options = SMTPOptions(host="mail.example.com", port=587)
    content = one.content
    assert content.body_type == "8BITMIME"
    one.fit(options, WITH_BDAT)
    assert one.content is content
    one.fit(options, Extensions.none())
    assert one.content.body_type == "7BIT"


def test_lmtp_answers_for_each_recipient() -> None:
    """Over LMTP a transaction ends with one answer for each accepted recipient."""
    one = flight()
    connection = session()
    connection.conversation.options = SMTPOptions(host="mail.example.com", port=24, protocol="lmtp")
    transaction = one.begin(connection)
    answer(transaction, Awaited.MAIL, Reply(250, "ok"))
    for index in range(2):
        answer(transaction, Awaited.RCPT, Reply(250, "ok"), index)
    answer(transaction, Awaited.CONTENT, Reply(250, "ok"))
    assert not transaction.is_complete
    answer(transaction, Awaited.CONTENT, Reply(552, "full"))
    assert transaction.is_complete
    one.settle()
    assert statuses(one) == {BOB: "accepted", EVE: "rejected"}
