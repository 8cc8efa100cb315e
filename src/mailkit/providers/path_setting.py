"""Settings that become one segment of every request's path, such as a mailbox or an account."""

from __future__ import annotations

from mailkit.errors import ConfigurationError, MessageError
from mailkit.providers.content import path_part

__all__ = ["check_path_setting"]


def check_path_setting(name: str, value: str) -> None:
    """Refuse, when a transport is made, what could not be a segment of a path when it is used.

    Example:
        >>> check_path_setting("user", "ada@example.com")

    Args:
        name: The setting's name.
        value: What it is set to.

    Raises:
        ConfigurationError: It is empty, has unprintable characters, or consists of dots.
    """
    if not value.isprintable():  # lone surrogates, which no URL can hold, are not printable either
        raise ConfigurationError(
            f"{name}={value!r} has characters that are not printable: give it as the provider does"
        )
    try:
        path_part(value)
    except MessageError as error:
        raise ConfigurationError(f"{name}: {error}") from None
