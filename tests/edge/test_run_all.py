from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mailkit.edge import Edge


def test_results_come_in_order(edge: Edge, run: Any) -> None:
    """Whoever ends first, the results are in the order of the jobs."""

    async def job(number: int) -> int:
        await edge.sleep(0.02 - number * 0.005)
        return number

    assert run(lambda: edge.run_all([lambda number=n: job(number) for n in range(4)])) == [0, 1, 2, 3]


def test_jobs_run_at_the_same_time(edge: Edge, run: Any) -> None:
    """Each job can wait for another."""
    arrived: list[int] = []

    async def job(number: int) -> None:
        arrived.append(number)
        give_up = edge.now() + 5
        while len(arrived) < 3:
            assert edge.now() < give_up
            await edge.sleep(0.001)

    run(lambda: edge.run_all([lambda number=n: job(number) for n in range(3)]))
    assert sorted(arrived) == [0, 1, 2]


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_the_first_error_is_raised_when_all_have_ended(
    error: BaseException, failing: int, edge: Edge, run: Any
) -> None:
    """An error in any job comes out bare, as the same object, after the others have ended or been cancelled."""
    running: set[int] = set()

    async def job(number: int) -> None:
        if number == failing:
            raise error
        running.add(number)
        try:
            await edge.sleep(0.05)
        finally:
            running.remove(number)

    async def conversation() -> None:
        with pytest.raises(type(error)) as caught:
            await edge.run_all([lambda number=n: job(number) for n in range(3)])
        assert caught.value is error
        assert not running

    run(conversation)


def test_no_jobs_give_no_results(edge: Edge, run: Any) -> None:
    """An empty list comes back empty; one job runs as well."""

    async def job() -> int:
        return 1

    assert run(lambda: edge.run_all([])) == []
    assert run(lambda: edge.run_all([job])) == [1]


def test_the_small_things(edge: Edge, run: Any) -> None:
    """Sleeping takes time, a shield can be entered, and an edge can be closed."""

    async def conversation() -> None:
        started = edge.now()
        await edge.sleep(0.01)
        await edge.sleep(-1)
        assert edge.now() - started >= 0.009
        async with edge.shield():
            await edge.sleep(0)
        with pytest.raises(ValueError, match="x"):
            async with edge.shield():
                raise ValueError("x")
        await edge.close()

    run(conversation)
