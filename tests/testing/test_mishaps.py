from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit.envelope import Envelope
from mailkit.errors import ConnectError, MailkitError, MessageError, RejectedError, TransientError
from mailkit.local.letter import Letter
from mailkit.receipt import RecipientResult
from mailkit.reply import Reply
from mailkit.testing.mishaps import Mishap, Mishaps, copy_for, result_for

if TYPE_CHECKING:
    from collections.abc import Sequence

BOB, EVE = "bob@example.org", "eve@example.net"
BUSY, FULL, NO = TransientError("busy"), TransientError("full"), RejectedError("no")


def _letter(*recipients: str) -> Letter:
    envelope = Envelope("ada@example.com", recipients or (BOB, EVE))
    return Letter(envelope=envelope, message=None, message_id="1@x.test", size=0, blocks=lambda: iter(()))


def _mishaps(*script: tuple[MailkitError, int | None, str | None]) -> Mishaps:
    mishaps = Mishaps()
    for error, times, recipient in script:
        mishaps.add(Mishap(error, times, recipient, lambda _: True))
    return mishaps


def test_they_happen_in_their_order_and_as_often_as_they_say() -> None:
    """One mishap after the other strikes, each as many times as it was told to, then none."""
    mishaps = _mishaps((BUSY, 2, None), (NO, 1, None))
    assert [mishaps.strike(_letter()) for _ in range(4)] == [BUSY, BUSY, NO, {}]
    assert len(mishaps) == 0


def test_recipients_are_struck_together() -> None:
    """Mishaps of several recipients strike the same message, each its own recipient, the first of two first."""
    mishaps = _mishaps((BUSY, 1, BOB), (NO, 1, EVE), (FULL, 1, BOB))
    assert mishaps.strike(_letter()) == {BOB: BUSY, EVE: NO}
    assert mishaps.strike(_letter()) == {BOB: FULL}


def test_a_recipient_who_is_not_there_is_waited_for() -> None:
    """A mishap of a recipient waits for a message to that recipient."""
    mishaps = _mishaps((BUSY, 1, BOB))
    assert mishaps.strike(_letter(EVE)) == {}
    assert mishaps.strike(_letter(BOB)) == {BOB: BUSY}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([(BUSY, 1, BOB), (NO, 1, None)], [{BOB: BUSY}, NO]),
        ([(NO, 1, None), (BUSY, 1, BOB)], [NO, {BOB: BUSY}]),
    ],
)
def test_a_message_is_struck_as_a_whole_or_in_parts(
    script: list[tuple[MailkitError, int | None, str | None]], expected: Sequence[object]
) -> None:
    """What strikes the whole message and what strikes a recipient do not happen at once."""
    mishaps = _mishaps(*script)
    assert [mishaps.strike(_letter()) for _ in range(2)] == list(expected)


def test_what_has_no_end_goes_on() -> None:
    """A mishap without a number strikes until it is cleared."""
    mishaps = _mishaps((BUSY, None, BOB))
    assert [mishaps.strike(_letter()) for _ in range(3)] == [{BOB: BUSY}] * 3
    mishaps.clear()
    assert mishaps.strike(_letter()) == {}


def test_only_what_applies_strikes() -> None:
    """A mishap that does not apply to a letter is left for another."""
    mishaps = Mishaps()
    mishaps.add(Mishap(BUSY, 1, None, lambda letter: len(letter.envelope.rcpt_to) == 1))
    assert mishaps.strike(_letter()) == {}
    assert mishaps.strike(_letter(BOB)) == BUSY


class OddError(ConnectError):
    """An error whose constructor takes something else."""

    def __init__(self, host: str, *, port: int) -> None:
        super().__init__(f"{host}:{port} is away")


def test_a_copy_names_what_the_error_leaves_open() -> None:
    """The error that is raised is a copy, with recipients, transport and Message-ID where there were none."""
    error = OddError("mx.test", port=25)
    copied = copy_for(error, _letter(BOB), "fake://")
    assert copied is not error
    assert (copied.transport, copied.message_id) == ("fake://", "1@x.test")
    assert copied.recipients == (RecipientResult(BOB, status="not_sent"),)
    assert (error.transport, error.recipients) == (None, ())
    assert str(copied) == str(error) == "mx.test:25 is away"


def test_a_copy_keeps_what_the_error_says() -> None:
    """What a test has put into the error stays."""
    error = TransientError(
        "busy", transport="smtp://mx.test:25", retry_after=5.0, recipients=(RecipientResult(EVE, status="deferred"),)
    )
    copied = copy_for(error, _letter(BOB), "fake://")
    assert isinstance(copied, TransientError)
    assert (copied.transport, copied.retry_after, copied.recipients) == ("smtp://mx.test:25", 5.0, error.recipients)


def test_an_error_of_the_message_itself_is_copied_as_it_is() -> None:
    """An error that is no delivery's has nothing to be filled in."""
    error = MessageError("too odd")
    copied = copy_for(error, _letter(), "fake://")
    assert (type(copied), str(copied)) == (MessageError, "too odd")
    assert copied is not error


def test_a_recipient_s_result_says_what_the_error_says() -> None:
    """The result has the error's outcome, phase and wait, and its reply where there is one."""
    reply = Reply(452, "full", enhanced_code="4.2.2")
    error = TransientError("mailbox full", phase="rcpt", reply=reply, retry_after=9.0)
    assert result_for(BOB, error) == RecipientResult(
        BOB, status="deferred", code=452, enhanced_code="4.2.2", phase="rcpt", text="full", retry_after=9.0
    )
    assert result_for(BOB, NO) == RecipientResult(BOB, status="rejected", text="no")
