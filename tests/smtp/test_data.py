"""Messages on their way into DATA and BDAT, cut in every way."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.smtp.data import (
    CHUNK_SIZE,
    CanonicalText,
    bdat_pieces,
    check_canonical,
    data_pieces,
    normalize_line_endings,
)

TRICKY = b"a\r\n.\r\n..\r\n.b\r\n\r\n.c"


def stuffed(message: bytes) -> bytes:
    """What RFC 5321 §4.5.2 says, line by line."""
    lines = message.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def received(wire: bytes) -> bytes:
    """What a server makes of it: everything up to the first lone dot, dots taken away; nothing may follow."""
    if wire == b".\r\n":
        return b""
    body, end, rest = wire.partition(b"\r\n.\r\n")
    assert end
    assert rest == b""
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in (body + b"\r\n").split(b"\r\n"))


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
        (b"a\r\n.\r\n", b"a\r\n..\r\n.\r\n"),
        (b"a.\r\n", b"a.\r\n.\r\n"),
        (b"a\r\n\r\n", b"a\r\n\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed_and_the_end_is_marked(message: bytes, wire: bytes) -> None:
    """A dot at the beginning of a line is doubled; the end is CRLF, dot, CRLF, with one CRLF added only if missing."""
    assert b"".join(data_pieces([message])) == wire


def test_every_split_gives_the_same_bytes() -> None:
    """However a message of dots and line ends is cut in up to four blocks, and byte by byte, DATA sends the same."""
    expected = stuffed(TRICKY)
    places = range(len(TRICKY) + 1)
    for first, second, third in itertools.combinations_with_replacement(places, 3):
        blocks = [TRICKY[:first], TRICKY[first:second], TRICKY[second:third], TRICKY[third:]]
        assert b"".join(data_pieces(blocks)) == expected
    assert b"".join(data_pieces([bytes((byte,)) for byte in TRICKY])) == expected


@given(blocks=st.lists(st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\xff"]), max_size=4).map(b"".join), max_size=8))
def test_a_server_reads_the_message_back(blocks: list[bytes]) -> None:
    """What is sent ends exactly once, and unstuffs to the message with a final line end."""
    message = b"".join(blocks)
    wire = b"".join(data_pieces(blocks))
    assert wire == stuffed(message)
    assert received(wire) == message + (b"" if message.endswith(b"\r\n") or not message else b"\r\n")


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n"],
)
def test_no_other_end_of_data_goes_out(end: bytes) -> None:
    """None of the sequences that some server takes for the end of DATA gets out, whole or byte by byte."""
    smuggled = b"a" + end + b"MAIL FROM:<evil@example.com>\r\n"
    for blocks in ([smuggled], [bytes((byte,)) for byte in smuggled]):
        written: list[bytes] = []
        with pytest.raises(MessageError):
            written.extend(data_pieces(blocks))
        assert b"MAIL" not in b"".join(written)


def test_only_the_last_piece_holds_the_end() -> None:
    """Until the last piece is written the message is incomplete, so that a lost connection is no delivery."""
    pieces = list(data_pieces([b"a\r\n" * 10, b"b\r\n", b"", b"\r\n", b""]))
    assert pieces[-1] == b"\r\n.\r\n"
    assert pieces[:-1] == [b"a\r\n" * 10, b"b\r\n"]


def test_pieces_are_small() -> None:
    """A message in one huge block is sent in pieces of at most a chunk and the terminator."""
    message = b"x" * 76 + b"\r\n"
    pieces = list(data_pieces([message * 10_000]))
    assert max(map(len, pieces)) <= CHUNK_SIZE + 5
    assert b"".join(pieces) == message * 10_000 + b".\r\n"


@pytest.mark.parametrize("data", [b"", b"a", b"a\r\n", b"\r\n\r\n", b"\xff\x80\r\n", b"a\r\n.b\x1b\x08\r\n"])
def test_canonical_text_passes(data: bytes) -> None:
    """Text whose only line ends are CRLF passes, whole and byte by byte, with any octet but NUL."""
    check_canonical(data)
    check_canonical(bytes((byte,)) for byte in data)


@pytest.mark.parametrize(
    "data", [b"\n", b"\r", b"a\n", b"a\nb", b"a\r", b"a\rb", b"\r\r\n", b"\r\n\n", b"\n\r", b"a\0b", b"\0", b"\r\0\n"]
)
def test_other_text_is_refused(data: bytes) -> None:
    """A bare CR, a bare LF or a NUL is found, whole and byte by byte."""
    with pytest.raises(MessageError):
        check_canonical(data)
    with pytest.raises(MessageError):
        check_canonical(bytes((byte,)) for byte in data)


@given(blocks=st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"\r\n"]), max_size=5).map(b"".join), max_size=6))
def test_counting_finds_what_a_search_finds(blocks: list[bytes]) -> None:
    """The check says yes exactly where taking out every CRLF leaves neither CR nor LF."""
    rest = b"".join(blocks).replace(b"\r\n", b"")
    text = CanonicalText()
    if b"\r" in rest or b"\n" in rest:
        with pytest.raises(MessageError, match="normalize_line_endings"):
            check_canonical(blocks)
    else:
        for block in blocks:
            text.check(block)
        text.finish()


@given(st.binary())
@example(b"a\r\r\nb\n\rc")
def test_normalized_line_endings_are_canonical(data: bytes) -> None:
    """Converted text passes the check, has the same lines, and converting again changes nothing."""
    data = data.replace(b"\0", b"")
    converted = normalize_line_endings(data)
    check_canonical(converted)
    assert normalize_line_endings(converted) == converted
    universal = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert converted.split(b"\r\n") == universal.split(b"\n")


def chunks(wire: bytes) -> list[tuple[bytes, bool]]:
    """Read BDAT commands as a server does: each chunk, and whether it said LAST."""
    found: list[tuple[bytes, bool]] = []
    while wire:
        line, _, wire = wire.partition(b"\r\n")
        words = line.split(b" ")
        assert words[0] == b"BDAT"
        assert words[2:] in ([], [b"LAST"])
        size = int(words[1])
        found.append((wire[:size], words[2:] == [b"LAST"]))
        wire = wire[size:]
    return found


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 7, 1_000])
def test_every_split_gives_whole_chunks(chunk_size: int) -> None:
    """However the blocks are cut, the chunks are full, the last one says LAST, and together they are the message."""
    message = b"\r\n.\r\nab\0"
    places = range(len(message) + 1)
    for first, second in itertools.combinations_with_replacement(places, 2):
        blocks = [message[:first], message[first:second], message[second:]]
        pieces = list(bdat_pieces(blocks, len(message), chunk_size=chunk_size))
        read = chunks(b"".join(pieces))
        assert len(read) == len(pieces)
        assert b"".join(chunk for chunk, _ in read) == message
        assert [last for _, last in read] == [False] * (len(read) - 1) + [True]
        assert all(len(chunk) == chunk_size for chunk, _ in read[:-1])
        assert 0 < len(read[-1][0]) <= chunk_size


def test_an_empty_message_is_one_empty_chunk() -> None:
    """Nothing is sent as BDAT 0 LAST."""
    assert list(bdat_pieces([], 0)) == [b"BDAT 0 LAST\r\n"]
    assert list(bdat_pieces([b""], 0)) == [b"BDAT 0 LAST\r\n"]


@pytest.mark.parametrize("total", [0, 1, 8, 10, 100])
def test_a_wrong_size_never_completes(total: int) -> None:
    """A source with more or fewer bytes than announced ends in an error before any piece says LAST."""
    written: list[bytes] = []
    with pytest.raises(MessageError, match="was announced with"):
        written.extend(bdat_pieces([b"123", b"456", b"789"], total, chunk_size=2))
    assert b"LAST" not in b"".join(written)


@pytest.mark.parametrize("unit", [b"\r\n.", b".", b"x" * 76 + b"\r\n"])
def test_stuffing_takes_linear_time(unit: bytes) -> None:
    """Sixteen times the message takes no more than forty times as long."""

    def seconds(count: int) -> float:
        message = unit * count
        start = time.process_time()
        for _ in data_pieces([message]):
            pass
        return time.process_time() - start

    assert min(seconds(160_000) for _ in range(3)) < 40 * min(seconds(10_000) for _ in range(3)) + 0.05
