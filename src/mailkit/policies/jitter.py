"""Full jitter: waits drawn at random below a bound that doubles, so that clients which failed at once return apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.errors import Cause

__all__ = ["FullJitter"]

_MOST_DOUBLINGS: Final = 1000  # 2.0 ** 1024 overflows


@frozen(kw_only=True)
class FullJitter:
    """Waits by the cause of a failure: ``random() * min(base * 2 ** i, cap)`` before retry number `i`, from 0.

    A wait for :class:`mailkit.RetryPolicy`. Its randomness comes from the mailer's edge, so that a test can fix it.

    Example:
        >>> from mailkit import RetryPolicy
        >>> policy = RetryPolicy(attempts=6, deadline=120.0, wait=FullJitter())
        >>> FullJitter().seconds(3, "throttled", lambda: 0.5)
        2.0

    Args:
        transient: Base and cap in seconds, where the other side failed.
        throttled: Base and cap in seconds, where it said that we are too fast.

    Raises:
        ConfigurationError: A base is not positive and finite, or larger than its cap.
    """

    transient: tuple[float, float] = (0.1, 20.0)
    throttled: tuple[float, float] = (1.0, 60.0)

    def __attrs_post_init__(self) -> None:
        for name in ("transient", "throttled"):
            match getattr(self, name):
                case (int() | float() as base, int() | float() as cap) if 0 < base <= cap < float("inf"):
                    pass
                case given:
                    msg = f"FullJitter({name}={given!r}) makes no sense: give base and cap, 0 < base <= cap, in seconds"
                    raise ConfigurationError(msg)

    def seconds(self, attempt: int, cause: Cause | None, random: Callable[[], float]) -> float:
        """Return how long to wait after an attempt.

        Args:
            attempt: Which one has failed; the first is 1.
            cause: Why.
            random: Gives a number from 0 up to, but not including, 1.
        """
        base, cap = self.throttled if cause == "throttled" else self.transient
        return random() * min(base * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS), cap)
