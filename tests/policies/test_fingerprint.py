from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.policies.letters import letter

from mailkit import Attachment, Message, MessageError
from mailkit.policies.fingerprint import digest, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = Message(
    from_="ada@example.com",
    to="bob@example.org",
    subject="Hello",
    options={"acme": {"b": 1, "a": [2]}},
    attachments=[Attachment.from_bytes(b"data", "a.bin")],
)


@pytest.mark.parametrize(
    "changes",
    [
        {"date": datetime(2026, 5, 2, tzinfo=UTC)},
        {"message_id": "1@example.com"},
        {"options": {"acme": {"a": [2], "b": 1}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_same_message_has_the_same_fingerprint(changes: dict[str, Any]) -> None:
    """Its Date, its Message-ID and the order of its options make no difference."""
    assert fingerprint(MESSAGE.evolve(**changes)) == fingerprint(MESSAGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Bye"},
        {"to": "eve@example.org"},
        {"bcc": "eve@example.org"},
        {"text": ""},
        {"headers": {"X-A": "b"}},
        {"options": {"acme": {"a": [2], "b": 2}}},
        {"attachments": [Attachment.from_bytes(b"date", "a.bin")]},
        {"attachments": [Attachment.from_bytes(b"data", "b.bin")]},
        {"attachments": []},
    ],
    ids=str,
)
def test_another_message_has_another_one(changes: dict[str, Any]) -> None:
    """Whatever is said otherwise makes it another message."""
    assert fingerprint(MESSAGE.evolve(**changes)) != fingerprint(MESSAGE)


def test_a_file_is_read(tmp_path: Path) -> None:
    """What a file says counts, wherever it lies; one that has gone is an error."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"data")
    message = MESSAGE.evolve(attachments=[Attachment.from_path(path)])
    assert fingerprint(message) == fingerprint(MESSAGE)
    path.unlink()
    with pytest.raises(MessageError):
        fingerprint(message)


def test_digests_tell_parts_apart() -> None:
    """Where one part ends and the next begins counts."""
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("a,b", "c")}) == 4
    assert "bob" not in digest("bob@example.org")
    assert fingerprint(letter(1)) != fingerprint(letter(2))
