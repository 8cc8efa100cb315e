"""Template: a text that is stored at the provider, and what fills its gaps."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - get_type_hints and attrs.resolve_types need it
from typing import Any, final

from attrs import field, frozen

from mailkit.errors import MessageError
from mailkit.frozendict import EMPTY, freeze_mapping
from mailkit.validation import refuse_type, token_text

__all__ = ["Template"]


def _id(value: str | int) -> str | int:
    return _number(value) if isinstance(value, int) else token_text(value, "the template's id")


def _number(value: int) -> int:
    if isinstance(value, bool):
        refuse_type(value, "the template's id", "a str or an int")
    if value < 0:
        raise MessageError(f"the template's id {value} is negative: copy it from the provider's dashboard")
    return value


def _data(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return freeze_mapping(value, "the template's data")


@final
@frozen
class Template:
    """A template of the provider that sends the message.

    Example:
        >>> Template("welcome", {"name": "Bob"}).data["name"]
        'Bob'

    Args:
        id: The provider's name or number for it.
        data: What fills its gaps: str keys and JSON values.

    Raises:
        MessageError: The id is no identifier, or the data are no JSON.
    """

    id: str | int = field(converter=_id)
    data: Mapping[str, Any] = field(default=EMPTY, converter=_data, repr=False)
