from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.policies.letters import letter

from mailkit import Deduplicate, Mailer
from mailkit.local import MemoryTransport
from mailkit.policies import SQLiteDeduplicationStore

if TYPE_CHECKING:
    from pathlib import Path

_PROCESS = """
import sys
from mailkit import Deduplicate, Mailer, Message
from mailkit.local import MaildirTransport
from mailkit.policies import SQLiteDeduplicationStore
folder, way = sys.argv[1:]
messages = [
    Message(from_="ada@example.com", to="bob@example.org", subject=f"Number {n}", text="Hi", idempotency_key=f"key {n}")
    for n in range(15)
]
with SQLiteDeduplicationStore(folder + "/sent.db") as store:
    with Mailer(Deduplicate(MaildirTransport(folder + "/mail"), store=store)) as mailer:
        receipts = [mailer.send(each) for each in messages] if way == "send" else [
            each.receipt for each in mailer.send_many(messages)
        ]
print(sum(each.attempts for each in receipts), len({each.message_id for each in receipts}))
"""


def test_processes_send_each_message_once(tmp_path: Path) -> None:
    """Three processes send the same fifteen messages at once; fifteen arrive, and each process has receipts."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path), way],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for way in ("send", "send_many", "send")
    ]
    printed = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in printed] == ["", "", ""]
    attempts, ids = zip(*[map(int, output.split()) for output, _ in printed], strict=True)
    assert sum(attempts) == 15
    assert ids == (15, 15, 15)
    assert len(list((tmp_path / "mail").rglob("*.*"))) == 15


def test_it_outlives_the_process(tmp_path: Path) -> None:
    """What one store kept another one finds, and no address, key or text is in the file."""
    path, memory = tmp_path / "sent.db", MemoryTransport()
    message = letter(idempotency_key="order-of-bob-17", text="a secret")
    for attempts in (1, 0):
        with SQLiteDeduplicationStore(path) as store, Mailer(Deduplicate(memory, store=store)) as mailer:
            assert mailer.send(message).attempts == attempts
            assert repr(store) == f"SQLiteDeduplicationStore({str(path)!r})"
    assert len(memory.outbox) == 1
    content = path.read_bytes()
    for secret in (b"bob", b"order", b"secret", b"Number"):
        assert secret not in content
