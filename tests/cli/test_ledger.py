from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from mailkit.address import Address
from mailkit.cli import ledger as module
from mailkit.cli.ledger import Ledger
from mailkit.cli.ledger_file import LedgerError
from mailkit.cli.recipients import InvalidRow, Recipient
from mailkit.cli.sysexits import INPUT_OUTPUT, exit_status
from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def _row(line: int, key: str | None = None) -> Recipient:
    return Recipient(line=line, address=Address(f"user{line}@example.org"), values={}, key=key or f"key{line}")


ROWS = [_row(line) for line in range(2, 10)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is."""
    return tmp_path / "guests.csv.ledger"


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose content changes when the machine starts again."""
    file = tmp_path / "boot_id"
    file.write_text("first\n")
    monkeypatch.setattr(module, "_BOOT_ID", file)
    return file


def _break_off(ledger: Ledger) -> None:
    """End the run as a kill does: nothing more is written."""
    ledger._file.close()


def _statuses(ledger: Ledger) -> dict[int, str | None]:
    return {row.line: ledger.status(row) for row in ROWS}


def test_what_was_written_is_known_to_the_next_run(path: Path) -> None:
    """Whoever was begun and nothing else is in doubt, the others are what they became or were never begun."""
    ledger = Ledger.begin(path, "message")
    ledger.survey(ROWS)
    for line in (2, 3, 4, 5, 6):
        ledger.note_begun(_row(line))
    ledger.note(_row(2), "accepted", "queued as 7", code=250)
    ledger.note(_row(3), "rejected", "no such user")
    ledger.note(_row(4), "unknown")
    ledger.note(_row(5), "deferred")
    _break_off(ledger)
    with Ledger.resume(path, "message") as resumed:
        assert resumed.survey([*ROWS, InvalidRow(line=10, reason="no @")]) == 3
        assert _statuses(resumed) == {
            2: "accepted", 3: "rejected", 4: "unknown", 5: "deferred", 6: "begun", 7: None, 8: None, 9: None,
        }  # fmt: skip
        assert [case.line for case in resumed.cases.values() if case.is_in_doubt] == [4, 6]
        assert resumed.cases[3].text == "no such user"
        assert resumed.identity == ledger.identity
        assert resumed.fingerprint == "message"


def test_a_message_has_one_id_in_all_runs(path: Path) -> None:
    """It hangs on the ledger and the line."""
    with Ledger.begin(path, "message") as ledger:
        ids = {ledger.message_id_of(row) for row in ROWS}
    with Ledger.resume(path, "message") as resumed:
        assert {resumed.message_id_of(row) for row in ROWS} == ids
    assert len(ids) == len(ROWS)


def test_only_its_owner_can_read_it(path: Path) -> None:
    """It has addresses in it."""
    Ledger.begin(path, "message").close()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("tail", [b'{"line": 3, "sta', b"\0" * 100, b"\0\n\0", b"{}garbage\n"])
def test_a_line_that_was_cut_off_never_happened(tail: bytes, path: Path) -> None:
    """Its row is in doubt, as it was before; what is written next is a line of its own."""
    ledger = Ledger.begin(path, "message")
    ledger.note_begun(_row(3))
    _break_off(ledger)
    with path.open("ab") as file:
        file.write(tail)
    with Ledger.resume(path, "message") as resumed:
        assert resumed.status(_row(3)) == "begun"
        resumed.note(_row(3), "accepted")
    with Ledger.resume(path, "message") as again:
        assert again.status(_row(3)) == "accepted"


@pytest.mark.parametrize("begun", ["", '{"ledger": 1, "id"'])
def test_a_run_that_ended_before_it_began_is_a_new_one(begun: str, path: Path) -> None:
    """An empty file knows nobody; what has half a first line may be anything, and is left alone."""
    path.write_text(begun)
    if begun:
        with pytest.raises(ConfigurationError, match="is no ledger, or damaged, in line 1"):
            Ledger.resume(path, "message")
    else:
        with Ledger.resume(path, "message") as ledger:
            assert ledger.survey(ROWS) == len(ROWS)
            assert ledger.fingerprint == "message"


@pytest.mark.parametrize(
    "content",
    [
        "name,email\nBob,bob@example.org\n",
        '{"line": 2, "status": "accepted"}\n',
        '{"session": "2026-11-23", "boot": null}\n',
        '{"ledger": 2, "id": "x", "message": "y", "boot": null}\n',
        '{"ledger": 1, "boot": null}\n',
        '{"ledger": 1, "id": "x", "message": "y", "boot": null}\n{"line": 2, "status": "accepted"}\n',
        '{"ledger": 1, "id": "x", "message": "y", "boot": null}\n{"line": 2, "status": "lost", "key": "k"}\n',
        '{"ledger": 1, "id": "x", "message": "y", "boot": null}\nrubbish\n{"reserved": [2, 202]}\n',
        '{"ledger": 1, "id": "x", "message": "y", "boot": null}\n{"reserved": 2}\n',
    ],
)
def test_what_is_no_ledger_is_refused_and_left_alone(content: str, path: Path) -> None:
    """Another file of that name, or a damaged one, is not written to."""
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="is no ledger, or damaged, in line"):
        Ledger.resume(path, "message")
    assert path.read_text() == content


