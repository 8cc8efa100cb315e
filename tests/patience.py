"""Short waits for quick tests, and longer ones for a machine that is busy.

What is to be seen at a deadline, or at a cancellation, must have begun before it. A machine with other things to do may
need longer for that than any wait that one would like to spend in each run, so it is tried with a short one first.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["given_time", "patiently"]

T = TypeVar("T")


def given_time(*, first: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test :func:`patiently`: it gets the wait as ``wait``, and the fixtures are the same each time."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def tried(**given: Any) -> None:
            patiently(lambda wait: test(**given, wait=wait), first=first)

        signature = inspect.signature(test)
        fixtures = [each for name, each in signature.parameters.items() if name != "wait"]
        tried.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return tried

    return decorate


def patiently(attempt: Callable[[float], T], *, first: float) -> T:
    """Return what ``attempt(wait)`` returns, trying again with a longer wait when it fails.

    Args:
        attempt: Checks the whole of what is claimed; it can be repeated.
        first: The wait in seconds that suffices where nothing else is going on.

    Raises:
        BaseException: What the attempt raises with the longest wait.
    """
    for wait in (first, first + 2.0):
        try:
            return attempt(wait)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - the last attempt shows what fails
            continue
    return attempt(first + 8.0)
