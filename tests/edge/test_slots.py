from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import ref

import anyio
import anyio.lowlevel
import pytest
from tests.colours import make_edge, run_in

from mailkit.edge.slots import FairSlots
from mailkit.errors import DeliveryTimeout

if TYPE_CHECKING:
    from mailkit.edge import Edge


async def until_queued(edge: Edge, slots: Any, count: int) -> None:
    """Wait until so many wait for a slot."""
    while len(slots._queue) < count:
        await edge.sleep(0.001)


def test_slots_bound_how_many_hold_one(edge: Edge, run: Any) -> None:
    """Never more than the limit hold a slot, and all get their turn."""
    slots = edge.slots(3)
    holding: list[int] = []
    most = 0

    async def job(number: int) -> int:
        nonlocal most
        await slots.acquire(deadline=edge.now() + 5)
        try:
            holding.append(number)
            most = max(most, len(holding))
            await edge.sleep(0.001)
            holding.remove(number)
        finally:
            slots.release()
        return number

    assert run(lambda: edge.run_all([lambda number=n: job(number) for n in range(20)])) == list(range(20))
    assert most == 3


def test_slots_are_handed_on_in_order(edge: Edge, run: Any) -> None:
    """Who waits longest is served first, and nobody who comes later overtakes."""
    slots = edge.slots(1)
    order: list[int] = []

    async def conversation() -> None:
        await slots.acquire(deadline=edge.now() + 5)

        async def wait(number: int) -> None:
            await until_queued(edge, slots, number)
            await slots.acquire(deadline=edge.now() + 5)
            order.append(number)
            slots.release()

        async def release() -> None:
            await until_queued(edge, slots, 5)
            slots.release()

        await edge.run_all([*(lambda number=n: wait(number) for n in range(5)), release])

    run(conversation)
    assert order == [0, 1, 2, 3, 4]


def test_waiting_for_a_slot_ends_at_the_deadline(edge: Edge, run: Any) -> None:
    """A wait that ends leaves the queue, and the slot can be taken when it is free."""
    slots = edge.slots(2)

    async def conversation() -> None:
        await slots.acquire(deadline=edge.now() + 5)
        await slots.acquire(deadline=edge.now() + 5)
        for wait in (0.02, -1):
            with pytest.raises(DeliveryTimeout, match="none of the 2 slots became free") as caught:
                await slots.acquire(deadline=edge.now() + wait)
            assert caught.value.phase == "pool"
        slots.release()
        await slots.acquire(deadline=edge.now() - 1)

    run(conversation)


def test_a_slot_cannot_be_released_twice(edge: Edge) -> None:
    """Releasing what nobody holds is a bug that is told, not a larger bound."""
    with pytest.raises(RuntimeError, match="nobody had acquired"):
        edge.slots(1).release()
    with pytest.raises(ValueError, match="nobody in"):
        edge.slots(0)


class LateTurn:
    """A turn that is called at the very moment its wait ends."""

    def __init__(self, interruption: BaseException | None = None) -> None:
        self.interruption = interruption
        self.slots: FairSlots | None = None

    async def wait(self, deadline: float) -> None:
        """Be called, then end."""
        assert self.slots is not None
        self.slots.release("first")
        if self.interruption is not None:
            raise self.interruption

    def call(self) -> None:
        """Do nothing: the wait is over already."""


def test_a_turn_called_at_the_deadline_is_taken() -> None:
    """A slot handed over at the moment the deadline passes is not lost: the waiter has it."""
    turn = LateTurn()
    slots = turn.slots = FairSlots(1, lambda: turn)
    run_in("blocking", lambda: slots.acquire(deadline=0, holder="first"))
    run_in("blocking", lambda: slots.acquire(deadline=0, holder="second"))
    assert list(slots._holders) == ["second"]
    slots.release("second")
    assert not slots._holders


