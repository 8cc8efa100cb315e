"""Hostile inputs end in an error before any octet is sent, or are delivered as what they are, with nothing injected.

Each goes in twice: as a user would give it, and past the checks of Message and Attachment, straight to the writer.
"""

from __future__ import annotations

import base64
import email.policy
import json
import re
from email import message_from_bytes
from pathlib import Path
from typing import Any

import fast_mail_parser
import pytest

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.attachment_source import MemorySource
from mailkit.errors import MessageError
from mailkit.message import Message
from mailkit.mime import Rendered, render

HERE = Path(__file__).parent
BAD: list[dict[str, Any]] = json.loads((HERE / "bad_inputs.json").read_text("utf-8"))
GOOD: list[dict[str, Any]] = json.loads((HERE / "good_controls.json").read_text("utf-8"))

BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
# How servers that are not strict find the end of the data (CVE-2023-51764 and its kin).
ENDS = (rb"\n\.\n", rb"\n\.\r\n", rb"\r\n\.\n", rb"\r\.\r", rb"\r\.\r\n", rb"\r\n\.\r", rb"\r\n\.\r\n")


def value_of(row: dict[str, Any]) -> Any:
    """Return what a row puts in."""
    if row["enc"] == "b64":
        return base64.b64decode(row["input"])
    if row["enc"] == "gen":
        given = row["input"]
        return given.get("prefix", "") + given["repeat"] * given["n"] + given.get("suffix", "")
    return row["input"]


def attached(name: str, value: Any) -> Message:
    """Build a message with one attachment."""
    fields: dict[str, Any] = {"filename": "a.txt", "media_type": "text/plain", name: value}
    data = fields.pop("data", b"data")
    return Message(from_="a@example.com", text="text", attachments=[Attachment.from_bytes(data, **fields)])


def build(field: str, value: Any) -> Message:  # noqa: PLR0911 - a table
    """Build a message as a user would."""
    if field.startswith("header:"):
        return Message(from_="a@example.com", text="text", headers={field.removeprefix("header:"): value})
    match field:
        case "header-name":
            return Message(from_="a@example.com", text="text", headers={value: "value"})
        case "subject":
            return Message(from_="a@example.com", text="text", subject=value)
        case "from_name":
            return Message(from_=Address("a@example.com", name=value), text="text")
        case "text_body":
            return Message(from_="a@example.com", text=value)
        case "charset":
            return Message(from_="a@example.com", attachments=[Attachment.from_text("x", "a.txt", charset=value)])
        case "boundary":
            return Message(from_="a@example.com", text="text", html="html")
        case "content_type":
            return attached("media_type", value)
        case "attachment_bytes":
            return attached("data", value)
        case _:
            return attached(field, value)


def build_unchecked(field: str, value: Any) -> Message | None:
    """Build the same past every check of the values."""
    message = Message(from_="a@example.com", text="text")
    if field == "header-name":
        return force(message, headers=((value, "value"),))
    if field.startswith("header:"):
        return force(message, headers=((field.removeprefix("header:"), value),))
    if field in {"subject", "text_body"}:
        return force(message, **{field.removesuffix("_body"): value})
    if field in {"content_type", "content_id", "filename", "disposition"}:
        attachment = Attachment(MemorySource(b"data"), filename="a.txt", media_type="text/plain")
        name = {"content_type": "media_type"}.get(field, field)
        return force(message, attachments=(force(attachment, **{name: value}),))
    return None


