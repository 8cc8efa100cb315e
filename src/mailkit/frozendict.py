"""Mappings that do not change, as deep as JSON goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from mailkit.errors import MessageError
from mailkit.validation import body_text, refuse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["EMPTY", "FrozenDict", "freeze_json", "freeze_mapping"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_MAX_DEPTH = 32
_INTEGERS = range(-(2**63), 2**64)  # what every JSON reader takes for a number of its own


class FrozenDict(dict[_Key, _Value]):
    """A dict that refuses to change, so that it can be hashed, shared and written as JSON as it is.

    Example:
        >>> quarter = FrozenDict({"quarter": "q3"})
        >>> quarter["quarter"], quarter == {"quarter": "q3"}
        ('q3', True)
    """

    __slots__ = ()

    def _refuse(*_args: object, **_kwargs: object) -> NoReturn:
        msg = "this mapping belongs to a frozen value: build a new one and pass it to evolve()"
        raise TypeError(msg)

    __setitem__: Callable[..., NoReturn] = _refuse
    __delitem__: Callable[..., NoReturn] = _refuse
    __ior__: Callable[..., NoReturn] = _refuse
    clear: Callable[..., NoReturn] = _refuse
    pop: Callable[..., NoReturn] = _refuse
    popitem: Callable[..., NoReturn] = _refuse
    setdefault: Callable[..., NoReturn] = _refuse
    update: Callable[..., NoReturn] = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict[_Key, _Value]], tuple[dict[_Key, _Value]]]:
        # A dict subclass would be rebuilt item by item, through __setitem__.
        return type(self), (dict(self),)


EMPTY: FrozenDict[str, Any] = FrozenDict()


def freeze_mapping(value: object, field: str) -> FrozenDict[str, Any]:
    """Return a mapping with JSON values as one that does not change, nor does anything in it.

    Args:
        value: str keys; values of str, int, float, bool, None, lists and mappings of these, at most 32 deep.
        field: How the user knows it, for the error.

    Raises:
        MessageError: It holds something else.
    """
    if not isinstance(value, Mapping):
        refuse_type(value, field, "a mapping")
    return _freeze(cast("Mapping[object, object]", value), field, 0)


def freeze_json(value: object, field: str, depth: int = 0) -> Any:  # noqa: RET503 - refuse_type never returns
    """Return one JSON value as one that does not change: lists become tuples.

    Raises:
        MessageError: It is no JSON value.
    """
    if depth > _MAX_DEPTH:
        raise MessageError(f"{field} is nested more than {_MAX_DEPTH} deep: make it flatter")
    match value:
        case None | bool():
            return value
        case str():
            return body_text(value, field)
        case int():
            if value not in _INTEGERS:
                raise MessageError(f"{field} holds an integer beyond 64 bits: write it as a str")
            return value
        case float():
            if not math.isfinite(value):
                raise MessageError(f"{field} holds {value}, which JSON does not have: use None or a str")
            return value
        case Mapping():
            return _freeze(cast("Mapping[object, object]", value), field, depth)
        case list() | tuple():
            items = cast("Sequence[object]", value)
            return tuple([freeze_json(item, field, depth + 1) for item in items])
        case _:
            pass
    refuse_type(value, field, "made of what JSON has (str, int, float, bool, None, list, dict)")


def _freeze(value: Mapping[object, object], field: str, depth: int) -> FrozenDict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = body_text(key, f"a key of {field}")
        found[name] = freeze_json(item, f"{field}[{name!r}]", depth + 1)
    return FrozenDict(found)
