"""SASLprep (RFC 4013): how SCRAM spells a user name or a password, on both sides, before it is hashed."""

from __future__ import annotations

import stringprep
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["saslprep"]

# RFC 4013 §2.3, in its order. Unassigned code points (A.1) are allowed, as in every query (RFC 3454 §7).
_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, what: str) -> str:
    r"""Return `text` prepared.

    Example:
        >>> saslprep("I\xadX \u2168", "the user name")
        'IX IX'

    Args:
        text: What the user gave.
        what: How an error calls it; its value is never shown.

    Raises:
        ConfigurationError: It holds characters that SASLprep prohibits, or nothing is left of it.
    """
    if text.isascii() and text.isprintable() and text:
        return text  # ASCII maps to itself
    from unicodedata import ucd_3_2_0  # the Unicode that stringprep is defined with (RFC 3454 §4)

    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise ConfigurationError(f"{what} has no visible character: give another one")
    if any(prohibited(character) for prohibited in _PROHIBITED for character in prepared):
        raise ConfigurationError(f"{what} holds a control or other character that SASLprep prohibits: change it")
    _check_direction(prepared, what)
    return prepared


def _check_direction(text: str, what: str) -> None:
    """Refuse text that mixes writing directions (RFC 3454 §6)."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    ends_right_to_left = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    if any(map(stringprep.in_table_d2, text)) or not ends_right_to_left:
        raise ConfigurationError(f"{what} mixes writing directions as SASLprep prohibits: change it")
