"""Whether an attempt at a mail job came to its commit point: noted before, so that a killed worker leaves no doubt.

The worker that sends and the one that finds its attempt without an end ask the journal for the same key, and only the
first of them gets it. So either the message may have been sent, or it was not and will not be, even where a worker
that was taken for lost wakes up again.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConnectError, MessageError
from mailkit.integrations.queue_journal import write_or_log

if TYPE_CHECKING:
    from mailkit.integrations.queue_journal import Journal

__all__ = ["CommitPoint"]

_COMMITTED: Final = "committed"
_GIVEN_UP: Final = "given up"


class CommitPoint:
    """That of one attempt.

    Args:
        journal: Where it is noted.
        key: The attempt's.
    """

    def __init__(self, journal: Journal, key: str) -> None:
        self._journal = journal
        self._key = f"{key}:commit"
        self.is_passed: bool = False
        self.given_up: bool = False
        """Whether another worker has taken this one for lost."""
        self.lost: ConnectError | None = None
        """Why it could not be noted."""

    def pass_(self) -> None:
        """Note that the message may be accepted from now on.

        Raises:
            ConnectError: The journal cannot be told.
            MessageError: Another worker has taken this one for lost.
        """
        if self.is_passed:
            return
        try:
            self.given_up = self._noted(_COMMITTED) != _COMMITTED
        except ConnectError as error:
            self.lost = error
            raise
        if self.given_up:
            raise MessageError("the message is not sent here: another worker has taken over, for this one was so slow")
        self.is_passed, self.lost = True, None

    def give_up(self) -> bool:
        """See to it that the attempt does not come to its commit point any more; return whether it had not.

        Raises:
            ConnectError: The journal cannot be told.
        """
        return self._noted(_GIVEN_UP) == _GIVEN_UP

    def forget(self) -> None:
        """Remove the note that it was passed."""
        if self.is_passed:
            write_or_log(lambda: self._journal.forget(self._key))

    def _noted(self, what: str) -> str:
        """Note this unless the other is noted; return what is."""
        found = self._journal.claim(self._key, json.dumps({what: time.time()}))
        return what if found is None else next(iter(json.loads(found)))
