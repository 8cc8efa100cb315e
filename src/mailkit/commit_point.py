"""The commit point of a delivery: until then nobody can have accepted the message, and from then on somebody may have.

It lies before the first byte of the write that holds the message's end: over SMTP its last dot or chunk, over HTTP the
end of the request's body. Whoever wants to know after a crash whether a message may have been sent has to make a note
of it *before* that byte leaves. The function that does so holds in the context in which it was set (PEP 567).
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["announce_commit", "before_commit"]

_function: ContextVar[Callable[[], object] | None] = ContextVar("mailkit_before_commit", default=None)


@contextmanager
def before_commit(function: Callable[[], object]) -> Generator[None, None, None]:
    """Have a function called before each commit point in this block: several, where one server does not decide.

    It is called where a channel ``announces_commit``, and only by its `send` and `send_raw`. What it raises, which is
    to be a :class:`mailkit.MailkitError`, keeps the message from being committed: it is certainly not sent.

    Example:
        >>> with before_commit(lambda: print("now")):
        ...     announce_commit()
        now

    Args:
        function: What is called; it blocks the thread or task that sends.
    """
    token = _function.set(function)
    try:
        yield
    finally:
        _function.reset(token)


def announce_commit() -> None:
    """Say that the next write holds the end of a message.

    Raises:
        MailkitError: The message is not to be committed.
    """
    function = _function.get()
    if function is not None:
        function()
