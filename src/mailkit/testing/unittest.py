"""MailboxMixin: the mailbox for tests of the standard library's unittest, Django's among them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import TestCase

from mailkit.testing.catching import catch_mail

if TYPE_CHECKING:
    from mailkit.testing.mailbox import Mailbox

__all__ = ["MailboxMixin"]


class MailboxMixin(TestCase):
    """Gives each test ``self.mailbox``: everything that any mailer sends while it runs, whatever URL it was given.

    Put it before the test case: ``TestCase``, ``IsolatedAsyncioTestCase``, or a framework's. A ``setUp`` of one's own
    calls ``super().setUp()``.

    Example:
        >>> import io, unittest
        >>> from mailkit import Mailer, Message
        >>> class SignupTest(MailboxMixin, unittest.TestCase):
        ...     def test_welcome(self):
        ...         Mailer("smtp://mail.example.com").send(Message(from_="shop@example.com", to="bob@example.org"))
        ...         self.mailbox.assert_sent(to="bob@example.org")
        >>> unittest.TextTestRunner(io.StringIO()).run(SignupTest("test_welcome")).wasSuccessful()
        True
    """

    mailbox: Mailbox
    """What was sent."""

    def setUp(self) -> None:
        """Begin with an empty mailbox."""
        self.mailbox = self.enterContext(catch_mail())
        super().setUp()
