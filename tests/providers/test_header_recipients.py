"""MIME whose header names the recipients: exactly those of the envelope."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.header_mail import recipients_of, without_bcc

from mailkit import Message, MessageError
from mailkit.envelope import Envelope
from mailkit.providers.header_recipients import mime_for, prepared_for

_PEOPLE = tuple(f"user{number}@example.org" for number in range(6))
_MESSAGE = Message(
    from_="ada@example.com",
    to=["Bob <bob@example.org>", "eve@example.net"],
    cc="Cleo <cleo@example.org>",
    bcc=["archive@example.net", "audit@example.net"],
    subject="Hello",
    text="Hi",
    message_id="1@example.com",
)


def test_a_message_for_everybody_is_what_it_was() -> None:
    """With the whole envelope, only the Bcc field is added, and without hidden recipients nothing."""
    message = _MESSAGE.completed()
    mime = mime_for(message, Envelope.from_message(message))
    assert without_bcc(mime) == message.as_bytes()
    assert mime == b"Bcc: archive@example.net, audit@example.net\r\n" + message.as_bytes()
    plain = message.evolve(bcc=())
    assert mime_for(plain, Envelope.from_message(plain)) == plain.as_bytes()


def test_who_is_not_in_the_envelope_is_not_named() -> None:
    """A second attempt for some names these alone, with their names, and under the same Message-ID."""
    envelope = Envelope("ada@example.com", ["eve@example.net", "audit@example.net"])
    mime = mime_for(_MESSAGE, envelope)
    assert recipients_of(mime) == ["eve@example.net", "audit@example.net"]
    assert b"To: eve@example.net\r\n" in mime
    assert b"Message-ID: <1@example.com>\r\n" in mime
    assert b"bob@" not in mime
    assert b"archive@" not in mime


def test_who_is_only_in_the_envelope_is_hidden() -> None:
    """Somebody whom the message does not name gets it, and nobody sees that."""
    envelope = Envelope("ada@example.com", ["bob@example.org", "stranger@example.net"])
    mime = mime_for(_MESSAGE, envelope)
    assert recipients_of(mime) == ["bob@example.org", "stranger@example.net"]
    assert b"stranger" not in without_bcc(mime)


@pytest.mark.parametrize("name", ["Resent-To", "resent-cc"])
def test_fields_that_may_name_others_are_refused(name: str) -> None:
    """Whom a resent message would go to is written down nowhere, so it goes to nobody."""
    message = _MESSAGE.evolve(headers={name: "eve@example.net"})
    with pytest.raises(MessageError, match=name):
        mime_for(message, Envelope.from_message(message))


def test_hosts_are_named_as_dns_knows_them() -> None:
    """A hidden recipient's host beyond ASCII is written as its A-label."""
    message = Message(from_="ada@example.com", to="bob@example.org", bcc="Jane <jane@faß.test>", text="Hi")
    mime = mime_for(message, Envelope.from_message(message))
    assert mime.startswith(b"Bcc: jane@xn--fa-hia.test\r\n")


def test_many_hidden_recipients_are_folded() -> None:
    """However many there are, no line of the field is longer than a line may be (RFC 5322 §2.1.1)."""
    hidden = [f"{number:060}@example.org" for number in range(300)]
    message = Message(from_="ada@example.com", to="bob@example.org", bcc=hidden, text="Hi")
    mime = mime_for(message, Envelope.from_message(message))
    assert max(len(line) for line in mime.split(b"\r\n")) <= 998
    assert recipients_of(mime) == ["bob@example.org", *hidden]


@given(*[st.lists(st.sampled_from(_PEOPLE), max_size=4)] * 3, st.sets(st.sampled_from(_PEOPLE), min_size=1))
@settings(max_examples=100, deadline=None)
def test_the_header_names_exactly_the_envelope(to: list[str], cc: list[str], bcc: list[str], wanted: set[str]) -> None:
    """Whatever a message names and whoever is to get it: those are named, each once, or nothing is sent."""
    message = Message(from_="ada@example.com", to=to, cc=cc, bcc=bcc, text="Hi")
    envelope = Envelope("ada@example.com", sorted(wanted))
    try:
        mime = mime_for(message, envelope)
    except MessageError:
        assert len(wanted) > 1
        assert not wanted & {*to, *cc}
        return
    assert sorted(recipients_of(mime)) == sorted(wanted)
    assert set(recipients_of(without_bcc(mime))) <= {*to, *cc} or len(wanted) == 1


