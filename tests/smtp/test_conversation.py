"""A stream and its engine: what is written in one piece, what is waited for, and until when."""

from __future__ import annotations

from typing import Any

import pytest
from tests.smtp.wires import Wire

from mailkit import Address, ConnectError, DeliveryTimeout, ProtocolError, TLSError, TransientError
from mailkit.edge import TLSInfo, run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.secret import Secret
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.engine import Awaited, Expected
from mailkit.smtp.options import DATA_END, SMTPOptions
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transaction import Transaction


class StoppedEdge(BlockingEdge):
    """A blocking edge at a moment that lasts."""

    def now(self) -> float:
        """It is always 1000."""
        return 1000.0


def over(wire: Wire, timeout: float = 30.0, **options: Any) -> Conversation:
    """Return a conversation over a wire, its greeting read."""
    settings = SMTPOptions(host="mx.test", port=587, **options)
    conversation = Conversation(wire, StoppedEdge(timeout), settings)
    conversation.engine.feed(b"220 mx.test\r\n")
    return conversation


NOOP = (b"X\r\n", Expected(Awaited.RSET))


def test_a_command_and_its_answer() -> None:
    """The command leaves in one piece; the answer may come in several."""
    wire = Wire(b"25", b"0 2.0.0 o", b"k\r\n")
    answer = run_sync(over(wire).ask(*NOOP))
    assert answer.is_positive
    assert str(answer.reply) == "250 2.0.0 ok"
    assert wire.written == [b"X\r\n"]
    assert wire.bytes_sent == 3


@pytest.mark.parametrize(
    ("incoming", "kind"),
    [
        ([b""], ConnectError),
        ([b"25", b""], ConnectError),
        ([b"junk\r\n"], ProtocolError),
        ([b"354 go\r\n"], ProtocolError),
        ([], DeliveryTimeout),
        ([ConnectError("reset")], ConnectError),
    ],
)
def test_a_command_without_an_answer(incoming: list[Any], kind: type[Exception]) -> None:
    """An end, half a reply, nonsense and silence are errors, and the connection is not quiet any more."""
    conversation = over(Wire(*incoming))
    with pytest.raises(kind):
        run_sync(conversation.ask(*NOOP))
    assert not conversation.is_quiet


def test_an_end_stays_an_end() -> None:
    """What broke a conversation is said again to whoever asks again."""
    conversation = over(Wire(b""))
    for _ in range(2):
        with pytest.raises(ConnectError, match="closed the connection"):
            run_sync(conversation.ask(*NOOP))


def test_nothing_is_written_when_nothing_is_queued() -> None:
    """An empty flush makes no system call."""
    wire = Wire()
    run_sync(over(wire).flush())
    assert wire.written == []


def test_what_has_arrived_is_read_without_waiting() -> None:
    """Answers that are there are taken; with none there, nothing is waited for."""
    conversation = over(Wire(b"250 a\r\n", b"250 b\r\n"))
    for _ in range(2):
        conversation.engine.await_answer(Expected(Awaited.RSET))
    assert [answer.reply.text for answer in run_sync(conversation.read_waiting())] == ["a", "b"]
    assert run_sync(conversation.read_waiting()) == []


def test_an_end_behind_answers_does_not_undo_them() -> None:
    """What was said before the end counts; the end is told next time."""
    conversation = over(Wire(b"250 a\r\n", b""))
    conversation.engine.await_answer(Expected(Awaited.RSET))
    assert len(run_sync(conversation.read_waiting())) == 1
    with pytest.raises(ConnectError):
        run_sync(conversation.read_waiting())


def test_input_that_is_nothing_to_us_is_no_input() -> None:
    """A TLS record without data of ours looks like input and gives none: that is not a timeout of anything."""
    conversation = over(Wire(DeliveryTimeout("only a session ticket")))
    assert run_sync(conversation.read_waiting()) == []


