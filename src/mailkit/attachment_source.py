"""Where an attachment's bytes come from: memory, or a file that is read while it is sent."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol, cast

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.validation import refuse_type

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileSource", "MemorySource", "Source", "spool"]

_IN_MEMORY = 1 << 20
_BLOCK = 1 << 16


class Source(Protocol):
    """Bytes of a known number that can be read again and again, also from several threads."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    def open(self) -> BinaryIO:
        """Return a new reader at the first byte."""
        ...

    def iter_blocks(self, size: int) -> Iterator[bytes]:
        """Yield the bytes in blocks of `size`, the last one shorter."""
        ...


@frozen
class MemorySource:
    """Bytes that are in memory already."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Return a new reader at the first byte."""
        return io.BytesIO(self.data)

    def iter_blocks(self, size: int) -> Iterator[bytes]:
        """Yield the bytes in blocks of `size`, the last one shorter."""
        if len(self.data) <= size:
            if self.data:
                yield self.data
            return
        for start in range(0, len(self.data), size):
            yield self.data[start : start + size]


@frozen
class FileSource:
    """A regular file, opened anew for each reading.

    Its size is taken once, as the message's size depends on it: a file that has another later is an error.
    """

    path: Path
    size: int
    identity: tuple[int, int] | None = None
    """Device and inode, if no other file may take the path's place."""

    @classmethod
    def at(cls, path: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> FileSource:
        """Return the file at `path`, which must be a regular file, and below `root` if there is one.

        Raises:
            MessageError: It is not, or cannot be read.
        """
        given = _path(path, "the path of an attachment")
        try:
            resolved = given.resolve(strict=True)
            inside = root is None or resolved.is_relative_to(_path(root, "root").resolve(strict=True))
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path; a loop of links
            _refuse(given, error)
        if not inside:
            raise MessageError(
                f"the attachment {str(given)!r} lies outside of {str(root)!r}: attach only what is in it"
            )
        with _open_regular(resolved) as file:
            status = os.fstat(file.fileno())
        identity = (status.st_dev, status.st_ino) if root is not None else None
        return cls(resolved, status.st_size, identity)

    def open(self) -> BinaryIO:
        """Return a new reader at the first byte.

        Raises:
            MessageError: The file has gone, or is not what it was.
        """
        file = _open_regular(self.path)
        status = os.fstat(file.fileno())
        if status.st_size != self.size or self.identity not in {None, (status.st_dev, status.st_ino)}:
            file.close()
            self._refuse_change()
        return file

    def iter_blocks(self, size: int) -> Iterator[bytes]:
        """Yield the bytes in blocks of `size`, the last one shorter.

        Raises:
            MessageError: The file has gone, is not what it was, or cannot be read.
        """
        left = self.size
        with self.open() as file:
            # One more byte than is left, so that a file that grows meanwhile is noticed.
            while block := self._read(file, min(size, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
        if left:
            self._refuse_change()

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as error:
            _refuse(self.path, error)

    def _refuse_change(self) -> NoReturn:
        raise MessageError(
            f"the attachment {str(self.path)!r} has changed since it was attached:"
            " build the message again, or attach its bytes with Attachment.from_bytes"
        )


@frozen(eq=False)
class _SpooledSource(FileSource):
    """A temporary file of our own, which goes when nothing refers to it any more."""

    _finalizer: Any = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        finalizer = weakref.finalize(self, _discard, self.path, os.getpid())
        object.__setattr__(self, "_finalizer", finalizer)

    def __reduce__(self) -> tuple[type[MemorySource], tuple[bytes]]:
        # The file is gone by the time somebody else reads its name.
        return MemorySource, (b"".join(self.iter_blocks(_BLOCK)),)


def spool(stream: BinaryIO, *, limit: int) -> Source:
    """Read a stream to its end: up to 1 MiB into memory, more into a temporary file.

    Raises:
        MessageError: It is no binary stream, cannot be read, or holds more than `limit` bytes.
    """
    blocks: list[bytes] = []
    size = 0
    for block in _blocks_of(stream, limit):
        blocks.append(block)
        size += len(block)
        if size > _IN_MEMORY:
            break
    else:
        return MemorySource(b"".join(blocks))
    try:
        descriptor, name = tempfile.mkstemp(prefix="mailkit-")
    except OSError as error:
        _refuse_to_keep(error)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.writelines(blocks)
            for block in _blocks_of(stream, limit - size):
                file.write(block)
                size += len(block)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            _refuse_to_keep(error)
        raise
    return _SpooledSource(Path(name), size)


def _blocks_of(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    size = 0
    while True:
        try:
            block = stream.read(_BLOCK)
        except (OSError, ValueError) as error:  # ValueError: a closed file
            raise MessageError(f"the attachment's stream cannot be read: {error}") from error
        if not block:
            return
        _check_binary(block)
        size += len(block)
        if size > limit:
            raise MessageError("the attachment's stream does not end within its limit: raise limit=…, or send a link")
        yield block


def _check_binary(block: object) -> None:
    if not isinstance(block, bytes):
        raise MessageError("the attachment's stream yields text: open it in binary mode ('rb')")


def _path(value: object, name: str) -> Path:
    if not isinstance(value, str | os.PathLike):
        refuse_type(value, name, "a str or a path (for bytes there is Attachment.from_bytes)")
    return Path(cast("str | os.PathLike[str]", value))


def _open_regular(path: Path) -> BinaryIO:
    # Without O_NONBLOCK a pipe in the file's place would be waited for, before anything could be refused.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115 - a descriptor; the caller closes it
    except OSError as error:
        _refuse(path, error)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise MessageError(f"the attachment {str(path)!r} is no regular file: attach its bytes, if they ever end")
    return file


def _discard(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child's copy goes without the file
        path.unlink(missing_ok=True)


def _refuse(path: Path, error: Exception) -> NoReturn:
    raise MessageError(f"the attachment {str(path)!r} cannot be read: {_reason(error)}. Check the path") from error


def _refuse_to_keep(error: OSError) -> NoReturn:
    raise MessageError(
        f"the attachment's stream cannot be kept in {tempfile.gettempdir()!r}: {_reason(error)}."
        " Make room there, or set TMPDIR"
    ) from error


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
