"""What an HTTP exchange consists of, as values: a request, and the answer to it.

Nothing here knows an HTTP library; :mod:`mailkit.edge.http_client` does the talking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from mailkit.edge.tls_options import TLS
from mailkit.errors import ConfigurationError
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from mailkit.edge.base import Edge, Stream

__all__ = ["Request", "Response", "Route"]

MAX_BODY: Final = 1024 * 1024
"""Bytes of a response's body: a batch of a thousand results is about a quarter of it."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?|")  # RFC 9110 §5.5, without obs-text: no vendor asks for it
_FRAMING: Final = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})


@lru_cache(maxsize=256)
def _is_header_name(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None and name.lower() not in _FRAMING


def _headers(given: Mapping[str, str | Secret] | Iterable[tuple[str, str | Secret]]) -> tuple[tuple[str, Secret], ...]:
    pairs = cast("Iterable[tuple[str, str | Secret]]", given.items() if isinstance(given, Mapping) else given)
    checked: list[tuple[str, Secret]] = []
    for name, value in pairs:
        secret = Secret.coerce(value)
        if not _is_header_name(name):
            raise ConfigurationError(f"{name!a} cannot be a request header: it is no token, or it frames the request")
        if not _VALUE.fullmatch(secret.reveal()):
            # What it holds may be a key, so it is not shown.
            raise ConfigurationError(
                f"the value of the request header {name} is not printable ASCII, or has a line end or an outer space: "
                "check the key or token that it is made of"
            )
        checked.append((name, secret))
    return tuple(checked)


# A provider has few URLs, and every request is made twice: without its credentials, and with them.
@lru_cache(maxsize=64)
def _checked_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    # No control and no space: urlsplit drops some of them in silence (RFC 3986 §2).
    plain = text.isascii() and text.isprintable() and " " not in text
    if not plain or parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError("a request goes to an absolute http:// or https:// URL in percent-encoded ASCII")
    if parts.username is not None or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError("the URL of a request has no user, password or fragment: credentials go into a header")
    return text


def _url(text: str) -> str:
    return _checked_url(text)


def _pairs(given: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(given)


class Route(Protocol):
    """A way to a host other than straight, such as a proxy. Hashable: requests that share one may share connections."""

    def connect(self, edge: Edge, host: str, port: int, *, deadline: float) -> Coroutine[Any, Any, Stream]:
        """Return a stream to `host` and `port`."""
        ...

    def __hash__(self) -> int: ...


@frozen
class Request:
    """An HTTP request. Its headers and body are never shown: keys are in them, and other people's mail.

    Example:
        >>> Request("POST", "https://api.example.com/email", headers={"Authorization": "Bearer KEY"}, body=b"{}")
        Request(method='POST', url='https://api.example.com/email')

    Args:
        method: Such as ``"POST"``.
        url: Absolute, percent-encoded, without a secret: URLs are logged everywhere.
        headers: Names and values. Host, Content-Length and the like are added on the way.
        body: The content, or None for none.
        tls: How to talk TLS with an ``https`` server: verified, by default with the system's authorities.
        max_body: The most bytes of the answer's body to keep, as they come and decompressed.
        route: How to get to the host, where not directly.
        harmless: Whether it changes nothing that anybody would notice although its method may, such as a query by POST.

    Raises:
        ConfigurationError: One of them cannot be part of a request; a header value with a line end, say.
    """

    method: str
    url: str = field(converter=_url)
    headers: tuple[tuple[str, Secret], ...] = field(default=(), converter=_headers, kw_only=True, repr=False)
    body: bytes | None = field(default=None, kw_only=True, repr=False)
    tls: TLS = field(factory=TLS, kw_only=True, repr=False)
    max_body: int = field(default=MAX_BODY, kw_only=True, repr=False)
    route: Route | None = field(default=None, kw_only=True, repr=False)
    harmless: bool = field(default=False, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.method):
            raise ConfigurationError(f"{self.method!a} cannot be an HTTP method")

    @property
    def is_safe(self) -> bool:
        """Whether sending it changes nothing at the other side (RFC 9110 §9.2.1), so that no doubt can follow."""
        return self.harmless or self.method in _SAFE_METHODS

    def header(self, name: str) -> Secret | None:
        """Return the value of a header, whatever its name's case, or None."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), None)


@frozen
class Response:
    """The answer to a request. That there is one means that its status and all headers have arrived.

    Example:
        >>> Response(429, headers=[("Retry-After", "5")]).header("retry-after")
        '5'

    Args:
        status: The status code.
        headers: Names and values, in order, as they came: untrusted.
        body: The content, decompressed: untrusted.
        http_version: Such as ``"HTTP/1.1"``.
        incomplete: Why `body` is not the whole content (lost, too late, too long, not decodable), or None.
        request_written: Whether the whole request had left this machine. A server may answer, and hang up, early.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), kw_only=True, repr=False, converter=_pairs)
    body: bytes = field(default=b"", kw_only=True, repr=False)
    http_version: str = field(default="HTTP/1.1", kw_only=True)
    incomplete: str | None = field(default=None, kw_only=True)
    request_written: bool = field(default=True, kw_only=True)

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever its name's case; the first one where there are several."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), None)

    def json(self) -> Any:
        """Return the body's JSON value, or None where it is none: cut, HTML, not UTF-8, nested too deep."""
        try:
            return json.loads(self.body.decode())
        except (ValueError, RecursionError):
            return None

    def json_object(self) -> Mapping[str, Any]:
        """Return the body's JSON object, or an empty one where it is none."""
        value = self.json()
        return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
