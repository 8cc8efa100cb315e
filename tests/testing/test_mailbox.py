from __future__ import annotations

from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.testing import Mailbox


def test_it_is_the_sequence_of_what_was_sent() -> None:
    """A mailbox has a length, can be iterated over and indexed, and is false while it is empty."""
    mailbox = Mailbox()
    assert not mailbox
    mailer = Mailer(mailbox)
    for subject in ("First", "Second", "Third"):
        mailer.send(Message(from_="ada@example.com", to="bob@example.org", subject=subject))
    assert mailbox
    assert len(mailbox) == 3
    assert [sent.subject for sent in mailbox] == ["First", "Second", "Third"]
    assert mailbox[-1].subject == "Third"
    assert [sent.subject for sent in mailbox[1:]] == ["Second", "Third"]
    assert Message(subject="x") not in mailbox


def test_it_may_grow_while_it_is_looked_through() -> None:
    """Iterating goes over what was there at the start."""
    mailbox = Mailbox()
    mailer = Mailer(mailbox)
    mailer.send(Message(from_="ada@example.com", to="bob@example.org"))
    for sent in mailbox:
        mailer.send(sent.message.evolve(message_id=None))
    assert len(mailbox) == 2


def test_it_does_what_a_fake_does() -> None:
    """The assertions of a FakeTransport are there."""
    mailbox = Mailbox()
    mailbox.assert_nothing_sent()
    Mailer(mailbox).send(Message(from_="ada@example.com", to="bob@example.org", subject="Hello"))
    assert mailbox.assert_sent(to="bob@example.org") == mailbox.one()
    assert mailbox.one().receipt.transport == str(mailbox) == "mailbox://"
