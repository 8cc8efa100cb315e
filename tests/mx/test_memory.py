"""What is remembered: for its time, and no more than there is room for."""

from __future__ import annotations

from mailkit.mx.memory import Memory


def test_a_value_holds_for_its_time() -> None:
    """Until its seconds are over a value is there, and then it is not."""
    now = 100.0
    memory: Memory[str, int] = Memory(lambda: now)
    memory.keep("a", 1, seconds=10.0)
    now = 109.9
    assert memory.get("a") == 1
    now = 110.0
    assert memory.get("a") is None
    assert memory.get("b") is None


def test_a_newer_value_takes_the_place_of_the_older() -> None:
    """A key has one value."""
    memory: Memory[str, int] = Memory(lambda: 0.0)
    memory.keep("a", 1, seconds=10.0)
    memory.keep("a", 2, seconds=10.0)
    assert memory.get("a") == 2


def test_what_may_not_be_kept_is_not() -> None:
    """A time to live of 0 is none."""
    memory: Memory[str, int] = Memory(lambda: 0.0)
    memory.keep("a", 1, seconds=0.0)
    assert memory.get("a") is None


def test_the_oldest_gives_way() -> None:
    """With no room left, what was kept first goes first; what was kept again is young."""
    memory: Memory[int, int] = Memory(lambda: 0.0, most=3)
    for key in (1, 2, 3, 1, 4):
        memory.keep(key, key, seconds=1.0)
    assert [memory.get(key) for key in (1, 2, 3, 4)] == [1, None, 3, 4]
