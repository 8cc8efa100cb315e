"""Streams in segments."""

from __future__ import annotations

import pytest
from tests.policies.cast import ANN, BOB, letter, stream

from mailkit.edge.base import run_sync
from mailkit.errors import MessageError, OutcomeUnknownError
from mailkit.policies.segments import Segments
from mailkit.receipt import Outcome


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_segments_add_up_to_the_stream(size: int) -> None:
    """Each goes on where the one before was paused, and there is none after the end."""
    messages = [letter(number=number) for number in range(7)]

    async def go() -> list[list[object]]:
        source = Segments(stream(messages))
        segments: list[list[object]] = []
        while source.goes_on:
            segments.append([])
            async for message in source.next_segment():
                segments[-1].append(message)
                if len(segments[-1]) == size:
                    source.pause()
        return segments

    segments = run_sync(go())
    assert [message for segment in segments for message in segment] == messages
    assert [len(segment) for segment in segments if segment] == [min(size, 7 - at) for at in range(0, 7, size)]


def test_a_segment_that_nobody_reads_is_the_last() -> None:
    """Else whoever takes no messages would be asked for ever."""
    source = Segments(stream([letter()]))
    assert source.goes_on
    source.next_segment()
    source.pause()
    assert not source.goes_on


def test_it_is_remembered_what_came_as_an_outcome() -> None:
    """In order, once for each; and nothing is said of what was not taken."""
    outcome = Outcome(message=letter(), error=MessageError("was wrong before"))
    source = Segments(stream([letter(), outcome, letter()]))

    async def go() -> None:
        async for _ in source.next_segment():
            pass

    assert not source.was_given()
    run_sync(go())
    assert [source.was_given() for _ in range(4)] == [False, True, False, False]


def test_what_an_interruption_does_not_speak_of_is_in_doubt() -> None:
    """Of what was taken and not answered; nobody must read that it was not sent, where nobody knows."""
    given = Outcome(message=letter(number=2), error=MessageError("was wrong before"))
    source = Segments(stream([letter(number=1), letter(ANN, BOB, number=3), given]))

    async def go() -> None:
        async for _ in source.next_segment():
            pass

    run_sync(go())
    told = Outcome(message=letter(number=1), error=MessageError("told"))
    interruption = KeyboardInterrupt()
    interruption.__dict__["outcomes"] = (told,)
    first, second, third = source.left_by(interruption)
    assert (first, third) == (told, given)
    assert isinstance(second.error, OutcomeUnknownError)
    assert [str(result) for result in second.error.recipients] == [f"{ANN}: unknown", f"{BOB}: unknown"]
    source.was_given()
    assert len(source.left_by(KeyboardInterrupt())) == 2
