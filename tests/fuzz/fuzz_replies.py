"""Fuzz the reply parser: bytes give the same replies and the same violation however they are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.smtp.replies import ReplyParser, ReplyViolation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit import Reply

SEEDS = (
    b"250-a\r\n250 b\r\n",
    b"550 5.1.1 no\r\n354 go",
    b"250-a\r\n251 b\r\n",
    b"\x16\x03\x01",
)


def read(pieces: Iterable[bytes]) -> tuple[list[Reply], str | None]:
    """Return the replies in a stream, and why it could not be read any further."""
    parser, replies = ReplyParser(), []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (reply := parser.next_reply()) is not None:
                replies.append(reply)
    except ReplyViolation as violation:
        return replies, violation.reason
    return replies, None


def one_input(data: bytes) -> None:
    """Read the bytes whole, one by one, and cut where the first of them say."""
    whole = read([data])
    assert read(data[index : index + 1] for index in range(len(data))) == whole
    cuts = sorted({cut % (len(data) + 1) for cut in data[:8]})
    assert read(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)) == whole
    for reply in whole[0]:
        assert 200 <= reply.code <= 599
        assert all(line.isprintable() for line in reply.text.split("\n"))
