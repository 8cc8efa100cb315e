"""A stream of messages over one or several connections, and its outcomes in the order of the messages."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConnectError, DeliveryError
from mailkit.receipt import Outcome
from mailkit.smtp.flight import Flight

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

    from mailkit.edge import Edge
    from mailkit.smtp.lane import Lane

__all__ = ["deliver_stream"]

ROUND: Final = 128
"""Messages for each connection between two moments at which all of them are answered. What is in memory is one round."""

PATIENCE: Final = 0.05
"""Seconds that collecting a round may take: a slow source gets small rounds, and its messages do not wait for one another."""

BRISK: Final = 0.005
"""Seconds: a source that gives the next message sooner has it written together with the one before."""

SLOW: Final = 0.25
"""Seconds: of a source that takes longer, each message is answered before the next is asked for."""

Item = Flight | Outcome


async def deliver_stream(
    items: AsyncIterator[Item], lanes: Sequence[Lane], edge: Edge
) -> AsyncGenerator[Outcome, None]:
    """Deliver over the lanes; yield one outcome for each item, in order.

    Whatever interrupts it (a closed generator, a cancelled task, KeyboardInterrupt) carries the outcomes of the
    messages that were taken and not yet yielded, as its ``outcomes``.
    """
    order: deque[Item] = deque()
    deliver = _over_one(items, lanes[0], order, edge) if len(lanes) == 1 else _over_several(items, lanes, order, edge)
    try:
        async for _ in deliver:
            while (outcome := _first(order)) is not None:
                yield outcome
    except BaseException as interruption:
        await _close(lanes, edge)
        interruption.__dict__["outcomes"] = tuple(_interrupted(order))
        raise
    else:
        await _close(lanes, edge)
    finally:
        await deliver.aclose()


async def _over_one(
    items: AsyncIterator[Item], lane: Lane, order: deque[Item], edge: Edge
) -> AsyncGenerator[None, None]:
    """Keep one connection's window full; yield whenever there may be outcomes."""
    ready = edge.now()
    pause = BRISK
    async for item in items:
        # The next pause is taken to be like the last one: nothing can be written while the source has the thread.
        pause, first = edge.now() - ready, pause is BRISK
        order.append(item)
        if isinstance(item, Flight):
            await lane.submit(item)
        if pause >= SLOW:
            await lane.drain()
        elif pause >= BRISK or first:
            await lane.push()
        yield
        ready = edge.now()
    await lane.drain()
    yield


async def _over_several(
    items: AsyncIterator[Item], lanes: Sequence[Lane], order: deque[Item], edge: Edge
) -> AsyncGenerator[None, None]:
    """Give a round of messages to the connections, each taking the next one as it has room."""
    more = True
    while more:
        todo: deque[Flight] = deque()
        until = edge.now() + PATIENCE
        more = False
        async for item in items:
            order.append(item)
            if isinstance(item, Flight):
                todo.append(item)
            if len(todo) >= ROUND * len(lanes) or edge.now() >= until:
                more = True
                break
        await _round(todo, lanes, edge)
        yield


async def _round(todo: deque[Flight], lanes: Sequence[Lane], edge: Edge) -> None:
    if not todo:
        return
    first, *others = lanes

    async def work(lane: Lane) -> None:
        while (flight := _next(todo)) is not None:
            await lane.submit(flight)
        await lane.drain()

    async def help_out(lane: Lane) -> None:
        # A server may allow fewer connections than we would like; then the others carry this one's share.
        if await lane.connect():
            await work(lane)

    # One message alone finds out whether the server can be reached at all.
    await first.submit(todo.popleft())
    busy = others[: len(todo) // 2]
    await edge.run_all([lambda: work(first), *(lambda lane=lane: help_out(lane) for lane in busy)])


def _next(todo: deque[Flight]) -> Flight | None:
    try:
        return todo.popleft()
    except IndexError:
        return None


def _first(order: deque[Item]) -> Outcome | None:
    """Take the first item out of the order if its outcome is known."""
    if not order:
        return None
    item = order[0]
    outcome = item if isinstance(item, Outcome) else item.outcome
    if outcome is not None:
        order.popleft()
    return outcome


async def _close(lanes: Iterable[Lane], edge: Edge) -> None:
    async with edge.shield():
        for lane in lanes:
            await lane.close()


def _interrupted(order: Iterable[Item]) -> Iterable[Outcome]:
    for item in order:
        if isinstance(item, Flight):
            if item.outcome is None:
                item.settle(ConnectError("interrupted before it was written"))
            yield item.outcome or Outcome(message=item.message, error=DeliveryError())
        else:
            yield item
