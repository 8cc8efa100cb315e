"""What a server says: whatever it is, it ends in the outcome that its row names, in bounded time and memory."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts.encounter import OUTCOMES, SUCCESSES, Bytes, Encounter, Flood, quickly
from tests.contracts.rows import BAD, of_area

from mailkit.attachment import Attachment
from mailkit.errors import DeliveryError, ProtocolError
from mailkit.message import Message
from mailkit.receipt import Receipt
from mailkit.testing import Drip, StopReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contracts.rows import Row

PHASES = {
    "greeting": "greeting", "ehlo": "EHLO", "starttls": "STARTTLS", "auth": "AUTH", "mail": "MAIL", "rcpt": "RCPT",
    "data": "DATA", "dot": "DOT", "quit": "QUIT", "rset": "RSET",
}  # fmt: skip


def _rows(*fields: str, enc: str = "b64") -> list[Any]:
    return [each for each in of_area("server-reply") if each.values[0].field in fields and each.values[0].enc == enc]


SIMPLE = _rows(*(f"reply:{phase}" for phase in ("greeting", "ehlo", "starttls", "auth", "mail", "data", "dot")))

# To one recipient alone "too many" cannot be meant: what follows from it is tested with a crowd.
RCPT_TOO_MANY = [param for param in _rows("reply:rcpt") if b".5.3 too many" in param.values[0].value]
RCPT_ALONE = [param for param in _rows("reply:rcpt") if param not in RCPT_TOO_MANY]


def test_every_outcome_is_known() -> None:
    """An outcome that nobody here knows makes this fail, and so does an answer to RCPT that no test below takes."""
    assert {row.outcome for row in BAD if row.area == "server-reply"} <= {*OUTCOMES, *SUCCESSES}
    assert {*RCPT_ALONE, *RCPT_TOO_MANY} == set(_rows("reply:rcpt"))


def _assert_failed_as(row: Row, error: DeliveryError, encounter: Encounter) -> None:
    assert row.outcome is not None
    assert OUTCOMES[row.outcome](error), (error.outcome, error.cause, error)
    if row.outcome in {"not_sent_protocol_error", "not_sent_security", "ambiguous"} or row.value.startswith(b"421"):
        encounter.assert_all_closed()
    server = encounter.server
    verbs = {verb for record in server.connections for verb in record.verbs}
    if row.field in {"reply:greeting", "reply:ehlo", "reply:starttls", "reply:auth"}:
        assert not verbs & {"MAIL", "RCPT", "DATA", "BDAT"}
    if row.field == "reply:starttls":
        assert "AUTH" not in verbs
    # What was pipelined behind a refused MAIL the server refuses by itself; only the dot's row commits anything.
    assert len(server.committed) <= (row.field == "reply:dot")


def _cases() -> Iterator[Any]:
    """Yield each row with each of what may follow its bytes, and for AUTH with each kind of mechanism."""
    for param in SIMPLE:
        row = param.values[0]
        for ends in (False, True):
            if ends and row.outcome in SUCCESSES:
                continue  # the rest of the conversation follows
            for mechanism in ("PLAIN", "CRAM-MD5", "SCRAM-SHA-256") if row.field == "reply:auth" else (None,):
                name = "-".join(filter(None, (row.id, "end" if ends else "silence", mechanism)))
                yield pytest.param(row, ends, mechanism, id=name)


@pytest.mark.parametrize(("row", "ends", "mechanism"), list(_cases()))
@quickly
def test_a_reply_has_the_outcome_that_its_row_names(row: Row, ends: bool, mechanism: str | None) -> None:
    """Silence or the connection's end may follow: the outcome is the same, in time, and the connection is not kept."""
    phase = row.field.removeprefix("reply:")
    server = {} if mechanism is None else {"mechanisms": [mechanism]}
    with Encounter(phase, server=server) as encounter:
        encounter.server.script(PHASES[phase], Bytes(row.value, ends))  # type: ignore[arg-type]
        began = time.monotonic()
        ended = encounter.end()
        assert time.monotonic() - began < 2 * encounter.seconds + 1
        encounter.assert_nothing_shows(ended)
        if isinstance(ended, Receipt):
            assert row.outcome in SUCCESSES or "neutralise" in row.allowed
            assert [received.rcpt_to for received in encounter.server.messages] == [("bob@x.test",)]
        else:
            assert row.outcome not in SUCCESSES or "reject" in row.allowed
            _assert_failed_as(row, ended, encounter)


