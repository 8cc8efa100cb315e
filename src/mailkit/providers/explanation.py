"""What a provider says in words about a refusal: untrusted, for people to read, never for decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from mailkit.redaction import printable

if TYPE_CHECKING:
    from mailkit.edge.http import Response

__all__ = ["LONGEST", "explanation"]

LONGEST: Final = 500
"""Characters of it that an error shows."""

_NAMES: Final = (
    "message",
    "Message",
    "ErrorMessage",
    "error_message",
    "detail",
    "description",
    "title",
    "name",
    "code",
)
_WITHIN: Final = ("error", "errors", "Error", "Errors", "Response", "data")


def explanation(response: Response) -> str:
    """Return the text that an answer holds, ``""`` where none is found. HTML is not looked into."""
    return _found(response.json(), 4)


def _found(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return printable(value.encode("utf-8", "replace")[: 4 * LONGEST])[:LONGEST]
    if depth and isinstance(value, Mapping):
        entry = cast("Mapping[str, Any]", value)
        texts = [_found(entry[name], 0) for name in _NAMES if isinstance(entry.get(name), str)][:1]
        texts += [_found(entry[name], depth - 1) for name in _WITHIN if name in entry]
        return "; ".join(filter(None, texts))[:LONGEST]
    match value:
        case [*entries] if depth:
            return "; ".join(filter(None, [_found(one, depth - 1) for one in entries[:3]]))[:LONGEST]
        case _:
            return ""
