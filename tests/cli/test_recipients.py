from __future__ import annotations

from pathlib import Path

import pytest

from mailkit.cli.recipients import InvalidRow, Recipient, Recipients
from mailkit.errors import MessageError


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "guests.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_each_row_is_a_recipient(tmp_path: Path) -> None:
    """A byte order mark, quotes, line breaks in a cell, empty lines, and spaces round an address are fine."""
    rows = '"Lovelace, Ada", ada@example.com ,"two\nlines"\r\n\r\n,eve@example.net,\r\n'
    path = _file(tmp_path, f"\ufeffname , email,note\r\n{rows}")
    ada, eve = Recipients(path)
    assert isinstance(ada, Recipient)
    assert isinstance(eve, Recipient)
    assert (ada.line, str(ada.address), ada.values["note"]) == (3, '"Lovelace, Ada" <ada@example.com>', "two\nlines")
    assert (eve.line, str(eve.address)) == (5, "eve@example.net")
    assert ada.key != eve.key
    assert Recipients(path).columns() == ("name", "email", "note")


def test_columns_and_their_separator_may_be_others(tmp_path: Path) -> None:
    """The address and the name come from the columns that are named."""
    path = _file(tmp_path, "wer;mail\nZoë;zoe@example.com\n")
    (zoe,) = Recipients(path, ";", "mail", "wer")
    assert isinstance(zoe, Recipient)
    assert str(zoe.address) == "Zoë <zoe@example.com>"


def test_a_row_s_key_is_all_that_it_says(tmp_path: Path) -> None:
    """It changes with any cell, and with where one ends."""
    rows = "email,a,b\nada@example.com,1,2\nada@example.com,12,\nada@example.com,1,2\n"
    keys = [row.key for row in Recipients(_file(tmp_path, rows)) if isinstance(row, Recipient)]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nobody,x", "no @"),
        (",x", "is not valid"),
        ("ada@example.com", "the row has 1 columns, not 2"),
        ("ada@example.com,x,y", "the row has 3 columns, not 2"),
        ('ada@example.com,"a\nBcc: eve@example.net"', "control characters"),
    ],
)
def test_a_row_that_is_wrong_stops_no_other(row: str, reason: str, tmp_path: Path) -> None:
    """It is told apart, with its line and the reason."""
    wrong, good = Recipients(_file(tmp_path, f"email,name\n{row}\neve@example.net,Eve\n"))
    assert isinstance(wrong, InvalidRow)
    assert reason in wrong.reason
    assert isinstance(good, Recipient)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("name,address\n", "has no column 'email', but 'name', 'address': name the column"),
        ("name;email\n", "give the separator with --delimiter ';'"),
        ("email,name,name\n", "has the column 'name' twice"),
        (b"email\n\xff@example.com\n", "is not UTF-8"),
        ('email\n"ada@example.com\n', "is no CSV behind line 1"),
    ],
)
def test_a_file_that_is_wrong_is_an_error(content: str | bytes, told: str, tmp_path: Path) -> None:
    """It says what to do."""
    recipients = Recipients(_file(tmp_path, content))
    with pytest.raises(MessageError) as caught:  # noqa: PT012 - some are noticed at once
        recipients.columns()
        list(recipients)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """And not an OSError."""
    with pytest.raises(MessageError, match=r"cannot read .*nowhere\.csv: No such file"):
        Recipients(Path(tmp_path / "nowhere.csv")).columns()