@pytest.mark.parametrize("row", [row for row in SIMPLE if row.values[0].value.endswith(b"\n")])
@quickly
def test_a_complete_reply_that_makes_no_sense_is_told_as_that(row: Row) -> None:
    """Where the server broke the protocol the error says so, rather than that the connection was lost."""
    given = row
    if given.outcome != "not_sent_protocol_error" or given.value.startswith(b"250-PIPELINING"):
        return  # that one is not complete: its last line is missing
    phase = given.field.removeprefix("reply:")
    with Encounter(phase, server={"mechanisms": ["PLAIN"]} if phase == "auth" else {}) as encounter:
        encounter.server.script(PHASES[phase], Bytes(given.value, ends=False))  # type: ignore[arg-type]
        ended = encounter.end()
        assert isinstance(ended, ProtocolError | Receipt)
        assert isinstance(ended, ProtocolError) or "neutralise" in given.allowed


@pytest.mark.parametrize("row", [row for row in SIMPLE if row.values[0].value.startswith(b"502")])
@quickly
def test_ehlo_refused_is_final_where_something_depends_on_it(row: Row) -> None:
    """HELO has neither TLS nor AUTH: where one is required nothing is sent, and no password."""
    for phase in ("starttls", "auth"):
        with Encounter(phase) as encounter:
            encounter.server.script("EHLO", Bytes(row.value, ends=False))  # type: ignore[arg-type]
            ended = encounter.end()
            assert isinstance(ended, DeliveryError)
            assert ended.outcome == "not_sent"
            assert encounter.server.connections[0].verbs[:1] == ("EHLO",)
            assert not {"HELO", "AUTH", "MAIL"} & set(encounter.server.connections[0].verbs)


# -- recipients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", RCPT_ALONE)
@pytest.mark.parametrize("extensions", [(), ("CHUNKING",), ("CHUNKING", "PIPELINING")])
@quickly
def test_each_recipient_has_its_own_fate(row: Row, extensions: tuple[str, ...]) -> None:
    """Each line of the row answers one RCPT; who was accepted gets the message, whatever the others were told."""
    replies = row.value.splitlines(keepends=True)
    if not replies[-1].endswith(b"\n"):
        replies[-1] += b"\r\n"
    with Encounter("rcpt", server={"without": extensions}) as encounter:
        to = [f"r{number}@x.test" for number in range(len(replies))]
        for recipient, reply in zip(to, replies, strict=True):
            encounter.server.script("RCPT", Bytes(reply, ends=False), match=recipient)  # type: ignore[arg-type]
        ended = encounter.end(*to)
        encounter.assert_nothing_shows(ended)
        statuses = {each.address: each.status for each in ended.recipients}
        expected = {
            recipient: {b"2": "accepted", b"4": "deferred", b"5": "rejected"}[reply[:1]]
            for recipient, reply in zip(to, replies, strict=True)
        }
        if row.outcome in SUCCESSES and isinstance(ended, Receipt):
            assert statuses == expected
        else:
            assert isinstance(ended, DeliveryError)
            assert OUTCOMES[str(row.outcome)](ended)
            assert encounter.server.committed == ()
        if row.value.startswith(b"421"):
            encounter.assert_all_closed()


@pytest.mark.parametrize("row", RCPT_TOO_MANY)
@quickly
def test_too_many_recipients_are_split(row: Row) -> None:
    """Who is told that there are too many gets the message in a next transaction, and nobody gets it twice."""
    crowd = [f"r{number}@x.test" for number in range(60)]
    with Encounter("rcpt") as encounter:
        encounter.server.script("RCPT", Bytes(row.value, ends=False), skip=50)  # type: ignore[arg-type]
        receipt = encounter.send(*crowd)
        assert [each.address for each in receipt.accepted] == crowd
        first, second = (received.rcpt_to for received in encounter.server.messages)
        assert (set(first), second) == (set(crowd) - {crowd[50]}, (crowd[50],))


