"""Numbers that a policy is told: positive and finite, or an error that names them."""

from __future__ import annotations

from mailkit.errors import ConfigurationError

__all__ = ["check_positive"]


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
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            msg = f"{policy}({name}={value!r}) is not a positive, finite number: give one, or leave it out"
            raise ConfigurationError(msg)
