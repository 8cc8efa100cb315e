"""What messages have in common for Amazon SES, and what a bulk request makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from mailkit import Attachment, Message, Template
from mailkit.envelope import Envelope
from mailkit.providers import SES
from mailkit.providers.batch import Item
from mailkit.providers.ses_bulk import bulk, in_common

_MESSAGE = Message(from_="ada@example.com", to="bob@example.org", template=Template("welcome", {"name": "Bob"}))


def _items(*messages: Message) -> list[Item]:
    transport = SES("KEY", secret="SECRET", region="eu-west-1")
    envelopes = [Envelope.from_message(message) for message in messages]
    return [
        Item(message, envelope, payload=transport.complete_payload(message, envelope))
        for message, envelope in zip(messages, envelopes, strict=True)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ["eve@example.org", "Cleo <cleo@example.org>"], "cc": "dan@example.org", "bcc": "fay@example.org"},
        {"template": Template("welcome", {"name": ["anything"]})},
        {"tags": ["a"]},
        {"metadata": {"plan": "pro"}},
        {"headers": {"X-A": "1"}},
        {"message_id": "1@example.com"},
    ],
)
def test_what_an_entry_says_for_itself(changes: dict[str, Any]) -> None:
    """Recipients, data, tags, metadata and header fields may differ, and are in the message's own entry alone."""
    other = _MESSAGE.evolve(**changes)
    assert in_common(other, {}) == in_common(_MESSAGE, {}) is not None
    request = bulk(_items(_MESSAGE, other))
    alone = bulk(_items(_MESSAGE))
    assert {**request, "BulkEmailEntries": []} == {**alone, "BulkEmailEntries": []}
    assert request["BulkEmailEntries"][0] == alone["BulkEmailEntries"][0]


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"template": None}, {}),
        ({"attachments": [Attachment.from_bytes(b"a", "a.txt")]}, {}),
        ({}, {"Content": {}}),
        ({}, {"ListManagementOptions": {}}),
        ({}, {"TenantName": "t", "Unheard": 1}),
    ],
)
def test_what_no_bulk_request_can_say(changes: dict[str, Any], options: dict[str, Any]) -> None:
    """Messages without a template, with attachments, or with options that bulk requests lack, go alone."""
    assert in_common(_MESSAGE.evolve(**changes), options) is None


def test_options_of_both_requests_are_shared() -> None:
    """An option that a bulk request has as well parts messages only where it differs."""
    assert in_common(_MESSAGE, {"TenantName": "a"}) == in_common(_MESSAGE, {"TenantName": "a"})
    assert in_common(_MESSAGE, {"TenantName": "a"}) != in_common(_MESSAGE, {"TenantName": "b"})
