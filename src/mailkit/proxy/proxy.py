"""A proxy as a value: where it is, how it is spoken to, and credentials that are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from mailkit.edge import TLS
from mailkit.errors import ConfigurationError
from mailkit.proxy import http_connect, socks5
from mailkit.proxy.destination import authority
from mailkit.proxy.tunnel import connect_through
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mailkit.edge import Edge, Stream
    from mailkit.proxy.exchange import Exchange

__all__ = ["Proxy", "ProxyScheme"]

ProxyScheme = Literal["socks5", "http", "https"]
"""``"socks5"`` (RFC 1928), ``"http"``: HTTP CONNECT (RFC 9110 §9.3.6), ``"https"``: the same inside TLS."""

_PORTS: Final[Mapping[str, int]] = {"socks5": 1080, "http": 80, "https": 443}

# curl's name for SOCKS5 with names looked up by the proxy, which is how it is always done here.
_ALIASES: Final[Mapping[str, str]] = {"socks5h": "socks5"}

_KNOWN: Final = "socks5://, http:// or https://"


def _secret(value: str | Secret | None) -> Secret | None:
    return None if value is None else Secret.coerce(value)


@frozen(kw_only=True)
class Proxy:
    """A SOCKS5 or HTTP proxy.

    Host names are looked up by the proxy. The proxy's own certificate is verified where it is spoken to by TLS; what is
    sent through it is as safe from the proxy as it would be from any other machine on the way: encrypt it.

    Example:
        >>> str(Proxy.parse("socks5://ada:secret@127.0.0.1:1080"))
        'socks5://127.0.0.1:1080'

    Args:
        scheme: How it is spoken to.
        host: Its name or IP address.
        port: Its port; 1080, 80 or 443 where None, by `scheme`.
        username: The user name, where it wants one; sent in clear unless `scheme` is ``"https"``.
        password: The password.
        tls: How to talk TLS to it, for ``"https"``.

    Raises:
        ConfigurationError: One of them cannot be right.
    """

    scheme: ProxyScheme
    host: str
    port: int | None = None
    username: Secret | None = field(default=None, converter=_secret, repr=False)
    password: Secret | None = field(default=None, converter=_secret, repr=False)
    tls: TLS = field(factory=TLS, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.scheme not in get_args(ProxyScheme):
            raise ConfigurationError(f"{self.scheme!r} is no kind of proxy that is known: use {_KNOWN}")
        authority(self.host, self.effective_port)
        if (self.username is None) != (self.password is None):
            raise ConfigurationError("a proxy's credentials are a user name and a password: one of them is missing")
        if self.credentials is not None:
            check = socks5.check_credentials if self.scheme == "socks5" else http_connect.check_credentials
            try:
                "".join(secret.reveal() for secret in self.credentials).encode()
            except UnicodeEncodeError:  # which would show them
                raise ConfigurationError("the proxy's credentials hold a surrogate, which has no UTF-8") from None
            check(*self.credentials)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read a URL such as ``"socks5://user:password@127.0.0.1:1080"``, user and password percent-encoded.

        ``https://`` takes ``?ca_file=``, a PEM file of the authorities to trust for the proxy itself.

        Raises:
            ConfigurationError: It is none. The text itself is not repeated: it may hold a secret.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            username, password = (
                None if part is None else unquote(part, errors="strict") for part in (parts.username, parts.password)
            )
        except ValueError:
            raise _malformed() from None
        scheme = _ALIASES.get(parts.scheme, parts.scheme)
        if scheme not in _PORTS:
            # The scheme may be a user name where "socks5://" was forgotten, so it is not shown either.
            raise ConfigurationError(f"a proxy's URL begins with {_KNOWN}")
        ca_file = query.pop("ca_file", None) if scheme == "https" else None
        printable = url.isascii() and url.isprintable() and " " not in url
        if not printable or not parts.hostname or parts.path not in {"", "/"} or query or parts.fragment or port == 0:
            raise _malformed()
        return cls(
            scheme=cast("ProxyScheme", scheme),
            host=parts.hostname,
            port=port,
            username=username,
            password=password,
            tls=TLS(ca_file=None if ca_file is None else Path(ca_file)),
        )

    @property
    def effective_port(self) -> int:
        """The port in force."""
        return _PORTS[self.scheme] if self.port is None else self.port

    @property
    def credentials(self) -> tuple[Secret, Secret] | None:
        """User name and password, where there are any."""
        return None if self.username is None or self.password is None else (self.username, self.password)

    def exchange(self, host: str, port: int) -> Exchange:
        """Return the conversation that asks for a connection to `host` and `port`."""
        ask = socks5.socks5 if self.scheme == "socks5" else http_connect.http_connect
        return ask(host, port, self.credentials)

    def connect(self, edge: Edge, host: str, port: int, *, deadline: float) -> Coroutine[Any, Any, Stream]:
        """Return a stream to `host` and `port` that the proxy has connected: a route for HTTP requests."""
        return connect_through(edge, self, host, port, deadline=deadline)

    def __str__(self) -> str:
        return f"{self.scheme}://{authority(self.host, self.effective_port)}"


def _malformed() -> ConfigurationError:
    return ConfigurationError(
        'a proxy\'s URL looks like "socks5://user:password@127.0.0.1:1080", with a host, and without path and '
        "parameters (https:// takes ca_file); percent-encode anything unusual in user and password"
    )
