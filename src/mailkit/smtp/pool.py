"""Which connection carries the next message, and when one has served long enough."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from mailkit.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge, Slots
    from mailkit.smtp.pool_limits import PoolLimits
    from mailkit.smtp.session import Session

__all__ = ["Pool"]


class Pool:
    """The connections to one server.

    Threads and tasks share it: what is idle sits in a deque, whose ends are popped and pushed atomically, and a slot
    bounds how many sessions are out or idle. A forked child starts with an empty pool: its parent's connections are not
    its own.

    Args:
        edge: Where the slots and the clock come from.
        connect: Makes a session.
        limits: The bounds.
    """

    def __init__(self, edge: Edge, connect: Callable[[], Awaitable[Session]], limits: PoolLimits) -> None:
        self._edge = edge
        self._connect = connect
        self._limits = limits
        self._processes: dict[int, _Process] = {}
        self._closed = False
        self.rate: Pace = Pace(edge, messages=limits.messages_per_second, recipients=limits.recipients_per_second)

    def now(self) -> float:
        """Seconds on the edge's clock."""
        return self._edge.now()

    async def wait_for_turn(self, recipients: int) -> None:
        """Wait until a message may go out by the rates.

        Raises:
            RateLimitedError: That would take longer than a connection is waited for.
        """
        await self.rate.wait(recipients, within=self._patience)

    @property
    def _patience(self) -> float:
        timeout = self._limits.acquire_timeout
        return self._edge.timeout if timeout is None else timeout

    async def acquire(self, *, fresh: bool = False) -> Session:
        """Return a session that nobody else uses; it must come back through :meth:`release`.

        Args:
            fresh: Whether an idle session will not do.

        Raises:
            DeliveryError: No connection could be had: nothing was sent.
        """
        process = self._process()
        await process.slots.acquire(deadline=self._edge.now() + self._patience)
        try:
            while (session := process.pop()) is not None:
                if await self._is_ready(session, fresh=fresh):
                    return session
            return await self._connect()
        except BaseException:
            process.slots.release()
            raise

    async def _is_ready(self, session: Session, *, fresh: bool) -> bool:
        """Make an idle session ready for the next message, or close it."""
        session.is_reused = True
        is_ready = False
        try:
            is_ready = not fresh and self._may_serve(session) and session.is_usable and await session.prepare()
        finally:
            if not is_ready:  # also when it was interrupted in the middle of a RSET
                async with self._edge.shield():
                    await session.close()
        return is_ready

    async def release(self, session: Session) -> None:
        """Take a session back: for the next message, or to close it."""
        if session.pid != os.getpid():
            session.abandon()
            return
        process = self._process()
        try:
            if not self._closed and self._may_serve(session):
                process.idle.append(session)
            else:
                async with self._edge.shield():
                    await session.close()
        finally:
            process.slots.release()
        if self._closed:
            await self.close()  # it may have been closed between the two lines that look at it

    async def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        self._closed = True
        process = self._process()
        while (session := process.pop()) is not None:
            await session.close()

    def is_spent(self, session: Session, *, in_flight: int = 0) -> bool:
        """Whether a session has carried as many messages, or lived as long, as it may."""
        limits = self._limits
        mail_max = session.extensions.limits.mail_max  # RFC 9422 §4.1
        carried = session.messages + in_flight
        return (
            (limits.max_messages is not None and carried >= limits.max_messages)
            or (mail_max is not None and carried >= mail_max)
            or (limits.max_age is not None and self._edge.now() - session.opened_at >= limits.max_age)
        )

    def _may_serve(self, session: Session) -> bool:
        is_fresh = self._edge.now() - session.used_at < self._limits.idle_timeout
        return is_fresh and session.is_in_step and not self.is_spent(session)

    def _process(self) -> _Process:
        """Return what belongs to this process, and leave alone what a fork has copied from its parent."""
        pid = os.getpid()
        process = self._processes.get(pid)
        if process is None:
            inherited = [other for other in self._processes if other != pid]
            # A lock that another thread of the parent held at the fork would never be released here: so new slots. Of
            # two threads that come here at once, one loses what it made.
            process = self._processes.setdefault(pid, _Process(self._edge.slots(self._limits.max_connections)))
            for other in inherited:
                parents = self._processes.pop(other, None)
                while parents is not None and (session := parents.pop()) is not None:
                    session.abandon()
        return process


class _Process:
    """The connections of one process.

    Args:
        slots: Bounds them.
    """

    __slots__ = ("idle", "slots")

    def __init__(self, slots: Slots) -> None:
        self.idle: deque[Session] = deque()
        self.slots = slots

    def pop(self) -> Session | None:
        # The one used last is the one most likely to be alive; the others grow old and are let go.
        try:
            return self.idle.pop()
        except IndexError:
            return None
