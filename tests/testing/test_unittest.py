from __future__ import annotations

import asyncio
import io
import unittest
from concurrent.futures import ThreadPoolExecutor

from mailkit.errors import RejectedError
from mailkit.local import MemoryTransport
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.message import Message
from mailkit.testing import MailboxMixin

MEMORY = MemoryTransport()
KEPT = Mailer(MEMORY)


def _letter(subject: str) -> Message:
    return Message(from_="shop@example.com", to="bob@example.org", subject=subject)


def _run(case: type[unittest.TestCase]) -> unittest.TestResult:
    return unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(case))


def test_each_test_has_a_mailbox_of_its_own() -> None:
    """Sync and async ones; with a setUp of their own, in which they may send, and with none."""

    class Plain(MailboxMixin, unittest.TestCase):
        def test_one(self) -> None:
            """Send one."""
            KEPT.send(_letter("One"))
            assert self.mailbox.one().subject == "One"

        def test_another(self) -> None:
            """Send another."""
            self.mailbox.assert_nothing_sent()
            KEPT.send(_letter("Another"))
            self.mailbox.assert_sent(subject="Another", count=1)

    class Async(MailboxMixin, unittest.IsolatedAsyncioTestCase):
        def setUp(self) -> None:
            """Send before the test."""
            super().setUp()
            KEPT.send(_letter("Set up"))

        async def test_async(self) -> None:
            """Send in a task, and in a thread."""
            async with AsyncMailer("smtp://mail.invalid") as mailer:
                await asyncio.create_task(mailer.send(_letter("Task")))
            await asyncio.to_thread(KEPT.send, _letter("Thread"))
            assert [sent.subject for sent in self.mailbox] == ["Set up", "Task", "Thread"]

        async def test_failing(self) -> None:
            """Let it fail."""
            self.mailbox.fail_next(RejectedError("no"))
            with self.assertRaises(RejectedError):  # noqa: PT027 - a unittest
                KEPT.send(_letter("Refused"))

    for case in (Plain, Async):
        result = _run(case)
        assert (result.testsRun, result.failures, result.errors) == (2, [], [])
    KEPT.send(_letter("Over"))
    assert [sent.subject for sent in MEMORY.outbox] == ["Over"]


def test_cases_that_run_in_threads_keep_apart() -> None:
    """Each sees its own mail, though they share a mailer."""

    class Repeated(MailboxMixin, unittest.TestCase):
        def test_many(self) -> None:
            """Send many."""
            for number in range(50):
                KEPT.send(_letter(str(number)))
            assert [sent.subject for sent in self.mailbox] == [str(number) for number in range(50)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(_run, [Repeated] * 8))
    assert [(result.testsRun, result.failures, result.errors) for result in results] == [(1, [], [])] * 8
