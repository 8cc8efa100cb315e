from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mailkit.errors import MessageError
from mailkit.mime.boundary import Boundaries, check_boundary
from mailkit.mime.content import Content


@pytest.mark.parametrize("value", ["", "=_x\r\n--y", "a" * 71, 'x"y', "x ", "é", "x\n", "a;b", None, b"x"])
def test_a_boundary_that_is_none_is_refused(value: object) -> None:
    """RFC 2046 §5.1.1: 1 to 70 of few characters, no space at the end."""
    with pytest.raises(MessageError, match="boundary"):
        check_boundary(value)


@pytest.mark.parametrize("value", ["x", "a" * 70, "gc0pJq0M:08jU534c0p", "a b", "'()+_,-./:=?"])
def test_a_boundary_is_taken(value: str) -> None:
    """Every character that the RFC allows."""
    assert check_boundary(value) == value


def test_ours_hold_128_random_bits_and_never_begin_each_other() -> None:
    """Two messages share none; those of one message have the same length."""
    ours, others = Boundaries("1@example.com"), Boundaries("2@example.com")
    drawn = [ours.next() for _ in range(4)]
    assert all(re.fullmatch(r"=_[0-3]_[0-9a-f]{32}", boundary) for boundary in drawn)
    assert len(set(drawn)) == 4
    assert not set(drawn) & {others.next() for _ in range(4)}


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "ab"), ("ab", "a")])
def test_one_that_begins_another_is_refused(first: str, second: str) -> None:
    """A reader that compares only the beginning would take one for the other."""
    given = iter([first, second])
    boundaries = Boundaries("1@example.com", lambda: next(given))
    boundaries.next()
    with pytest.raises(MessageError, match="twice"):
        boundaries.next()


def content(*blocks: bytes) -> Content:
    """Return raw content in blocks."""
    return Content("binary", sum(map(len, blocks)), lambda: iter(blocks))


def test_finds_a_boundary_in_what_goes_out_as_it_is() -> None:
    """In texts, and across the blocks of a file; base64 is not even looked at."""
    boundaries = Boundaries("1@example.com", lambda: "edge")
    assert boundaries.are_absent_from("7bit", b"--edge")  # none drawn yet
    boundaries.next()
    assert not boundaries.are_absent_from("7bit", b"x\r\n--edge")
    assert boundaries.are_absent_from("7bit", b"edge")
    assert boundaries.are_absent_from("base64", b"--edge")
    assert not boundaries.are_absent_from("binary", content(b"x--e", b"d", b"ge"))
    assert boundaries.are_absent_from("binary", content(b"x--e", b"e", b"dge"))


def test_a_file_is_not_read_for_a_random_one() -> None:
    """Nobody could have written it into the file before."""

    def unreadable() -> Content:
        raise AssertionError

    boundaries = Boundaries("1@example.com")
    boundaries.next()
    assert boundaries.are_absent_from("binary", Content("binary", 1, unreadable))  # type: ignore[arg-type]


def test_a_message_has_the_same_ones_each_time() -> None:
    """What is tried again is the same to the last octet, and nobody outside of the process can tell them beforehand."""
    first, again = Boundaries("1@example.com").next(), Boundaries("1@example.com").next()
    assert first == again
    program = "from mailkit.mime.boundary import Boundaries; print(Boundaries('1@example.com').next())"
    elsewhere = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert elsewhere.strip() != first


def test_a_text_is_looked_through_even_for_one_of_ours() -> None:
    """It costs nothing."""
    boundaries = Boundaries("1@example.com")
    assert not boundaries.are_absent_from("8bit", f"--{boundaries.next()}".encode())
