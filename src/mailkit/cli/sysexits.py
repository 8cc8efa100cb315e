"""What the exit status says, so that scripts can tell what to do from it alone."""

from __future__ import annotations

from typing import Final

from mailkit.errors import ConfigurationError, DeliveryError, MailkitError, MessageError

__all__ = ["DATA", "INPUT_OUTPUT", "SETTINGS", "TEMPORARY", "UNAVAILABLE", "exit_status"]

# The numbers of sysexits.h.
DATA: Final = 65
UNAVAILABLE: Final = 69
INPUT_OUTPUT: Final = 74
TEMPORARY: Final = 75
SETTINGS: Final = 78


def exit_status(error: MailkitError) -> int:
    """Return the exit status of a command that ended with `error`."""
    if isinstance(error, DeliveryError):
        if error.cause == "configuration":
            return SETTINGS
        return TEMPORARY if error.retryable else UNAVAILABLE
    if isinstance(error, MessageError):
        return DATA
    return SETTINGS if isinstance(error, ConfigurationError) else INPUT_OUTPUT  # the ledger cannot be written