@pytest.mark.parametrize(
    ("incoming", "is_quiet"), [([], True), ([b""], False), ([b"421 bye\r\n"], False), ([b"x"], False)]
)
def test_a_connection_is_quiet_when_nothing_has_arrived(incoming: list[bytes], is_quiet: bool) -> None:
    """Bytes, or an end, where nothing is awaited make a connection unusable; looking costs and reads nothing."""
    wire = Wire(*incoming)
    assert over(wire).is_quiet is is_quiet
    assert wire.deadlines == []


def test_a_connection_that_awaits_something_is_not_quiet() -> None:
    """Nor is one that was given up."""
    conversation = over(Wire())
    conversation.is_usable = False
    assert not conversation.is_quiet
    conversation = over(Wire())
    conversation.engine.await_answer(Expected(Awaited.RSET))
    assert not conversation.is_quiet


def test_each_phase_has_its_own_deadline() -> None:
    """A given timeout counts for its phase, else the mailer's; the answer to a message gets at least a minute."""
    wire = Wire(b"250 ok\r\n")
    conversation = over(wire, timeouts=Timeouts(command=5.0, data_block=7.0, data_end=9.0))
    run_sync(conversation.ask(*NOOP))
    assert wire.deadlines == [1005.0, 1005.0]
    assert conversation.content_deadline() == 1009.0
    assert over(Wire()).deadline(None) == 1030.0
    assert over(Wire()).content_deadline() == 1000.0 + DATA_END
    assert over(Wire(), timeout=90.0).content_deadline() == 1090.0


def test_the_commit_point_is_the_last_byte_of_the_write() -> None:
    """It lies behind everything that was sent before and everything that is queued now."""
    wire = Wire(b"250 ok\r\n")
    conversation = over(wire)
    run_sync(conversation.ask(*NOOP))
    transaction = Transaction([Address("bob@example.org")])
    conversation.engine.content(b"content")
    run_sync(conversation.flush_committing(transaction))
    assert transaction.commit_at == 10 == wire.bytes_sent


def test_settling_reads_until_nothing_is_awaited() -> None:
    """Everything queued is written in one piece, and every answer read."""
    wire = Wire(b"250 a\r\n25", b"0 b\r\n")
    conversation = over(wire)
    conversation.engine.expect_all([NOOP, NOOP])
    run_sync(conversation.settle())
    assert wire.written == [b"X\r\nX\r\n"]
    assert conversation.is_quiet


def test_completing_reads_until_the_content_is_answered() -> None:
    """What is awaited behind a transaction's content may still be on its way."""
    conversation = over(Wire(b"250 ok\r\n"))
    transaction = Transaction([Address("bob@example.org")])
    transaction.commit_at = 0
    conversation.engine.expect(b"BDAT 0 LAST\r\n", Expected(Awaited.CONTENT, transaction))
    conversation.engine.expect(*NOOP)
    run_sync(conversation.complete(transaction))
    assert conversation.engine.awaiting == 1


@pytest.mark.parametrize(
    ("incoming", "is_usable"), [([b"250 ok\r\n"], True), ([b"502 no\r\n"], False), ([b""], False), ([b"?\r\n"], False)]
)
def test_a_reset_succeeds_or_the_connection_is_given_up(incoming: list[bytes], is_usable: bool) -> None:
    """Anything but a clean yes to RSET makes the connection unusable, without an error to anybody."""
    conversation = over(Wire(*incoming))
    assert run_sync(conversation.reset()) is is_usable
    assert conversation.is_usable is is_usable


def test_a_reset_does_not_revive() -> None:
    """A connection that was given up before stays so."""
    conversation = over(Wire(b"250 ok\r\n"))
    conversation.is_usable = False
    assert not run_sync(conversation.reset())


@pytest.mark.parametrize("incoming", [[b"250 evil\r\n"], [b"2"], [b"421 x\r\n"]])
def test_injected_bytes_are_refused(incoming: list[bytes]) -> None:
    """Bytes that arrive in clear behind the 220, in a read of their own, are an attack as well."""
    with pytest.raises(TLSError, match="injection"):
        run_sync(over(Wire(*incoming)).refuse_injected())


