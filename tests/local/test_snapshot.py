from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mailkit.attachment import Attachment
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError
from mailkit.local import MemoryTransport, Sent
from mailkit.local.snapshot import UPDATE, check_snapshot
from mailkit.mailer import Mailer
from mailkit.message import Message, Template

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = Message(
    from_="Ada Löve <ada@example.com>",
    to="bob@exämple.org",
    bcc="archive@example.net",
    subject="Grüße \u202e",
    text="Dear Bob,\r\nyour token is 8f3a.\r\n",
    html='<p>Dear Bob<img src="cid:logo">',
    attachments=[
        Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo"),
        Attachment.from_text("a;b", "Bericht für Ö.csv"),
    ],
    headers={"X-Campaign": "autumn"},
    list_unsubscribe="https://example.com/u/1",
)

SNAPSHOT = r"""MAIL FROM:<ada@example.com>
RCPT TO:<bob@xn--exmple-cua.org>
RCPT TO:<archive@example.net>

From: Ada Löve <ada@example.com>
To: bob@xn--exmple-cua.org
Subject: Grüße \u202e
Date: (a date)
Message-ID: <(an id)>
List-Unsubscribe: <https://example.com/u/1>
X-Campaign: autumn

--- multipart/mixed

--- 1 multipart/related

--- 1.1 multipart/alternative

--- 1.1.1 text/plain, charset=utf-8
Dear Bob,
your token is 8f3a.

--- 1.1.2 text/html, charset=utf-8
<p>Dear Bob<img src="cid:logo">

--- 1.2 image/png, inline, logo.png, cid:logo
(4 bytes, sha256 0f4636c78f65d363)

--- 2 text/plain, charset=utf-8, attachment, Bericht für Ö.csv
a;b
"""


def _sent(message: Message = MESSAGE) -> Sent:
    memory = MemoryTransport()
    Mailer(memory).send(message)
    return memory.outbox[0]


def _prepared(raw: bytes) -> Sent:
    memory = MemoryTransport()
    Mailer(memory).send_raw(raw, Envelope("", "bob@example.org"))
    return memory.outbox[0]


def test_a_snapshot_is_the_same_in_every_run() -> None:
    """All that recipients see, decoded, and nothing of what differs between two sends of one message."""
    assert _sent().snapshot() == _sent().snapshot() == SNAPSHOT


def test_any_change_that_somebody_sees_is_in_it() -> None:
    """Of an attached file its name and every byte."""
    changes = (
        {"to": "eve@example.net"}, {"bcc": ()}, {"subject": "Grüsse"}, {"text": "Dear Bob,"}, {"html": "<p>Dear Bob"},
        {"attachments": [Attachment.from_bytes(b"\x89PNg", "logo.png", content_id="logo")]},
        {"attachments": [Attachment.from_bytes(b"\x89PNG", "logo.png")]}, {"headers": {"X-Campaign": "winter"}},
        {"list_unsubscribe": "https://example.com/u/2"}, {"return_path": "bounces@example.com"},
    )  # fmt: skip
    assert len({SNAPSHOT, *[_sent(MESSAGE.evolve(**change)).snapshot() for change in changes]}) == len(changes) + 1


def test_what_only_providers_see_is_in_it() -> None:
    """Tags, metadata, templates and the like stand below the header, with the values that were given."""
    message = Message(
        from_="ada@example.com", to="bob@example.org", tags=["a", "b"], metadata={"stadt": "Köln"}, track_opens=False,
        send_at=datetime(2027, 1, 2, tzinfo=UTC), template=Template("welcome", {"name": "Bob"}), idempotency_key="7",
        options={"postmark": {"MessageStream": "news"}},
    )  # fmt: skip
    shown = re.findall(r"^\((\w+): (.*)\)$", _sent(message).snapshot(), re.MULTILINE)
    assert dict(shown) == {
        "tags": '["a", "b"]',
        "metadata": '{"stadt": "Köln"}',
        "track_opens": "false",
        "send_at": '"2027-01-02T00:00:00+00:00"',
        "template": '{"id": "welcome", "data": {"name": "Bob"}}',
        "idempotency_key": '"7"',
        "options": '{"postmark": {"MessageStream": "news"}}',
    }


