"""The test server and the fake: what a test may script, and what it may read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, assert_type

from mailkit import DeliveryError, Envelope, Message, Receipt, RejectedError, TransientError
from mailkit.testing import (
    Certificate,
    CloseAfter,
    ConnectionRecord,
    Disconnect,
    Drip,
    Endless,
    FakeTransport,
    Fault,
    Garbage,
    InjectAfter,
    Mailbox,
    Phase,
    RawReply,
    ReceivedMessage,
    Refuse,
    Sent,
    SMTPServer,
    Stall,
    StopReading,
    TruncateTLS,
    Violation,
)


def a_server_is_scripted() -> None:
    phase: Phase = "RCPT"
    faults: list[Fault] = [
        Refuse(550, "5.1.1 no such user"), RawReply(b"250 ok\r\n"), Garbage(), CloseAfter("421 bye"), Disconnect(rst=True),
        Disconnect(after_bytes=3), Stall(), Stall(1.0), StopReading(), Endless(), Drip(interval=0.1), InjectAfter(),
        TruncateTLS(record_bytes=5),
    ]  # fmt: skip
    server = SMTPServer(
        hostname="mx.example.com", tls="starttls", certificate="valid", users={"ada": "secret"}, tokens={"bob": "token"},
        mechanisms=["PLAIN"], require_auth=True, auth_before_tls=True, extensions=["REQUIRETLS"], without=["CHUNKING"],
        limits={"RCPTMAX": 10}, max_size=1000, on_message=_answer, keep="everything",
    )  # fmt: skip
    with server as running:
        assert_type(running, SMTPServer)
        for fault in faults:
            assert_type(server.script(phase, fault, times=2, match="bob@example.org", skip=1), SMTPServer)
        server.script("body", "552 5.3.4 too big", after=1000).clear_script()
        assert_type((server.host, server.port, server.url, server.url_for("ada")), tuple[str, int, str, str])
        assert_type(server.ca_file, Path)
        assert_type(server.kick(Disconnect(), timeout=1.0), int)
        assert_type(server.wait_until(lambda server: server.accepted_count == 1), bool)
        assert_type(server.wait_for(1, timeout=1.0), tuple[ReceivedMessage, ...])
        server.release()


def _answer(message: ReceivedMessage) -> str | None:
    return "550 5.7.1 no" if message.mail_from == "" else None


def a_server_tells_what_it_received(server: SMTPServer) -> None:
    assert_type(server.messages, tuple[ReceivedMessage, ...])
    assert_type(server.committed, tuple[ReceivedMessage, ...])
    assert_type(server.connections, tuple[ConnectionRecord, ...])
    assert_type(server.violations, tuple[Violation, ...])
    assert_type((server.accepted_count, server.held, server.transcript), tuple[int, int, str])
    (received,) = server.messages
    assert_type((received.mail_from, received.rcpt_to, received.data), tuple[str, tuple[str, ...], bytes])
    assert_type(received.mail_parameters, Mapping[str, str | None])
    assert_type(received.rcpt_parameters, tuple[Mapping[str, str | None], ...])
    assert_type(received.via, Literal["DATA", "BDAT"])
    assert_type((received.user, received.tls, received.helo), tuple[str | None, str | None, str])
    assert_type(received.parse(), EmailMessage)
    record = server.connections[0]
    assert_type(record.verbs, tuple[str, ...])
    assert_type((record.round_trips, record.bytes_received, record.closed), tuple[int, int, bool])
    assert_type(record.commands, list[bytes])
    assert_type(server.violations[0].detail, bytes)


def a_certificate_can_be_given(certificate: Certificate) -> None:
    SMTPServer(tls="implicit", certificate=certificate)
    assert_type(certificate.authority, bytes)


def a_fake_is_scripted_and_read(fake: FakeTransport, is_wanted: Callable[[], bool]) -> None:
    fake.fail_next(TransientError("busy"))
    fake.refuse("bob@example.org")
    fake.refuse("bob@example.org", RejectedError("no such user"))
    assert_type(fake.outbox, list[Sent])
    assert_type(fake.wait_for(2, timeout=1.0), list[Sent])
    assert_type(fake.one(), Sent)
    fake.reset()


def what_was_sent_is_read(sent: Sent, mailbox: Mailbox, error: DeliveryError) -> None:
    assert_type((sent.envelope, sent.receipt, sent.message), tuple[Envelope, Receipt, Message])
    assert_type((sent.raw, sent.subject, sent.is_prepared), tuple[bytes, str | None, bool])
    assert_type(mailbox.one(), Sent)
    assert_type(mailbox[0], Sent)
    assert_type(mailbox[1:], Sequence[Sent])
    assert_type(len(mailbox), int)
    for each in mailbox:
        assert_type(each, Sent)
