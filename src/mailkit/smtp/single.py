"""One message over a pooled connection, and once more over a fresh one where the first has come to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError
from mailkit.smtp.delivery import Delivered
from mailkit.smtp.interruption import annotate, untouched

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.envelope import Envelope
    from mailkit.smtp.content import Content
    from mailkit.smtp.delivery import Delivery
    from mailkit.smtp.lease import Lease
    from mailkit.smtp.pool import Pool
    from mailkit.smtp.session import Session

__all__ = ["Single"]


class Single:
    """A message that goes by itself.

    Args:
        pool: Where its connection comes from.
        envelope: Who gets it.
        content: The message.
        transport: The transport's name, for what an interruption carries.
        fit: Writes the content anew where a server cannot take it as it is.
    """

    def __init__(
        self,
        pool: Pool,
        envelope: Envelope,
        content: Content,
        *,
        transport: str,
        fit: Callable[[Content, Session], Content] = lambda content, _: content,
    ) -> None:
        self._pool = pool
        self._envelope = envelope
        self._content = content
        self._transport = transport
        self._fit = fit
        self._delivery: Delivery | None = None

    async def deliver(self) -> Delivered:
        """Deliver it, once the pool's rates allow it.

        Raises:
            UnsupportedFeatureError: The server lacks an extension that the message needs.
            RejectedError: The message is larger than the server takes.
        """
        lease = self._pool.lease()
        try:
            try:
                return await self._deliver(lease)
            finally:
                await lease.give_back()
        finally:
            await lease.give_back()  # where it was giving back that was interrupted

    def annotate(self, interruption: BaseException) -> None:
        """Let what has interrupted it say what became of the message so far."""
        results = untouched(self._envelope, "connect") if self._delivery is None else self._delivery.results()
        annotate(interruption, results, transport=self._transport, message_id=self._content.message_id)

    async def _deliver(self, lease: Lease) -> Delivered:
        try:
            await self._pool.wait_for_turn(len(self._envelope.rcpt_to))
            session = await lease.take()
        except DeliveryError as error:
            return Delivered(untouched(self._envelope, error.phase), error)
        delivered = await self._over(session)
        # A pooled connection that was closed while it lay idle, or a server that has said what nobody can read: nothing
        # was sent, nothing is in doubt, and nobody needs to hear of it, unless it happens again.
        if not (delivered.is_stale and (session.is_reused or delivered.is_garbled)):
            return delivered
        await lease.give_back()
        try:
            session = await lease.take(fresh=True)
        except DeliveryError as error:
            return Delivered(untouched(self._envelope, error.phase), error)
        return await self._over(session)

    async def _over(self, session: Session) -> Delivered:
        self._content = self._fit(self._content, session)
        return await session.deliver(self._envelope, self._content, begun=self._entrust)

    def _entrust(self, delivery: Delivery) -> None:
        self._delivery = delivery
