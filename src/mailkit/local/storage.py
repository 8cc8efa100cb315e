"""Files of mail: complete or absent, never seen half-written, readable by nobody but their owner."""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from mailkit.edge.failures import reason_of
from mailkit.errors import ConfigurationError, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.transport_url import TransportURL

__all__ = [
    "absolute_folder",
    "check_folders",
    "folder_from_url",
    "make_folders",
    "next_number",
    "path_text",
    "url_of",
    "write_whole",
]

# What passes by itself; everything else waits until somebody has changed permissions or paths.
_PASSING: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ETIMEDOUT)
)
_NEW_FILE: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL  # refuses links as well
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_numbers = count(1)


def next_number() -> int:
    """Return a number that this process has not used in a file name."""
    return next(_numbers)


def absolute_folder(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder: it stays the same wherever the process goes.

    Raises:
        ConfigurationError: It is no path.
    """
    return Path(path_text(path, "a folder")).absolute()


def path_text(value: object, what: str) -> str:
    """Return a path as a str.

    Args:
        value: What was given as the path.
        what: What it is the path of, for the error.

    Raises:
        ConfigurationError: It is no path.
    """
    text: object = None
    kind = type(value).__name__
    if isinstance(value, str | os.PathLike):
        text = os.fspath(cast("str | os.PathLike[str]", value))
    if not isinstance(text, str):
        raise ConfigurationError(f"{what} was given as {kind}: give a str or a Path")
    if not text or "\0" in text:
        raise ConfigurationError(f"{what} was given as a path that is empty or holds a NUL: name it")
    return text


def folder_from_url(url: TransportURL) -> Path:
    """Return the folder that a URL names, after refusing what such a URL cannot have.

    Raises:
        ConfigurationError: The URL names none, or says more than that.
    """
    example = f"{url.scheme}:///var/mail/out"
    if url.host:
        raise ConfigurationError(
            f"{url.scheme}:// takes an absolute path and no host: write three slashes, as in {example}"
        )
    url.refuse(user=url.username, password=url.password, port=url.port)
    url.parameters()
    if not url.path.strip("/"):
        raise ConfigurationError(f"{url.scheme}:// needs the path of a folder: {example}")
    return absolute_folder(url.path)


def url_of(scheme: str, path: Path) -> str:
    """Return the URL of a local path."""
    return f"{scheme}://{quote(os.fsencode(path))}"


def make_folders(*folders: Path) -> None:
    """Make the folders that are missing, for nobody but their owner.

    Raises:
        DeliveryError: One cannot be made.
    """
    for each in folders:
        try:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot("make the folder", each, error) from error


def check_folders(*folders: Path) -> None:
    """Make the folders that are missing, and look whether files can be written there.

    Raises:
        DeliveryError: They cannot.
    """
    make_folders(*folders)
    for each in folders:
        if not os.access(each, os.W_OK | os.X_OK):
            raise _cannot("write into", each, PermissionError(errno.EACCES, ""))


def write_whole(blocks: Iterable[bytes], *, temporary: Path, final: Path) -> None:
    """Write a file under a temporary name, have it on the disk, then give it its own name.

    Raises:
        MessageError: The message cannot be read to its end. There is no file.
        DeliveryError: The file cannot be written. There is none.
    """
    try:
        descriptor = os.open(temporary, _NEW_FILE, 0o600)
    except OSError as error:
        raise _cannot("write into", final.parent, error) from error
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(final)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot("write into", final.parent, error) from error
        raise
    _sync_folder(final.parent)


def _sync_folder(path: Path) -> None:
    """Have the new name on the disk as well, where the file system knows that wish: the message is there already."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot(what: str, path: Path, error: OSError) -> DeliveryError:
    passing = error.errno in _PASSING
    advice = "make room, or try again later" if passing else "check the path and its permissions"
    return DeliveryError(
        f"cannot {what} {str(path)!r}: {reason_of(error)}; the message was not stored: {advice}",
        cause="transient" if passing else "configuration",
        phase="store",
    )
