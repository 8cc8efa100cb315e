"""An exchange with a proxy, replayed from bytes that are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.proxy.exchange import Exchange

__all__ = ["StillWaitingError", "bytewise", "failure", "replay"]


class StillWaitingError(Exception):
    """The exchange wants more than there is."""


def replay(exchange: Exchange, answers: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    """Return what was written, and what came early."""
    written = [next(exchange)]
    for answer in answers:
        try:
            outgoing = exchange.send(answer)
        except StopIteration as stop:
            return written, stop.value
        if outgoing:
            written.append(outgoing)
    raise StillWaitingError


def failure(exchange: Exchange, answers: Iterable[bytes]) -> DeliveryError | None:
    """Return how it failed; None where it ended well, or waits for more."""
    try:
        replay(exchange, answers)
    except DeliveryError as error:
        return error
    except StillWaitingError:
        pass
    return None


def bytewise(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]
