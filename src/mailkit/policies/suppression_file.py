"""A suppression list in a text file, which somebody else writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import AddressError, ConfigurationError, DeliveryError
from mailkit.policies.entries import entry_key
from mailkit.policies.suppression_list import DEFAULT_REASON, reason_in

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from mailkit.address import Address

__all__ = ["FileSuppressionList"]

_COMMENT: Final = re.compile(r"(?:^|\s)#(.*)")


class FileSuppressionList:
    r"""A suppression list in a text file: one address, or ``@example.com`` for a domain, on each line, in UTF-8.

    What follows a ``#`` at the beginning of a line or after a space is a comment; behind an entry it is the reason. The
    file is read again when it has changed. While it cannot be read, or a line of it is wrong, nothing is sent.

    Example:
        >>> from pathlib import Path
        >>> from mailkit import Address
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "suppressed.txt")
        ...     _ = path.write_text("bob@example.org  # no such user\n@example.net\n", "utf-8")
        ...     FileSuppressionList(path).reasons([Address("bob@example.org"), Address("eve@example.org")])
        ['no such user', None]

    Args:
        path: The file. It has to be there when the first message is sent.

    Raises:
        ConfigurationError: It is no path.
    """

    blocks = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.path: Path = Path(path).absolute()
        except TypeError:
            msg = f"a suppression list was given as {type(path).__name__}: give the path of its file"
            raise ConfigurationError(msg) from None
        # One value, so that threads see either the old list or the new one.
        self._read: tuple[tuple[int, ...], dict[str, str]] = (), {}

    def reasons(self, addresses: Sequence[Address]) -> Sequence[str | None]:
        """Return why each address is suppressed, or None where it is not.

        Raises:
            DeliveryError: The file cannot be read, or a line of it is wrong.
        """
        try:
            status = self.path.stat()
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            seen, entries = self._read
            if seen != version:
                # Taken before the file is read: what is written meanwhile is read the next time.
                entries = self._parse(self.path.read_text("utf-8-sig").splitlines())
                self._read = version, entries
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            msg = f"the suppression list {self.path.name} cannot be read: {reason}; nothing was sent"
            raise DeliveryError(msg, outcome="not_sent", cause="configuration", phase="suppressed") from error
        return [reason_in(entries, address) for address in addresses]

    def _parse(self, lines: Iterable[str]) -> dict[str, str]:
        entries: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            comment = _COMMENT.search(line)
            entry = line if comment is None else line[: comment.start()]
            if not entry.strip():
                continue
            try:
                key = entry_key(entry)
            except AddressError:
                # What is wrong with it is not said: errors are logged, and this is somebody's address.
                msg = (
                    f"line {number} of the suppression list {self.path.name} is neither an address nor a domain after "
                    "an @: correct it; nothing was sent"
                )
                raise DeliveryError(msg, outcome="not_sent", cause="configuration", phase="suppressed") from None
            entries[key] = (comment[1].strip() if comment else "") or DEFAULT_REASON
        return entries

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSuppressionList) and (type(self), self.path) == (type(other), other.path)

    def __hash__(self) -> int:
        return hash((type(self), self.path))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)  # a copy reads the file by itself

    def __repr__(self) -> str:
        return f"FileSuppressionList({str(self.path)!r})"