# -- between messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", _rows("reply:quit"))
@quickly
def test_a_refused_goodbye_changes_nothing(row: Row) -> None:
    """The message was accepted, and closing does not fail."""
    with Encounter("quit") as encounter:
        encounter.server.script("QUIT", Bytes(row.value, ends=False))  # type: ignore[arg-type]
        assert encounter.send().accepted
        encounter.mailer.close()
        encounter.assert_all_closed()


@pytest.mark.parametrize("row", _rows("reply:rset"))
@quickly
def test_a_connection_that_refuses_rset_is_not_used_again(row: Row) -> None:
    """After a message that nobody got, the next one goes over a connection without its remains."""
    with Encounter("rset") as encounter:
        encounter.server.script("RCPT", "550 5.1.1 no such user")
        encounter.server.script("RSET", Bytes(row.value, ends=False))  # type: ignore[arg-type]
        assert isinstance(encounter.end(), DeliveryError)
        assert encounter.send().accepted
        assert [received.connection for received in encounter.server.messages] == [2]
        assert encounter.server.wait_until(lambda server: server.connections[0].closed)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("row", _rows("reply:idle"))
@quickly
def test_a_pooled_connection_that_says_goodbye_is_replaced_unseen(row: Row, ends: bool) -> None:
    """The next message goes over a new connection, at the first attempt, and arrives once."""
    with Encounter("idle") as encounter:
        assert encounter.send().accepted
        assert encounter.server.kick(Bytes(row.value, ends)) == 1  # type: ignore[arg-type]
        receipt = encounter.send()
        assert (receipt.attempts, len(receipt.accepted)) == (1, 1)
        assert [received.connection for received in encounter.server.messages] == [1, 2]


# -- too much, too slow ------------------------------------------------------------------------------------------------


def _peak_memory() -> int:
    """Return the most memory that this process has held since the last reset, in bytes."""
    return int(re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)[0]) * 1024


def _flood(given: dict[str, Any]) -> bytes:
    assert set(given) <= {"repeat", "n", "prefix"}
    once = given["repeat"].encode()
    return given.get("prefix", "").encode() + once * max(1, 65536 // len(once))


@pytest.mark.parametrize("row", _rows(*(f"reply:{phase}" for phase in ("greeting", "ehlo", "data", "dot")), enc="gen"))
@quickly
def test_what_never_ends_is_ended(row: Row) -> None:
    """Floods, drips and a window that closes: the right outcome, within the deadline, in little memory."""
    phase = row.field.removeprefix("reply:")
    fields: dict[str, Any] = {}
    with Encounter(phase) as encounter:
        if row.input.get("window") == 0:
            encounter.server.script("body", StopReading(), after=1)
            # More than the socket buffers of both sides hold.
            fields["attachments"] = Attachment.from_bytes(bytes(24 << 20), "zeros")
        elif "drip_s" in row.input:
            # A byte every fifth of the deadline: each arrives in time, and all of them do not.
            encounter.server.script("DOT", Drip(row.value.encode(), interval=encounter.seconds / 5))
        else:
            encounter.server.script(PHASES[phase], Flood(_flood(row.input)))  # type: ignore[arg-type]
        message = Message(**{"from_": "ada@x.test", "to": "bob@x.test", "text": "Hi", **fields})
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _peak_memory()
        began = time.monotonic()
        with pytest.raises(DeliveryError) as caught:
            encounter.mailer.send(message)
        assert time.monotonic() - began < encounter.seconds + 1
        assert _peak_memory() - before < 8 << 20
        assert OUTCOMES[str(row.outcome)](caught.value)
        # The connection is not used again. (Behind a window that was closed the peer sees its end only much later.)
        assert encounter.send().accepted
        assert [received.connection for received in encounter.server.messages] == [2]
        encounter.server.release()
        if row.input.get("window") != 0:
            assert encounter.server.wait_until(lambda server: server.connections[0].closed)
