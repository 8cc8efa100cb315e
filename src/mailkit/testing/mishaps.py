"""What is to go wrong, in the order in which a test has said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from mailkit.errors import DeliveryError, MailkitError
from mailkit.local.letter import results
from mailkit.receipt import RecipientResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.local.letter import Letter

__all__ = ["Mishap", "Mishaps", "copy_for", "result_for"]

E = TypeVar("E", bound=MailkitError)


@define(eq=False)
class Mishap:
    """One thing that is to go wrong.

    Args:
        error: What a message, or one recipient of it, ends with.
        left: How many times more; None is always.
        recipient: The address that it strikes; None strikes the message as a whole.
        applies: Whether it strikes this message at all.
    """

    error: MailkitError
    left: int | None
    recipient: str | None
    applies: Callable[[Letter], object]


@define(eq=False)
class Mishaps:
    """The mishaps still to come. Its owner sees to it that one thread uses it at a time."""

    _waiting: list[Mishap] = field(factory=list[Mishap])

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, mishap: Mishap) -> None:
        """Put a mishap behind those that are waiting."""
        self._waiting.append(mishap)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._waiting.clear()

    def strike(self, letter: Letter) -> MailkitError | dict[str, DeliveryError]:
        """Use up what strikes this letter.

        Returns:
            The error of the message as a whole, or those of single recipients by address.
        """
        struck: dict[str, DeliveryError] = {}
        recipients = {address.addr_spec for address in letter.envelope.rcpt_to}
        for mishap in [each for each in self._waiting if each.applies(letter)]:
            if mishap.recipient is None:
                if struck:
                    continue  # one thing at a time: this one is for a later message
                self._use(mishap)
                return mishap.error
            if mishap.recipient in recipients - struck.keys() and isinstance(mishap.error, DeliveryError):
                self._use(mishap)
                struck[mishap.recipient] = mishap.error
        return struck

    def _use(self, mishap: Mishap) -> None:
        if mishap.left is not None:
            mishap.left -= 1
            if not mishap.left:
                self._waiting.remove(mishap)


def copy_for(error: E, letter: Letter, transport: str) -> E:
    """Return a copy of a scripted error, about this letter: the one that a test keeps is never raised itself."""
    # Past __init__, whose parameters a subclass may have changed.
    copied = type(error).__new__(type(error), *error.args)
    copied.args = error.args
    vars(copied).update(vars(error))
    if isinstance(copied, DeliveryError):
        copied.recipients = copied.recipients or results(letter.envelope, copied.outcome)
        copied.transport = copied.transport or transport
        copied.message_id = copied.message_id or letter.message_id
    return copied


def result_for(address: str, error: DeliveryError) -> RecipientResult:
    """Return what became of the message for one recipient that an error strikes."""
    reply = error.reply
    return RecipientResult(
        address,
        status=error.outcome,
        code=None if reply is None else reply.code,
        enhanced_code=None if reply is None else reply.enhanced_code,
        phase=error.phase,
        text=str(error) if reply is None else reply.text,
        retry_after=error.retry_after,
    )