def test_a_turn_called_while_it_gives_up_goes_to_the_next() -> None:
    """A slot handed over to a waiter that is interrupted becomes free again."""
    turn = LateTurn(KeyboardInterrupt())
    slots = turn.slots = FairSlots(1, lambda: turn)
    run_in("blocking", lambda: slots.acquire(deadline=0, holder="first"))
    with pytest.raises(KeyboardInterrupt):
        run_in("blocking", lambda: slots.acquire(deadline=0, holder="second"))
    assert not slots._holders
    assert not slots._queue


def test_a_holder_may_give_back_twice(edge: Edge, run: Any) -> None:
    """What a holder gives back a second time, or never had, is nobody else's slot."""
    slots = edge.slots(1)

    async def conversation() -> None:
        await slots.acquire(deadline=edge.now() + 5, holder="first")
        slots.release("first")
        await slots.acquire(deadline=edge.now() + 5, holder="second")
        slots.release("first")
        slots.release("third")
        with pytest.raises(DeliveryTimeout):
            await slots.acquire(deadline=edge.now(), holder="third")

    run(conversation)


class Somebody:
    """A holder that a weak reference can refer to."""


def test_a_holder_that_is_no_more_has_given_back() -> None:
    """A slot is free, and a place in the queue left, with the last reference to who had it."""
    slots = FairSlots(1, LateTurn)
    somebody = Somebody()
    holder = ref(somebody)
    run_in("blocking", lambda: slots.acquire(deadline=0, holder=holder))
    slots._queue[holder] = LateTurn()
    slots.release("nobody")
    assert list(slots._holders) == [holder]
    del somebody
    run_in("blocking", lambda: slots.acquire(deadline=0, holder="second"))
    assert list(slots._holders) == ["second"]
    assert not slots._queue


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_wait_leaves_the_queue(backend: Any) -> None:
    """Cancelling a waiter neither takes nor loses a slot."""
    edge = make_edge(backend)
    slots = edge.slots(1)

    async def conversation() -> None:
        await slots.acquire(deadline=edge.now() + 5)
        with anyio.move_on_after(0.01) as scope:
            await slots.acquire(deadline=edge.now() + 5)
        assert scope.cancelled_caught
        slots.release()
        await slots.acquire(deadline=edge.now() + 5)
        slots.release()

    run_in(backend, conversation)


@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_slots_and_locks_outlive_their_event_loop(second: Any) -> None:
    """What is held when one event loop ends is still held, and released, in the next."""
    edge = make_edge("asyncio")
    slots, lock = edge.slots(1), edge.lock()

    async def first_loop() -> None:
        await slots.acquire(deadline=edge.now() + 5)
        async with lock:
            await anyio.lowlevel.checkpoint()

    async def second_loop() -> None:
        async with lock:
            with pytest.raises(DeliveryTimeout):
                await slots.acquire(deadline=edge.now() + 0.01)
        slots.release()
        await slots.acquire(deadline=edge.now() + 5)

    run_in("asyncio", first_loop)
    run_in(second, second_loop)


def test_a_lock_lets_one_in_at_a_time(edge: Edge, run: Any) -> None:
    """Between enter and exit nobody else is inside, also after an error."""
    lock = edge.lock()
    inside = 0

    async def job() -> None:
        nonlocal inside
        async with lock:
            inside += 1
            assert inside == 1
            await edge.sleep(0.002)
            inside -= 1
            raise ValueError("x")

    async def suffer() -> None:
        with pytest.raises(ValueError, match="x"):
            await job()

    run(lambda: edge.run_all([suffer] * 5))


def test_threads_wait_for_each_other() -> None:
    """A slot released in one thread wakes the thread that waits for it."""
    edge = make_edge("blocking")
    slots = edge.slots(1)
    run_in("blocking", lambda: slots.acquire(deadline=edge.now() + 5))
    thread = threading.Thread(target=lambda: run_in("blocking", lambda: slots.acquire(deadline=edge.now() + 5)))
    thread.start()
    run_in("blocking", until_queued, edge, slots, 1)
    slots.release()
    thread.join(5)
    assert not thread.is_alive()
