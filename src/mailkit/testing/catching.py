"""catch_mail: everything that any mailer sends goes into a mailbox, in whatever runs the tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mailkit.override import Override
from mailkit.testing.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["catch_mail"]


@contextmanager
def catch_mail() -> Generator[Mailbox, None, None]:
    """Let every Mailer and AsyncMailer send into a new mailbox instead, whatever URL it was given, for this block.

    Several at the same time, in threads or in tasks, see each what is sent in their own context (PEP 567). A thread
    that the application starts by itself sends into the newest of them, unless it runs in a copy of the context.

    Example:
        >>> from mailkit import Mailer, Message
        >>> with catch_mail() as mailbox:
        ...     receipt = Mailer("smtp://mail.example.com").send(Message(from_="ada@example.com", to="bob@example.org"))
        >>> mailbox.one().to[0].email
        'bob@example.org'
    """
    mailbox = Mailbox()
    with Override(mailbox):
        yield mailbox
