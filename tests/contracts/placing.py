"""One value in one place of a message, and what may be on the wire then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.contracts import reading

from mailkit.address import Address
from mailkit.attachment import Attachment
from mailkit.message import Message
from mailkit.mime import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.testing import SMTPServer

__all__ = ["BARE", "assert_nothing_injected", "build", "message_with"]

BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")

# What a field holds when it holds nothing hostile: the message around it is the same.
HARMLESS = {
    "subject": "Hello", "to_addr": "b@x.test", "from_addr": "a@x.test", "from_name": "Ada", "filename": "a.txt",
    "content_id": "logo", "content_type": "text/plain", "disposition": "attachment", "charset": "utf-8",
    "text_body": "Hi", "attachment_bytes": b"data",
}  # fmt: skip


def message_with(**fields: Any) -> Message:
    """Return a harmless message with these fields."""
    return Message(**{"from_": "a@x.test", "to": "b@x.test", "subject": "Hello", "text": "Hi", **fields})


def _attached(**fields: Any) -> Message:
    given = {"data": b"data", "filename": "a.txt", "media_type": "text/plain", **fields}
    return message_with(attachments=Attachment.from_bytes(**given))


def _bounded(value: str) -> Message:
    message = message_with(html="<p>").completed()
    render(message, boundary=lambda: value)  # no part of a message sets it: the writer alone can be given one
    return message


_PLACES: dict[str, Callable[[Any], Message]] = {
    "subject": lambda value: message_with(subject=value),
    "header-name": lambda value: message_with(headers={value: "v"}),
    "to_addr": lambda value: message_with(to=value),
    "from_addr": lambda value: message_with(from_=value),
    "from_name": lambda value: message_with(from_=Address("a@x.test", name=value)),
    "text_body": lambda value: message_with(text=value),
    "attachment_bytes": lambda value: _attached(data=value),
    "charset": lambda value: message_with(attachments=Attachment.from_text("x", "a.txt", charset=value)),
    "content_type": lambda value: _attached(media_type=value),
    "filename": lambda value: _attached(filename=value),
    "content_id": lambda value: _attached(content_id=value),
    "disposition": lambda value: _attached(disposition=value),
    "boundary": _bounded,
}


def build(field: str, value: Any) -> Message:
    """Build a message as a user would, with this value in this place."""
    if field.startswith("header:"):
        return message_with(headers={field.removeprefix("header:"): value})
    return _PLACES[field](value)


def _without_encodings(names: list[str]) -> list[str]:
    return [name for name in names if name != "content-transfer-encoding"]  # declared where it is needed


def assert_nothing_injected(server: SMTPServer, field: str) -> None:
    """On the wire there is what a harmless value would have caused: commands, header fields and parts."""
    assert server.wait_until(lambda server: server.connections[0].closed)
    assert server.violations == ()
    (record,), (received,) = server.connections, server.messages
    assert len(server.committed) == 1
    assert record.verbs == ("EHLO", "MAIL", "RCPT", "BDAT" if received.via == "BDAT" else "DATA", "QUIT")
    harmless = build(field, HARMLESS[field]).as_bytes()
    for found, expected in zip(reading.names(received.data), reading.names(harmless), strict=True):
        assert _without_encodings(found) == _without_encodings(expected)
    assert reading.part_counts(received.data) == reading.part_counts(harmless)
    assert not BARE.search(received.data)
    assert b"\0" not in received.data
    assert max(map(len, received.data.split(b"\r\n"))) <= 998
    header = received.data.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", header)
    assert not re.search(rb"\xc2\x85|\xe2\x80[\xa8\xa9]", header)
    assert b"\r\nbcc:" not in header.lower()
