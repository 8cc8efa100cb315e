from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.mime import prepared
from mailkit.mime.prepared import Prepared

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = b"From: ada@example.com\r\n"


def test_bytes_are_kept_as_they_are() -> None:
    """What is read back is what was given, to the last octet, and the size is known before."""
    data = _HEADER + b"\r\nHi\r\n" + b"x" * 200_000
    found = Prepared.read(data)
    assert b"".join(found.iter_bytes()) == data
    assert found.size == len(data)


def test_a_file_is_read_in_blocks(tmp_path: Path) -> None:
    """A file's content is what its path stands for, in blocks of at most 64 KiB."""
    path = tmp_path / "raw.eml"
    path.write_bytes(_HEADER + b"\r\n" + b"line\r\n" * 40_000)
    blocks = list(Prepared.read(path).iter_bytes())
    assert b"".join(blocks) == path.read_bytes()
    assert max(map(len, blocks)) <= 65536


@pytest.mark.parametrize(
    "field",
    [
        b"Message-ID: <a.b@x.test>",
        b"message-id:<a.b@x.test>",
        b"MESSAGE-ID:\r\n <a.b@x.test>",
        b"Message-ID:  <a.b@x.test> (comment)",
    ],
)
def test_the_message_id_is_found(field: bytes) -> None:
    """The Message-ID is read in any case and folding that RFC 5322 allows."""
    assert Prepared.read(_HEADER + field + b"\r\n\r\nHi\r\n").message_id == "a.b@x.test"


def test_a_message_id_in_the_body_is_none() -> None:
    """Only the header section is looked at for the Message-ID."""
    assert not Prepared.read(_HEADER + b"\r\nMessage-ID: <a@x.test>\r\n").message_id


def test_a_header_alone_is_a_message() -> None:
    """A message may consist of its header section (RFC 5322 §3.5)."""
    assert Prepared.read(_HEADER).size == len(_HEADER)


@pytest.mark.parametrize("data", [b"", b"\r\nHi\r\n", b"Hi\r\n", b": x\r\n\r\n", b"A" * 3_000_000])
def test_what_has_no_header_is_refused(data: bytes) -> None:
    """Bytes that do not start with a header field are no message."""
    with pytest.raises(MessageError, match="no RFC 5322 message"):
        Prepared.read(data)


@pytest.mark.parametrize("name", [b"Bcc", b"bcc", b"Resent-Bcc", b"BCC "])
def test_a_bcc_field_is_refused(name: bytes) -> None:
    """Prepared bytes with a Bcc field are refused: they would be sent unchanged."""
    with pytest.raises(MessageError, match="Bcc"):
        Prepared.read(_HEADER + name + b": eve@example.net\r\n\r\nHi\r\n")


def test_the_word_bcc_in_the_body_is_let_through() -> None:
    """The body may speak of Bcc."""
    assert Prepared.read(_HEADER + b"\r\nBcc: eve@example.net\r\n").size


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"a", b".", b"\xc3\xa9"]), max_size=12).map(b"".join),
    st.integers(1, 8),
)
def test_line_ends_are_crlf_or_refused(body: bytes, block: int) -> None:
    """A bare CR, a bare LF or a NUL is refused wherever the blocks are cut; nothing else is."""
    sound = not (body.replace(b"\r\n", b"").translate(None, b"a.\xc3\xa9"))
    data = _HEADER + b"\r\n" + body
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "_BLOCK", block)
        if sound:
            assert b"".join(Prepared.read(data).iter_bytes()) == data
        else:
            with pytest.raises(MessageError, match="line end"):
                Prepared.read(data)


@pytest.mark.parametrize("source", ["From: ada@example.com\r\n\r\n", 7, None, bytearray(b"From: a@x.test\r\n")])
def test_only_bytes_and_paths_are_taken(source: Any) -> None:
    """A str is neither encoded nor taken for a path."""
    with pytest.raises(MessageError, match="takes bytes or a Path"):
        Prepared.read(source)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """A path that cannot be read is refused with the path and the reason."""
    with pytest.raises(MessageError, match=r"gone\.eml.*No such file"):
        Prepared.read(tmp_path / "gone.eml")
