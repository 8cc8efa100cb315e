"""A transport's URL, taken apart: its secrets are out of sight, and every parameter is known or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TransportURL", "seconds", "switch", "whole"]


def seconds(text: str) -> float:
    """Read a positive, finite number of seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def whole(text: str) -> int:
    """Read a positive whole number."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError
    return int(text)


def switch(text: str) -> bool:
    """Read ``on`` or ``off``."""
    return {"on": True, "off": False}[text]


@frozen(kw_only=True)
class TransportURL:
    """The parts of a transport's URL; user and password percent-decoded and never shown.

    Example:
        >>> TransportURL.parse("smtp://ada:secret@mail.example.com?timeout=5").host
        'mail.example.com'
    """

    scheme: str
    username: str | None = field(default=None, repr=False)
    password: Secret | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    path: str = ""
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> TransportURL:
        """Take a URL apart.

        Raises:
            ConfigurationError: It is not a URL, or a part of it is not valid. The text itself is not repeated: it may
                hold a secret.
        """
        if not (text.isascii() and text.isprintable()) or " " in text:
            msg = "a transport URL is printable ASCII without spaces: percent-encode anything else in user and password"
            raise ConfigurationError(msg)
        scheme, colon, _ = text.partition("://")
        if not colon or not scheme.replace("+", "").replace("-", "").isalnum():
            msg = 'a transport URL looks like "smtp://user:password@mail.example.com": there is no scheme before "://"'
            raise ConfigurationError(msg)
        scheme = scheme.lower()
        try:
            parts = urlsplit(text)
            port = parts.port
            query = tuple(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else ()
            host = unquote(parts.hostname or "", errors="strict")
            username = None if parts.username is None else unquote(parts.username, errors="strict")
            password = None if parts.password is None else Secret(unquote(parts.password, errors="strict"))
        except ValueError:
            msg = (
                f"the {scheme}:// URL is malformed: check the port (1 to 65535), the brackets of an IPv6 address and "
                "the percent-encoding of user, password and parameters"
            )
            raise ConfigurationError(msg) from None
        if port == 0 or parts.fragment or "@" in host or not host.isprintable():
            msg = f'the {scheme}:// URL is malformed: percent-encode "@", "/", "?" and "#" in user and password'
            raise ConfigurationError(msg)
        return cls(
            scheme=scheme,
            username=username,
            password=password,
            host=host,
            port=port,
            path=unquote(parts.path),
            query=query,
        )

    def parameters(self, **known: Callable[[str], Any]) -> dict[str, Any]:
        """Return the query's parameters, each read by the function of its name.

        Raises:
            ConfigurationError: A parameter is unknown, repeated or cannot be read.
        """
        values: dict[str, Any] = {}
        for name, text in self.query:
            key = name.replace("-", "_")
            if key not in known:
                known_names = ", ".join(sorted(known)) or "none"
                msg = f"{self.scheme}:// has no parameter {name!r}; it knows: {known_names}"
                raise ConfigurationError(msg)
            if key in values:
                msg = f"{self.scheme}:// has the parameter {name!r} twice: keep one"
                raise ConfigurationError(msg)
            try:
                values[key] = known[key](text)
            except (ValueError, KeyError):
                kind: dict[Callable[[str], Any], str] = {
                    seconds: "a positive number of seconds",
                    whole: "a positive whole number",
                    switch: "on or off",
                }
                wanted = kind.get(known[key], "valid")
                msg = f"the parameter {name!r} of {self.scheme}:// is not {wanted}"
                raise ConfigurationError(msg) from None
        return values

    def refuse(self, **parts: object) -> None:
        """Refuse parts of the URL that mean nothing for this scheme, such as ``password=url.password``.

        Raises:
            ConfigurationError: One of `parts` is set.
        """
        for name, value in parts.items():
            if value:
                msg = f"{self.scheme}:// takes no {name}: leave it out"
                raise ConfigurationError(msg)
