"""Fields in a text: ``{name}`` is what a recipient has in the column ``name``, and nothing else is anything.

That is on purpose less than a template language: no expression, no attribute, no format. A text that came from
elsewhere can name columns, and reach nothing else.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["fill", "for_html", "for_url", "names_in"]

# A letter first, so that CSS, JSON and "{}" are what they are: "{color: red}" names no column.
_FIELD: Final = re.compile(r"\{\{([^\W\d][\w -]*)\}\}|\{([^\W\d][\w -]*)\}")


def names_in(text: str) -> set[str]:
    """Return the names of the columns that a text asks for.

    Example:
        >>> names_in("Dear {name}, {{name}} stays as it is, and p {color: red} is CSS.")
        {'name'}
    """
    return {name for _, name in _FIELD.findall(text) if name}


def fill(text: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Return the text with a recipient's values in it; ``{{name}}`` becomes ``{name}``.

    What a value holds is never looked at for fields again.

    Args:
        text: The text.
        values: The values by the names of their columns; all that are asked for.
        escape: What is done to each value.
    """
    return _FIELD.sub(lambda found: f"{{{found[1]}}}" if found[1] else escape(values[found[2]]), text)


def for_html(value: str) -> str:
    """Escape a value for HTML text, and for attributes in quotes."""
    return html.escape(value, quote=True)


def for_url(value: str) -> str:
    """Escape a value for one part of a URL."""
    return quote(value, safe="")
