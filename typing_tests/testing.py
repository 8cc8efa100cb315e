"""What ``mailkit.testing`` promises to tests."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

from mailkit import Mailer, Message, TransientError
from mailkit.testing import FakeTransport, Mailbox, MailboxMixin, Sent, SMTPServer, catch_mail

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


def mail_can_be_caught_anywhere() -> str:
    with catch_mail() as mailbox:
        assert_type(mailbox, Mailbox)
        return mailbox.one().snapshot(replace={re.compile(r"\d"): "n", "a": "b"})


class Welcome(MailboxMixin, unittest.TestCase):
    def test_it(self) -> None:
        sent = self.mailbox.one()
        sent.assert_matches_snapshot("welcome.txt")
        sent.assert_matches_snapshot(Path("welcome.txt"), update=True)


class AsyncWelcome(MailboxMixin, unittest.IsolatedAsyncioTestCase):
    async def test_it(self) -> None:
        assert_type(await self.mailbox.wait_for_async(2, timeout=1.0), list[Sent])
