"""Which connection carries the next message, and when one has served long enough."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from mailkit.pace import Pace
from mailkit.smtp.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge, Slots
    from mailkit.smtp.pool_limits import PoolLimits
    from mailkit.smtp.session import Session

__all__ = ["Connections", "Pool"]


class Pool:
    """The connections to one server.

    Threads and tasks share it: what is idle sits in a deque, whose ends are popped and pushed atomically, and a slot
    bounds how many sessions are out or idle. A forked child starts with an empty pool: its parent's connections are not
    its own. What is used is held by a :class:`mailkit.smtp.lease.Lease`.

    Args:
        edge: Where the slots and the clock come from.
        connect: Makes a session.
        limits: The bounds.
    """

    def __init__(self, edge: Edge, connect: Callable[[], Awaitable[Session]], limits: PoolLimits) -> None:
        self._edge = edge
        self._connect = connect
        self._limits = limits
        self._by_process: dict[int, Connections] = {}
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

    def until(self) -> float:
        """Until when a connection is waited for, from now on."""
        return self._edge.now() + self._patience

    def lease(self) -> Lease:
        """Return what takes a connection, and gives it back."""
        return Lease(self)

    async def choose(self, connections: Connections, *, fresh: bool) -> Session:
        """Return an idle session, or a new one.

        Raises:
            DeliveryError: No connection could be had.
        """
        while (session := connections.pop()) is not None:
            if await self._is_ready(session, fresh=fresh):
                return session
        return await self._connect()

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

    async def keep(self, session: Session) -> None:
        """Take a session back: for the next message, or to close it."""
        if session.pid != os.getpid():
            session.abandon()
            return
        if not self._closed and self._may_serve(session):
            self.connections().idle.append(session)
        else:
            async with self._edge.shield():
                await session.close()
        if self._closed:
            await self.close()  # it may have been closed between the two lines that look at it

    async def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        self._closed = True
        connections = self.connections()
        while (session := connections.pop()) is not None:
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

    def connections(self) -> Connections:
        """Return what belongs to this process, and leave alone what a fork has copied from its parent."""
        pid = os.getpid()
        connections = self._by_process.get(pid)
        if connections is None:
            inherited = [other for other in self._by_process if other != pid]
            # A lock that another thread of the parent held at the fork would never be released here: so new slots. Of
            # two threads that come here at once, one loses what it made.
            slots = self._edge.slots(self._limits.max_connections)
            connections = self._by_process.setdefault(pid, Connections(pid, slots))
            for other in inherited:
                parents = self._by_process.pop(other, None)
                while parents is not None and (session := parents.pop()) is not None:
                    session.abandon()
        return connections


class Connections:
    """The connections of one process.

    Args:
        pid: The process.
        slots: Bounds them.
    """

    __slots__ = ("idle", "pid", "slots")

    def __init__(self, pid: int, slots: Slots) -> None:
        self.pid: int = pid
        self.idle: deque[Session] = deque()
        self.slots: Slots = slots

    @property
    def are_ours(self) -> bool:
        """Whether they belong to this process, and not to the one that it was forked from."""
        return self.pid == os.getpid()

    def pop(self) -> Session | None:
        """Take out an idle session, if there is one."""
        # The one used last is the one most likely to be alive; the others grow old and are let go.
        try:
            return self.idle.pop()
        except IndexError:
            return None
