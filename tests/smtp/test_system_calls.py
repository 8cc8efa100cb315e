"""What a warm send asks of the kernel: counted, not timed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mailkit import Mailer, Message
from mailkit.edge import stream
from mailkit.smtp import session
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    import pytest

LETTER = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


def test_a_warm_send_writes_once_and_asks_once_whether_the_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server offers CHUNKING, a message on an open connection is one write, after one look at the socket."""
    calls: Counter[str] = Counter()
    send, ready_now = stream.PlainChannel.send, stream.ready_now

    def counted_send(channel: stream.PlainChannel, data: memoryview) -> int:
        calls["send"] += 1
        return send(channel, data)

    def counted_look(fd: int) -> bool:
        calls["look"] += 1
        return ready_now(fd)

    monkeypatch.setattr(session, "DOUBTFUL_AFTER", float("inf"))  # however long this machine takes between two of them
    with SMTPServer() as server, Mailer(server.url) as mailer:
        mailer.send(LETTER)
        monkeypatch.setattr(stream.PlainChannel, "send", counted_send)
        monkeypatch.setattr(stream, "ready_now", counted_look)
        for _ in range(3):
            mailer.send(LETTER)
        assert calls == {"send": 3, "look": 3}
