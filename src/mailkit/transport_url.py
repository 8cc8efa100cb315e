"""A transport's URL, taken apart: its secrets are out of sight, and every parameter is known or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.representation import shown
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["TransportURL", "frequency", "nearest", "rate", "seconds", "switch", "whole"]


def seconds(text: str) -> float:
    """Read a positive, finite number of seconds."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def rate(text: str) -> float:
    """Read a positive, finite number of times a second."""
    return seconds(text)


def frequency(text: str) -> float:
    """Read how many times a second something may happen, from ``10/s``, ``300/m`` or ``1000/h``."""
    number, _, unit = text.partition("/")
    return rate(number) / {"s": 1.0, "m": 60.0, "h": 3600.0}[unit]


def whole(text: str) -> int:
    """Read a positive whole number."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError
    return int(text)


def switch(text: str) -> bool:
    """Read ``on`` or ``off``."""
    return {"on": True, "off": False}[text]


def nearest(given: str, known: Mapping[str, str]) -> str:
    """Return the question whether a name was meant that is nearly the given one; nothing where there is none.

    Example:
        >>> nearest("failovr", {"failover": "failover(…)"})
        ' (did you mean failover(…)?)'

    Args:
        given: What is not known.
        known: How each name is written in the question.
    """
    from difflib import get_close_matches

    near = get_close_matches(given, known, n=1)
    return f" (did you mean {known[near[0]]}?)" if near else ""


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

    __repr__ = shown

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.scheme}://"

    @classmethod
    def parse(cls, text: str) -> TransportURL:
        """Take a URL apart.

        Raises:
            ConfigurationError: It is not a URL, or a part of it is not valid. The text itself is not repeated: it may
                hold a secret.
        """
        if not (text.isascii() and text.isprintable()) or " " in text:
            msg = (
                'a transport URL is printable ASCII without spaces: percent-encode everything else, as in "%20" for a '
                'space and "%C3%A9" for "é"'
            )
            raise ConfigurationError(msg)
        scheme, colon, _ = text.partition("://")
        if not colon or not scheme.replace("+", "").replace("-", "").isalnum():
            msg = 'a transport URL looks like "smtp://user:password@mail.example.com": there is no scheme before "://"'
            raise ConfigurationError(msg)
        scheme = scheme.lower()
        url = _split(scheme, text)
        if url is None:
            msg = (
                f"the {scheme}:// URL is malformed: check the port (1 to 65535), the brackets of an IPv6 address and "
                'the percent-encoding of user, password and parameters: "@" is "%40", "/" "%2F", "?" "%3F", "#" "%23"'
            )
            raise ConfigurationError(msg)
        if _names_two_hosts(url):
            msg = (
                f'the {scheme}:// URL has what looks like a host and its port before the "@": if they are a user and a '
                'password, percent-encode one digit of the password (1 is "%31")'
            )
            raise ConfigurationError(msg)
        return url

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
                suggestion = nearest(key, {each: repr(each) for each in known})
                msg = f"{self.name} has no parameter {name!r}{suggestion}; it knows: {known_names}"
                raise ConfigurationError(msg)
            if key in values:
                msg = f"{self.name} has the parameter {name!r} twice: keep one"
                raise ConfigurationError(msg)
            try:
                values[key] = known[key](text)
            except (ValueError, KeyError):
                kind: dict[Callable[[str], Any], str] = {
                    seconds: "a positive number of seconds",
                    rate: "a positive number a second",
                    frequency: "a positive number in a second, minute or hour, such as 10/s, 300/m or 1000/h",
                    whole: "a positive whole number",
                    switch: "on or off",
                }
                wanted = kind.get(known[key], "valid")
                msg = f"the parameter {name!r} of {self.name} is not {wanted}"
                raise ConfigurationError(msg) from None
        return values

    def refuse(self, **parts: object) -> None:
        """Refuse parts of the URL that mean nothing for this scheme, such as ``password=url.password``.

        Raises:
            ConfigurationError: One of `parts` is set.
        """
        for name, value in parts.items():
            if value:
                msg = f"{self.name} takes no {name}: leave it out"
                raise ConfigurationError(msg)


def _split(scheme: str, text: str) -> TransportURL | None:
    # None rather than an error: the standard library's names a part of the URL, which may be one of the password.
    try:
        parts = urlsplit(text)
        url = TransportURL(
            scheme=scheme,
            username=_decoded(parts.username),
            password=None if parts.password is None else Secret(unquote(parts.password, errors="strict")),
            host=unquote(parts.hostname or "", errors="strict"),
            port=parts.port,
            path=unquote(parts.path, errors="strict"),
            query=_query(parts.query),
        )
    except ValueError:
        return None
    # RFC 3986 §3.2.1: an "@" before the host's is percent-encoded, or two readers could find two hosts.
    is_ambiguous = parts.netloc.count("@") > 1 or "@" in parts.query or "#" in text
    return None if is_ambiguous or url.port == 0 or "@" in url.host or not url.host.isprintable() else url


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")


def _query(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")) if text else ()


def _names_two_hosts(url: TransportURL) -> bool:
    # A port of "25@evil.test" from somewhere else turns "smtp://mx.test:25" into a login at evil.test.
    before = (url.username or "").lower()
    port = "" if url.password is None else url.password.reveal()
    is_host = before == "localhost" or ("." in before and "@" not in before)
    return is_host and port.isdigit() and len(port) <= len("65535")
