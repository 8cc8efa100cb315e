"""The ledger of a mailing: what became of each row, written so that a run that ends anywhere can be taken up again.

A row is written down *before* its message is handed over (``begun``), and once more when it is known what became of it.
Whoever is begun and nothing else was in somebody's hands when the run ended: that message is in doubt, like one whose
answer was lost. Everybody else is done, or was never begun.

Written is not on the disk yet. A killed process loses nothing of what it wrote; a machine that loses its power loses
what was not synced. So the lines that may begin next are *reserved*, a block at a time and synced before the first of
them begins: after a restart of the machine, what is reserved and has left no trace is in doubt too. Outcomes are synced
once a second. A lost one leaves its row in doubt, never free to be sent to again.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from attrs import evolve, frozen

from mailkit.cli.ledger_file import LedgerError, LedgerFile
from mailkit.cli.recipients import InvalidRow
from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from mailkit.cli.recipients import Recipient

__all__ = ["Case", "CaseStatus", "Ledger"]

CaseStatus = Literal["begun", "accepted", "rejected", "deferred", "not_sent", "unknown"]
"""What is written of a row; all but ``begun`` are the statuses of a :class:`mailkit.RecipientResult`."""

RESERVED: Final = 200
"""Lines of the CSV file that one sync covers: so many are in doubt at most when the power fails."""

SYNC_EVERY: Final = 1.0  # seconds between two syncs of outcomes

_VERSION: Final = 1
_STATUSES: Final = frozenset(get_args(CaseStatus))
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@frozen(kw_only=True)
class Case:
    """A row that is not settled well.

    Args:
        line: Its line in the CSV file.
        key: The hash of the row.
        address: Who it is.
        status: What is known.
        text: What the other side said, or what went wrong.
    """

    line: int
    key: str
    address: str
    status: CaseStatus
    text: str = ""

    @property
    def is_in_doubt(self) -> bool:
        """Whether the message may have arrived."""
        return self.status in {"begun", "unknown"}


class Ledger:
    """What is known of each row of a mailing, and written down as it happens.

    Args:
        file: Where it is written.
    """

    def __init__(self, file: LedgerFile) -> None:
        self.path: Path = file.path
        self.identity: str = ""
        self.fingerprint: str = ""
        self.cases: dict[int, Case] = {}
        """What is not settled well, by line."""
        self._accepted: dict[int, str] = {}
        self._reserved: range = range(0)  # what a machine that broke down may have begun without a trace
        self._block: range = range(0)
        self._is_surveyed = False
        self._file = file

    @classmethod
    def begin(cls, path: Path, fingerprint: str) -> Ledger:
        """Make a new ledger.

        Raises:
            ConfigurationError: There is one of that name, or it cannot be made.
        """
        ledger = cls(LedgerFile.new(path))
        ledger._write_header(fingerprint)
        ledger._file.sync_name()
        return ledger

    @classmethod
    def resume(cls, path: Path, fingerprint: str) -> Ledger:
        """Open the ledger of an earlier run.

        Raises:
            ConfigurationError: There is none, somebody else uses it now, or it is no ledger.
        """
        ledger = cls(LedgerFile.open(path))
        try:
            ledger._load()
            if not ledger.identity:  # the run ended before it began
                ledger._write_header(fingerprint)
            else:
                ledger._file.write({"session": _now(), "boot": _boot()}, sync=True)
        except BaseException:
            ledger._file.close()
            raise
        return ledger

    # -- what is known -----------------------------------------------------------------------------------------------

    def status(self, recipient: Recipient) -> CaseStatus | None:
        """Return what is known of a row; None where nothing is.

        Raises:
            ConfigurationError: That line was another row when the ledger was written.
        """
        line = recipient.line
        case = self.cases.get(line)
        known = self._accepted.get(line) if case is None else case.key
        if known is None:
            return None
        if known != recipient.key:
            raise ConfigurationError(
                f"line {line} of the recipients is not the row that {self.path} tells of: rows may be appended, "
                "but those that are there have to stay; put the file back, or begin a ledger of its own"
            )
        return "accepted" if case is None else case.status

    def survey(self, recipients: Iterable[Recipient | InvalidRow]) -> int:
        """Look through all rows before anything is sent, and return how many of them were never begun.

        Raises:
            ConfigurationError: A line was another row when the ledger was written.
            MessageError: The rows cannot be read.
        """
        new = 0
        for recipient in recipients:
            if isinstance(recipient, InvalidRow) or self.status(recipient) is not None:
                continue
            if recipient.line in self._reserved:
                self._begun(recipient)
            else:
                new += 1
        self._is_surveyed = True
        return new

    def message_id_of(self, recipient: Recipient) -> str:
        """Return what is left of the @ in a row's Message-ID: the same in every run, so that all see one message."""
        return f"{self.identity}.{recipient.line}"

    # -- what happens ------------------------------------------------------------------------------------------------

    def note_begun(self, recipient: Recipient) -> None:
        """Write down that a message is about to be handed over.

        Raises:
            LedgerError: It cannot be written, so the message must not be handed over.
        """
        line = recipient.line
        if line not in self._block:
            self._block = range(line, line + RESERVED)
            self._file.write({"reserved": [self._block.start, self._block.stop]}, sync=True)
        self._begun(recipient)

    def _begun(self, recipient: Recipient) -> None:
        line, address = recipient.line, recipient.address.addr_spec
        self._file.write({"line": line, "key": recipient.key, "to": address, "status": "begun"})
        self.cases[line] = Case(line=line, key=recipient.key, address=address, status="begun")

    def note(self, recipient: Recipient, status: CaseStatus, text: str = "", **details: object) -> None:
        """Write down what became of a message that was begun.

        Raises:
            LedgerError: It cannot be written.
        """
        said = {name: value for name, value in (("text", text), *details.items()) if value}
        self._file.write({"line": recipient.line, "status": status, "at": _now(), **said})
        self._settle(recipient.line, status, text)
        if time.monotonic() - self._file.synced_at >= SYNC_EVERY:
            self._file.sync()

    def close(self) -> None:
        """Say that the run has ended by itself, and close the file."""
        try:
            # Where the rows were not surveyed, what was reserved is still to be looked at; a full disk is known of.
            if self._is_surveyed and not self._file.is_full:
                self._file.write({"closed": _now()}, sync=True)
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with suppress(LedgerError):  # the error that is on its way says more
                self.close()

    # -- the file ----------------------------------------------------------------------------------------------------

    def _settle(self, line: int, status: CaseStatus, text: str) -> None:
        case = self.cases[line]
        if status == "accepted":
            self._accepted[line] = case.key
            del self.cases[line]
        else:
            self.cases[line] = evolve(case, status=status, text=text)

    def _write_header(self, fingerprint: str) -> None:
        self.identity, self.fingerprint = uuid.uuid4().hex, fingerprint
        header = {"ledger": _VERSION, "id": self.identity, "message": fingerprint, "begun": _now(), "boot": _boot()}
        self._file.write(header, sync=True)

    def _load(self) -> None:
        boot, reserved_in = None, None
        reserved, end = range(0), 0
        for number, (position, entry) in enumerate(self._file.entries(), 1):
            end = position
            try:
                if "boot" in entry:
                    boot = entry["boot"]
                    self._read_header(entry)
                elif "reserved" in entry:
                    reserved, reserved_in = range(*map(int, entry["reserved"])), boot
                elif "closed" in entry:
                    reserved = range(0)
                elif self.identity:
                    self._read_case(entry)
                else:
                    raise self._file.damaged(number)
            except (KeyError, TypeError, ValueError) as error:
                raise self._file.damaged(number) from error
        if reserved_in is None or reserved_in != _boot():
            self._reserved = reserved
        self._file.cut(end)

    def _read_header(self, entry: Mapping[str, Any]) -> None:
        if "ledger" in entry:
            if entry["ledger"] != _VERSION or self.identity:
                raise ValueError
            self.identity, self.fingerprint = str(entry["id"]), str(entry["message"])
        elif not self.identity:
            raise ValueError

    def _read_case(self, entry: Mapping[str, Any]) -> None:
        line, status = int(entry["line"]), entry["status"]
        if status not in _STATUSES:
            raise ValueError
        if status == "begun":
            self.cases[line] = Case(line=line, key=str(entry["key"]), address=str(entry["to"]), status="begun")
        else:
            self._settle(line, status, str(entry.get("text", "")))

    def _no_ledger(self, number: int) -> ConfigurationError:
        return ConfigurationError(f"{self.path} is no ledger, or damaged, in line {number}: name the right one")


def _boot() -> str | None:
    """Return what is another one after each restart of the machine, None where the system has no such thing."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
