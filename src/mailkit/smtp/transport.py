"""SMTP as a transport: a value that says which server, and how to talk to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from attrs import evolve, field, fields, frozen

from mailkit.errors import ConfigurationError
from mailkit.host import check_host, is_address, is_loopback
from mailkit.representation import shown
from mailkit.secret import Secret
from mailkit.smtp.mechanism_names import MECHANISM_NAMES
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.source_addresses import check_source_address
from mailkit.smtp.timeouts import Timeouts
from mailkit.transport_url import rate, seconds, switch, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mailkit.capabilities import Capabilities
    from mailkit.edge import Edge
    from mailkit.edge.records import NameServers
    from mailkit.proxy import Proxy
    from mailkit.smtp.channel import SMTPChannel
    from mailkit.smtp.discovery import Discover
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.smtp.login import Login, TokenSource
    from mailkit.smtp.mechanism_names import MechanismName
    from mailkit.smtp.options import Protocol, Recipients, Security, SMTPOptions
    from mailkit.transport_url import TransportURL

__all__ = ["PARAMETERS", "SMTP"]

SUBMISSION = 587  # RFC 6409 §3.1
SUBMISSIONS = 465  # RFC 8314 §3.3: implicit TLS
RELAY = 25  # RFC 5321 §4.5.4.2: what mail exchangers listen on
LMTP_PORT = 24  # what lmtp:// means without a port; RFC 2033 §5 only forbids 25


@cache
def _capabilities() -> Capabilities:
    from mailkit.capabilities import Capabilities  # what only sending needs is no cost of making a mailer

    return evolve(Capabilities.rfc5322(), send_at=True)  # RFC 4865, where the server offers it


def _secret(value: str | Secret | None) -> Secret | None:
    return None if value is None else Secret.coerce(value)


def _token(value: str | Secret | TokenSource | None) -> Secret | TokenSource | None:
    return Secret.coerce(value) if isinstance(value, str | Secret) else value


def _proxy(value: str | Proxy | None) -> Proxy | Literal["environment"] | None:
    if isinstance(value, str):
        from mailkit.proxy import Proxy

        return "environment" if value == "environment" else Proxy.parse(value)
    return value


def _listed(text: str) -> tuple[str, ...] | str:
    """Read one, or several with commas between them."""
    return tuple(text.split(",")) if "," in text else text


PARAMETERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "mechanism": str.upper,
    "tls": str,
    "ca_file": str,
    "certificate": str,
    "key": str,
    "server_hostname": str,
    "ehlo_name": str,
    "source_address": _listed,
    "proxy": str,
    "discover": str,
    "recipients": str,
    "pipelining": switch,
    "chunking": switch,
    "timeout": seconds,
    "max_connections": whole,
    "max_messages": whole,
    "max_age": seconds,
    "idle_timeout": seconds,
    "messages_per_second": rate,
    "recipients_per_second": rate,
}
"""What a URL may set, and what reads it."""


def _name(value: str | None) -> str | None:
    return None if value is None else check_host(value)


def _path(value: str | Path | None) -> Path | None:
    if value is None:
        return None
    from pathlib import Path  # which few servers need

    return Path(value)


@frozen
class SMTP:
    """A mail server reached by SMTP (RFC 5321), as a submission client (RFC 6409).

    TLS is required and the certificate verified unless `tls` says otherwise; credentials never travel in clear unless
    it does.

    Example:
        >>> from mailkit import Mailer
        >>> mailer = Mailer(SMTP("mail.example.com", username="ada", password="secret"))
        >>> str(mailer.transport)
        'smtp://mail.example.com:587'

    Args:
        host: The server's name or address. A name that is not ASCII is converted by IDNA.
        port: Its port; 587, or 465 for ``tls="implicit"``, or 24 for LMTP, where None.
        protocol: ``"smtp"``, or ``"lmtp"`` (RFC 2033) to deliver into a mail store that answers for each recipient.
        unix_path: A UNIX domain socket to connect to instead of host and port; `host` is then only a name.
        username: The user name, where the server wants one.
        password: The password.
        token: An OAuth 2.0 access token, or a function that returns one (or an awaitable of one, for AsyncMailer). The
            function is asked for each new connection, and once more when the server refuses the token.
        mechanism: The only SASL mechanism to log in by, such as ``"SCRAM-SHA-256"`` ``"NTLM"`` (with the
            extra ``mailkit-sdk[ntlm]``) or ``"GSSAPI"`` (with ``mailkit-sdk[gssapi]``, and a Kerberos ticket in place
            of a password); the best that the server offers where None.
        tls: ``"starttls"`` (the default), ``"implicit"``, ``"opportunistic"`` (STARTTLS where it is offered,
            unverified, else clear text without credentials; the default on a loopback host) or ``"insecure"`` (clear
            text, credentials too).
        ca_file: A PEM file of certificate authorities to trust instead of the system's.
        certificate: A PEM file with the client's certificate.
        key: A PEM file with the client's private key, where it is not in `certificate`.
        key_password: The password of `key`.
        server_hostname: The name that the certificate must be for, where it differs from `host`.
        ssl_context: A ready ``ssl.SSLContext`` instead of the five above.
        ehlo_name: The domain or address literal with which to greet the server; this machine's name where None.
        source_address: The local IP address to connect from. Of several, each new connection takes the next one, and
            one that cannot connect is passed over for a while.
        proxy: A SOCKS5 or HTTP CONNECT proxy: its URL, such as ``"socks5://user:password@127.0.0.1:1080"``, or
            ``"environment"``: what SMTP_PROXY or ALL_PROXY says there, which nothing reads otherwise.
        discover: ``"srv"``: `host` is a domain, whose submission servers are found by SRV (RFC 6186, RFC 8314).
            ``"mx"``: its mail exchangers (RFC 5321 §5.1). They are tried in order. None: `host` is the host.
        name_servers: The name servers to ask instead of the system's.
        recipients: ``"any"``: who is accepted gets the message. ``"all"``: one refused recipient, and nobody gets it.
        pipelining: False for a server that offers PIPELINING and breaks under it.
        chunking: False for a server that offers CHUNKING and breaks under it.
        timeouts: Seconds for each phase; the mailer's `timeout` where they are None.
        pool: How many connections, and for how long.
        transcript: Is called with each line of each conversation, secrets masked; for demonstrations and debugging.

    Raises:
        ConfigurationError: One of them cannot be right.
    """

    host: str = field(converter=check_host)
    port: int | None = field(default=None, kw_only=True)
    protocol: Protocol = field(default="smtp", kw_only=True)
    unix_path: Path | None = field(default=None, converter=_path, kw_only=True)
    username: str | None = field(default=None, kw_only=True, repr=False)  # some relays take the key as both
    password: Secret | None = field(default=None, converter=_secret, kw_only=True, repr=False)
    token: Secret | TokenSource | None = field(default=None, converter=_token, kw_only=True, repr=False)
    mechanism: MechanismName | None = field(default=None, kw_only=True)
    tls: Security | None = field(default=None, kw_only=True)
    ca_file: Path | None = field(default=None, converter=_path, kw_only=True)
    certificate: Path | None = field(default=None, converter=_path, kw_only=True)
    key: Path | None = field(default=None, converter=_path, kw_only=True)
    key_password: Secret | None = field(default=None, converter=_secret, kw_only=True, repr=False)
    server_hostname: str | None = field(default=None, converter=_name, kw_only=True)
    ssl_context: Any = field(default=None, kw_only=True, repr=False)
    ehlo_name: str | None = field(default=None, kw_only=True)
    source_address: str | tuple[str, ...] | None = field(default=None, converter=check_source_address, kw_only=True)
    proxy: Proxy | Literal["environment"] | None = field(default=None, converter=_proxy, kw_only=True)
    discover: Discover | None = field(default=None, kw_only=True)
    name_servers: NameServers | None = field(default=None, kw_only=True)
    recipients: Recipients = field(default="any", kw_only=True)
    pipelining: bool = field(default=True, kw_only=True)
    chunking: bool = field(default=True, kw_only=True)
    timeouts: Timeouts = field(factory=Timeouts, kw_only=True)
    pool: PoolLimits = field(factory=PoolLimits, kw_only=True)
    transcript: Callable[[TranscriptLine], object] | None = field(default=None, kw_only=True, repr=False)

    __repr__ = shown

    def __attrs_post_init__(self) -> None:
        _one_of("tls", self.tls, (None, "starttls", "implicit", "opportunistic", "insecure"))
        _one_of("protocol", self.protocol, ("smtp", "lmtp"))
        _one_of("recipients", self.recipients, ("any", "all"))
        _check_port(self.port)
        _one_of("discover", self.discover, (None, "srv", "mx"))
        if self.discover is not None:
            self._check_discover(self.discover)
        if self.unix_path is not None and self.proxy is not None:
            msg = "a UNIX domain socket is not reached through a proxy: leave proxy= or unix_path= out"
            raise ConfigurationError(msg)
        if self.ehlo_name is not None:
            from mailkit.smtp.greeting_name import check_ehlo_name

            check_ehlo_name(self.ehlo_name)
        has_secret = self.password is not None or self.token is not None
        has_ticket = self.mechanism == "GSSAPI" and not has_secret
        if bool(self.username) != has_secret and not has_ticket:
            msg = (
                "a username needs a password or a token: give one, or leave the username out"
                if self.username
                else "a password or a token needs a username: give one, as in smtp://user:password@mail.example.com"
            )
            raise ConfigurationError(msg)
        _one_of("mechanism", self.mechanism, (None, *MECHANISM_NAMES))
        if self.mechanism is not None and not self.username and not has_ticket:
            msg = f"mechanism={self.mechanism!r} is a way to log in, and there is nobody to: give a username"
            raise ConfigurationError(msg)
        self.login()

    def _check_discover(self, discover: Discover) -> None:
        if is_address(self.host) or self.unix_path is not None or self.protocol == "lmtp":
            msg = f'discover="{discover}" asks for the SMTP servers of a domain: give its name as the host'
            raise ConfigurationError(msg)
        if discover == "srv" and self.port is not None:
            msg = 'discover="srv" finds the ports too: leave the port out'
            raise ConfigurationError(msg)

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Read ``smtp://``, ``smtps://`` and ``lmtp://`` URLs.

        Raises:
            ConfigurationError: A part of the URL is wrong.
        """
        unix_path = url.path if url.scheme == "lmtp" and not url.host and url.path not in {"", "/"} else None
        if unix_path is None and url.path not in {"", "/"}:
            url.refuse(path=url.path)
        if not url.host and unix_path is None:
            msg = f'{url.scheme}:// needs a host, as in "{url.scheme}://mail.example.com"'
            raise ConfigurationError(msg)
        given = url.parameters(**PARAMETERS)
        if url.scheme == "smtps":
            if "tls" in given:
                msg = "smtps:// means implicit TLS: leave tls= out, or use smtp://"
                raise ConfigurationError(msg)
            given["tls"] = "implicit"
        bounds = (each.name for each in fields(PoolLimits) if each.name in given)
        pool = PoolLimits(**{name: given.pop(name) for name in tuple(bounds)})
        if url.scheme == "lmtp":
            given |= {"protocol": "lmtp", "unix_path": unix_path}
        timeouts = Timeouts()
        if (timeout := given.pop("timeout", None)) is not None:
            timeouts = Timeouts(connect=timeout, tls=timeout, greeting=timeout, command=timeout, data_block=timeout)
        return cls(
            url.host or "localhost",
            port=url.port,
            username=url.username,
            password=url.password,
            pool=pool,
            timeouts=timeouts,
            **given,
        )

    @property
    def capabilities(self) -> Capabilities:
        """All that RFC 5322 bytes can carry; the server's own limits are known only after EHLO."""
        return _capabilities()

    @property
    def security(self) -> Security:
        """The TLS policy in force."""
        return self.tls or ("opportunistic" if self._stays_here else "starttls")

    @property
    def effective_proxy(self) -> Proxy | None:
        """The proxy in force."""
        if self.proxy == "environment":
            from mailkit.proxy import proxy_from_environment

            return proxy_from_environment(self.host)
        return self.proxy

    @property
    def _stays_here(self) -> bool:
        """Whether nothing leaves this machine: through a proxy, "localhost" may be anywhere."""
        return is_loopback(self.host) and self.discover is None and self.effective_proxy is None

    @property
    def effective_port(self) -> int:
        """The port in force."""
        if self.port is not None:
            return self.port
        if self.protocol == "lmtp":
            return LMTP_PORT
        if self.discover == "mx":
            return RELAY
        return SUBMISSIONS if self.security == "implicit" else SUBMISSION

    def login(self) -> Login | None:
        """Return the credentials.

        Raises:
            ConfigurationError: No mechanism could carry them.
        """
        if not self.username and self.mechanism != "GSSAPI":
            return None
        from mailkit.smtp.login import Login

        return Login(username=self.username or "", password=self.password, token=self.token, mechanism=self.mechanism)

    def options(self) -> SMTPOptions:
        """Return what the conversation reads."""
        import platform  # what only sending needs is no cost of making a mailer

        from mailkit.edge import TLS
        from mailkit.smtp.greeting_name import default_ehlo_name
        from mailkit.smtp.options import SMTPOptions

        security = self.security
        tls = TLS(
            ca_file=self.ca_file,
            certificate=self.certificate,
            key=self.key,
            key_password=self.key_password,
            server_hostname=self.server_hostname,
            context=self.ssl_context,
            verify=security != "opportunistic" or self.ca_file is not None or self.ssl_context is not None,
        )
        return SMTPOptions(
            host=self.host,
            port=self.effective_port,
            protocol=self.protocol,
            name=str(self),
            tls=security,
            tls_options=tls,
            login=self.login(),
            cleartext_allowed=security == "insecure" or self._stays_here,
            ehlo_name=self.ehlo_name or default_ehlo_name(platform.node()),
            timeouts=self.timeouts,
            recipients=self.recipients,
            pipelining=self.pipelining,
            chunking=self.chunking,
            transcript=self.transcript,
        )

    def open(self, edge: Edge) -> SMTPChannel:
        """Return a channel with a connection pool of its own; connects when something is sent."""
        from mailkit.smtp.channel import SMTPChannel

        return SMTPChannel(self, edge)

    def __str__(self) -> str:
        if self.unix_path is not None:
            return f"{self.protocol}://{self.unix_path}"
        scheme = "smtps" if self.security == "implicit" and self.protocol == "smtp" else self.protocol
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.discover is not None:
            return f"{scheme}://{host}?discover={self.discover}"
        return f"{scheme}://{host}:{self.effective_port}"


def _check_port(port: object) -> None:
    if port is not None and not (isinstance(port, int) and 1 <= port <= 65535):
        msg = f"{port!r} is no port: use a number from 1 to 65535"
        raise ConfigurationError(msg)


def _one_of(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        names = ", ".join(repr(each) for each in known if each is not None)
        msg = f"{name}={value!r} is not known: use one of {names}"
        raise ConfigurationError(msg)
