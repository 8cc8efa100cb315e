"""Which of the three forms of SES a message takes, and what is in it."""

from __future__ import annotations

from base64 import b64decode
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, Final

import pytest

from mailkit import Attachment, Message, MessageError, Template
from mailkit.providers.ses_content import content_of, email_tags, tracking

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: Final = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi")
_STORED: Final = Message(from_="ada@example.com", to="bob@example.org", template=Template("welcome"))


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({}, "Simple"),
        ({"text": None, "html": "<p>Hi"}, "Simple"),
        ({"headers": {"X-A": "1" * 993}}, "Simple"),
        ({"headers": {"X-A": "1" * 994}}, "Raw"),
        ({"headers": [(f"X-{number}", "1") for number in range(15)]}, "Simple"),
        ({"headers": [(f"X-{number}", "1") for number in range(16)]}, "Raw"),
        ({"headers": {"X-A": "ä"}}, "Raw"),
        ({"sender": "eve@example.com"}, "Raw"),
        ({"amp": "<!doctype html><html ⚡4email><body>Hi</body></html>", "html": "Hi"}, "Raw"),
        ({"attachments": [Attachment.from_bytes(b"a", "a.txt")]}, "Raw"),
        ({"subject": None}, "Raw"),
        ({"text": None}, "Raw"),
    ],
)
def test_the_form(changes: Mapping[str, Any], form: str) -> None:
    """A message is Simple up to SES's own limits, and complete MIME beyond them."""
    assert list(content_of(_PLAIN.evolve(**changes))) == [form]


def test_raw_is_the_message() -> None:
    """Raw is the message as RFC 5322 has it, without its Bcc."""
    message = _PLAIN.evolve(sender="eve@example.com", bcc="archive@example.net")
    parsed = message_from_bytes(b64decode(content_of(message)["Raw"]["Data"], validate=True))
    assert (parsed["Subject"], parsed["Sender"], parsed["Bcc"]) == ("Hello", "eve@example.com", None)


def test_a_template_is_within_its_limits() -> None:
    """As much data as SES takes is sent; one character more, or a header field beyond ASCII, is an error."""
    room = 262_144 - len('{"a":""}')
    assert list(content_of(_STORED.evolve(template=Template("big", {"a": "x" * room})))) == ["Template"]
    for changes in ({"template": Template("big", {"a": "x" * (room + 1)})}, {"headers": {"X-A": "ä"}}):
        with pytest.raises(MessageError):
            content_of(_STORED.evolve(**changes))


def test_what_is_not_chosen_is_not_said() -> None:
    """No tags and no choice about tracking are nothing."""
    assert email_tags(_PLAIN) == []
    assert tracking(_PLAIN) == {}
    assert tracking(_PLAIN.evolve(track_opens=False)) == {"Tracking": {"OpenTrackingEnabled": "DISABLED"}}
