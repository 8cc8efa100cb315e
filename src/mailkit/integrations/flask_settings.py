"""One setting of a Flask or Quart application, as configurations have them: many come from the environment as texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["flag_of", "number_of", "text_of"]

_YES: Final = frozenset(("1", "on", "true", "yes"))
_NO: Final = frozenset(("0", "false", "no", "off"))


def flag_of(config: Mapping[str, Any], name: str) -> bool | None:
    """Return whether something is wanted, or None where that is not said.

    Example:
        >>> flag_of({"MAIL_SUPPRESS_SEND": "false"}, "MAIL_SUPPRESS_SEND")
        False

    Raises:
        ConfigurationError: It is a text that says neither: every text is true in Python, which nobody means.
    """
    value = config.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word not in _YES | _NO:
        raise ConfigurationError(f"{name}={value!r} says neither yes nor no: use True or False")
    return word in _YES


def number_of(config: Mapping[str, Any], name: str) -> float | None:
    """Return a number, whole where it is, or None where none is given.

    Raises:
        ConfigurationError: It is none.
    """
    value = config.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(f"{name}={value!r} is no number: use one without quotation marks")
    return int(number) if number.is_integer() else number


def text_of(config: Mapping[str, Any], name: str) -> str | None:
    """Return a text, or None where none is given. It may be a password, and is not shown.

    Raises:
        ConfigurationError: It is none.
    """
    value = config.get(name)
    if isinstance(value, Secret):
        value = value.reveal()
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is to be a text, and is of the type {type(value).__name__}")
    return value
