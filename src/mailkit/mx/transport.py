"""Direct to MX as a transport: a value that says how to meet the mail exchangers of any domain."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from attrs import evolve, field, fields, frozen

from mailkit.edge import TLS
from mailkit.edge.records import NameServers
from mailkit.errors import ConfigurationError
from mailkit.smtp.greeting_name import check_ehlo_name, default_ehlo_name
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.source_addresses import check_source_address
from mailkit.smtp.timeouts import Timeouts
from mailkit.transport import Capabilities
from mailkit.transport_url import rate, seconds, switch, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mailkit.edge import Edge
    from mailkit.mx.channel import MXChannel
    from mailkit.mx.host_security import HostSecurity
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.transport_url import TransportURL

__all__ = ["DirectMX"]

RELAY: Final = 25  # RFC 5321 §4.5.4.2
DOMAIN: Final = 53  # RFC 1035 §4.2

COURTESY: Final = PoolLimits(max_connections=5, max_messages=100, idle_timeout=10.0)
"""What a stranger's server may be asked to bear: few connections, none that lie idle."""


def _ehlo_name(given: str | None) -> str:
    name = default_ehlo_name(platform.node()) if given is None else check_ehlo_name(given)
    if given is None and name.startswith("["):
        # RFC 5321 §4.1.1.1. Of a relay of one's own a literal will do; strangers take it for an infected computer.
        msg = (
            f"this machine calls itself {platform.node()!r}, which is no full name to greet mail exchangers with: give "
            'ehlo_name=, or a URL such as "mx://mail.example.com"'
        )
        raise ConfigurationError(msg)
    return name


def _sources(value: str | Iterable[str] | None) -> tuple[str, ...]:
    checked = None if value == () else check_source_address(value)  # () comes from a copy
    return (checked,) if isinstance(checked, str) else checked or ()


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


@frozen
class DirectMX:
    """The mail exchangers of the recipients' domains, without a relay in between (RFC 5321 §5.1).

    Each domain's exchangers are tried in order, over IPv6 and IPv4. DANE (RFC 7672) and MTA-STS (RFC 8461) decide how
    much TLS is asked for; where a domain has neither, TLS is used if it is offered (RFC 7435).

    Nothing is queued: what is deferred has to be sent again, later, by whoever has the message.

    Example:
        >>> from mailkit import Mailer
        >>> mailer = Mailer(DirectMX("mail.example.com"))
        >>> str(mailer.transport)
        'mx://mail.example.com'

    Args:
        ehlo_name: The name with which to greet, which should be that of this machine's public address, in both
            directions; its own full name where None.
        port: The port of the mail exchangers; other than 25 for tests only.
        require_tls: Whether nothing goes in clear, to whomever. The certificate is still checked only where DANE or
            MTA-STS say what it has to be.
        private_networks: Whether exchangers on loopback and in private networks are connected to. Strangers decide
            where their domains point, so this is for networks of one's own.
        name_servers: The name servers to ask instead of the system's. DANE needs one that validates DNSSEC, on this
            machine or declared as ``NameServers(…, validating=True)``.
        ca_file: A PEM file of the certificate authorities to trust instead of the system's, where MTA-STS asks for a
            verified certificate.
        source_address: The local IP address to connect from, or one of each family.
        domains_at_once: How many domains of one message are delivered to at the same time.
        timeouts: Seconds for each phase; the mailer's `timeout` where they are None.
        pool: How many connections to each exchanger, and for how long.
        transcript: Is called with each line of each conversation; for demonstrations and debugging.

    Raises:
        ConfigurationError: One of them cannot be right, or this machine has no full name and `ehlo_name` is None.
    """

    ehlo_name: str = field(default=None, converter=_ehlo_name)
    port: int = field(default=RELAY, kw_only=True)
    require_tls: bool = field(default=False, kw_only=True)
    private_networks: bool = field(default=False, kw_only=True)
    name_servers: NameServers | None = field(default=None, kw_only=True)
    ca_file: Path | None = field(default=None, converter=_path, kw_only=True)
    source_address: tuple[str, ...] = field(default=None, converter=_sources, kw_only=True)
    domains_at_once: int = field(default=10, kw_only=True)
    timeouts: Timeouts = field(factory=Timeouts, kw_only=True)
    pool: PoolLimits = field(default=COURTESY, kw_only=True)
    transcript: Callable[[TranscriptLine], object] | None = field(default=None, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, number, most in (("port", self.port, 65535), ("domains_at_once", self.domains_at_once, 100)):
            if not 1 <= number <= most:
                msg = f"{name}={number!r} is not a whole number from 1 to {most}"
                raise ConfigurationError(msg)

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Read an ``mx://`` URL: its host, if any, is the name to greet with.

        Raises:
            ConfigurationError: A part of the URL is wrong.
        """
        url.refuse(username=url.username, password=url.password, port=url.port, path=url.path.strip("/"))
        given = url.parameters(
            port=whole,
            timeout=seconds,
            source_address=_listed,
            require_tls=switch,
            private_networks=switch,
            name_servers=_name_servers,
            ca_file=str,
            domains_at_once=whole,
            max_connections=whole,
            max_messages=whole,
            max_age=seconds,
            idle_timeout=seconds,
            messages_per_second=rate,
            recipients_per_second=rate,
        )
        bounds = tuple(each.name for each in fields(PoolLimits) if each.name in given)
        pool = evolve(COURTESY, **{name: given.pop(name) for name in bounds})
        timeout = given.pop("timeout", None)
        timeouts = Timeouts(connect=timeout, tls=timeout, greeting=timeout, command=timeout, data_block=timeout)
        return cls(url.host or None, pool=pool, timeouts=timeouts, **given)

    @property
    def capabilities(self) -> Capabilities:
        """All that RFC 5322 bytes can carry; what a host cannot take is known only after its EHLO."""
        return Capabilities.rfc5322()

    def options_for(self, host: str, security: HostSecurity) -> SMTPOptions:
        """Return what conversations with a host read."""
        verified = security.level == "verified"
        return SMTPOptions(
            host=host,
            port=self.port,
            name=str(self),
            tls="opportunistic" if security.level == "opportunistic" else "starttls",
            # Where DANE decides, whoever connects compares the certificate himself.
            tls_options=TLS(ca_file=self.ca_file if verified else None, verify=verified),
            ehlo_name=self.ehlo_name,
            timeouts=self.timeouts,
            transcript=self.transcript,
        )

    def open(self, edge: Edge) -> MXChannel:
        """Return a channel with connections of its own; looks up and connects when something is sent."""
        from mailkit.mx.channel import MXChannel

        return MXChannel(self, edge)

    def __str__(self) -> str:
        return f"mx://{self.ehlo_name}"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _name_servers(text: str) -> NameServers:
    """Read ``192.0.2.53,[2001:db8::53]:5353``."""
    endpoints: list[tuple[str, int]] = []
    for each in text.split(","):
        parts = urlsplit(f"//{each}")
        endpoints.append((parts.hostname or "", DOMAIN if parts.port is None else parts.port))
    return NameServers(endpoints)
