"""What ``mailkit.testing`` promises to tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit import Mailer, Message, TransientError
from mailkit.testing import FakeTransport, SMTPServer

if TYPE_CHECKING:
    from mailkit import Transport


def a_fake_is_a_transport() -> Transport:
    fake = FakeTransport()
    Mailer(fake)
    fake.fail_next(TransientError("busy"), times=2)
    fake.assert_sent(to="bob@example.org", subject="Hello")
    fake.assert_nothing_sent()
    return fake


def an_outbox_holds_what_was_sent(fake: FakeTransport) -> Message:
    return fake.outbox[0].message


def a_server_has_a_url() -> None:
    with SMTPServer() as server:
        Mailer(server.url)
