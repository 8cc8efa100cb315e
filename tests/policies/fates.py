"""What may become of a message at the receiving side of a test, whoever plays it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.message import Message
from mailkit.receipt import Receipt, RecipientResult, error_for_recipients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.receipt import Status
    from mailkit.transport import Transport

__all__ = ["FATES", "accepted_or_not", "failure", "message_id_of"]

FATES: Final[Mapping[str, Callable[[], MailkitError]]] = {
    "refused": lambda: ConnectError("refused", phase="connect"),
    "busy": lambda: TransientError("busy"),
    "no": lambda: RejectedError("no"),
    "broken": lambda: MessageError("the file has gone"),
    "cannot": lambda: UnsupportedFeatureError("cannot express tags", feature="tags"),
    "not set up": lambda: ConfigurationError("not set up"),
}
"""What may become of a message as a whole, whichever side plays it."""


def message_id_of(message: Message | bytes) -> str:
    """Return the Message-ID that errors and receipts have."""
    return (message.message_id or "") if isinstance(message, Message) else "raw"


def failure(make: Callable[[], MailkitError], transport: Transport, message_id: str, paths: Sequence[str]) -> Any:
    """Return an error that says what it is about, as those of a transport do."""
    error = make()
    if isinstance(error, DeliveryError):
        error.transport, error.message_id = str(transport), message_id
        error.recipients = tuple(RecipientResult(path, status=error.outcome, phase=error.phase) for path in paths)
    return error


def accepted_or_not(statuses: Sequence[Status], transport: Transport, message_id: str, paths: Sequence[str]) -> Receipt:
    """Return the receipt where each recipient fares as said in turn, again and again.

    Raises:
        DeliveryError: Nobody was accepted.
    """
    results = [
        RecipientResult(path, status=statuses[place % len(statuses)], phase="rcpt") for place, path in enumerate(paths)
    ]
    if any(result.status == "accepted" for result in results):
        return Receipt(message_id=message_id, transport=str(transport), recipients=results)
    raise error_for_recipients(results, "nobody", transport=str(transport), message_id=message_id)
