"""A connection that has shaken hands: what keeps it usable, and how it ends."""

from __future__ import annotations

import os
from typing import Any

import pytest
from tests.smtp.wires import Wire

from mailkit import ConnectError, Envelope, MessageError, RejectedError
from mailkit.edge import run_sync
from mailkit.edge.blocking import BlockingEdge
from mailkit.reply import Reply
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.extensions import Extensions
from mailkit.smtp.handshake import Handshake
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.raw import RawContent
from mailkit.smtp.session import DOUBTFUL_AFTER, Session

ENVELOPE = Envelope("ada@example.com", "bob@example.org")
CONTENT = RawContent.read(b"Subject: x\r\n\r\nHi\r\n")
ACCEPTED = b"250 ok\r\n250 ok\r\n250 ok\r\n"


def session_over(wire: Wire, *lines: str, **options: Any) -> Session:
    """Return a session over a wire whose server offers these extensions."""
    conversation = Conversation(wire, BlockingEdge(), SMTPOptions(host="mx.test", port=587, **options))
    conversation.engine.feed(b"220 mx.test\r\n")
    extensions = Extensions.parse(Reply(250, "\n".join(("mx.test", *lines))))
    return Session(conversation, Handshake(host="mx.test", extensions=extensions, tls_info=None, mechanism=None))


class Answering(Wire):
    """A wire that gives its next answers only once something was written."""

    def has_input(self) -> bool:
        """Nothing has come unasked."""
        return False


BOTH = ("PIPELINING", "CHUNKING")


def test_a_session_carries_message_after_message() -> None:
    """Each is counted, and the connection stays usable."""
    session = session_over(Answering(ACCEPTED, ACCEPTED), *BOTH)
    for count in (1, 2):
        delivered = run_sync(session.deliver(ENVELOPE, CONTENT))
        assert [result.status for result in delivered.results] == ["accepted"]
        assert session.messages == count
    assert session.is_usable
    assert not session.needs_reset
    assert run_sync(session.prepare())


def test_what_it_may_use() -> None:
    """An extension counts where the server offers it and nobody has switched it off."""
    assert session_over(Wire(), *BOTH).pipelining
    assert session_over(Wire(), *BOTH).chunking
    assert not session_over(Wire(), *BOTH, pipelining=False).pipelining
    assert not session_over(Wire(), *BOTH, chunking=False).chunking
    assert not session_over(Wire()).pipelining
    assert not session_over(Wire()).chunking


def test_a_broken_connection_is_not_usable() -> None:
    """After an error nothing more goes over it."""
    session = session_over(Answering(b"250 ok\r\n", b""), *BOTH)
    delivered = run_sync(session.deliver(ENVELOPE, CONTENT))
    assert isinstance(delivered.error, ConnectError)
    assert not session.is_usable


def test_what_is_refused_here_leaves_the_connection_as_it_was() -> None:
    """A message that is too large for the server has not touched the connection."""
    session = session_over(Wire(), *BOTH, "SIZE 5")
    with pytest.raises(RejectedError):
        run_sync(session.deliver(ENVELOPE, CONTENT))
    assert session.is_usable
    assert session.messages == 0


class BreakingOff:
    """Content that breaks off: an attachment that changed while it was sent."""

    size = 300_000
    body_type = "7BIT"
    needs_smtputf8 = False
    message_id = "one@example.com"

    def iter_bytes(self) -> Any:
        """One block, and then the fault."""
        yield b"Subject: x\r\n\r\n"
        yield b"x" * 262_144 + b"\r\n"
        raise MessageError("the attachment has changed")


@pytest.mark.parametrize("lines", [BOTH, ("PIPELINING",), ()])
def test_content_that_breaks_off_ends_the_connection(lines: tuple[str, ...]) -> None:
    """What the server has of the message must not become one: no terminator is written, and nothing more at all."""
    answers = [b"250 ok\r\n250 ok\r\n"] if lines == BOTH else [b"250 ok\r\n250 ok\r\n354 go\r\n"]
    if not lines:
        answers = [b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    wire = Answering(*answers)
    session = session_over(wire, *lines)
    with pytest.raises(MessageError, match="has changed"):
        run_sync(session.deliver(ENVELOPE, BreakingOff()))
    assert not session.is_usable
    assert b"LAST" not in b"".join(wire.written)
    assert b"\r\n.\r\n" not in b"".join(wire.written)


def test_small_content_that_breaks_off_before_anything_was_written_ends_it_too() -> None:
    """The envelope is queued already, and can't be taken back."""

    class Small(BreakingOff):
        size = 20

        def iter_bytes(self) -> Any:
            yield b"Subject: x\r\n"
            raise MessageError("the attachment has changed")

    wire = Answering()
    session = session_over(wire, *BOTH)
    with pytest.raises(MessageError):
        run_sync(session.deliver(ENVELOPE, Small()))
    assert wire.written == []
    assert not session.is_usable


def test_doubt_comes_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is doubtful only after more than five seconds without a message."""
    session = session_over(Wire(), *BOTH)
    assert not session.is_doubtful
    now = session.conversation.edge.now()
    monkeypatch.setattr(session.conversation.edge, "now", lambda: now + DOUBTFUL_AFTER + 0.1)
    assert session.is_doubtful
    session.note_message()
    assert not session.is_doubtful


def test_goodbye_is_said_to_those_who_can_hear_it() -> None:
    """QUIT goes out on a quiet connection and its answer is not waited for; on any other nothing is written."""
    wire = Wire()
    run_sync(session_over(wire).close())
    assert wire.written == [b"QUIT\r\n"]
    assert wire.is_closed

    wire = Wire(b"421 bye\r\n")
    run_sync(session_over(wire).close())
    assert wire.written == []
    assert wire.is_closed


def test_a_goodbye_that_fails_is_nobodys_business() -> None:
    """Whatever happens to QUIT, the connection is closed and nothing raised."""

    class Failing(Wire):
        async def send(self, data: Any, **_: Any) -> None:
            raise ConnectError("gone")

    wire = Failing()
    run_sync(session_over(wire).close())
    assert wire.is_closed


def test_a_parents_connection_is_left_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process neither closing nor abandoning writes anything."""
    wire = Wire()
    session = session_over(wire)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    run_sync(session.close())
    assert wire.written == []
    session.abandon()
    assert wire.is_abandoned
