"""Override: while tests run, one transport stands in for every other that a mailer was given.

Several tests may run in one process at the same time, in threads or as tasks, and each is to see its own mail. So an
override holds first of all in the context in which it began (PEP 567), which tasks and ``asyncio.to_thread`` hand on. A
thread that an application starts by itself has a context of its own; there the newest override holds that is in force,
which with one test at a time is that test's.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from mailkit.transport import Transport

__all__ = ["Override", "overriding"]

_here: ContextVar[Override | None] = ContextVar("mailkit_override", default=None)
_everywhere: list[Override] = []  # those in force, the newest last; appending and removing are atomic


class Override:
    """A transport in the place of all others: from entering to leaving the ``with``, in whichever order several end.

    Example:
        >>> from mailkit import Mailer, Message
        >>> from mailkit.local import MemoryTransport
        >>> memory = MemoryTransport()
        >>> with Override(memory):
        ...     receipt = Mailer("smtp://mail.example.com").send(Message(from_="ada@example.com", to="bob@example.org"))
        >>> len(memory.outbox)
        1

    Args:
        transport: What everything is sent to.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport: Transport = transport
        self.is_in_force: bool = False
        self._outer: Override | None = None

    def __enter__(self) -> Self:
        self._outer = _here.get()
        self.is_in_force = True
        _everywhere.append(self)
        _here.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_in_force = False
        _everywhere.remove(self)
        if _here.get() is self:  # not so where a test framework ends it in another context than it began
            _here.set(self._outer)

    def inner_most(self) -> Override | None:
        """Return this override if it is in force, else the nearest round it that is.

        A context may be older than the override that it names: an event loop that serves several tests keeps its own.
        """
        override: Override | None = self
        while override is not None and not override.is_in_force:
            override = override._outer  # noqa: SLF001 - of the same class
        return override


def overriding() -> Transport | None:
    """Return the transport that stands in for every other here and now, or None."""
    if not _everywhere:
        return None
    here = _here.get()
    override = None if here is None else here.inner_most()
    if override is None:
        override = next(reversed(_everywhere), None)
    return None if override is None else override.transport
