from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import Address, DeliveryError
from mailkit.policies import FileSuppressionList, SuppressionList

if TYPE_CHECKING:
    from pathlib import Path

BOB, EVE = Address("bob@example.org"), Address("eve@example.net")


def test_a_file_has_an_entry_on_each_line(tmp_path: Path) -> None:
    """Comments and empty lines are skipped, a comment behind an entry is its reason, a # in an address is none."""
    path = tmp_path / "suppressed.txt"
    path.write_text(
        "\ufeff# who left\n\nBob@Example.org   # unsubscribed, 2026-05-02\n\t@example.net\r\na#b@example.com #\n",
        "utf-8",
    )
    suppressed = FileSuppressionList(path)
    assert isinstance(suppressed, SuppressionList)
    addresses = [BOB, EVE, Address("a#b@example.com"), Address("eve@example.org")]
    assert suppressed.reasons(addresses) == [
        "unsubscribed, 2026-05-02",
        "on the suppression list",
        "on the suppression list",
        None,
    ]
    assert repr(suppressed) == f"FileSuppressionList({str(path)!r})"


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written into it, or put in its place, holds from the next message on; an unchanged one is not read."""
    path = tmp_path / "suppressed.txt"
    path.write_text("bob@example.org\n")
    suppressed = FileSuppressionList(path)
    assert suppressed.reasons([BOB, EVE]) == ["on the suppression list", None]
    path.write_text("bob@example.org\neve@example.net\n")
    assert suppressed.reasons([BOB, EVE]) == ["on the suppression list", "on the suppression list"]
    other = tmp_path / "other"
    other.write_text("eve@example.net\nbob@example.com\n")
    other.replace(path)
    assert suppressed.reasons([BOB, EVE]) == [None, "on the suppression list"]
    monkeypatch.setattr(type(path), "read_text", lambda *_: pytest.fail("it was read again"))
    assert suppressed.reasons([BOB]) == [None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"bob@example.org\nsecret person@example.org\n", "line 2"),
        (b"@\n", "line 1"),
        (b"\xff@example.org\n", "not UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_keeps_everything_back(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A wrong line or a missing file is an error for somebody to correct, which shows no address."""
    path = tmp_path / "suppressed.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeliveryError, match=said) as caught:
        FileSuppressionList(path).reasons([BOB])
    error = caught.value
    assert (error.outcome, error.cause, error.phase) == ("not_sent", "configuration", "suppressed")
    assert "secret" not in str(error)
