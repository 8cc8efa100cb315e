from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.errors import ConfigurationError, DeliveryError, MessageError
from mailkit.local.storage import absolute_folder, check_folders, folder_from_url, make_folders, url_of, write_whole
from mailkit.transport_url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_file_appears_whole_and_private(tmp_path: Path) -> None:
    """While a file is written only its temporary name is there; then only its own, readable by its owner alone."""
    final = tmp_path / "final"

    def blocks() -> Iterator[bytes]:
        yield b"one "
        assert [each.name for each in tmp_path.iterdir()] == ["temporary"]
        yield b"two"

    write_whole(blocks(), temporary=tmp_path / "temporary", final=final)
    assert [each.name for each in tmp_path.iterdir()] == ["final"]
    assert final.read_bytes() == b"one two"
    assert final.stat().st_mode & 0o777 == 0o600


def test_a_broken_message_leaves_nothing(tmp_path: Path) -> None:
    """When the message cannot be read to its end, the temporary file goes as well."""

    def blocks() -> Iterator[bytes]:
        yield b"one"
        raise MessageError("the attachment has gone")

    with pytest.raises(MessageError):
        write_whole(blocks(), temporary=tmp_path / "temporary", final=tmp_path / "final")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "cause", "retryable"),
    [(errno.ENOSPC, "transient", True), (errno.EIO, "transient", True), (errno.EROFS, "configuration", False)],
)
def test_a_full_disk_passes_and_a_read_only_one_does_not(
    tmp_path: Path, number: int, cause: str, *, retryable: bool
) -> None:
    """An error while writing says whether it may pass by itself, and the half-written file is removed."""

    def blocks() -> Iterator[bytes]:
        yield b"one"
        raise OSError(number, os.strerror(number))

    with pytest.raises(DeliveryError) as caught:
        write_whole(blocks(), temporary=tmp_path / "temporary", final=tmp_path / "final")
    assert (caught.value.outcome, caught.value.cause, caught.value.retryable) == ("not_sent", cause, retryable)
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_no_link_is_followed_and_no_file_replaced(tmp_path: Path) -> None:
    """A temporary name that somebody has taken, even with a link, is an error and not written through."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "temporary").symlink_to(target)
    with pytest.raises(DeliveryError):
        write_whole([b"new"], temporary=tmp_path / "temporary", final=tmp_path / "final")
    assert target.read_bytes() == b"precious"


def test_a_file_system_without_folder_sync_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is stored where folders cannot be synchronised, on Windows for one."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    write_whole([b"x"], temporary=tmp_path / "temporary", final=tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"x"


def test_missing_folders_are_made_private(tmp_path: Path) -> None:
    """A missing folder is made with its parents, readable by its owner alone; one that is there stays as it is."""
    folder = tmp_path / "a" / "b"
    make_folders(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    check_folders(folder)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_file_in_the_folder_s_place_is_an_error(tmp_path: Path) -> None:
    """A folder whose place a file has taken cannot be made: a matter of configuration."""
    place = tmp_path / "place"
    place.write_bytes(b"")
    with pytest.raises(DeliveryError, match="cannot make the folder") as caught:
        make_folders(place)
    assert caught.value.cause == "configuration"


def test_permissions_are_asked_for_before_a_message_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking a folder reports what the operating system says about writing into it."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DeliveryError, match=r"cannot write into .* \(EACCES\)"):
        check_folders(tmp_path)


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means a place in the folder where the process was then."""
    monkeypatch.chdir(tmp_path)
    assert absolute_folder("out") == tmp_path / "out"


@pytest.mark.parametrize("path", ["", "a\0b", b"/tmp", 7, None])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """A path is a str or a PathLike of str, not empty, without NUL."""
    with pytest.raises(ConfigurationError, match="a folder was given as"):
        absolute_folder(path)


@pytest.mark.parametrize("path", ["/var/mail/out", "/var/mail/two words", "/var/mail/ü?#%41"])
def test_a_folder_s_url_leads_back_to_it(path: str) -> None:
    """The URL of a folder names it without loss."""
    assert folder_from_url(TransportURL.parse(url_of("file", Path(path)))) == Path(path)


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("file://var/mail", "three slashes"),
        ("file://", "needs the path"),
        ("file:///", "needs the path"),
        ("file:///var/mail?mode=0644", "no parameter 'mode'"),
        ("file://u:hunter2@/var/mail", "takes no user"),
        ("file://:hunter2@/var/mail", "takes no password"),
    ],
)
def test_a_url_that_says_something_else_is_refused(url: str, match: str) -> None:
    """A folder's URL has a path and nothing beside it; the error says which part is wrong and keeps secrets."""
    with pytest.raises(ConfigurationError, match=match) as caught:
        folder_from_url(TransportURL.parse(url))
    assert "hunter2" not in str(caught.value)