def test_what_else_differs_can_be_replaced() -> None:
    """A text as it is, a pattern wherever it matches."""
    shown = _sent().snapshot(replace={re.compile(r"token is \w+"): "token is (a token)", "autumn": "(a season)"})
    assert "your token is (a token)." in shown
    assert "X-Campaign: (a season)" in shown


def test_an_attached_message_is_shown_like_the_one_around_it() -> None:
    """Its Date and Message-ID have stand-ins as well."""
    inner = Message(from_="eve@example.net", to="ada@example.com", subject="Inner", text="Hi")
    messages = [MESSAGE.evolve(html=None, attachments=[Attachment.from_message(inner.completed())]) for _ in range(2)]
    first, second = (_sent(message).snapshot() for message in messages)
    assert first == second
    assert first.endswith(
        "--- 2 message/rfc822, attachment\nFrom: eve@example.net\nTo: ada@example.com\nSubject: Inner\nDate: (a date)\n"
        "Message-ID: <(an id)>\n\n--- 2.1 text/plain, charset=utf-8\nHi\n"
    )


def test_prepared_octets_have_a_snapshot_as_well() -> None:
    """Also in a charset that nobody knows, and with the null reverse-path."""
    shown = _prepared(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHi\r\n").snapshot()
    assert shown == "MAIL FROM:<>\nRCPT TO:<bob@example.org>\n\nSubject: Grüße\n\n--- text/plain\nHi\n"
    shown = _prepared(b"Content-Type: text/plain; charset=x-klingon\r\n\r\nHi\r\n").snapshot()
    digest = hashlib.sha256(b"Hi\r\n").hexdigest()[:16]
    assert shown.endswith(f"--- text/plain, charset=x-klingon\n(4 bytes, sha256 {digest})\n")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snapshot is kept."""
    monkeypatch.delenv(UPDATE, raising=False)
    return tmp_path / "snapshots" / "welcome.txt"


def test_a_snapshot_is_written_only_when_somebody_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is missing fails the test, in continuous integration too."""
    with pytest.raises(AssertionError, match=r"there is no snapshot .*welcome\.txt yet: run once with MAILKIT_UPDATE"):
        _sent().assert_matches_snapshot(file)
    _sent().assert_matches_snapshot(file, update=True)
    assert file.read_bytes() == SNAPSHOT.encode()
    _sent().assert_matches_snapshot(file)
    monkeypatch.setenv(UPDATE, "0")
    with pytest.raises(AssertionError):
        _sent(MESSAGE.evolve(subject="New")).assert_matches_snapshot(file)
    monkeypatch.setenv(UPDATE, "1")
    with pytest.raises(AssertionError):
        _sent(MESSAGE.evolve(subject="New")).assert_matches_snapshot(file, update=False)
    _sent(MESSAGE.evolve(subject="New")).assert_matches_snapshot(file)
    assert "Subject: New\n" in file.read_text("utf-8")


def test_a_difference_is_shown_line_by_line(file: Path) -> None:
    """With what is kept, and what was sent."""
    _sent().assert_matches_snapshot(file, update=True, replace={"autumn": "x"})
    with pytest.raises(AssertionError) as caught:
        _sent(MESSAGE.evolve(text="Dear Eve,")).assert_matches_snapshot(file, replace={"autumn": "x"})
    told = str(caught.value)
    assert f"--- {file}\n+++ sent\n" in told
    assert "\n-Dear Bob,\n-your token is 8f3a.\n+Dear Eve,\n" in told
    assert "X-Campaign" not in told


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """And not an OSError."""
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot read the snapshot"):
        check_snapshot("x", tmp_path / "latin", update=False)
    with pytest.raises(ConfigurationError, match="cannot write the snapshot"):
        check_snapshot("x", tmp_path, update=True)
