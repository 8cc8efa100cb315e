"""Settings of a provider's transport: key, host, region and the like, from keyword arguments or a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from attrs import field, frozen

from mailkit.errors import ConfigurationError
from mailkit.host import check_host, is_loopback
from mailkit.secret import Secret
from mailkit.transport_url import seconds, switch

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mailkit.edge import Edge
    from mailkit.proxy import Proxy
    from mailkit.transport_url import TransportURL

__all__ = ["ApiSettings", "TokenSource", "checked_secret"]

TokenSource = Callable[[], "str | Awaitable[str]"]
"""Returns a fresh OAuth 2.0 access token."""

DEFAULT_HOST: Final = "default"


def _key(value: str | Secret | TokenSource | None) -> Secret | TokenSource | None:
    return checked_secret(value) if isinstance(value, str | Secret) else value


def checked_secret(value: str | Secret | None) -> Secret | None:
    """Return a key or the like as a secret.

    Raises:
        ConfigurationError: It is empty, or no printable text.
    """
    if value is None:
        return None
    secret = Secret.coerce(value)
    if not secret:
        raise ConfigurationError("the key is empty: look whether the setting or the variable that holds it is set")
    if not secret.reveal().isprintable() or secret.reveal().strip() != secret.reveal():
        raise ConfigurationError("a key is printable text without spaces around it: a line end or so has come along")
    return secret


def _host(value: str | None) -> str | None:
    return None if value in {None, DEFAULT_HOST} else check_host(str(value))


def _proxy(value: str | Proxy | None) -> Proxy | None:
    if isinstance(value, str):
        from mailkit.proxy import Proxy

        return Proxy.parse(value)
    return value


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@lru_cache(maxsize=64)
def _origin(host: str, port: int | None, tls: str | None) -> str:
    scheme = "http" if is_loopback(host) and tls is None else "https"
    return f"{scheme}://" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


@frozen
class ApiSettings:
    """What a transport for an HTTP API is made with; see :class:`mailkit.providers.base.ApiTransport`.

    Args:
        key: The API key, or for OAuth 2.0 a token or a function that returns one (or an awaitable of one).
        secret: The key's other half, where the provider has one.
        host: A host to use instead of the provider's own.
        port: Its port.
        region: Where the account lives, where the provider asks; the first one where None.
        sandbox: Whether the provider is only to check messages, where it can.
        timeout: Seconds that one request may take, from connecting to the last byte of the answer; where None, a
            minute, or the mailer's `timeout` if that is longer. Whoever stops waiting earlier knows no outcome.
        tls: ``"required"``, the default everywhere but on a loopback host without a proxy, where the default is none.
        ca_file: A PEM file of certificate authorities to trust instead of the system's.
        ssl_context: A ready ``ssl.SSLContext`` instead.
        proxy: A SOCKS5 or HTTP CONNECT proxy, or its URL. None is ever looked for in the environment.

    Raises:
        ConfigurationError: One of them cannot be right.
    """

    name: ClassVar[str] = ""
    """What receipts, URLs and ``options`` call it; the class's name in lower case where it says nothing."""
    endpoints: ClassVar[Mapping[str, str]] = {}
    """The URL of each region's API without a path; ``""`` is the region of a provider that has only one."""
    parameters: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    """Fields of its own that a URL may set, with what reads each."""
    needs_key: ClassVar[bool] = True
    """Whether the provider's own host answers to nobody without a key; a host of the user's may add one."""
    takes_secret: ClassVar[bool | None] = False
    """Whether it wants `secret`, too; None where that is a choice."""
    has_sandbox: ClassVar[bool] = False
    """Whether `sandbox` means something."""
    needs_host: ClassVar[bool] = False
    """Whether it is software that somebody runs, so that nobody but the user knows the host."""
    key: Secret | TokenSource | None = field(default=None, converter=_key, repr=False)
    secret: Secret | None = field(default=None, converter=checked_secret, kw_only=True, repr=False)
    host: str | None = field(default=None, converter=_host, kw_only=True)
    port: int | None = field(default=None, kw_only=True)
    region: str | None = field(default=None, kw_only=True)
    sandbox: bool = field(default=False, kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)
    tls: str | None = field(default=None, kw_only=True)
    ca_file: Path | None = field(default=None, converter=_path, kw_only=True)
    ssl_context: Any = field(default=None, kw_only=True, repr=False)
    proxy: Proxy | None = field(default=None, converter=_proxy, kw_only=True)

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    def __attrs_post_init__(self) -> None:
        if self.key is None and self.host is None and self.needs_key:
            raise ConfigurationError(
                f"{self.name} wants a key and has none: look whether the variable that holds it is set. Where a proxy "
                "of yours adds it, give that as host="
            )
        if self.needs_host and self.host is None:
            raise ConfigurationError(f"{self.name} has no host of its own: give host=, or one in the URL")
        if self.sandbox and not self.has_sandbox:
            raise ConfigurationError(f"{self.name} has no sandbox: leave sandbox out, or use its test account")
        if self.secret is None and self.takes_secret and self.key is not None:
            raise ConfigurationError(f"{self.name} wants a key and its secret: give secret=, or KEY:SECRET in the URL")
        if self.secret is not None and self.takes_secret is False:
            raise ConfigurationError(f"{self.name} knows one key and no secret: leave secret out")
        if self.tls not in {None, "required"}:
            raise ConfigurationError(f'tls={self.tls!r} is not known: "required" is all there is')
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ConfigurationError(f"timeout={self.timeout!r} is not a positive, finite number of seconds")
        if self.region is not None and not self.knows_region(self.region):
            known = ", ".join(filter(None, self.endpoints)) or "none"
            raise ConfigurationError(f"{self.name} has no region {self.region!r}; known are: {known}")

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Read ``name://KEY@default``; any other host than ``default`` overrides the provider's own.

        Raises:
            ConfigurationError: A part of the URL is wrong, or the key is missing.
        """
        if url.path not in {"", "/"}:
            url.refuse(path=url.path)
        if not url.username:
            wanted = "KEY:SECRET" if cls.takes_secret else "KEY"
            host = "HOST" if cls.needs_host else DEFAULT_HOST
            raise ConfigurationError(f"{url.scheme}:// wants a key: {url.scheme}://{wanted}@{host}")
        return cls(key=url.username, secret=url.password, host=url.host, port=url.port, **cls.url_fields(url))

    @classmethod
    def url_fields(cls, url: TransportURL) -> dict[str, Any]:
        """Return the fields that the URL's parameters set."""
        known: dict[str, Callable[[str], Any]] = {
            "region": str,
            "sandbox": switch,
            "timeout": seconds,
            "tls": str,
            "ca_file": Path,
            "proxy": str,
            **cls.parameters,
        }
        return url.parameters(**known)

    def knows_region(self, region: str) -> bool:
        """Whether there is such a region. For providers with open-ended ones to override, with :attr:`endpoint`."""
        return region in self.endpoints

    @property
    def endpoint(self) -> str:
        """The URL of the provider's own API for the region, without a path."""
        region = next(iter(self.endpoints), "") if self.region is None else self.region
        endpoint = self.endpoints.get(region)
        if endpoint is None:
            raise ConfigurationError(f"{self.name} has no host of its own: give host=, or one in the URL")
        return endpoint

    @property
    def base_url(self) -> str:
        """The URL that all paths are added to: the only place that the key is ever sent to."""
        if self.host is None:
            return self.endpoint
        prefix = urlsplit(next(iter(self.endpoints.values()), "")).path
        # To a proxy, "localhost" is another machine.
        return _origin(self.host, self.port, self.tls if self.proxy is None else "required") + prefix

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host or DEFAULT_HOST
        named = f"{self.name}://{host}" + (f":{self.port}" if self.port else "")
        shown = [f"region={self.region}"] * (self.region is not None) + ["sandbox=on"] * self.sandbox
        return named + (f"?{'&'.join(shown)}" if shown else "")

    async def fresh_key(self, edge: Edge) -> Secret | None:
        """Return the key; where it is a function, what that returns now.

        Raises:
            ConfigurationError: That is no key.
        """
        source = self.key
        if not callable(source):
            return source
        # It may ask an authorization server. A tuple, because trio lets no coroutine out of a thread.
        (token,) = await edge.in_thread(lambda: (source(),))
        key = checked_secret(await token if isawaitable(token) else token)
        if key is None:
            raise ConfigurationError(f"the function that gives {self.name}'s key returned None: let it return a token")
        return key
