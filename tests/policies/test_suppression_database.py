from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

from mailkit import Address
from mailkit.policies import SQLiteSuppressionList

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BOB, EVE = Address("bob@example.org"), Address("eve@example.net")


def test_a_database_lasts(tmp_path: Path) -> None:
    """What one list wrote another one reads, a closed one opens again, and only its owner may look into the file."""
    path = tmp_path / "suppressed.db"
    first = SQLiteSuppressionList(path)
    first.add(BOB, "left")
    with SQLiteSuppressionList(str(path)) as second:
        assert second.reasons([BOB]) == ["left"]
        second.add(EVE)
    first.close()
    assert len(first) == 2
    first.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert repr(first) == f"SQLiteSuppressionList({str(path)!r})"


def test_threads_share_a_database(tmp_path: Path) -> None:
    """Eight threads add and ask at the same time, and none of it is lost."""
    errors: list[BaseException] = []
    with SQLiteSuppressionList(tmp_path / "suppressed.db") as suppressed:

        def work(thread: int) -> None:
            try:
                for number in range(20):
                    suppressed.add(f"user{thread}.{number}@example.org")
                    assert suppressed.reasons([Address(f"user{thread}.{number}@example.org")]) != [None]
            except BaseException as error:  # noqa: BLE001 - shown below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(suppressed) == 160


def test_a_forked_process_opens_a_connection_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's connections are neither used nor closed in the child."""
    with SQLiteSuppressionList(tmp_path / "suppressed.db") as suppressed:
        suppressed.add(BOB)
        pid = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: pid + 1)
        assert len(suppressed) == 1
        suppressed.close()
        monkeypatch.undo()
        assert len(suppressed) == 1
