"""One attempt at a delivery, told to whoever follows every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.events import AfterAttempt, BeforeAttempt
from mailkit.receipt import Receipt

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message

__all__ = ["Step"]


class Step:
    """An attempt that is being made: its begin is told when this is made.

    Args:
        edge: Whose listener is told, and whose clock is used.
        transport: The name of what is tried.
        message: The message; None for prepared bytes.
        envelope: For whom.
        number: Which attempt it is; the first is 1.
    """

    __slots__ = ("_edge", "_message_id", "_number", "_recipients", "_started", "_transport")

    def __init__(self, edge: Edge, transport: str, message: Message | None, envelope: Envelope, *, number: int) -> None:
        self._edge = edge
        self._transport = transport
        self._message_id = None if message is None else message.message_id
        self._recipients = len(envelope.rcpt_to)
        self._number = number
        edge.notify(
            BeforeAttempt(
                message_id=self._message_id,
                transport=transport,
                recipients=self._recipients,
                attempt=number,
                message=message,
                envelope=envelope,
            )
        )
        self._started = edge.now()

    def end(self, ended: Receipt | BaseException) -> None:
        """Tell how it ended: with a receipt, an error or an interruption."""
        self._edge.notify(
            AfterAttempt(
                message_id=self._message_id,
                transport=self._transport,
                recipients=self._recipients,
                attempt=self._number,
                receipt=ended if isinstance(ended, Receipt) else None,
                error=None if isinstance(ended, Receipt) else ended,
                duration=self._edge.now() - self._started,
            )
        )
