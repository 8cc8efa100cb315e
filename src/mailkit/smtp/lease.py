"""The use of one pooled connection, which comes to its end once, whatever interrupts it and however often."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from mailkit.smtp.pool import Connections, Pool
    from mailkit.smtp.session import Session

__all__ = ["Lease"]


class Lease:
    """A slot of the pool, and the session that is used meanwhile; one after another, where there is need.

    A signal handler may raise between any two steps, on the way out of :meth:`take` and on the way into
    :meth:`give_back` too. So whoever uses a connection makes the lease first, and gives back in a ``finally`` that
    begins before anything is taken; what is given back already is not given back again. Where one signal after another
    breaks off even that, the slot is free again with the last reference to the lease.

    Args:
        pool: Where the connection comes from.
    """

    session: Session | None = None  # of the class: that of an instance is taken away in one step

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connections: Connections | None = None

    async def take(self, *, fresh: bool = False) -> Session:
        """Return a session that nobody else uses.

        Args:
            fresh: Whether an idle session will not do.

        Raises:
            DeliveryError: No connection could be had: nothing was sent.
        """
        connections = self._connections = self._pool.connections()
        await connections.slots.acquire(deadline=self._pool.until(), holder=ref(self))
        session = self.session = await self._pool.choose(connections, fresh=fresh)
        return session

    async def give_back(self) -> None:
        """Give the session back, for the next message or to be closed, and then the slot."""
        session: Session | None = vars(self).pop("session", None)
        connections = self._connections
        try:
            if session is not None:
                await self._pool.keep(session)
        finally:
            # Those of a parent process are not ours, nor is the lock around them: some thread of it may have had that.
            if connections is not None and connections.are_ours:
                connections.slots.release(ref(self))
