"""What a user gives: each hostile value is refused before any I/O, or delivered as what it is, nothing injected."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts import reading
from tests.contracts.placing import BARE, assert_nothing_injected, build, message_with
from tests.contracts.rows import BAD, KNOWN, LATER, of_area
from tests.contracts.sink import DIALECTS, Sink

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.attachment_source import MemorySource
from mailkit.builder import MessageBuilder
from mailkit.envelope import Envelope
from mailkit.errors import AddressError, MailkitError, MessageError, UnsupportedFeatureError
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.local import SendmailTransport
from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.mime import render
from mailkit.policies.retry import RetryPolicy
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contracts.rows import Row

    from mailkit.testing import ReceivedMessage

AREAS = ("address", "header-name", "header-value", "body", "filename", "content-id", "mime-param")

# Where a hostile address must be delivered to, if it is taken at all.
DOMAINS = {
    "AD014": "x.test", "AD017": "x.test", "AD037": "x.test", "AD040": "x.test", "AD042": "xn--x-0314.test",
    "AD043": "company.test", "AD046": "x.test", "AD047": "k.test", "AD051": "x.test", "AD052": "x.test",
}  # fmt: skip

SECONDS = {"AD077": 0.1, "AD081": 1.0}  # what the rows allow


@pytest.mark.usefixtures("shared")
def test_every_row_is_tested_or_named_as_later_work() -> None:
    """A row of an area, field or encoding that nobody here knows makes this fail: none is skipped in silence."""
    assert BAD
    unknown = [
        row.id for row in BAD if row.area not in LATER and (row.field, row.enc) not in KNOWN.get(row.area, set())
    ]
    assert unknown == []
    assert not set(LATER) & set(KNOWN)
    # Nor does a name here outlive its rows: a field that was renamed would lose its tests unnoticed.
    assert {(area, *each) for area, known in KNOWN.items() for each in known} == {
        (row.area, row.field, row.enc) for row in BAD if row.area in KNOWN
    }


# The fields that have a parameter of their own: what is refused in `headers` because of that is tried there as well.
_OWN = {
    "header:Reply-To": lambda value: message_with(reply_to=value),
    "header:List-Unsubscribe": lambda value: message_with(list_unsubscribe=value),
    "header:List-Unsubscribe-Post": lambda value: message_with(
        list_unsubscribe=ListUnsubscribe(f"https://x.test/{value}")
    ),
    "header:Message-ID": lambda value: message_with(message_id=value),
    "header:Date": lambda value: message_with(date=value),
    "header:bCC": None,
    "header:Resent-Bcc": None,
}


def _builders(row: Row) -> list[Any]:
    own = _OWN.get(row.field)
    return [lambda: build(row.field, row.value)] + ([] if own is None else [lambda: own(row.value)])


def _assert_says_it_well(error: MailkitError) -> None:
    """The text of an error goes into logs: one printable line of a sensible length."""
    assert str(error).isprintable()
    assert 0 < len(str(error)) < 2000


def _assert_nothing_was_said(server: SMTPServer, *, after_greeting: bool) -> None:
    # What only a server's extensions could tell is told by EHLO; everything else before any I/O.
    verbs = {verb for record in server.connections for verb in record.verbs}
    assert verbs == ({"EHLO"} if after_greeting else set())


@pytest.mark.parametrize("without", [(), ("CHUNKING", "8BITMIME")])
@pytest.mark.parametrize("row", of_area(*AREAS))
def test_a_hostile_value_is_refused_or_delivered_as_it_is(row: Row, without: tuple[str, ...]) -> None:
    """What the row says: a typed error before any I/O, or the value read back by three parsers, nothing beside it."""
    for made in _builders(row) if row.field != "raw_message" else [None]:
        with SMTPServer(without=without) as server:
            with Mailer(server.url, retry=RetryPolicy.none()) as mailer:
                began = time.thread_time()
                try:
                    if made is None:
                        mailer.send_raw(row.value, Envelope("a@x.test", "b@x.test"))
                    else:
                        message = made()
                        mailer.send(message)
                except MessageError as error:
                    assert time.thread_time() - began < SECONDS.get(row.id, 5.0)
                    assert "reject" in row.allowed
                    _assert_says_it_well(error)
                    _assert_nothing_was_said(server, after_greeting=type(error) is UnsupportedFeatureError)
                    continue
            assert "neutralise" in row.allowed
            assert_nothing_injected(server, row.field)
            _assert_read_back(server.messages[0], row, message)


def _assert_read_back(received: ReceivedMessage, row: Row, message: Message) -> None:
    value, raw = row.value, received.data
    match row.field:
        case "subject":
            assert reading.subjects(raw) == [value] * reading.PARSERS
        case "from_name":
            assert reading.senders(raw) == [[(value, "a@x.test")]] * reading.PARSERS
        case "to_addr" | "from_addr":
            path = received.rcpt_to[0] if row.field == "to_addr" else received.mail_from
            _, _, domain = path.rpartition("@")
            assert domain == DOMAINS.get(row.id, "x.test")
            address = message.to[0] if row.field == "to_addr" else message.from_
            assert address is not None
            assert path == address.addr_spec
            assert set(received.rcpt_parameters[0]) == set()
            assert set(received.mail_parameters) <= {"SIZE", "BODY", "SMTPUTF8"}
        case "text_body":
            expected = value.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
            assert [body.removesuffix("\n") for body in reading.bodies(raw)] == [expected] * reading.PARSERS
        case "attachment_bytes":
            assert reading.files(raw) == [[("a.txt", value)]] * reading.PARSERS
        case "filename":
            name = message.attachments[0].filename
            assert name == re.split(r"[/\\]", value)[-1]
            assert reading.files(raw) == [[(name, b"data")]] * reading.PARSERS
        case "content_id":
            assert f"\r\nContent-ID: <{value}>\r\n".encode() in raw
        case _:
            pytest.fail(f"{row.id} was delivered, and nothing says how to read {row.field} back")


@pytest.mark.parametrize("row", [row for row in of_area("address") if not row.values[0].value.isascii()])
def test_an_address_beyond_ascii_needs_a_server_that_takes_it(row: Row) -> None:
    """Without SMTPUTF8 nothing of it is sent, transliterated or narrowed to bytes."""
    with SMTPServer(without=("SMTPUTF8",)) as server, Mailer(server.url, retry=RetryPolicy.none()) as mailer:
        try:
            message = build(row.field, row.value)
        except MessageError:
            return
        if Envelope.from_message(message).needs_smtputf8:
            with pytest.raises(UnsupportedFeatureError):
                mailer.send(message)
            assert {verb for record in server.connections for verb in record.verbs} <= {"EHLO", "QUIT"}
        else:
            mailer.send(message)
            assert server.messages[0].data.isascii()
            assert all(line.isascii() for line in server.connections[0].commands)


@pytest.mark.parametrize("row", [row for row in of_area("address") if row.values[0].field != "from_name"])
def test_an_address_is_the_same_wherever_it_is_given(row: Row) -> None:
    """What one way of giving an address refuses, every other refuses too."""
    ways = {
        "parse": lambda: Address.parse(row.value),
        "reverse-path": lambda: Envelope(row.value, "b@x.test"),
        "forward-path": lambda: Envelope(None, row.value),
        "cc": lambda: message_with(cc=row.value),
        "bcc": lambda: message_with(bcc=[row.value]),
        "reply_to": lambda: message_with(reply_to=row.value),
        "sender": lambda: message_with(sender=row.value),
        "return_path": lambda: message_with(return_path=row.value),
        "builder": lambda: MessageBuilder().from_("a@x.test").to(row.value).text("Hi").build(),
    }
    refused = set()
    for name, way in ways.items():
        try:
            way()
        except AddressError:
            refused.add(name)
    assert refused in (set(), set(ways))


@pytest.mark.parametrize("row", [row for row in of_area("address") if row.values[0].value.startswith("-")])
def test_an_address_that_starts_with_a_dash_never_reaches_a_command_line(row: Row) -> None:
    """The sendmail transport refuses it; the program, which would fail, is not even started."""
    try:
        message = build(row.field, row.value)
    except AddressError:
        assert "reject" in row.allowed
        return
    with Mailer(SendmailTransport("/bin/false"), retry=RetryPolicy.none()) as mailer, pytest.raises(MessageError):
        mailer.send(message)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("row", [row for row in of_area("body") if row.values[0].field == "text_body"])
def test_no_server_finds_a_secondmessage_with(row: Row, dialect: str) -> None:
    """However a server ends DATA it sees one message, and no command but those that belong to it."""
    with Sink(dialect) as sink, Mailer(sink.url, retry=RetryPolicy.none()) as mailer:
        try:
            message = build(row.field, row.value)
        except MessageError:
            assert "reject" in row.allowed
            return
        mailer.send(message)
        mailer.close()
        sink.wait()
    assert [line[:4] for line in sink.commands] == [b"EHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT"]
    (data,) = sink.messages
    assert not BARE.search(data.removesuffix(b"\r") if data.endswith(b"\r") else data)
    assert b"\0" not in data


@pytest.mark.parametrize("row", of_area("attachment-source"))
def test_a_text_is_never_taken_for_a_path_or_a_url(row: Row, tmp_path: Path) -> None:
    """Nothing that takes an attachment opens what a str names; and a root keeps what is a path inside."""
    value = row.value
    attempts = {
        "Message": lambda: message_with(attachments=value),
        "in a list": lambda: message_with(attachments=[value]),
        "Attachment": lambda: Attachment(value),
        "from_bytes": lambda: Attachment.from_bytes(value, "a.txt"),
        "from_stream": lambda: Attachment.from_stream(value, "a.txt"),
        "from_message": lambda: Attachment.from_message(value),
        "from_dict": lambda: Message.from_dict({"from_": "a@x.test", "attachments": [value]}),
        "from_dict, as a source": lambda: Message.from_dict({"attachments": [{"filename": "a", "path": value}]}),
        "from_path with a root": lambda: Attachment.from_path(value, root=tmp_path),
        "attach": lambda: MessageBuilder().attach(Attachment.from_path(value, root=tmp_path)),
    }
    for name, attempt in attempts.items():
        with pytest.raises(MessageError) as caught:
            attempt()
        assert str(caught.value).isprintable(), name
    # As the text that it is it can be attached, and nothing is opened.
    assert Attachment.from_text(value, "a.txt").read() == value.encode()


@pytest.mark.parametrize(
    "row", [row for row in of_area("attachment-source") if not row.values[0].value.startswith("/etc")]
)
def test_what_is_no_regular_file_cannot_be_attached_even_on_purpose(row: Row) -> None:
    """A URL is no file, a device never ends, and what /proc shows grows while it is read: none of them can be sent."""
    with pytest.raises(MessageError):
        Attachment.from_path(row.value).read()


# -- past the checks of the values -------------------------------------------------------------------------------------


def _force(frozen: Any, **values: Any) -> Any:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
    return frozen


def _unchecked(row: Row) -> Message | None:
    """Build the same message past every check of Message and Attachment."""
    message = message_with(date=None).completed()
    if row.field == "header-name":
        return _force(message, headers=((row.value, "value"),))
    if row.field.startswith("header:"):
        return _force(message, headers=((row.field.removeprefix("header:"), row.value),))
    if row.field in {"subject", "text_body"}:
        return _force(message, **{row.field.removesuffix("_body"): row.value})
    if row.field in {"content_type", "content_id", "filename", "disposition"}:
        attachment = Attachment(MemorySource(b"data"), filename="a.txt", media_type="text/plain")
        name = {"content_type": "media_type"}.get(row.field, row.field)
        return _force(message, attachments=(_force(attachment, **{name: row.value}),))
    return None


@pytest.mark.parametrize("row", [row for row in of_area(*AREAS) if _unchecked(row.values[0]) is not None])
@pytest.mark.parametrize("eight_bit", [False, True])
def test_the_writer_alone_lets_nothing_through(row: Row, eight_bit: bool) -> None:
    """Had the values never been checked, the writer would still write no structure that a value has brought along."""
    message = _unchecked(row)
    assert message is not None
    try:
        raw = render(message, eight_bit=eight_bit).as_bytes()
    except MessageError:
        return
    assert not BARE.search(raw)
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    for found in reading.names(raw):
        assert not {"x-injected", "x", "bcc", "resent-bcc"} & set(found)
    assert max(reading.part_counts(raw)) <= 3
