"""Which connection carries the next message, and when one has served long enough."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from attrs import frozen

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.edge import Edge
    from mailkit.smtp.session import Session

__all__ = ["Pool", "PoolLimits"]


@frozen(kw_only=True)
class PoolLimits:
    """How many connections there may be, and how long each may serve.

    Args:
        max_connections: Open at once, idle ones included; who comes then waits.
        max_messages: Messages that one connection carries; None is no bound.
        max_age: Seconds that one connection lives; None is no bound.
        idle_timeout: Seconds after which an idle connection is not used again. Servers close theirs after 5 minutes or
            so (RFC 5321 §4.5.3.2.7), busy ones much sooner.
        acquire_timeout: Seconds to wait for a connection; None is the mailer's `timeout`.

    Raises:
        ConfigurationError: A bound is not positive.
    """

    max_connections: int = 10
    max_messages: int | None = None
    max_age: float | None = None
    idle_timeout: float = 60.0
    acquire_timeout: float | None = None

    def __attrs_post_init__(self) -> None:
        bounds = (self.max_connections, self.max_messages, self.max_age, self.idle_timeout, self.acquire_timeout)
        if any(bound is not None and bound <= 0 for bound in bounds):
            msg = "every bound of the connection pool is positive; use None for no bound"
            raise ConfigurationError(msg)


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
        self._idle: deque[Session] = deque()
        self._slots = edge.slots(limits.max_connections)
        self._pid = os.getpid()
        self._closed = False

    async def acquire(self, *, fresh: bool = False) -> Session:
        """Return a session that nobody else uses; it must come back through :meth:`release`.

        Args:
            fresh: Whether an idle session will not do.

        Raises:
            DeliveryError: No connection could be had: nothing was sent.
        """
        self._notice_fork()
        timeout = self._limits.acquire_timeout
        await self._slots.acquire(deadline=self._edge.now() + (self._edge.timeout if timeout is None else timeout))
        try:
            while (session := self._pop()) is not None:
                if not fresh and self._may_serve(session) and await session.prepare():
                    return session
                await session.close()
            return await self._connect()
        except BaseException:
            self._slots.release()
            raise

    async def release(self, session: Session) -> None:
        """Take a session back: for the next message, or to close it."""
        if session.pid != os.getpid():
            session.abandon()
            return
        try:
            if not self._closed and self._may_serve(session):
                self._idle.append(session)
            else:
                async with self._edge.shield():
                    await session.close()
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        self._notice_fork()
        self._closed = True
        while (session := self._pop()) is not None:
            await session.close()

    def is_spent(self, session: Session, *, in_flight: int = 0) -> bool:
        """Whether a session has carried as many messages, or lived as long, as it may."""
        limits = self._limits
        mail_max = session.extensions.limits.mail_max  # RFC 9422 §4.1
        bounds = [bound for bound in (limits.max_messages, mail_max) if bound is not None]
        return any(session.messages + in_flight >= bound for bound in bounds) or (
            limits.max_age is not None and self._edge.now() - session.opened_at >= limits.max_age
        )

    def _pop(self) -> Session | None:
        # The one used last is the one most likely to be alive; the others grow old and are let go.
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _may_serve(self, session: Session) -> bool:
        is_fresh = self._edge.now() - session.used_at < self._limits.idle_timeout
        return is_fresh and not self.is_spent(session) and session.is_usable

    def _notice_fork(self) -> None:
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        # A lock that another thread of the parent held at the fork would never be released in the child.
        self._slots = self._edge.slots(self._limits.max_connections)
        inherited, self._idle = self._idle, deque()
        for session in inherited:
            session.abandon()
