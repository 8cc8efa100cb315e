"""Stored templates, in the forms that many providers know alone: a number, and data of one level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import MessageError

if TYPE_CHECKING:
    from mailkit.providers.base import ApiTransport
    from mailkit.template import Template

__all__ = ["flat_data", "number_of"]


def number_of(template: Template, transport: ApiTransport) -> int:
    """Return a template's number, for a provider whose templates have no names.

    Raises:
        MessageError: It is none.
    """
    text = str(template.id)
    if not text.isdigit():  # nor anything but ASCII, which no template's id has
        raise MessageError(
            f"{transport}: its templates have numbers, and {text!r} is none: copy it from the provider's list of them"
        )
    return int(text)


def flat_data(template: Template, transport: ApiTransport) -> dict[str, str]:
    """Return a template's data as texts, for a provider whose templates fill in nothing else.

    Raises:
        MessageError: A value is neither a text nor a number.
    """
    for name, value in template.data.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise MessageError(
                f"{transport}: its templates take text and numbers, and {name!r} is neither: flatten the data"
            )
    return {name: str(value) for name, value in template.data.items()}
