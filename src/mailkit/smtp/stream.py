"""A stream of messages over one or several connections, and its outcomes in the order of the messages."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import ConnectError
from mailkit.receipt import Outcome
from mailkit.smtp.flight import Flight
from mailkit.transport import doubt_about

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence

    from mailkit.edge import Edge
    from mailkit.smtp.lane import Lane

__all__ = ["deliver_stream"]

ROUND: Final = 128
"""Messages for each connection between two moments at which all of them are answered: what is in memory at once."""

PATIENCE: Final = 0.05
"""Seconds that collecting a round may take: a slow source gets small rounds."""

BRISK: Final = 0.005
"""Seconds: a source that gives the next message sooner has it written together with the one before."""

SLOW: Final = 0.25
"""Seconds: of a source that takes longer, each message is answered before the next is asked for."""

FADING: Final = 0.9
"""How much of a pause is remembered with each further message: after a pause comes a burst, and then a pause again."""

Item = Flight | Outcome


async def deliver_stream(
    items: AsyncIterator[Item], lanes: Sequence[Lane], edge: Edge
) -> AsyncGenerator[Outcome, None]:
    """Deliver over the lanes; yield one outcome for each item, in order.

    Whatever interrupts it (a closed generator, a cancelled task, KeyboardInterrupt) carries the outcomes of the
    messages that were taken and not yet yielded, as its ``outcomes``.
    """
    order: deque[Item] = deque()
    source = _Source(items, edge, order)
    deliver = _over_one(source, lanes[0], order) if len(lanes) == 1 else _over_several(source, lanes, order, edge)
    answered = _answered(deliver, order)
    try:
        # The loop with a condition is in a function of its own: a signal handler that raises where such a loop begins
        # anew escapes every "except" and "finally" around it, on Python 3.13.
        async for outcome in answered:
            yield outcome
        await _close(lanes, edge)
    except BaseException as interruption:
        try:
            await _break_off(interruption, order, lanes, edge)
        except BaseException as again:  # a second signal comes: it gets out, so it has to tell
            await _break_off(again, order, lanes, edge)
            raise
        raise
    finally:
        await answered.aclose()
        await deliver.aclose()
    if source.error is not None:
        raise source.error


async def _answered(deliver: AsyncGenerator[None, None], order: deque[Item]) -> AsyncGenerator[Outcome, None]:
    """Take out the outcomes as soon as they are known."""
    async for _ in deliver:
        while (outcome := _first(order)) is not None:
            # No call between this and the caller: no signal handler can make it neither given nor told.
            del order[0]
            yield outcome


class _Source:
    """Where the messages come from, and how long it takes to come up with one.

    Args:
        items: The messages.
        edge: Whose clock is used.
        order: Where those that were taken are put.
    """

    def __init__(self, items: AsyncIterator[Item], edge: Edge, order: deque[Item]) -> None:
        self._items = items
        self._edge = edge
        self._order = order
        self.pause = 0.0  # seconds that it took to give the last message
        self.may_pause = True  # the next message may well be some time in coming
        self._longest: float | None = None  # of the last pauses, the older the less it counts
        self.error: Exception | None = None  # with which it has ended, where not well

    async def take(self) -> Item | None:
        """Ask for the next message; return None at the end, also at a bad one.

        Nobody is helped when messages that are on their way are broken off because the source cannot go on.
        """
        asked = self._edge.now()
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            return None
        except Exception as error:  # noqa: BLE001 - raised when everything before it has its outcome
            self.error = error
            return None
        self._order.append(item)  # out here: what a signal handler raises behind it is no error of the source's
        self.pause = self._edge.now() - asked
        # Of a new source nothing is known.
        self._longest = max(self.pause, BRISK if self._longest is None else self._longest * FADING)
        self.may_pause = self._longest >= BRISK
        return item


async def _over_one(source: _Source, lane: Lane, order: deque[Item]) -> AsyncGenerator[None, None]:
    """Keep one connection's window full; yield whenever there may be outcomes."""
    while (item := await source.take()) is not None:
        if isinstance(item, Flight):
            await lane.submit(item)
        # Nothing can be written while the source has the thread. And what was refused here takes no place in the
        # window: it must not pile up behind an unanswered message.
        if source.pause >= SLOW or (len(order) >= ROUND and isinstance(item, Outcome)):
            await lane.drain()
        elif source.may_pause:
            await lane.push()
        yield
    await lane.drain()
    yield


async def _over_several(
    source: _Source, lanes: Sequence[Lane], order: deque[Item], edge: Edge
) -> AsyncGenerator[None, None]:
    """Give a round of messages to the connections, each taking the next one as it has room."""
    more = True
    while more:
        todo: deque[Flight] = deque()
        until = edge.now() + PATIENCE
        more = False
        while (item := await source.take()) is not None:
            if isinstance(item, Flight):
                todo.append(item)
            if len(order) >= ROUND * len(lanes) or edge.now() >= until:
                more = True
                break
        await _round(todo, lanes, edge)
        yield


async def _round(todo: deque[Flight], lanes: Sequence[Lane], edge: Edge) -> None:
    if not todo:
        return
    first, *others = lanes

    async def work(lane: Lane) -> None:
        try:
            while not lane.is_over and (flight := _next(todo)) is not None:
                await lane.submit(flight)
            await lane.drain()
        except BaseException:
            todo.clear()  # threads cannot be cancelled, but they need not begin anything more
            raise

    async def help_out(lane: Lane) -> None:
        # A server may allow fewer connections than we would like; then the others carry this one's share.
        if await lane.connect():
            await work(lane)

    def lent(lane: Lane) -> Callable[[], Coroutine[Any, Any, None]]:
        return lambda: lane.lend(lambda: help_out(lane))

    # One message alone finds out whether the server can be reached at all.
    await first.submit(todo.popleft())
    busy = others[: len(todo) // 2] if first.is_connected else []
    await edge.run_all([lambda: work(first), *map(lent, busy)])


def _next(todo: deque[Flight]) -> Flight | None:
    try:
        return todo.popleft()
    except IndexError:
        return None


def _first(order: deque[Item]) -> Outcome | None:
    """Return the first item's outcome, if it is known."""
    if not order:
        return None
    item = order[0]
    return item if isinstance(item, Outcome) else item.outcome


async def _break_off(interruption: BaseException, order: Iterable[Item], lanes: Sequence[Lane], edge: Edge) -> None:
    """Close the lanes, and let the interruption, or what interrupts that, tell what became of the messages."""
    told = interruption
    try:
        await _close(lanes, edge)
    except BaseException as again:
        told = again
        raise
    finally:
        may_go_on = any(lane.may_go_on for lane in lanes)
        told.__dict__["outcomes"] = tuple([_interrupted(item, may_go_on=may_go_on) for item in order])


async def _close(lanes: Sequence[Lane], edge: Edge) -> None:
    async with edge.shield():
        await _close_each(lanes)


async def _close_each(lanes: Sequence[Lane]) -> None:
    if lanes:
        try:
            await lanes[0].close()
        finally:  # one that was interrupted keeps no other open
            await _close_each(lanes[1:])


def _interrupted(item: Item, *, may_go_on: bool) -> Outcome:
    if isinstance(item, Outcome):
        return item
    if may_go_on and item.outcome is None:
        return Outcome(message=item.message, error=doubt_about(item.message))
    return item.told(ConnectError("the stream of messages was interrupted"))
