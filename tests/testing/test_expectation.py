from __future__ import annotations

import re
from typing import Any

import pytest

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import AddressError
from mailkit.local import MemoryTransport, Sent
from mailkit.mailer import Mailer
from mailkit.message import Message, Template
from mailkit.testing.expectation import Expectation, listed

MESSAGE = Message(
    from_="Ada Lovelace <ada@example.com>",
    to=["Bob <bob@example.org>", "eve@faß.test"],
    cc="cleo@example.org",
    bcc="archive@example.net",
    reply_to="help@example.com",
    subject="Grüße",
    text="Hi Bob\r\nbye\r\n",
    html="<p>Hi",
    tags=["q3", "report"],
    metadata={"quarter": "q3", "year": "2026"},
    headers={"X-Campaign": "q3"},
    attachments=[Attachment.from_bytes(b"x", "report.pdf"), Attachment.from_bytes(b"x")],
    template=Template("welcome", {"name": "Bob"}),
)


def sent(message: Message) -> Sent:
    """Return a message as it is in an outbox."""
    transport = MemoryTransport()
    Mailer(transport).send(message)
    return transport.outbox[0]


def _says_no(_: Sent) -> bool:
    return False


@pytest.fixture(scope="module")
def letter() -> Sent:
    """The message above."""
    return sent(MESSAGE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from_", "ada@example.com"),
        ("from_", "Ada Lovelace <ada@EXAMPLE.com>"),
        ("to", "bob@example.org"),
        ("to", ["eve@xn--fa-hia.test", Address("bob@example.org", name="Bob")]),
        ("to", []),
        ("cc", "cleo@example.org"),
        ("bcc", "archive@example.net"),
        ("reply_to", "help@example.com"),
        ("recipient", ["bob@example.org", "archive@example.net"]),
        ("subject", "Grüße"),
        ("subject", re.compile("^G")),
        ("text", "Hi Bob\nbye"),
        ("text", re.compile("bye")),
        ("html", "<p>Hi"),
        ("tags", "report"),
        ("tags", {"report", "q3"}),
        ("metadata", {"quarter": "q3"}),
        ("headers", {"x-campaign": "q3"}),
        ("attachments", "report.pdf"),
        ("attachments", [""]),
        ("template", "welcome"),
        ("template", Template("welcome", {"name": "Bob"})),
        ("where", lambda one: one.html == "<p>Hi"),
    ],
)
def test_what_fits_makes_no_difference(name: str, value: Any, letter: Sent) -> None:
    """A property that the message has is no difference, however it is given."""
    assert not Expectation.of(**{name: value}).differences(letter)


@pytest.mark.parametrize(
    ("name", "value", "explanation"),
    [
        (
            "from_",
            "bob@example.org",
            "from_: expected bob@example.org\n           found Ada Lovelace <ada@example.com>",
        ),
        ("from_", "Bob <ada@example.com>", "expected Bob <ada@example.com>"),
        ("to", ["bob@example.org", "cleo@example.org"], "expected bob@example.org, cleo@example.org"),
        ("cc", "bob@example.org", "found cleo@example.org"),
        ("bcc", "bob@example.org", "found archive@example.net"),
        ("reply_to", "bob@example.org", "found help@example.com"),
        ("recipient", "help@example.com", "found Bob <bob@example.org>, eve@faß.test, cleo@example.org"),
        ("subject", "grüße", "subject: expected 'grüße'\n             found 'Grüße'"),
        ("subject", re.compile("x+"), "expected /x+/"),
        (
            "text",
            "Hi Bob\nbye!",
            "text:\n    --- expected\n    +++ sent\n    @@ -1,2 +1,2 @@\n     Hi Bob\n    -bye!\n    +bye",
        ),
        ("html", "<p>Ho", "found '<p>Hi'"),
        ("tags", "q4", "tags: expected 'q4'\n          found 'q3', 'report'"),
        ("metadata", {"quarter": "q4"}, "expected {'quarter': 'q4'}"),
        ("headers", {"X-Campaign": "q4"}, "expected {'x-campaign': 'q4'}"),
        ("attachments", "other.pdf", "expected 'other.pdf'"),
        ("template", 7, "expected 7"),
        ("template", Template("welcome"), "expected Template(id='welcome')"),
        ("where", _says_no, "where: _says_no says no"),
    ],
)
def test_a_difference_is_explained(name: str, value: Any, explanation: str, letter: Sent) -> None:
    """A property that the message does not have is told as what was expected and what was found."""
    (difference,) = Expectation.of(**{name: value}).differences(letter)
    assert explanation in difference


@pytest.mark.parametrize("name", ["from_", "subject", "html", "template"])
def test_what_is_not_set_is_a_difference(name: str) -> None:
    """A message without the property differs, and says so."""
    prepared = Expectation.of(**{name: "ada@example.com"})
    bare = MemoryTransport()
    Mailer(bare).send_raw(b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n", Envelope("", "bob@example.org"))
    (difference,) = prepared.differences(bare.outbox[0])
    assert difference.endswith(("found None", "found none"))


def test_a_mistake_in_the_test_is_an_error() -> None:
    """An address that no message can have is refused at once."""
    with pytest.raises(AddressError):
        Expectation.of(to="bob@@example.org")


def test_the_nearest_message_is_explained() -> None:
    """Of several messages the one with the fewest differences is told in full, the others in a line."""
    outbox = [sent(MESSAGE.evolve(subject=subject, text="x")) for subject in ("Hello", "Helo")]
    told = Expectation.of(to="bob@example.org", subject="Helo", text="y").explain(outbox)
    assert told.split("\n") == [
        "The nearest is outbox[1], which differs in",
        "    text: expected 'y'",
        "              found 'x'",
        "There are also",
        "    outbox[0]: to bob@example.org, eve@faß.test, cleo@example.org, archive@example.net, subject 'Hello'",
    ]


def test_nothing_is_explained_as_nothing() -> None:
    """An empty outbox has no nearest message."""
    assert Expectation.of(to="bob@example.org").explain([]) == "No message was sent at all."


def test_it_is_told_in_a_line() -> None:
    """What is expected is told briefly, under the names of the test."""
    expectation = Expectation.of(to="bob@example.org", subject=re.compile("x"), text="x" * 100, cc=None)
    assert str(expectation) == f"to=bob@example.org, subject=/x/, text='{'x' * 58}…"


def test_octets_that_are_no_message_differ_and_are_listed() -> None:
    """Prepared octets that cannot be read are a difference, not an error; the envelope is read all the same."""
    transport = MemoryTransport()
    data = b"From: ada@example.com\r\nSubject: a\r\nTo: =?utf-8?q?x?= <<>>, @@\r\n\r\nHi\r\n"
    Mailer(transport).send_raw(data, Envelope("", "bob@example.org"))
    (one,) = transport.outbox
    assert Expectation.of(subject="a").differences(one)[0].startswith("subject: ")
    assert not Expectation.of(recipient="bob@example.org").differences(one)
    assert listed([one]) == "    outbox[0]: to bob@example.org, subject unreadable"
