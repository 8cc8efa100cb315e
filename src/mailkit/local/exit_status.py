"""What a sendmail command's exit status says about the message (sysexits.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from mailkit.errors import DeliveryError, OutcomeUnknownError, RejectedError, TransientError
from mailkit.local.readable import escaped

if TYPE_CHECKING:
    from mailkit.errors import Cause

__all__ = ["error_for_exit"]

_SHOWN: Final = 500  # characters of what the program says


@frozen
class _Exit:
    """One row of the table."""

    name: str
    kind: type[DeliveryError]
    advice: str
    cause: Cause | None = None


_TRY_LATER = "try again later"
_REFUSED = "correct the message or its addresses"
_ASK_ADMINISTRATOR = "check the mail system's configuration"

_EXITS: Final[dict[int, _Exit]] = {
    64: _Exit("EX_USAGE", DeliveryError, "give the path of a program that has its options", "configuration"),
    65: _Exit("EX_DATAERR", RejectedError, _REFUSED),
    66: _Exit("EX_NOINPUT", RejectedError, _REFUSED),
    67: _Exit("EX_NOUSER", RejectedError, _REFUSED),
    68: _Exit("EX_NOHOST", RejectedError, _REFUSED),
    69: _Exit("EX_UNAVAILABLE", RejectedError, _REFUSED),
    70: _Exit("EX_SOFTWARE", TransientError, _TRY_LATER),
    71: _Exit("EX_OSERR", TransientError, _TRY_LATER),
    72: _Exit("EX_OSFILE", DeliveryError, _ASK_ADMINISTRATOR, "configuration"),
    73: _Exit("EX_CANTCREAT", TransientError, _TRY_LATER),
    74: _Exit("EX_IOERR", TransientError, _TRY_LATER),
    75: _Exit("EX_TEMPFAIL", TransientError, _TRY_LATER),
    76: _Exit("EX_PROTOCOL", TransientError, _TRY_LATER),
    77: _Exit("EX_NOPERM", DeliveryError, "allow this user to send, or send over SMTP", "configuration"),
    78: _Exit("EX_CONFIG", DeliveryError, _ASK_ADMINISTRATOR, "configuration"),
}
# Whoever answers something else failed for a reason that sysexits.h has no number for, as shells do with 126 and 127.
_OTHER = _Exit("no code of sysexits.h", DeliveryError, _ASK_ADMINISTRATOR, "configuration")


def error_for_exit(status: int, said: str, *, program: str, is_written: bool) -> DeliveryError | None:
    """Return what to raise for an exit status; None if the message was accepted.

    Args:
        status: The exit status, or the negative number of the signal that ended the program.
        said: What it wrote to its standard error.
        program: Its path.
        is_written: Whether it had the whole message.
    """
    words = " ".join(escaped(said).split())[:_SHOWN]
    quoted = f" ({words})" if words else ""
    if status == 0 and is_written:
        return None
    if status <= 0:
        how = f"was ended by signal {-status}" if status else "ended"
        if is_written:
            return OutcomeUnknownError(
                f"{program} {how} after it had the whole message{quoted}: look into the mail queue before it is sent"
                " again",
                phase="data",
            )
        return DeliveryError(
            f"{program} {how} before it had the whole message{quoted}; the message was not sent: {_TRY_LATER}",
            phase="data",
        )
    row = _EXITS.get(status, _OTHER)
    return row.kind(
        f"{program} did not accept the message: exit status {status}, {row.name}{quoted}; {row.advice}",
        cause=row.cause,
        phase="data",
    )
