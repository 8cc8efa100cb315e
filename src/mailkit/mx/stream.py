"""A stream of messages, each on its way to its own domains, and their outcomes in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConnectError, DeliveryError, MailkitError
from mailkit.mx.workers import do_each
from mailkit.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from mailkit.edge import Edge
    from mailkit.message import Message

__all__ = ["deliver_stream"]

ROUND: Final = 8
"""Messages for each worker between two moments at which all of them are answered: what is in memory at once."""

PATIENCE: Final = 0.05
"""Seconds that collecting a round may take: a slow source gets small rounds."""


class _Item:
    """One message in its place.

    Args:
        given: The message, or its outcome where that is known already.
    """

    def __init__(self, given: Message | Outcome) -> None:
        self.outcome = given if isinstance(given, Outcome) else None
        self.message = given.message if isinstance(given, Outcome) else given

    def enter(self, became: Receipt | MailkitError) -> Outcome:
        """Take note of what became of it."""
        if isinstance(became, Receipt):
            self.outcome = Outcome(message=self.message, receipt=became)
        else:
            self.outcome = Outcome(message=self.message, error=became)
        return self.outcome


async def deliver_stream(
    messages: AsyncIterator[Message | Outcome],
    send: Callable[[Message], Awaitable[Receipt]],
    edge: Edge,
    workers: int,
) -> AsyncGenerator[Outcome, None]:
    """Send up to `workers` messages at once; yield one outcome for each, in order.

    Whatever interrupts it (a closed generator, a cancelled task, KeyboardInterrupt) carries the outcomes of the
    messages that were taken and not yet yielded, as its ``outcomes``.
    """
    order: deque[_Item] = deque()
    failures: list[Exception] = []
    outcomes = _in_rounds(messages, send, edge, workers=workers, order=order, failures=failures)
    try:
        # The loops with a condition are in a function of their own: a signal handler that raises where such a loop
        # begins anew escapes every "except" and "finally" around it, on Python 3.13.
        async for outcome in outcomes:
            yield outcome
    except BaseException as interruption:
        interruption.__dict__["outcomes"] = tuple(map(_outcome, order))
        raise
    finally:
        await outcomes.aclose()
    if failures:
        raise failures[0]  # the source's: everything before it has its outcome


async def _in_rounds(
    messages: AsyncIterator[Message | Outcome],
    send: Callable[[Message], Awaitable[Receipt]],
    edge: Edge,
    *,
    workers: int,
    order: deque[_Item],
    failures: list[Exception],
) -> AsyncGenerator[Outcome, None]:
    """Take messages, send them, and yield their outcomes; the source's failure is put down."""
    more = True
    while more:
        more, failure = await _collect(messages, order, edge, 1 if workers == 1 else ROUND * workers)
        if failure is not None:
            failures.append(failure)
        await do_each(order, lambda item: _send(item, send), at_once=workers, edge=edge)
        while order:
            outcome = _outcome(order[0])
            # No call between this and the caller: no signal handler can make it neither given nor told.
            del order[0]
            yield outcome


async def _collect(
    messages: AsyncIterator[Message | Outcome], order: deque[_Item], edge: Edge, most: int
) -> tuple[bool, Exception | None]:
    """Take the messages of a round; return whether there may be more, and with what error the source has ended."""
    until = edge.now() + PATIENCE
    while len(order) < most:
        try:
            order.append(_Item(await anext(messages)))
        except StopAsyncIteration:
            return False, None
        except Exception as error:  # noqa: BLE001 - raised later
            return False, error
        if edge.now() >= until:
            break
    return True, None


async def _send(item: _Item, send: Callable[[Message], Awaitable[Receipt]]) -> None:
    if item.outcome is not None:
        return
    try:
        item.enter(await send(item.message))
    except MailkitError as error:
        item.enter(error)
    except BaseException as interruption:
        became: Receipt | DeliveryError | None = getattr(interruption, "delivery", None)
        if became is not None:
            item.enter(became)
        raise


def _outcome(item: _Item) -> Outcome:
    never = ConnectError("the stream of messages was interrupted before this one was sent; send it again")
    return item.outcome or item.enter(never)
