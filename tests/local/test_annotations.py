from __future__ import annotations

import email
import email.policy
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.envelope import Envelope
from mailkit.local.annotations import annotated
from mailkit.local.letter import Letter
from mailkit.message import Message, Template
from mailkit.mime import render


def _stored(message: Message, envelope: Envelope | None = None) -> bytes:
    complete = message.completed()
    rendered = render(complete, smtputf8=True)
    letter = Letter(
        envelope=envelope or Envelope.from_message(complete),
        message=complete,
        message_id=rendered.message_id,
        size=rendered.size,
        blocks=rendered.iter_bytes,
    )
    return b"".join(annotated(letter))


def _fields(message: Message, envelope: Envelope | None = None) -> list[tuple[str, str]]:
    parsed = email.message_from_bytes(_stored(message, envelope), EmailMessage, policy=email.policy.default)
    return [
        (name.removeprefix("X-Mailkit-"), str(value)) for name, value in parsed.items() if name.startswith("X-Mailkit-")
    ]


def _message(**fields: Any) -> Message:
    return Message(from_="ada@example.com", to="bob@example.org", text="Hi", **fields)


def test_a_message_that_says_all_in_its_fields_is_stored_as_it_is() -> None:
    """Where RFC 5322 can say everything, the stored octets are those of ``as_bytes``."""
    message = _message().completed()
    assert _stored(message) == message.as_bytes()


def test_bcc_recipients_are_counted_and_not_named() -> None:
    """A stored message tells how many Bcc recipients there were, and nothing of who they were."""
    message = _message(bcc=["archive@example.net", "eve@example.net"])
    assert _fields(message) == [("Blind-Recipients", "2")]
    assert b"example.net" not in _stored(message)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"return_path": ""}, [("Mail-From", "<>")]),
        ({"return_path": "bounces@example.com"}, [("Mail-From", "<bounces@example.com>")]),
        ({"sender": "secretary@example.com"}, []),
        ({"tags": ["a", "größe"]}, [("Tag", "a"), ("Tag", "größe")]),
        ({"track_opens": True, "track_clicks": False}, [("Track-Opens", "on"), ("Track-Clicks", "off")]),
        ({"idempotency_key": "k-1"}, [("Idempotency-Key", "k-1")]),
        (
            {"send_at": datetime(2026, 12, 24, 18, 0, tzinfo=UTC)},
            [("Send-At", "2026-12-24T18:00:00+00:00")],
        ),
        ({"metadata": {"k": "ü"}}, [("Metadata", r'{"k": "\u00fc"}')]),
        ({"template": Template("welcome", {"n": 1})}, [("Template", '{"id": "welcome", "data": {"n": 1}}')]),
        ({"options": {"postmark": {"Tag": "x"}}}, [("Options", '{"postmark": {"Tag": "x"}}')]),
    ],
)
def test_what_rfc_5322_cannot_say_is_written_above(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Everything that a provider would be told stands in a field of its own, and nothing else does."""
    assert _fields(_message(**fields)) == expected


def test_an_envelope_of_its_own_is_written_down() -> None:
    """Where the envelope is not what the header implies, as after a redirection, the stored message says so."""
    fields = _fields(
        _message(cc="cleo@example.org"), Envelope("ada@example.com", ["dev@example.net", "bob@example.org"])
    )
    assert fields == [("Blind-Recipients", "1"), ("Not-Sent-To", "<cleo@example.org>")]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5), st.text(max_size=40) | st.none() | st.integers(-(2**63), 2**64 - 1), max_size=3
    )
)
def test_structured_values_read_back(options: dict[str, Any]) -> None:
    """Whatever JSON values a message carries, they are read back from the field as they were."""
    fields = dict(_fields(_message(options={"acme": options})))
    assert json.loads(fields["Options"]) == {"acme": options}


def test_prepared_octets_are_left_alone() -> None:
    """Nothing is written above what was given to ``send_raw``."""
    letter = Letter(
        envelope=Envelope("", "bob@example.org"),
        message=None,
        message_id="",
        size=1,
        blocks=lambda: iter([b"Subject: x\r\n\r\n"]),
    )
    assert b"".join(annotated(letter)) == b"Subject: x\r\n\r\n"
