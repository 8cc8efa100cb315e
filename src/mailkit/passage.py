"""What is told of one message on its way: that it is about to be sent, and what became of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError, MailkitError
from mailkit.transport import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.events import AfterSend
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt
    from mailkit.transport import Channel

__all__ = ["Passage", "tell_what_is_left"]


class Passage:
    """One message, from the moment when it was given until it is known what became of it.

    Where all goes well and nobody follows every step it makes no event, and costs next to nothing.

    Args:
        edge: Whose listener is told, and whose clock is used.
        channel: What the message goes through.
        message: The message as it was given; None for prepared bytes.
        envelope: Who it is from and to, where that is known.
    """

    __slots__ = ("_channel", "_edge", "_started", "envelope", "message")

    def __init__(self, edge: Edge, channel: Channel, message: Message | None, envelope: Envelope | None = None) -> None:
        self._edge = edge
        self._channel = channel
        self._started = edge.now()
        self.message: Message | None = message
        self.envelope = envelope

    def begin(self, envelope: Envelope, *, in_stream: bool = False) -> None:
        """Tell that the message is about to be sent, alone or in a stream.

        Raises:
            MailkitError: A hook refuses it.
        """
        self.envelope = envelope
        if not self._edge.is_followed:
            return
        from mailkit.events import BeforeSend

        self._edge.notify(
            BeforeSend(
                message_id=None if self.message is None else self.message.message_id,
                transport=name_of(self._channel.transport),
                recipients=len(envelope.rcpt_to),
                message=self.message,
                envelope=envelope,
                in_stream=in_stream,
            )
        )

    def end(self, receipt: Receipt | None = None, error: BaseException | None = None) -> None:
        """Tell what became of the message. What interrupts that carries it as its ``delivery``."""
        if self._edge.listener is None or (_is_complete(receipt) and not self._edge.is_followed):
            return
        try:
            self._edge.notify(self._end(receipt, error))
        except BaseException as interruption:
            if (delivery := receipt or _delivery(error)) is not None:
                interruption.__dict__["delivery"] = delivery
            raise

    def _end(self, receipt: Receipt | None, error: BaseException | None) -> AfterSend:
        from mailkit.events import AfterSend

        message, envelope = self._described()
        return AfterSend(
            message_id=_message_id(receipt, error) or (None if message is None else message.message_id),
            transport=_transport(receipt, error) or name_of(self._channel.transport),
            recipients=0 if envelope is None else len(envelope.rcpt_to),
            message=message,
            envelope=envelope,
            receipt=receipt,
            error=error,
            duration=self._edge.now() - self._started,
        )

    def _described(self) -> tuple[Message | None, Envelope | None]:
        from mailkit.message import Message

        if not isinstance(self.message, Message):  # pyright: ignore[reportUnnecessaryIsInstance] - that is the error
            return None, self.envelope
        if self.envelope is None:
            from mailkit.envelope import Envelope

            with suppress(MailkitError):  # nobody is named in it, or wrongly
                self.envelope = Envelope.from_message(self.message)
        return self.message, self.envelope


def _is_complete(receipt: Receipt | None) -> bool:
    return receipt is not None and not any(result.status != "accepted" for result in receipt.recipients)


def _delivery(error: BaseException | None) -> Receipt | DeliveryError | None:
    """Return what an error, or an earlier interruption, says of a delivery."""
    if isinstance(error, DeliveryError):
        return error
    delivery: Receipt | DeliveryError | None = getattr(error, "delivery", None)
    return delivery


def _message_id(receipt: Receipt | None, error: BaseException | None) -> str | None:
    if receipt is not None:
        return receipt.message_id
    return error.message_id if isinstance(error, DeliveryError) else None


def _transport(receipt: Receipt | None, error: BaseException | None) -> str | None:
    if receipt is not None:
        return receipt.transport
    return error.transport if isinstance(error, DeliveryError) else None


def tell_what_is_left(passages: Sequence[Passage], interruption: BaseException, left: Sequence[Outcome] | None) -> None:
    """Tell what an interruption leaves of the messages of a stream that have not ended.

    Args:
        passages: Theirs.
        interruption: The interruption.
        left: What became of each of them; None where the interruption does not say.
    """
    if left is None:
        for passage in passages:
            passage.end(error=interruption)
    else:
        for passage, outcome in zip(passages, left, strict=True):
            passage.end(outcome.receipt, outcome.error)