def test_a_ledger_is_not_begun_twice(path: Path) -> None:
    """Nor resumed where there is none."""
    with pytest.raises(ConfigurationError, match="begin without --resume"):
        Ledger.resume(path, "message")
    Ledger.begin(path, "message").close()
    with pytest.raises(ConfigurationError, match="is there already: take that run up again with --resume"):
        Ledger.begin(path, "message")
    with pytest.raises(ConfigurationError, match="cannot make the ledger"):
        Ledger.begin(path / "below", "message")


def test_two_runs_at_once_are_refused(path: Path) -> None:
    """The second would send to the same people."""
    with Ledger.begin(path, "message"), pytest.raises(ConfigurationError, match="in use by another run"):
        Ledger.resume(path, "message")
    Ledger.resume(path, "message").close()


def test_another_row_in_the_place_of_one_is_refused(path: Path) -> None:
    """A file whose rows moved would be taken for one that was sent to."""
    with Ledger.begin(path, "message") as ledger:
        ledger.note_begun(_row(3))
        ledger.note(_row(3), "accepted")
        ledger.note_begun(_row(4))
    with Ledger.resume(path, "message") as resumed:
        for line in (3, 4):
            with pytest.raises(ConfigurationError, match=f"line {line} of the recipients is not the row"):
                resumed.survey([_row(line, key="other")])


def test_after_a_power_failure_what_was_reserved_is_in_doubt(path: Path, boot: Path) -> None:
    """Lines that the disk never saw count as begun, also in later runs; lines beyond the reserve were never begun."""
    ledger = Ledger.begin(path, "message")
    ledger.survey(ROWS)
    ledger.note_begun(_row(2))
    synced = path.read_bytes()
    ledger.note(_row(2), "accepted")
    ledger.note_begun(_row(3))
    _break_off(ledger)
    path.write_bytes(synced)
    boot.write_text("second\n")
    beyond = _row(2 + module.RESERVED)
    for _ in range(2):  # the second time, the machine has not stopped: what was found is written down
        with Ledger.resume(path, "message") as resumed:
            assert resumed.survey([*ROWS, beyond]) == 1
            assert set(_statuses(resumed).values()) == {"begun"}


def test_a_run_that_did_not_look_at_the_rows_forgets_no_reserve(path: Path, boot: Path) -> None:
    """Whoever resumes with the wrong file, and then with the right one, finds the same rows in doubt."""
    ledger = Ledger.begin(path, "message")
    ledger.survey(ROWS)
    ledger.note_begun(_row(2))
    _break_off(ledger)
    boot.write_text("second\n")
    Ledger.resume(path, "message").close()
    with Ledger.resume(path, "message") as resumed:
        assert resumed.survey(ROWS) == 0


def test_a_process_that_was_killed_leaves_only_the_begun_in_doubt(path: Path, boot: Path) -> None:
    """As long as the machine ran on, what was written is there."""
    ledger = Ledger.begin(path, "message")
    ledger.survey(ROWS)
    ledger.note_begun(_row(2))
    _break_off(ledger)
    with Ledger.resume(path, "message") as resumed:
        assert resumed.survey(ROWS) == len(ROWS) - 1


def test_where_restarts_cannot_be_told_the_reserve_is_in_doubt(path: Path, boot: Path) -> None:
    """A system without boot ids may have been restarted, unless the run ended by itself."""
    boot.unlink()
    ledger = Ledger.begin(path, "message")
    ledger.survey(ROWS)
    ledger.note_begun(_row(2))
    _break_off(ledger)
    with Ledger.resume(path, "message") as resumed:
        assert resumed.survey(ROWS) == 0
    path.unlink()
    with Ledger.begin(path, "message") as ledger:
        ledger.survey(ROWS)
        ledger.note_begun(_row(2))
    with Ledger.resume(path, "message") as resumed:
        assert resumed.survey(ROWS) == len(ROWS) - 1


def test_outcomes_are_synced_once_a_second_and_reserves_before_they_are_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reserve is on the disk before the first message of it goes out."""
    events: list[str] = []
    write, now = os.write, [0.0]
    monkeypatch.setattr(os, "fsync", lambda _: events.append("sync"))
    monkeypatch.setattr(os, "write", lambda fd, data: events.append(data[2:8].decode()) or write(fd, data))
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    ledger = Ledger.begin(path, "message")
    events.clear()
    for line in (2, 3):
        ledger.note_begun(_row(line))
    ledger.note(_row(2), "accepted")
    now[0] = 1.5
    ledger.note(_row(3), "accepted")
    assert events == ["reserv", "sync", 'line":', 'line":', 'line":', 'line":', "sync"]
    ledger.close()


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_stops_the_run(call: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be sent that cannot be written down; it is no OSError."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ledger = Ledger.begin(path, "message")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(LedgerError, match="No space left on device; nothing more is sent") as caught:
            ledger.note_begun(_row(2))
        ledger.survey(ROWS)
        with pytest.raises(KeyboardInterrupt), ledger:  # what is on its way says more
            raise KeyboardInterrupt
    assert exit_status(caught.value) == INPUT_OUTPUT
