from __future__ import annotations

import os

import pytest

from mailkit.errors import DeliveryError, OutcomeUnknownError, RejectedError, TransientError
from mailkit.local.exit_status import error_for_exit


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "retryable"),
    [
        ("EX_USAGE", DeliveryError, "not_sent", False),
        ("EX_DATAERR", RejectedError, "rejected", False),
        ("EX_NOINPUT", RejectedError, "rejected", False),
        ("EX_NOUSER", RejectedError, "rejected", False),
        ("EX_NOHOST", RejectedError, "rejected", False),
        ("EX_UNAVAILABLE", RejectedError, "rejected", False),
        ("EX_SOFTWARE", TransientError, "deferred", True),
        ("EX_OSERR", TransientError, "deferred", True),
        ("EX_OSFILE", DeliveryError, "not_sent", False),
        ("EX_CANTCREAT", TransientError, "deferred", True),
        ("EX_IOERR", TransientError, "deferred", True),
        ("EX_TEMPFAIL", TransientError, "deferred", True),
        ("EX_PROTOCOL", TransientError, "deferred", True),
        ("EX_NOPERM", DeliveryError, "not_sent", False),
        ("EX_CONFIG", DeliveryError, "not_sent", False),
    ],
)
def test_every_status_of_sysexits_has_its_outcome(
    name: str, kind: type[DeliveryError], outcome: str, *, retryable: bool
) -> None:
    """The status that the operating system calls by that name makes that error, which names it."""
    error = error_for_exit(getattr(os, name), "", program="/usr/sbin/sendmail", is_written=True)
    assert error is not None
    assert type(error) is kind
    assert (error.outcome, error.retryable, error.phase) == (outcome, retryable, "data")
    assert name in str(error)


@pytest.mark.parametrize("status", [1, 2, 79, 126, 127, 255])
def test_a_status_of_no_meaning_is_for_the_administrator(status: int) -> None:
    """A status that sysexits.h does not know says that the message was not sent, and is not retried."""
    error = error_for_exit(status, "", program="p", is_written=True)
    assert error is not None
    assert (error.outcome, error.cause, error.retryable) == ("not_sent", "configuration", False)


def test_zero_is_success_if_the_message_was_read() -> None:
    """Success is believed of a program that has read the whole message, and of no other."""
    assert error_for_exit(0, "", program="p", is_written=True) is None
    error = error_for_exit(0, "", program="p", is_written=False)
    assert error is not None
    assert (error.outcome, error.retryable) == ("not_sent", True)


def test_a_signal_leaves_the_outcome_open_once_the_message_was_read() -> None:
    """A program that was killed may have queued the message, if it had all of it; else it has not."""
    known = error_for_exit(-9, "", program="p", is_written=False)
    unknown = error_for_exit(-9, "", program="p", is_written=True)
    assert known is not None
    assert known.outcome == "not_sent"
    assert isinstance(unknown, OutcomeUnknownError)
    assert "signal 9" in str(unknown)


def test_what_the_program_says_is_quoted_on_one_line() -> None:
    """Its standard error is part of the message: one line, printable, not endless."""
    error = error_for_exit(75, "queue\nfull \x1b[31m" + "x" * 10_000, program="p", is_written=True)
    assert "(queue full \\x1b[31mxxx" in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 700
