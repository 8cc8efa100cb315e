"""What every policy is as a value: a transport over others, which is written as the URL that makes the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from mailkit.transport import name_of
from mailkit.transport_url import frequency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mailkit.transport import Transport

__all__ = ["Policy", "as_frequency", "as_number", "as_object", "as_text", "when_unusual"]


class Policy:
    """What the value of each policy has: its name, its members, and what it says beside them.

    ``str`` is the URL that makes the same policy. What no URL can say stands in angle brackets, which no URL has:
    ``deduplicate(null://)?key=<order_of>``. Only the name of a function or of a class is told of it: what else an
    object shows of itself may be a secret.
    """

    __slots__ = ()

    scheme: ClassVar[str]
    """What the policy is called where it is written as a URL."""

    def _members(self) -> Iterable[tuple[str, Transport]]:
        """Return each transport and the label before it, such as ``"3*"``."""
        raise NotImplementedError

    def _parameters(self) -> Mapping[str, str | None]:
        """Return the parameters as a URL has them; None where one is as usual."""
        return {}

    @property
    def log_name(self) -> str:
        """What it is called in logs: as ``str``, without parameters, in which people may be named."""
        return self._written(name_of)

    def _written(self, written: Callable[[Transport], str]) -> str:
        members = [f"{label}{written(transport)}" for label, transport in self._members()]
        return f"{self.scheme}({' '.join(members)})"

    def __str__(self) -> str:
        given = [f"{name}={text}" for name, text in self._parameters().items() if text is not None]
        return f"{self._written(str)}?{'&'.join(given)}" if given else self._written(str)


def when_unusual(value: object, usual: object, written: Callable[[object], str]) -> str | None:
    """Return what is written of a value, or None where it is the usual one."""
    return None if value == usual else written(value)


def as_number(value: object) -> str:
    """Return a number as it is read back; None, which no URL can say, in angle brackets.

    Example:
        >>> as_number(86400.0), as_number(0.1), as_number(None)
        ('86400', '0.1', '<none>')
    """
    if not isinstance(value, int | float):
        return as_object(value)
    return str(int(value)) if value % 1 == 0 and value < 1e16 else repr(value).replace("+", "")  # a space in a query


def as_frequency(rate: float) -> str:
    """Return how often something may happen, in the shortest of the forms that are read back as the same number.

    Example:
        >>> as_frequency(10), as_frequency(1000 / 3600)
        ('10/s', '1000/h')
    """
    forms = [f"{as_number(float(f'{rate * each:.12g}'))}/{unit}" for unit, each in (("s", 1), ("m", 60), ("h", 3600))]
    return min([form for form in forms if _reads(form) == rate] or [f"{as_number(rate)}/s"], key=len)


def _reads(form: str) -> float | None:
    try:
        return frequency(form)
    except ValueError:  # an hour's worth may be more than a float can be
        return None


def as_text(text: object) -> str:
    """Return a text as a parameter, or a label, of a policy has it.

    Example:
        >>> as_text("[staging] "), as_text("dev+1@example.com")
        ('%5Bstaging%5D%20', 'dev%2B1@example.com')
    """
    return quote(str(text), safe="@,/*", errors="surrogatepass")  # what that writes is refused, and not an error here


def as_object(value: object) -> str:
    """Return what is told of a function or an object: its name, or that of its class.

    Example:
        >>> as_object(len), as_object(as_object), as_object(1j)
        ('<len>', '<as_object>', '<complex>')
    """
    name = "none" if value is None else getattr(value, "__name__", None)
    return f"<{(name if isinstance(name, str) else type(value).__name__).strip('<>')}>"
