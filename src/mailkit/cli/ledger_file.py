"""A file of JSON lines that is only ever appended to, by one process at a time, and may end anywhere."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, cast

from mailkit.errors import ConfigurationError, MailkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["LedgerError", "LedgerFile"]

_APPENDING: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)  # Windows would change line ends


class LedgerError(MailkitError):
    """The ledger cannot be written: nothing more may be sent, because nobody would know of it."""


class LedgerFile:
    """One file, locked while it is open.

    Args:
        path: The file.
        descriptor: It, opened for reading and appending.

    Raises:
        ConfigurationError: Somebody else uses it now.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.is_full: bool = False
        """Whether something could not be written."""
        self.synced_at: float = time.monotonic()
        self._descriptor = descriptor
        if not _locked(descriptor):
            os.close(descriptor)
            raise ConfigurationError(f"{path} is in use by another run: wait for its end")

    @classmethod
    def new(cls, path: Path) -> Self:
        """Make a file.

        Raises:
            ConfigurationError: There is one of that name, or it cannot be made.
        """
        try:
            descriptor = os.open(path, _APPENDING | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(
                f"{path} is there already: take that run up again with --resume, or name another file with --ledger"
            ) from None
        except OSError as error:
            raise ConfigurationError(f"cannot make the ledger {path}: {error.strerror}; name another") from None
        return cls(path, descriptor)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file that is there.

        Raises:
            ConfigurationError: There is none, or somebody else uses it now.
        """
        try:
            descriptor = os.open(path, _APPENDING)
        except OSError as error:
            raise ConfigurationError(
                f"cannot open the ledger {path}: {error.strerror}; name it with --ledger, or begin without --resume"
            ) from None
        return cls(path, descriptor)

    def write(self, entry: Mapping[str, object], *, sync: bool = False) -> None:
        """Append a line.

        Args:
            entry: What it says.
            sync: Whether it, and all before it, is to be on the disk afterwards.

        Raises:
            LedgerError: It cannot be written.
        """
        data = (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise self._not_written(error) from None
        if sync:
            self.sync()

    def sync(self) -> None:
        """See to it that all lines are on the disk.

        Raises:
            LedgerError: They cannot be written.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._not_written(error) from None
        self.synced_at = time.monotonic()

    def sync_name(self) -> None:
        """See to it that the file itself is found on the disk, where folders can be synced."""
        with suppress(OSError):  # not every system has folders that can be opened
            descriptor = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each line and where it ends; not the last one where it is cut off, and no trail of a crashed disk.

        Raises:
            ConfigurationError: There is something else in it.
        """
        position, broken = 0, 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, 1):
                entry: object = None
                if line.endswith(b"\n"):
                    with suppress(ValueError):
                        entry = json.loads(line)
                if not isinstance(entry, dict):
                    broken = broken or number
                    continue
                if broken:
                    raise self.damaged(broken)
                position += len(line)
                yield position, cast("dict[str, Any]", entry)
        if broken and not position:
            raise self.damaged(broken)

    def cut(self, end: int) -> None:
        """Leave out what is behind a position: the line in which a run ended, if it did."""
        os.ftruncate(self._descriptor, end)

    def close(self) -> None:
        """Close and unlock it."""
        os.close(self._descriptor)

    def damaged(self, number: int) -> ConfigurationError:
        """Return the error that says which line is none of a ledger's."""
        return ConfigurationError(f"{self.path} is no ledger, or damaged, in line {number}: name the right one")

    def _not_written(self, error: OSError) -> LedgerError:
        self.is_full = True
        return LedgerError(
            f"cannot write the ledger {self.path}: {error.strerror}; nothing more is sent. Make room, then go on with "
            "--resume"
        )


def _locked(descriptor: int) -> bool:
    """Lock a file until it is closed, by whatever ends the process."""
    try:
        if sys.platform == "win32":  # pragma: no cover - measured elsewhere
            import msvcrt

            os.lseek(descriptor, 1 << 40, os.SEEK_SET)  # far behind the end: a lock there keeps nobody from reading
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
