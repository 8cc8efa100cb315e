"""A value that may be used but never shown."""

from __future__ import annotations

from typing import NoReturn, Self

__all__ = ["Secret"]


class Secret:
    """A password, key or token that no repr, log, exception, pickle or ``asdict`` gives away.

    Only :meth:`reveal` returns it, and only what writes to the wire calls that.

    Example:
        >>> Secret("hunter2")
        Secret('***')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def coerce(cls, value: str | Secret) -> Secret:
        """Return `value` as a secret."""
        return value if isinstance(value, Secret) else cls(value)

    def reveal(self) -> str:
        """Return the value itself, to be written to the wire and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        msg = "a Secret cannot be pickled: pass the URL or the name of the setting that holds it instead"
        raise TypeError(msg)