def force(frozen: Any, **values: Any) -> Any:
    """Set fields past every check."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
    return frozen


def rendered(field: str, value: Any, message: Message, *, eight_bit: bool = False) -> Rendered:
    """Write a message, with the boundary that a row gives."""
    boundary = (lambda: value) if field == "boundary" else None
    return render(message, eight_bit=eight_bit, boundary=boundary)


def assert_harmless(raw: bytes) -> None:
    """Nothing in it is structure that we have not written."""
    assert not BARE.search(raw)
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    # Dots at the beginning of a line are doubled by SMTP, after which there is no end of data in it for
    # anybody.
    stuffed = re.sub(rb"(?m)^\.", b"..", raw)
    assert not any(re.search(end, stuffed) for end in ENDS)
    for policy in (email.policy.default, email.policy.compat32):
        parsed = message_from_bytes(raw, policy=policy)
        names = [name.lower() for part in parsed.walk() for name in part.keys()]  # noqa: SIM118 - it is no dict
        assert not {"x-injected", "x", "bcc", "resent-bcc"} & set(names)
        assert len(list(parsed.walk())) <= 3
    tree = fast_mail_parser.parse_email_tree(raw)
    names = [name.lower() for part in fast_mail_parser.walk(tree) for name in part.headers]
    assert not {"x-injected", "x", "bcc", "resent-bcc"} & set(names)


def read_back(field: str, raw: bytes) -> list[Any]:
    """Return what the parsers make of a field."""
    old, new = message_from_bytes(raw), message_from_bytes(raw, policy=email.policy.default)
    rust = fast_mail_parser.parse_email(raw)
    match field:
        case "subject":
            return [new["Subject"], rust.subject]
        case "from_name":
            return [new["From"].addresses[0].display_name, (rust.from_.display_name or "")]
        case "filename":
            parts = [list(parsed.walk())[-1] for parsed in (old, new)]
            return [*[part.get_filename() for part in parts], rust.attachments[0].filename]
        case "attachment_bytes":
            parts = [list(parsed.walk())[-1] for parsed in (old, new)]
            return [*[part.get_payload(decode=True) for part in parts], rust.attachments[0].content]
        case "text_body":
            bodies = [parsed.get_payload(decode=True).decode() for parsed in (old, new)]
            return [body.replace("\r\n", "\n").removesuffix("\n") for body in (*bodies, rust.text_plain[0])]
        case _:
            return []


def expected_back(field: str, value: Any, message: Message) -> Any:
    """Return what they should make of it."""
    if field == "filename":
        return message.attachments[0].filename
    if field == "text_body":
        return value.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    return value


@pytest.mark.parametrize("row", BAD, ids=[row["id"] for row in BAD])
@pytest.mark.parametrize("eight_bit", [False, True])
def test_a_hostile_input_gets_what_it_deserves(row: dict[str, Any], eight_bit: bool) -> None:
    """It is refused where it has to be, and elsewhere refused or delivered as it is."""
    value = value_of(row)
    try:
        message = build(row["field"], value)
        raw = rendered(row["field"], value, message, eight_bit=eight_bit).as_bytes()
    except MessageError:
        assert "reject" in {row["expectation"], row.get("accept_also")}
        return
    assert "neutralise" in {row["expectation"], row.get("accept_also")}
    assert_harmless(raw)
    expected = expected_back(row["field"], value, message)
    *backs, rust = read_back(row["field"], raw) or [expected]
    assert all(back == expected for back in backs)
    # The parser in Rust takes a byte order mark for none of the text.
    assert rust == (expected.removeprefix("\ufeff") if isinstance(expected, str) else expected)


UNCHECKED = [row for row in BAD if build_unchecked(row["field"], value_of(row)) is not None]


@pytest.mark.parametrize("row", UNCHECKED, ids=[row["id"] for row in UNCHECKED])
def test_the_writer_alone_lets_nothing_through(row: dict[str, Any]) -> None:
    """Had the values never been checked, the writer would still write no structure that a value has brought along."""
    message = build_unchecked(row["field"], value_of(row))
    assert message is not None
    try:
        raw = render(message, eight_bit=True).as_bytes()
    except MessageError:
        return
    assert_harmless(raw)


@pytest.mark.parametrize("row", GOOD, ids=[row["id"] for row in GOOD])
def test_an_unusual_input_is_delivered(row: dict[str, Any]) -> None:
    """Nothing is refused only because it is unusual."""
    value = value_of(row)
    message = build(row["field"], value)
    raw = rendered(row["field"], value, message).as_bytes()
    assert_harmless(raw)
    for back in read_back(row["field"], raw):
        assert back == expected_back(row["field"], value, message)
