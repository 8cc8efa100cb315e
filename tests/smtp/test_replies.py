"""Bytes as servers send them, good and hostile, and the replies that are read out of them."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailkit.reply import Reply
from mailkit.smtp.replies import MAX_LINE, MAX_LINES, MAX_REPLY, ReplyParser, ReplyViolation, printable


def read(*pieces: bytes) -> tuple[list[Reply], str | None, bool]:
    """Return the replies, the reason of a violation, and whether bytes are left over."""
    parser = ReplyParser()
    replies: list[Reply] = []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (reply := parser.next_reply()) is not None:
                replies.append(reply)
        except ReplyViolation as violation:
            return replies, violation.reason, parser.buffered
    return replies, None, parser.buffered


def single_bytes(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"220 mx.example.com ESMTP\r\n", Reply(220, "mx.example.com ESMTP")),
        (b"220\r\n", Reply(220)),
        (b"220 \r\n", Reply(220)),
        (b"250 bare line feed\n", Reply(250, "bare line feed")),
        (b"250\n", Reply(250)),
        (b"250-one\r\n250-\r\n250 three\r\n", Reply(250, "one\n\nthree")),
        (b"250-one\r\n250\r\n", Reply(250, "one\n")),
        (b"250 2.0.0 ok <script>\r\n", Reply(250, "ok <script>", enhanced_code="2.0.0")),
        (b"250 2.0.0\r\n", Reply(250, "", enhanced_code="2.0.0")),
        (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", Reply(550, "no\nsuch user", enhanced_code="5.1.1")),
        (b"550-5.1.1 no\r\n550-5.1.1\r\n550 user\r\n", Reply(550, "no\n\nuser", enhanced_code="5.1.1")),
        (b"550-5.1.1 no\r\n550 5.1.10 user\r\n", Reply(550, "no\n5.1.10 user", enhanced_code="5.1.1")),
        (b"450 5.7.1 greylisted\r\n", Reply(450, "greylisted", enhanced_code="5.7.1")),
        (b"250 5.0.0 weird\r\n", Reply(250, "weird", enhanced_code="5.0.0")),
        (b"250 3.1.1 no class\r\n", Reply(250, "3.1.1 no class")),
        (b"250 2.1.1000 no code\r\n", Reply(250, "2.1.1000 no code")),
        (b"220 2.3.4.5 an address\r\n", Reply(220, "2.3.4.5 an address")),
        (b"599 the last code\r\n", Reply(599, "the last code")),
        (b"250 a\rb\r\n", Reply(250, "a\\rb")),
    ],
)
def test_a_reply_is_read(data: bytes, reply: Reply) -> None:
    """Code, text and enhanced code come out, whole or byte by byte, and nothing is left over."""
    assert read(data) == ([reply], None, False)
    assert read(*single_bytes(data)) == ([reply], None, False)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"220 \xff\xfe\x80 caf\xe9\r\n", "\\xff\\xfe\\x80 caf\\xe9"),
        (b"220 caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd\r\n", "café 你好"),
        (b"220 x\x1b]0;pwn\x07\x1b[2J\r\n", "x\\x1b]0;pwn\\x07\\x1b[2J"),
        (b"220 \x00\t\x7f\r\n", "\\x00\\t\\x7f"),
        (b"220 \xc2\x9b\xc2\x85\xe2\x80\xa8\xe2\x80\xae\r\n", "\\x9b\\x85\\u2028\\u202e"),
    ],
)
def test_text_is_safe_to_print(data: bytes, text: str) -> None:
    """Text that is not UTF-8, and characters that steer a terminal, come out as escapes."""
    assert read(data) == ([Reply(220, text)], None, False)
    assert text.isprintable()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\r\n", "200 to 599"),
        (b"\n", "200 to 599"),
        (b"hello\r\n", "200 to 599"),
        (b"-50 x\r\n", "200 to 599"),
        (b"+25 x\r\n", "200 to 599"),
        (b" 25 x\r\n", "200 to 599"),
        (b"2\xb250 x\r\n", "200 to 599"),
        (b"2\r\n", "200 to 599"),
        (b"25\r\n", "200 to 599"),
        (b"25 x\r\n", "200 to 599"),
        (b"199 x\r\n", "200 to 599"),
        (b"600 x\r\n", "200 to 599"),
        (b"\xef\xbc\x92\xef\xbc\x92\xef\xbc\x90 full-width digits\r\n", "200 to 599"),
        (b"250x AUTH\r\n", "neither a space nor a hyphen"),
        (b"250\rx\r\n", "neither a space nor a hyphen"),
        (b"250\tx\r\n", "neither a space nor a hyphen"),
        (b"2500 x\r\n", "neither a space nor a hyphen"),
        (b"250-x\r\n550 no\r\n", "changes within a reply that began with 250"),
        (b"250-x\r\n\r\n", "200 to 599"),
        (b"\x16\x03\x01\x00\x05hello", "TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"),
        (b"\0" * 5_000, "200 to 599"),
        (b"250 " + b"A" * 5_000, "longer than 2,048 bytes"),
        (b"250 " + b"A" * (MAX_LINE - 5) + b"\r\n", "longer than 2,048 bytes"),
        (b"220-x\r\n" * 5_000, "more than 128 lines"),
        (b"250-x\r\n" * MAX_LINES + b"250 x\r\n", "more than 128 lines"),
        ((b"250-" + b"x" * 1_018 + b"\r\n") * 40, "longer than 32,768 bytes"),
    ],
)
def test_what_is_no_reply_is_a_violation(data: bytes, reason: str) -> None:
    """Anything but three digits from 200 to 599 and a separator, and anything beyond the limits, is refused."""
    whole = read(data)
    assert whole[0] == []
    assert whole[1] is not None
    assert reason in whole[1]
    assert read(*single_bytes(data)) == whole


def test_the_limits_themselves_are_allowed() -> None:
    """A line of 2,048 bytes, 128 lines, and a reply of 32 KiB are read."""
    line = b"250 " + b"A" * (MAX_LINE - 6) + b"\r\n"
    assert len(line) == MAX_LINE
    assert read(line) == ([Reply(250, "A" * (MAX_LINE - 6))], None, False)
    assert read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n") == (
        [Reply(250, "\n".join("x" * MAX_LINES))],
        None,
        False,
    )
    lines = [b"250-" + b"y" * (1_024 - 6) + b"\r\n"] * 31 + [b"250 " + b"y" * (1_024 - 6) + b"\r\n"]
    assert sum(map(len, lines)) == MAX_REPLY
    assert len(read(b"".join(lines))[0]) == 1


def test_the_limits_count_from_reply_to_reply() -> None:
    """A thousand replies after one another do not add up to one that is too long."""
    data = (b"250-" + b"x" * 60 + b"\r\n250 2.0.0 ok\r\n") * 1_000
    assert len(read(data)[0]) == 1_000


def test_replies_before_a_violation_are_read() -> None:
    """What was complete counts, and the violation comes after it."""
    replies, reason, _ = read(b"250 ok\r\n354 go\r\nboom\r\n250 never\r\n")
    assert replies == [Reply(250, "ok"), Reply(354, "go")]
    assert reason is not None


def test_a_violation_lasts() -> None:
    """After a violation the parser never returns a reply again, until it is cleared."""
    parser = ReplyParser()
    parser.feed(b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(ReplyViolation, match=r"200 to 599: 'SSH-2\.0-OpenSSH_9\.2'") as first:
        parser.next_reply()
    parser.feed(b"250 ok\r\n")
    with pytest.raises(ReplyViolation) as second:
        parser.next_reply()
    assert second.value is first.value
    parser.clear()
    parser.feed(b"250 ok\r\n")
    assert parser.next_reply() == Reply(250, "ok")


def test_an_excerpt_is_short_and_printable() -> None:
    """The error shows the beginning of the line, escaped, and no more."""
    parser = ReplyParser()
    parser.feed(b"\x1b[2J" + b"A" * 100_000)
    with pytest.raises(ReplyViolation) as caught:
        parser.next_reply()
    assert caught.value.excerpt.startswith("\\x1b[2JAAA")
    assert len(str(caught.value)) < 200
    assert str(ReplyViolation("empty", "")) == "empty"


def test_buffered_tells_of_anything_that_waits() -> None:
    """Bytes, half a line and half a multi-line reply count as buffered; complete replies that were taken do not."""
    parser = ReplyParser()
    assert not parser.buffered
    parser.feed(b"220 go\r\n25")
    assert parser.buffered
    assert parser.next_reply() == Reply(220, "go")
    assert parser.buffered
    assert parser.next_reply() is None
    parser.feed(b"0-AUTH PLAIN\r\n")
    assert parser.next_reply() is None
    assert parser.buffered
    parser.clear()
    assert not parser.buffered
    parser.feed(b"550 no\r\n")
    assert parser.next_reply() == Reply(550, "no")


def test_a_starttls_injection_is_seen() -> None:
    """Bytes behind the 220 to STARTTLS are visible as buffered, complete or not (CVE-2011-0411)."""
    for injected in (b"250-AUTH PLAIN\r\n250 evil\r\n", b"250-AUTH PL", b"2"):
        parser = ReplyParser()
        parser.feed(b"220 go\r\n" + injected)
        assert parser.next_reply() == Reply(220, "go")
        assert parser.buffered


_LINE_END = st.sampled_from([b"\r\n", b"\n", b"\r", b""])
_CODE = st.sampled_from([b"220", b"250", b"354", b"550", b"2", b"99", b"999", b"-25"])
_SEPARATOR = st.sampled_from([b" ", b"-", b"", b"x"])
_TEXT = st.one_of(st.binary(max_size=20), st.sampled_from([b"2.1.0 ok", b"5.1.1", b"x" * 2_040, b"\x00\x1b\xff"]))
_LINES = st.tuples(_CODE, _SEPARATOR, _TEXT, _LINE_END).map(b"".join)
_STREAM = st.one_of(st.binary(max_size=200), st.lists(_LINES, max_size=8).map(b"".join))


@given(data=_STREAM, cuts=st.lists(st.integers(0, 5_000), max_size=6))
@example(data=b"250-a\r\n251 b\r\n", cuts=[8])
@example(data=b"250 " + b"A" * 2_043 + b"\r\n", cuts=[2_047])
def test_the_cut_does_not_matter(data: bytes, cuts: list[int]) -> None:
    """Whole, byte by byte and cut anywhere, the same bytes give the same replies and the same violation."""
    whole = read(data)
    assert read(*single_bytes(data)) == whole
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    assert read(*(data[start:end] for start, end in itertools.pairwise(places))) == whole
    assert all(reply.text.replace("\n", "").isprintable() for reply in whole[0])


@given(
    code=st.integers(200, 599),
    lines=st.lists(st.text(st.characters(exclude_categories=("C", "Z")), max_size=50), min_size=1, max_size=9),
    line_end=st.sampled_from([b"\r\n", b"\n"]),
)
def test_what_a_server_writes_is_what_is_read(code: int, lines: list[str], line_end: bytes) -> None:
    """Printable lines come back as they were written."""
    first, last = [b"%d-%b%b" % (code, line.encode(), line_end) for line in lines[:-1]], lines[-1].encode()
    data = b"".join((*first, b"%d %b%b" % (code, last, line_end)))
    replies, reason, buffered = read(data)
    assert (reason, buffered) == (None, False)
    [reply] = replies
    assert reply.code == code
    prefix = f"{reply.enhanced_code} " if reply.enhanced_code else ""
    restored = [line if f"{line} ".startswith(prefix) else prefix + line for line in reply.text.split("\n")]
    assert reply.enhanced_code or restored == lines


@given(st.binary())
def test_printable_is_printable(data: bytes) -> None:
    """Whatever bytes come in, the text has no control character and encodes to ASCII or UTF-8."""
    text = printable(data)
    assert text.isprintable()
    assert text.encode().decode() == text


@pytest.mark.parametrize("unit", [b"220-x\r\n", b"250 A\r\n", b"A", b"\0", b"2"])
def test_reading_takes_linear_time(unit: bytes) -> None:
    """Sixteen times the bytes, one at a time, take no more than forty times as long."""

    def seconds(count: int) -> float:
        pieces = single_bytes(unit * count)
        start = time.process_time()
        read(*pieces)
        return time.process_time() - start

    assert min(seconds(16_000) for _ in range(3)) < 40 * min(seconds(1_000) for _ in range(3)) + 0.05
