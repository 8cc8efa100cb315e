"""DNS records as values, and what an answer from a name server says: found, no such records, no such name."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from mailkit.errors import ConfigurationError

__all__ = ["AAAA", "MX", "SRV", "TLSA", "TXT", "A", "Answer", "AnswerStatus", "NameServers", "Record"]

_HIGHEST_PORT = 65535


@frozen
class A:
    """An IPv4 address (RFC 1035 §3.4.1)."""

    address: str


@frozen
class AAAA:
    """An IPv6 address (RFC 3596)."""

    address: str


@frozen
class MX:
    """A mail exchanger (RFC 1035 §3.3.9).

    Args:
        preference: The lowest is tried first.
        exchange: The host's name without a final dot; ``"."`` in a null MX (RFC 7505).
    """

    preference: int
    exchange: str


@frozen
class SRV:
    """Where a service is (RFC 2782).

    Args:
        priority: The lowest is tried first.
        weight: The share among those of one priority.
        port: Its port.
        target: The host's name without a final dot; ``"."``: the service is decidedly not there.
    """

    priority: int
    weight: int
    port: int
    target: str


@frozen
class TXT:
    """A text (RFC 1035 §3.3.14), its strings joined; bytes, because nothing says that it is UTF-8."""

    text: bytes


@frozen
class TLSA:
    """Which certificate to expect (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


Record: TypeAlias = A | AAAA | MX | SRV | TXT | TLSA

R_co = TypeVar("R_co", bound=Record, covariant=True)

AnswerStatus = Literal["found", "no_records", "no_name"]
"""``"found"``, ``"no_records"`` (NODATA: the name has records, but none of this type) or ``"no_name"`` (NXDOMAIN).

That no answer could be had (SERVFAIL, a timeout) is an error, not a status."""


@frozen(kw_only=True)
class Answer(Generic[R_co]):
    """What the name servers said.

    Args:
        name: The name that was asked for.
        canonical_name: Where its chain of CNAMEs ends, without a final dot; `name` where there is none.
        status: Whether there are records, and if not, why.
        records: The records, in no particular order.
        authenticated: Whether a name server that may be believed has validated all of this by DNSSEC (the AD bit, RFC
            4035 §3.2.3), also that there is nothing.
        ttl: For how many seconds this may be kept.
    """

    name: str
    canonical_name: str
    status: AnswerStatus
    records: tuple[R_co, ...] = ()
    authenticated: bool = False
    ttl: int = 0


def _endpoints(value: Any) -> tuple[tuple[str, int], ...]:
    from ipaddress import ip_address

    endpoints: list[tuple[str, int]] = []
    for address, port in value:
        try:
            ip_address(address)
        except ValueError:
            raise ConfigurationError(f"the name server {address!r} is no IP address; give one, and its port") from None
        if not 0 < port <= _HIGHEST_PORT:
            raise ConfigurationError(f"{port} is no port for a name server: use 53, or another from 1 to 65535")
        endpoints.append((str(address), int(port)))
    if not endpoints:
        raise ConfigurationError("name servers are given as none at all; give one, or None for the system's")
    return tuple(endpoints)


@frozen
class NameServers:
    """Which recursive name servers to ask, instead of the system's.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> SMTP("example.com", discover="mx", name_servers=NameServers([("127.0.0.1", 53)])).name_servers.endpoints
        (('127.0.0.1', 53),)

    Args:
        endpoints: IP addresses with ports, such as ``[("127.0.0.1", 53)]``.
        validating: Whether their word that an answer is authentic is to be believed, which is right only where they
            validate DNSSEC and nobody sits in between (RFC 4035 §4.9.3, RFC 7672 §1.3). None: where all are on
            loopback.

    Raises:
        ConfigurationError: One is no IP address or no port.
    """

    endpoints: tuple[tuple[str, int], ...] = field(converter=_endpoints)
    validating: bool | None = field(default=None, kw_only=True)
