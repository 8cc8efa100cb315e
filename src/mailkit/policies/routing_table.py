"""Routes by domain: a domain itself, or everything below one; the longest match counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import unquote

from mailkit.address_domain import parse_domain
from mailkit.errors import AddressError, ConfigurationError
from mailkit.policies.policy import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailkit.transport import Transport

__all__ = ["DomainTable", "as_label", "checked_domains", "checked_names", "routes_from_labels"]

T = TypeVar("T")

_DEFAULT: Final = "*="
"""The label of what has no route."""


class DomainTable(Generic[T]):
    """What belongs to each domain.

    Example:
        >>> table = DomainTable({"example.com": 1, "*.example.com": 2, "*.com": 3})
        >>> [table.find(domain) for domain in ("example.com", "a.b.example.com", "example.org")]
        [1, 2, None]

    Args:
        entries: By domain in ASCII and lower case, with ``*.`` before those that stand for what is below them.
    """

    def __init__(self, entries: Mapping[str, T]) -> None:
        self._entries = entries

    def find(self, domain: str) -> T | None:
        """Return what belongs to a domain, in ASCII and lower case."""
        found = self._entries.get(domain)
        rest = domain
        while found is None and rest:
            _, _, rest = rest.partition(".")
            found = self._entries.get(f"*.{rest}")
        return found


def checked_domains(entries: Mapping[str, T]) -> dict[str, T]:
    """Return entries with their domains as they are looked for.

    Raises:
        ConfigurationError: One is no domain, or is there twice.
    """
    found: dict[str, T] = {}
    for given, value in entries.items():
        domain = _checked(given)
        if domain in found:
            raise ConfigurationError(f"there are two routes for {domain}: keep one")
        found[domain] = value
    return found


def checked_names(entries: Mapping[str, T]) -> dict[str, T]:
    """Return entries whose names are texts.

    Raises:
        ConfigurationError: One is none, or empty.
    """
    for given in entries:
        _check_name(given)
    return dict(entries)


def _check_name(given: object) -> None:
    if not isinstance(given, str) or not given:
        raise ConfigurationError(f"{given!r} is no name for a route: give a text that is not empty")


def _checked(given: object) -> str:
    wildcard, name = ("*.", given[2:]) if isinstance(given, str) and given.startswith("*.") else ("", given)
    try:
        if isinstance(name, str):
            return wildcard + parse_domain(name, 0, len(name))[1]
    except AddressError as error:
        msg = f'{given!r} is no domain for a route ({error}): write "example.com" or "*.test"'
        raise ConfigurationError(msg) from None
    raise ConfigurationError(f'a route is a domain, such as "example.com" or "*.test", not {type(given).__name__}')


def routes_from_labels(members: Sequence[tuple[str, Transport]]) -> tuple[dict[str, Transport], Transport | None]:
    """Return the routes and the default of ``route(example.com=URL *=URL)``.

    Raises:
        ConfigurationError: A member has no name, or one that another one has.
    """
    routes: dict[str, Transport] = {}
    default: list[Transport] = []
    for label, transport in members:
        if label == _DEFAULT:
            default.append(transport)
            continue
        name = _name(label)
        if name in routes:
            raise ConfigurationError(f"route(…) has {name!r} twice: keep one")
        routes[name] = transport
    if len(default) > 1:
        raise ConfigurationError("route(…) has '*' twice: keep one")
    return routes, default[0] if default else None


def _name(label: str) -> str:
    if len(label) < len("x=") or not label.endswith("="):
        raise ConfigurationError("route(…) has a name before each URL: route(example.com=URL *=URL)")
    try:
        return unquote(label.removesuffix("="), errors="strict")
    except UnicodeDecodeError:
        raise ConfigurationError("a name in route(…) is malformed: percent-encode it as UTF-8") from None


def as_label(name: str) -> str:
    """Return what stands before a route's URL: its name, the asterisk of a tag apart from that of the default.

    Example:
        >>> as_label("*.example.com"), as_label("a/b c"), as_label("*")
        ('*.example.com=', 'a%2Fb%20c=', '%2A=')
    """
    return "%2A=" if name == "*" else f"{as_text(name).replace('/', '%2F')}="  # in a label it would begin a path
