"""The ``repr`` of a value, for the few that every program makes.

What attrs writes for a class is compiled when the class is imported, which takes as long as the rest of its methods. A
mailer is made of values that hardly anybody prints, so they share one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import fields

if TYPE_CHECKING:
    from attrs import AttrsInstance

__all__ = ["shown"]


def shown(self: AttrsInstance) -> str:
    """Return the class and the fields of a value, without those that are not to be shown: what attrs would write.

    Example:
        >>> from mailkit.smtp import PoolLimits
        >>> PoolLimits.__repr__ is shown
        True
    """
    kind = type(self)
    said = ", ".join([f"{each.name}={getattr(self, each.name)!r}" for each in fields(kind) if each.repr])
    return f"{kind.__qualname__}({said})"
