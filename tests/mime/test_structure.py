from __future__ import annotations

from typing import Any

import pytest

from mailkit.attachment import Attachment
from mailkit.message import Message
from mailkit.mime.content import Content
from mailkit.mime.structure import Leaf, Part, structure

INVITATION = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
LOGO = Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo")
LISTED_LOGO = Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo", disposition="attachment")
UNNAMED_LOGO = Attachment.from_bytes(b"\x89PNG", "logo.png", disposition="inline")
FILE = Attachment.from_bytes(b"%PDF", "a.pdf")


def tree(part: Part) -> Any:
    """Return the subtypes, nested as the parts are."""
    if isinstance(part, Leaf):
        return part.media_type.partition("/")[2]
    return (part.subtype, *[tree(inner) for inner in part.parts])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "plain"),
        ({"text": "x"}, "plain"),
        ({"html": "x"}, "html"),
        ({"calendar": INVITATION}, "calendar"),
        ({"text": "x", "html": "x"}, ("alternative", "plain", "html")),
        (
            {"text": "x", "html": "x", "amp": "x", "calendar": INVITATION},
            ("alternative", "plain", "x-amp-html", "html", "calendar"),
        ),
        ({"attachments": [FILE]}, ("mixed", "pdf")),
        ({"text": "x", "attachments": [FILE]}, ("mixed", "plain", "pdf")),
        ({"html": "x", "attachments": [LOGO]}, ("related", "html", "png")),
        (
            {"text": "x", "html": "x", "attachments": [FILE, LOGO]},
            ("mixed", ("related", ("alternative", "plain", "html"), "png"), "pdf"),
        ),
        ({"text": "x", "attachments": [LOGO]}, ("mixed", "plain", "png")),
        ({"html": "x", "attachments": [LISTED_LOGO]}, ("mixed", "html", "png")),
        ({"html": "x", "attachments": [UNNAMED_LOGO]}, ("mixed", "html", "png")),
    ],
)
def test_parts_are_nested(fields: dict[str, Any], expected: Any) -> None:
    """mixed(related(alternative)), each level only where it has two things to hold."""
    assert tree(structure(Message(**fields), eight_bit=False, binary=False)) == expected


@pytest.mark.parametrize(
    ("text", "eight_bit", "binary", "encoding"),
    [
        ("x", True, False, "7bit"),
        ("é", False, False, "7bit"),
        ("é", True, False, "8bit"),
        ("x", True, True, "binary"),
        ("é", True, True, "binary"),
    ],
)
def test_a_multipart_asks_for_what_its_parts_ask(text: str, eight_bit: bool, binary: bool, encoding: str) -> None:
    """RFC 2045 §6.4: its own encoding is the widest of theirs."""
    message = Message(text=text, html="x", attachments=[FILE, LOGO])
    assert structure(message, eight_bit=eight_bit, binary=binary).encoding == encoding


def test_an_invitation_names_its_method() -> None:
    """The parameter is what makes Outlook and Gmail show their buttons."""
    part = structure(Message(calendar=INVITATION), eight_bit=False, binary=False)
    assert isinstance(part, Leaf)
    assert "Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n" in part.header


@pytest.mark.parametrize(
    ("data", "eight_bit", "binary", "header"),
    [
        (b"Subject: x\n\nhi", False, False, "message/rfc822 7bit"),
        (b"Subject: \xe9\n\nhi", True, False, "message/rfc822 8bit"),
        (b"Subject: \xe9\n\nhi", False, False, "application/octet-stream base64 message.eml"),
        (b"Subject: x\n\n\0", True, False, "application/octet-stream base64 message.eml"),
        (b"Subject: \xe9\n\nhi", True, True, "message/rfc822 binary"),
    ],
)
def test_an_attached_message_is_never_encoded(data: bytes, eight_bit: bool, binary: bool, header: str) -> None:
    """RFC 2046 §5.2.1; where it cannot go out so, it becomes a file that every mail program opens."""
    kind, encoding, *name = header.split()
    message = Message(attachments=[Attachment.from_message(data)])
    multipart = structure(message, eight_bit=eight_bit, binary=binary)
    assert not isinstance(multipart, Leaf)
    [part] = multipart.parts
    assert isinstance(part, Leaf)
    assert (part.media_type, part.encoding) == (kind, encoding)
    assert all(f'filename="{one}"' in part.header for one in name)
    assert isinstance(part.content, Content)
    assert len(b"".join(part.content.iter_blocks())) == part.content.size


def test_a_message_beyond_ascii_in_its_header_may_be_encoded() -> None:
    """RFC 6532 §3.7 allows it for message/global."""
    attachment = Attachment.from_bytes(b"x", "a.u8msg", "message/global")
    multipart = structure(Message(attachments=[attachment]), eight_bit=False, binary=False)
    assert not isinstance(multipart, Leaf)
    assert multipart.parts[0].encoding == "base64"
