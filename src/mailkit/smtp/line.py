"""One connection after another for a lane, until the lane's stream is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.errors import ConnectError, DeliveryError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailkit.smtp.pool import Pool
    from mailkit.smtp.session import Session

__all__ = ["HOPELESS_FOR", "Line"]

HOPELESS_FOR: Final = 300.0
"""Seconds for which a refused login, say, is not tried again: a stream may go on for days, and be set right."""

_OVER: Final = "the stream of messages was interrupted"


class Line:
    """The pooled connection of a lane: had for the asking, unless nobody can hope for one, or all is over.

    Args:
        pool: Where it comes from.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lease = pool.lease()
        self._hopeless: DeliveryError | None = None  # why no connection can be made, and will not by asking again soon
        self._ask_again_at = 0.0
        self._is_lent = False  # another thread is at it
        self._is_quiet = False  # nothing will be written any more, whoever is at it
        self.is_over: bool = False

    @property
    def session(self) -> Session | None:
        """The connection, where there is one."""
        return self._lease.session

    @property
    def may_go_on(self) -> bool:
        """Whether something may still be written by a thread that was left to itself."""
        return self._is_lent and not self._is_quiet

    async def reach(self) -> DeliveryError | None:
        """Take a connection; return why there is none."""
        if self._hopeless is not None and self._pool.now() < self._ask_again_at:
            return self._hopeless
        asked = self._pool.now()
        try:
            if not self.is_over:
                await self._lease.take()
        except DeliveryError as error:
            await self._lease.give_back()
            self._despair(error, asked)
            return error
        if self.is_over:  # perhaps since it was asked for
            await self._lease.give_back()
            return ConnectError(_OVER)
        return None

    def _despair(self, error: DeliveryError, asked: float) -> None:
        # Somebody has to change a setting first; and a login that fails a thousand times locks an account.
        self._hopeless, now = error, self._pool.now()
        self._ask_again_at = now + (HOPELESS_FOR if error.cause in {"configuration", "security"} else 0.0)
        if isinstance(error, DeliveryTimeout) and error.cause == "transient":
            # Who lets us wait for nothing must not do so with each message of a round.
            self._ask_again_at = now + (now - asked)

    async def let_go(self) -> None:
        """Give the connection back."""
        await self._lease.give_back()

    async def lend(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something with it that may go on, in another thread, when the stream is over."""
        self._is_lent = True
        try:
            await work()
        finally:
            self._is_lent = False
            if self.is_over:
                await self._lease.give_back()

    async def close(self) -> None:
        """Give the connection back for good. Where another thread is at it, hang up: that thread then gives it back."""
        self.is_over = True
        session = self.session
        if not self._is_lent:
            await self._lease.give_back()
        elif session is not None:
            # Nothing leaves a socket that is shut down; and no connection is taken any more.
            session.conversation.is_usable = False
            await session.conversation.close()
        self._is_quiet = True
