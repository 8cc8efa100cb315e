"""The recipients of a mailing: a CSV file, a row each, read as often as needed and never kept."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from mailkit.address import Address
from mailkit.errors import AddressError, MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["InvalidRow", "Recipient", "Recipients"]

_SEPARATORS: Final = ";\t|"


@frozen(kw_only=True)
class Recipient:
    """One row.

    Args:
        line: The line of the file on which it ends.
        address: Who it is.
        values: Every column.
        key: A hash of the whole row: two rows with one key say the same.
    """

    line: int
    address: Address
    values: Mapping[str, str] = field(repr=False)
    key: str


@frozen(kw_only=True)
class InvalidRow:
    """One row that nobody can be sent to.

    Args:
        line: The line of the file on which it ends.
        reason: Why.
    """

    line: int
    reason: str


@frozen
class Recipients:
    """A CSV file whose first row names the columns (RFC 4180), in UTF-8.

    Args:
        path: The file.
        delimiter: What is between two columns.
        email: The column of the address.
        name: The column of the display name; there need not be one.
    """

    path: Path
    delimiter: str = ","
    email: str = "email"
    name: str = "name"

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns.

        Raises:
            MessageError: The file cannot be read, or they make no sense.
        """
        for columns, _, _ in self._records():
            return columns
        raise MessageError(f"{self.path} is empty: its first row has to name the columns, of which one is {self.email}")

    def __iter__(self) -> Iterator[Recipient | InvalidRow]:
        """Read the rows.

        Raises:
            MessageError: The file cannot be read, or is no CSV.
        """
        for columns, line, record in self._records():
            if record is None:
                continue
            if len(record) != len(columns):
                yield InvalidRow(line=line, reason=f"the row has {len(record)} columns, not {len(columns)}")
                continue
            values = dict(zip(columns, record, strict=True))
            try:
                address = Address(values[self.email].strip(), name=values.get(self.name, "").strip())
            except AddressError as error:
                yield InvalidRow(line=line, reason=str(error))
            else:
                key = hashlib.sha256("\0".join(record).encode("utf-8", "surrogatepass")).hexdigest()[:16]
                yield Recipient(line=line, address=address, values=values, key=key)

    def _records(self) -> Iterator[tuple[tuple[str, ...], int, list[str] | None]]:
        """Yield the columns with each row; first of all without one."""
        line = 0
        try:
            # "utf-8-sig": spreadsheets begin a file with a byte order mark.
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.reader(file, delimiter=self.delimiter, strict=True)
                columns: tuple[str, ...] | None = None
                for record in rows:
                    line = rows.line_num
                    if not record:
                        continue  # an empty line, as many files have at their end
                    if columns is None:
                        columns = self._checked(tuple([name.strip() for name in record]))
                        yield columns, line, None
                    else:
                        yield columns, line, record
        except OSError as error:
            raise MessageError(f"cannot read {self.path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise MessageError(f"{self.path} is not UTF-8 behind line {line}: save it as UTF-8") from None
        except csv.Error as error:
            raise MessageError(f"{self.path} is no CSV behind line {line}: {error}") from None

    def _checked(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        if self.email not in columns:
            hint = "name the column of the address with --email-column"
            for separator in _SEPARATORS:
                if len(columns) == 1 and separator in columns[0]:
                    hint = f"give the separator with --delimiter {separator!r}"
            raise MessageError(f"{self.path} has no column {self.email!r}, but {', '.join(map(repr, columns))}: {hint}")
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise MessageError(f"{self.path} has the column {min(twice)!r} twice: rename one")
        return columns
