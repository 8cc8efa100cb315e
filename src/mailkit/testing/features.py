"""For every feature that a transport may have, a message that needs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mailkit.attachment import Attachment
from mailkit.message import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FEATURES", "fields_that_need"]

_CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@example.com\r\n"
    "DTSTAMP:20260501T100000Z\r\nDTSTART:20260601T100000Z\r\nSUMMARY:Tea\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

# The fields of a message that has n of the feature.
_FIELDS: Final[Mapping[str, Callable[[int], dict[str, Any]]]] = {
    "html": lambda _: {"html": "<p>Hi"},
    "cc": lambda _: {"cc": "cleo@example.org"},
    "bcc": lambda _: {"bcc": "archive@example.net"},
    "reply_to": lambda count: {"reply_to": [f"help{number}@example.com" for number in range(count)]},
    "headers": lambda _: {"headers": {"X-Campaign": "q3"}},
    "threading": lambda _: {"in_reply_to": "1@example.com", "references": ["1@example.com"]},
    "sender": lambda _: {"sender": "secretary@example.com"},
    "return_path": lambda _: {"return_path": "bounces@example.com"},
    "list_unsubscribe": lambda _: {"list_unsubscribe": "https://example.com/u/1"},
    "attachments": lambda _: {"attachments": [Attachment.from_bytes(b"%PDF-1.7", "report.pdf")]},
    "inline": lambda _: {"attachments": [Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo")]},
    "amp": lambda _: {"amp": "<!doctype html><html ⚡4email><body>Hi</body></html>"},
    "calendar": lambda _: {"calendar": _CALENDAR},
    "smtputf8": lambda _: {"to": "jürgen@example.org"},
    "tags": lambda count: {"tags": [f"tag{number}" for number in range(count)]},
    "metadata": lambda count: {"metadata": {f"key{number}": "value" for number in range(count)}},
    "track_opens": lambda _: {"track_opens": True},
    "track_clicks": lambda _: {"track_clicks": False},
    "send_at": lambda _: {"send_at": datetime.now(UTC) + timedelta(hours=1)},
    # Most providers' templates bring subject and text along, and refuse others beside them.
    "template": lambda _: {"template": Template("welcome", {"name": "Bob"}), "subject": None, "text": None},
}

FEATURES: Final = tuple(_FIELDS)
"""The features, but for ``raw``, which is no message's."""


def fields_that_need(feature: str, count: int = 1) -> dict[str, Any]:
    """Return the fields of a message that needs a feature.

    Args:
        feature: Its name in :class:`mailkit.Capabilities`.
        count: How many, of what can be counted.
    """
    return _FIELDS[feature](count)