def test_an_unsolicited_goodbye_is_told_as_such() -> None:
    """A 421 that nothing asked for is the reason that the next command meets."""
    conversation = over(Wire(b"421 4.4.2 idle\r\n"))
    with pytest.raises(TransientError):
        run_sync(conversation.read_waiting())


def test_closing_and_abandoning_are_the_streams_business() -> None:
    """Both are passed on."""
    wire = Wire()
    conversation = over(wire)
    conversation.abandon()
    run_sync(conversation.close())
    assert wire.is_abandoned
    assert wire.is_closed
    assert conversation.tls_info is None


def test_tls_gets_the_host_and_a_deadline_of_its_own() -> None:
    """The timeout for TLS counts."""
    wire = Wire()
    run_sync(over(wire, timeouts=Timeouts(tls=3.0)).start_tls())
    assert wire.deadlines == [1003.0]


def test_protected_secrets_are_masked_from_then_on() -> None:
    """What the server says afterwards has no secret in it."""
    wire = Wire(b"250 hello hunter2\r\n")
    conversation = over(wire)
    conversation.protect([Secret("hunter2")])
    assert run_sync(conversation.ask(*NOOP)).reply.text == "hello ***"


class Talking(Wire):
    """A wire whose server talks while it is written to."""

    def __init__(self, said: bytes, *incoming: bytes) -> None:
        super().__init__(*incoming)
        self._said = said

    async def send(self, data: Any, *, deadline: float, meanwhile: Any = None) -> None:
        """Hand over what is said in the middle of the write."""
        said, self._said = self._said, b""
        if said:
            meanwhile(said)
        await super().send(data, deadline=deadline)


def test_an_answer_that_comes_during_the_write_counts() -> None:
    """What the server says while it is written to is an answer like any other, to an earlier command or this."""
    conversation = over(Talking(b"250 first\r\n250 second\r\n"))
    conversation.engine.expect(*NOOP)
    second = Expected(Awaited.RSET)
    assert run_sync(conversation.ask(b"Y\r\n", second)).reply.text == "second"

    conversation = over(Talking(b"250 first\r\n", b"250 second\r\n"))
    conversation.engine.expect(*NOOP)
    assert run_sync(conversation.ask(b"Y\r\n", second)).reply.text == "second"


def test_nonsense_that_comes_during_the_write_ends_it() -> None:
    """Nothing more is written to a server that breaks the protocol."""
    wire = Talking(b"junk\r\n")
    with pytest.raises(ProtocolError):
        run_sync(over(wire).ask(*NOOP))
    assert wire.written == []


def test_nothing_is_pushed_to_a_server_that_takes_no_more() -> None:
    """After a goodbye, or an end, what is queued stays unwritten, and its message is not sent."""
    wire = Wire(b"421 4.3.2 bye\r\n")
    conversation = over(wire)
    conversation.engine.expect(*NOOP)
    conversation.engine.take_outgoing()
    transaction = Transaction([Address("bob@example.org")])
    conversation.engine.expect(b"BDAT 0 LAST\r\n", Expected(Awaited.CONTENT, transaction))
    transaction.commit_at = conversation.bytes_sent + conversation.engine.outgoing
    with pytest.raises(ConnectError, match="before it had the message"):
        run_sync(conversation.complete(transaction))
    assert wire.written == []
    assert [result.status for result in transaction.results(wire.bytes_sent)] == ["not_sent"]

    wire = Wire(b"250 a\r\n", b"")
    conversation = over(wire)
    conversation.engine.expect(*NOOP)
    with pytest.raises(ConnectError, match="closed the connection"):
        run_sync(conversation.push())
    assert wire.written == []


def test_whoever_judges_the_servers_certificate_is_asked() -> None:
    """`check_peer` sees what TLS settled on, and may refuse it."""
    seen: list[TLSInfo] = []
    wire = Wire()
    run_sync(over(wire, check_peer=seen.append).start_tls())
    assert seen == []
    wire.tls_info = TLSInfo(version="TLSv1.3", cipher="X")
    run_sync(over(wire, check_peer=seen.append).start_tls())
    assert seen == [wire.tls_info]