_HEADER = b"From: ada@example.com\r\n%s: %s\r\nSubject: x\r\n\r\nTo: nobody@example.net\r\n"


@pytest.mark.parametrize(
    "text",
    [
        b"bob@example.org",
        b"Bob <bob@example.org>",
        b'"Doe, Bob" <bob@example.org>,\r\n\tEve <eve@example.net>',
        b'=?utf-8?q?B=C3=B6b?= <bob@example.org>, "Eve: (1)" <eve@example.net>',
        b"undisclosed-recipients:;",
        b"",
    ],
)
@pytest.mark.parametrize("name", [b"To", b"CC"])
def test_prepared_bytes_keep_their_header(name: bytes, text: bytes) -> None:
    """Whoever the header does not name is hidden in front of it, and the bytes are unchanged."""
    data = _HEADER % (name, text)
    everybody = ["bob@example.org", "eve@example.net", "archive@example.net"]
    sent = prepared_for(data, Envelope("ada@example.com", everybody))
    assert sent.endswith(data)
    hidden = [each for each in everybody if each.encode() not in text]
    assert sent == b"Bcc: " + ", ".join(hidden).encode() + b"\r\n" + data


def test_prepared_bytes_for_those_they_name_are_what_they_were() -> None:
    """Where the header names everybody, nothing is added."""
    data = _HEADER % (b"To", b"bob@example.org")
    assert prepared_for(data, Envelope("ada@example.com", "bob@example.org")) == data


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"To", b"bob@example.org, eve@example.net"),
        (b"Cc", b"bob@example.org,\r\n eve@example.net"),
        (b"To", b"bob@example.org (a, b), eve@example.net"),
        (b"To", b"friends: bob@example.org;"),
        (b"To", b"eve@example.net: ;"),
        (b"To", b"bob@example.org (eve@example.net)"),
        (b"To", b"eve@example.net <bob@example.org>"),
        (b"To ", b"bob@example.org"),
        (b"To", b"bob@example.org\r\nTO: bob@example.org"),
        (b"To", b'"bob@example.org'),
        (b"To", b"bob@example.org eve@example.net"),
        (b"To", "Böb <bob@example.org>".encode()),
        (b"Resent-To", b"bob@example.org"),
        (b"Resent-Cc ", b"bob@example.org"),
        (b"To", b"bob"),
    ],
)
def test_prepared_bytes_for_others_are_refused(name: bytes, text: bytes) -> None:
    """Bytes that name somebody who is not to get them, or that cannot be told from such, are not sent."""
    with pytest.raises(MessageError):
        prepared_for(_HEADER % (name, text), Envelope("ada@example.com", "bob@example.org"))


def test_a_stranger_is_named_in_the_error() -> None:
    """The error says who would have got a copy, and what to do."""
    with pytest.raises(MessageError, match=r"eve@example\.net is not among the recipients: add them"):
        prepared_for(_HEADER % (b"To", b"eve@example.net"), Envelope("ada@example.com", "bob@example.org"))


_TOKENS = (
    *("bob@example.org", "eve@example.net", ",", " ", "<", ">", '"', "(", ")", ":", ";", "\\", "Bob", '"Doe, B"', "\t"),
    *("=?utf-8?q?a=2C?=", "\r\n ", "\r\n\t", "\r\nTo: ", "\r\nCc: ", "\r\nTO : ", "\r\nX: ", "\r\n\r\n"),
)


@given(st.lists(st.sampled_from(_TOKENS), min_size=1, max_size=7).map("".join))
@settings(max_examples=300, deadline=None)
def test_another_reader_finds_nobody_else(text: str) -> None:
    """Whatever stands in the header of prepared bytes that are sent, the standard library reads nobody else in it."""
    data = f"From: ada@example.com\r\nTo: {text}\r\n\r\nHi\r\n".encode()
    try:
        sent = prepared_for(data, Envelope("ada@example.com", ["bob@example.org", "archive@example.net"]))
    except MessageError:
        return
    assert {each for each in recipients_of(sent) if "@" in each} <= {"bob@example.org", "archive@example.net"}
