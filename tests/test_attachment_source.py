from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import socket
import sys
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailkit.attachment_source import FileSource, MemorySource, spool
from mailkit.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.attachment_source import Source

_LARGE = bytes(range(256)) * (5 * 1024)  # more than stays in memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file to attach."""
    file = tmp_path / "report.bin"
    file.write_bytes(b"0123456789")
    return file


def _read(source: Source, size: int = 4) -> bytes:
    return b"".join(source.iter_blocks(size))


@given(data=st.binary(max_size=300), size=st.integers(1, 64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_memory_and_file_yield_the_same_blocks(data: bytes, size: int, tmp_path: Path) -> None:
    """A file is cut into the same blocks as the same bytes in memory: all full but the last, none empty."""
    file = tmp_path / "data"
    file.write_bytes(data)
    memory, on_disk = MemorySource(data), FileSource.at(file)
    blocks = list(memory.iter_blocks(size))
    assert list(on_disk.iter_blocks(size)) == blocks
    assert b"".join(blocks) == data
    assert all(len(block) == size for block in blocks[:-1])
    assert memory.size == on_disk.size == len(data)


def test_each_reader_starts_at_the_first_byte(path: Path) -> None:
    """Readers of one source do not share a position."""
    for source in (MemorySource(b"0123456789"), FileSource.at(path)):
        with source.open() as one, source.open() as other:
            assert one.read(4) == b"0123"
            assert other.read(4) == b"0123"


def test_nothing_is_read_before_it_is_asked_for(path: Path) -> None:
    """What is in the file when it is read is what counts, if it has the size that it had."""
    source = FileSource.at(path)
    path.write_bytes(b"abcdefghij")
    assert _read(source) == b"abcdefghij"


@pytest.mark.parametrize("data", [b"", b"012345678", b"0123456789+"])
def test_a_file_of_another_size_is_refused(path: Path, data: bytes) -> None:
    """A file that has grown or shrunk since it was attached is an error, whichever way it is read."""
    source = FileSource.at(path)
    path.write_bytes(data)
    with pytest.raises(MessageError, match="has changed since it was attached"):
        source.open()
    with pytest.raises(MessageError, match="has changed since it was attached"):
        _read(source)


@pytest.mark.parametrize("change", [-4, +4])
def test_a_file_that_changes_while_it_is_read_is_refused(path: Path, change: int) -> None:
    """A file that grows or shrinks between two blocks is an error and never yields more bytes than it had."""
    path.write_bytes(b"x" * 100_000)
    source = FileSource.at(path)
    blocks = source.iter_blocks(4)
    seen = [len(next(blocks))]
    os.truncate(path, 100_000 + change)
    with pytest.raises(MessageError, match="has changed since it was attached"):
        b"".join(_noting(blocks, seen))
    assert sum(seen) <= 100_000


def _noting(blocks: Iterator[bytes], seen: list[int]) -> Iterator[bytes]:
    for block in blocks:
        seen.append(len(block))
        yield block


def test_a_file_that_has_gone_is_a_message_error(path: Path) -> None:
    """A file that was deleted since is named in the error."""
    source = FileSource.at(path)
    path.unlink()
    with pytest.raises(MessageError, match=r"report\.bin' cannot be read: No such file"):
        source.open()


def test_an_error_while_reading_is_a_message_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk says in the middle of a file comes out as mailkit's own error."""
    source = FileSource.at(path)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(FileSource, "open", lambda self: Broken())
    with pytest.raises(MessageError, match="Input/output error"):
        _read(source)


@pytest.mark.parametrize("given_path", ["missing.pdf", ".", "a\0b", "", "x" * 5000])
def test_what_is_no_file_is_refused(given_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that leads nowhere, or to a folder, is refused when it is attached."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MessageError, match="the attachment "):
        FileSource.at(given_path)


@pytest.mark.parametrize("value", [None, 3, b"report.pdf", object()])
def test_a_path_is_a_str_or_a_path(value: Any) -> None:
    """Other types are refused by name; so are bytes, which are rather content."""
    with pytest.raises(MessageError, match="the path of an attachment has to be a str or a path"):
        FileSource.at(value)


@pytest.mark.skipif(sys.platform == "win32", reason="devices, pipes and sockets in the file system are Unix")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Devices, pipes and sockets are refused at once: nothing waits for a writer, nothing reads without end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in ("/dev/zero", tmp_path / "pipe", tmp_path / "socket"):
            with pytest.raises(MessageError, match=r"is no regular file|cannot be read"):
                FileSource.at(path)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes in the file system are Unix")
def test_a_pipe_in_the_place_of_a_file_is_refused(path: Path) -> None:
    """A file that became a pipe meanwhile is refused when it is opened, without waiting."""
    source = FileSource.at(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(MessageError, match="is no regular file"):
        source.open()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux has files without a size")
def test_a_file_that_hides_its_size_is_refused() -> None:
    """A file of /proc says that it is empty and is not: it is refused before a byte of it goes out."""
    source = FileSource.at("/proc/self/environ")
    with pytest.raises(MessageError, match="has changed"):
        _read(source)


def test_a_path_stays_below_its_root(path: Path, tmp_path: Path) -> None:
    """With a root, only what lies in it after all links is attached."""
    root = tmp_path / "public"
    root.mkdir()
    (root / "ok.txt").write_bytes(b"ok")
    (root / "link.txt").symlink_to(path)
    assert _read(FileSource.at(root / "ok.txt", root=root)) == b"ok"
    for outside in (path, root / ".." / "report.bin", root / "link.txt", "/etc/passwd"):
        with pytest.raises(MessageError, match=r"lies outside of|cannot be read"):
            FileSource.at(outside, root=root)


def test_a_folder_with_the_root_s_name_as_a_start_is_outside(tmp_path: Path) -> None:
    """Being below a root is decided by the parts of the path, not by its text."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public-not").mkdir()
    (tmp_path / "public-not" / "a").write_bytes(b"a")
    with pytest.raises(MessageError, match="lies outside of"):
        FileSource.at(tmp_path / "public-not" / "a", root=tmp_path / "public")


def test_no_other_file_takes_the_place_of_one_below_a_root(path: Path, tmp_path: Path) -> None:
    """With a root, a file that was replaced since is refused even if it has the same size."""
    rooted, free = FileSource.at(path, root=tmp_path), FileSource.at(path)
    other = tmp_path / "other"
    other.write_bytes(b"abcdefghij")
    other.replace(path)
    assert _read(free) == b"abcdefghij"
    with pytest.raises(MessageError, match="has changed since it was attached"):
        _read(rooted)


def test_a_missing_root_is_refused(path: Path, tmp_path: Path) -> None:
    """A root that does not exist holds nothing."""
    with pytest.raises(MessageError, match="cannot be read"):
        FileSource.at(path, root=tmp_path / "missing")


def test_a_short_stream_stays_in_memory() -> None:
    """A stream is read from where it stands to its end, and is left open."""
    stream = io.BytesIO(b"0123456789")
    stream.seek(3)
    assert spool(stream, limit=100) == MemorySource(b"3456789")
    assert not stream.closed


@pytest.fixture
def spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSource:
    """Return a long stream, kept in a temporary file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = spool(io.BytesIO(_LARGE), limit=len(_LARGE))
    assert isinstance(source, FileSource)
    return source


def test_a_long_stream_goes_into_a_private_file(spooled: FileSource, tmp_path: Path) -> None:
    """More than 1 MiB lies in a temporary file that only its owner may read, and is read again and again."""
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600 or sys.platform == "win32"
    assert _read(spooled, 1 << 16) == _read(spooled, 1000) == _LARGE
    assert spooled.size == len(_LARGE)


def test_the_temporary_file_goes_with_its_last_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing refers to the content any more its file is deleted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = spool(io.BytesIO(_LARGE), limit=len(_LARGE))
    alive = weakref.ref(source)
    assert list(tmp_path.iterdir())
    del source
    gc.collect()
    assert alive() is None
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is Unix")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_its_parent_s_file(spooled: FileSource) -> None:
    """A child that ends, or drops its copy, does not delete what its parent still sends."""
    child = os.fork()
    if not child:
        spooled._finalizer()  # type: ignore[attr-defined]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert _read(spooled, 1 << 16) == _LARGE


def test_only_the_process_that_made_it_deletes_it(spooled: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process with another number the end of the content leaves the file alone."""
    monkeypatch.setattr(os, "getpid", lambda: -1)
    spooled._finalizer()  # type: ignore[attr-defined]
    assert _read(spooled, 1 << 16) == _LARGE


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda source: pickle.loads(pickle.dumps(source))])
def test_a_copy_of_a_temporary_file_takes_its_bytes_along(spooled: FileSource, again: Callable[[Any], object]) -> None:
    """A copy may outlive the file, so that it holds the bytes themselves."""
    assert again(spooled) == MemorySource(_LARGE)


@pytest.mark.parametrize("limit", [0, 9, 1 << 20])
def test_an_endless_stream_ends_at_its_limit(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that holds more than its limit is refused, and leaves no file behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"0" * min(size, 1 << 16)

    with pytest.raises(MessageError, match="does not end within its limit"):
        spool(Endless(), limit=limit)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_limit_itself_is_allowed() -> None:
    """A stream may hold exactly as many bytes as its limit says."""
    assert spool(io.BytesIO(b"0123"), limit=4).size == 4


def test_a_text_stream_is_refused() -> None:
    """A stream that yields text is refused, with the mode that it should have."""
    with pytest.raises(MessageError, match=r"open it in binary mode \('rb'\)"):
        spool(io.StringIO("text"), limit=100)  # type: ignore[arg-type]


def test_a_closed_stream_is_a_message_error() -> None:
    """A stream that cannot be read any more says so through mailkit's own error."""
    stream = io.BytesIO(b"x")
    stream.close()
    with pytest.raises(MessageError, match="stream cannot be read: I/O operation on closed file"):
        spool(stream, limit=100)


class _Breaking(io.RawIOBase):
    """Yields 2 MiB and then fails."""

    def __init__(self, error: BaseException) -> None:
        self.blocks = [b"0" * (1 << 16)] * 32
        self.error = error

    def read(self, size: int = -1) -> bytes:
        if not self.blocks:
            raise self.error
        return self.blocks.pop()


@pytest.mark.parametrize(
    ("error", "seen"), [(OSError(5, "Input/output error"), MessageError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_a_stream_that_breaks_leaves_no_file(
    error: BaseException, seen: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a stream fails half-way, or the user interrupts it, the temporary file is deleted."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(seen):
        spool(_Breaking(error), limit=1 << 30)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_no_place_for_temporary_files_is_a_message_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder to write to, the error names the folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(MessageError, match=r"cannot be kept in .*missing': No such file"):
        spool(io.BytesIO(_LARGE), limit=len(_LARGE))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_a_message_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that is full while a stream is kept gives mailkit's own error."""
    name = tmp_path / "full"
    monkeypatch.setattr(tempfile, "mkstemp", lambda prefix: (os.open("/dev/full", os.O_WRONLY), str(name)))
    with pytest.raises(MessageError, match=r"cannot be kept in .*No space left on device"):
        spool(io.BytesIO(_LARGE), limit=len(_LARGE))
