"""No octet of user data becomes structure: on the wire are the commands, header fields and parts that we wrote."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailkit import (
    Address,
    Attachment,
    Envelope,
    Mailer,
    Message,
    MessageError,
    RetryPolicy,
)
from mailkit.list_unsubscribe import ListUnsubscribe
from mailkit.message import Calendar
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import Callable

# What attackers write, what others' writers have stumbled over, and code points whose low octets are CR, LF or a dot.
_CONTROLS = [*"\r\n\0\x0b\x0c\x1b\x1c\x7f\x85\u2028\u2029\t\ud800", "\r\n", "\r\n\r\n", "嘊嘍", "čċ", "\u012e"]
_LINES = ["\r\nBcc: evil@evil.test", "\nX-Injected: 1", "\r\n.\r\nMAIL FROM:<e@evil.test>\r\n", "\n.\n", "\r\n--=_"]
_WORDS = ["=?utf-8?q?=0D=0ABcc:_e@evil.test?=", "=?utf-8?b?DQo=?=", "=?", "?=", "%0d%0a", "name*0*=utf-8''", "> SIZE=1"]
_LETTERS = [*' ."\\<>(),;:@[]=&-_aZä日👋']
_PIECES = st.sampled_from([*_CONTROLS, *_LINES, *_WORDS, *_LETTERS])
HOSTILE = st.lists(st.one_of(_PIECES, st.text(max_size=3)), max_size=8).map("".join)
# The same without what every field refuses (C0, DEL, surrogates): free text must be delivered then.
_REFUSED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
TEXT = HOSTILE.map(lambda text: _REFUSED.sub("", text))

INVITATION = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nDESCRIPTION:{}\r\nEND:VCALENDAR\r\n"

# Every text that a user can set, and how. Free text takes every character; the others have a grammar of their own.
FREE: dict[str, Callable[[str], dict[str, Any]]] = {
    "subject": lambda value: {"subject": value},
    "text": lambda value: {"text": value},
    "html": lambda value: {"html": value},
    "from name": lambda value: {"from_": Address("ada@example.com", name=value)},
    "to name": lambda value: {"to": Address("bob@example.org", name=value)},
    "cc name": lambda value: {"cc": Address("cat@example.org", name=value)},
    "reply-to name": lambda value: {"reply_to": Address("dan@example.org", name=value)},
    "sender name": lambda value: {"sender": Address("eve@example.com", name=value)},
    "header": lambda value: {"headers": {"X-Campaign": value}},
    "attached text": lambda value: {"attachments": Attachment.from_text(value, "a.txt")},
}
BOUND: dict[str, Callable[[str], dict[str, Any]]] = {
    "amp": lambda value: {"html": "<p>", "amp": f"<html ⚡4email>{value}"},
    "calendar": lambda value: {"calendar": Calendar(INVITATION.format(value))},
    "filename": lambda value: {"attachments": Attachment.from_bytes(b"x", value, "text/plain")},
    "media type": lambda value: {"attachments": Attachment.from_bytes(b"x", "a.txt", f"text/plain; x={value}")},
    "content id": lambda value: {"html": "<p>", "attachments": Attachment.from_bytes(b"x", "a.png", content_id=value)},
    "header name": lambda value: {"headers": {f"X-{value}": "1"}},
    "message id": lambda value: {"message_id": value},
    "in-reply-to": lambda value: {"in_reply_to": value},
    "references": lambda value: {"references": ["1@example.com", value]},
    "list-unsubscribe": lambda value: {"list_unsubscribe": ListUnsubscribe(f"https://example.com/{value}")},
    "from": lambda value: {"from_": f"{value}@example.com"},
    "to, local part": lambda value: {"to": f"{value}@example.org"},
    "to, quoted": lambda value: {"to": f'"{value}"@example.org'},
    "to, domain": lambda value: {"to": f"bob@{value}.example.org"},
    "to, whole": lambda value: {"to": value},
    "cc": lambda value: {"cc": value},
    "bcc": lambda value: {"bcc": f'"{value}"@example.org'},
    "return path": lambda value: {"return_path": value},
    "envelope id": lambda value: {"options": {"smtp": {"envid": value}}},
    "original recipient": lambda value: {"options": {"smtp": {"orcpt": f"rfc822;{value}"}}},
}

# Each field of Message in whose text something could hide; those left out are no text, or for providers alone.
NO_TEXT_ON_THE_WIRE = {
    "date", "send_at", "tags", "metadata", "track_opens", "track_clicks", "template", "idempotency_key",
}  # fmt: skip

_NAMES = {
    "from_": "from", "sender": "sender", "to": "to", "cc": "cc", "reply_to": "reply-to", "subject": "subject",
    "in_reply_to": "in-reply-to", "references": "references", "list_unsubscribe": "list-unsubscribe",
}  # fmt: skip
_ALWAYS = {"date", "message-id", "mime-version", "content-type"}

_MAIL = re.compile(rb"MAIL FROM:<([^\r\n]*)>( SIZE=\d+)?( BODY=8BITMIME)?( SMTPUTF8)?( ENVID=[!-~]+)?")
_RCPT = re.compile(rb"RCPT TO:<([^\r\n]*)>( ORCPT=rfc822;[!-~]+)?")


def test_every_text_field_is_here() -> None:
    """A new field of Message that is not among those below makes this fail."""
    set_by = {name for way, make in ALL.items() for name in make(_harmless(way))}
    everything = {attribute.name for attribute in Message.__attrs_attrs__}  # type: ignore[attr-defined]
    assert everything == set_by | NO_TEXT_ON_THE_WIRE


def _expected_names(message: Message) -> list[str]:
    """Return the names of the header fields that a message has, by what is set in it."""
    names = {name for field, name in _NAMES.items() if getattr(message, field) not in {None, ()}}
    return sorted([*names, *_ALWAYS, *(name.lower() for name, _ in message.headers)])


def _expected_parts(message: Message) -> int:
    """Return how many leaves a message has: its bodies and its attachments."""
    bodies = [message.text, message.html, message.amp, message.calendar]
    return max(1, sum(body is not None for body in bodies) + len(message.attachments))


def _assert_only_our_structure(server: SMTPServer, message: Message) -> None:
    envelope = Envelope.from_message(message)
    record = server.connections[-1]
    assert server.violations == ()
    # Commands: as many as the envelope has, each of its own form, each with the path that the envelope has.
    greeting, mail, *rcpts, content = [line for line in record.commands if line != b"QUIT"]
    assert re.fullmatch(rb"EHLO [!-~]+", greeting)
    heard_mail = _MAIL.fullmatch(mail)
    assert heard_mail is not None
    assert heard_mail[1].decode() == (envelope.mail_from.addr_spec if envelope.mail_from else "")
    heard = [_RCPT.fullmatch(line) for line in rcpts]
    assert [match and match[1].decode() for match in heard] == [path.addr_spec for path in envelope.rcpt_to]
    raw = server.messages[-1].data
    assert content == b"BDAT %d LAST" % len(raw)
    # Header: read by hand, line by line, as the strictest and the most lenient reader would.
    header = raw.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", header)
    assert not re.search("[\x80-\x9f\u2028\u2029]", header.decode())
    names = [line.partition(b":")[0].decode().lower() for line in header.split(b"\r\n") if line[:1] not in b" \t"]
    assert [name for name in sorted(names) if name != "content-transfer-encoding"] == _expected_names(message)
    # Parts: as many leaves as were given.
    leaves = [part for part in message_from_bytes(raw, policy=policy.compat32).walk() if not part.is_multipart()]
    assert len(leaves) == _expected_parts(message)
    assert b"\0" not in raw
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)


@pytest.fixture(scope="module")
def server() -> Any:
    """One server for all examples."""
    with SMTPServer(without=("BINARYMIME",)) as running:
        yield running


def _deliver(server: SMTPServer, **fields: Any) -> Message:
    given = {"from_": "ada@example.com", "to": "bob@example.org", "message_id": "1@example.com", **fields}
    message = Message(**given)
    with Mailer(server.url, retry=RetryPolicy.none()) as mailer:
        mailer.send(message)
    return message


ALL = {**FREE, **BOUND}


@pytest.mark.parametrize("way", ALL)
def test_a_harmless_value_is_delivered_everywhere(server: SMTPServer, way: str) -> None:
    """What is tested below is able to arrive: every field takes a value that means no harm."""
    _assert_only_our_structure(server, _deliver(server, **ALL[way](_harmless(way))))


def _harmless(way: str) -> str:
    whole = {"message id", "in-reply-to", "references", "to, whole", "cc", "return path"}
    return "a@example.com" if way in whole else "a"


@pytest.mark.parametrize("way", ALL)
@given(value=st.one_of(HOSTILE, TEXT))
@example("Hi\r\nBcc: evil@evil.test")
@example("=?utf-8?q?=22=0D=0AX-Injected:1?=.txt")
@example("a> SIZE=1")
@example("嘊嘍Bcc: evil@evil.test")
@example("\n.\r\nMAIL FROM:<e@evil.test>")
def test_one_hostile_field_is_refused_or_stays_data(server: SMTPServer, way: str, value: str) -> None:
    """Whatever stands in any field: an error of ours, or the commands, fields and parts of a harmless message."""
    refusal: MessageError | None = None
    message: Message | None = None
    try:
        message = _deliver(server, **ALL[way](value))
    except MessageError as error:
        refusal = error
    if message is None:
        assert str(refusal).isprintable()
    else:
        _assert_only_our_structure(server, message)


@given(value=TEXT, way=st.sampled_from(sorted(FREE)))
def test_free_text_is_never_refused(server: SMTPServer, way: str, value: str) -> None:
    """What holds no control character is delivered, whatever it looks like: refusing it would be no answer."""
    _assert_only_our_structure(server, _deliver(server, **FREE[way](value)))


@given(values=st.fixed_dictionaries(dict.fromkeys(FREE, TEXT)))
def test_all_fields_at_once_stay_data(server: SMTPServer, values: dict[str, str]) -> None:
    """Hostile text in every field of one message does not add up to structure either."""
    fields: dict[str, Any] = {}
    for name, value in values.items():
        fields |= FREE[name](value)
    _assert_only_our_structure(server, _deliver(server, **fields))
