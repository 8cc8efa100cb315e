"""Numbers that a policy is told: positive and finite, or an error that names them."""

from __future__ import annotations

import sys
from typing import TypeGuard

from mailkit.errors import ConfigurationError

__all__ = ["check_positive", "is_positive", "is_whole"]


def is_positive(value: object) -> TypeGuard[float]:
    """Whether something is a number above zero, which truth is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def is_whole(value: object) -> TypeGuard[int]:
    """Whether something is a whole number of at least 1, which truth is not."""
    return is_positive(value) and isinstance(value, int)


def check_positive(policy: str, **numbers: object) -> None:
    """Refuse what is no positive, finite number; None is no bound.

    Example:
        >>> check_positive("RateLimit", messages=10, octets=None)

    Raises:
        ConfigurationError: One of them is something else.
    """
    for name, value in numbers.items():
        if value is None:
            continue
        if not is_positive(value) or value > sys.float_info.max:
            msg = f"{policy}({name}={value!r}) is not a positive, finite number: give one, or leave it out"
            raise ConfigurationError(msg)
