"""DNS records, asked for by dnspython in a thread, so that both edges share one way, within the deadline."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from mailkit.edge.failures import timed_out
from mailkit.edge.records import AAAA, MX, SRV, TLSA, TXT, A, Answer
from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    import dns.message
    import dns.name
    import dns.resolver

    from mailkit.edge.records import AnswerStatus, NameServers, Record
    from mailkit.edge.waiter import Waiter

__all__ = ["resolve_records"]

R = TypeVar("R", bound="Record")

PHASE: Final = "resolve"

# RFC 1035 §2.3.4, and a label at most 63 octets. Services have underscores (RFC 8552).
_NAME: Final = re.compile(r"(?=.{1,253}\.?\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")

_PAYLOAD: Final = 1232  # what UDP carries unfragmented; the rest comes by TCP (DNS flag day 2020)


def _shown(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


_VALUES: Final[dict[type[object], Callable[[Any], Record]]] = {
    A: lambda data: A(data.address),
    AAAA: lambda data: AAAA(data.address),
    MX: lambda data: MX(data.preference, _shown(data.exchange)),
    SRV: lambda data: SRV(data.priority, data.weight, data.port, _shown(data.target)),
    TXT: lambda data: TXT(b"".join(data.strings)),
    TLSA: lambda data: TLSA(data.usage, data.selector, data.mtype, data.cert),
}


async def resolve_records(
    waiter: Waiter, name: str, kind: type[R], *, deadline: float, name_servers: NameServers | None
) -> Answer[R]:
    """Return what the name servers say about `name`.

    Raises:
        ConfigurationError: `name` cannot be one.
        ConnectError: No name server gave an answer that can be used.
        DeliveryTimeout: None answered before the deadline.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name[:255]!a} is no name that DNS knows: give one in ASCII, without spaces")
    seconds = deadline - waiter.now()
    answer = None
    if seconds > 0:
        # The thread outlives a cancellation, but not the deadline.
        answer = await waiter.in_abandoned_thread(lambda: _look_up(name, kind, seconds, name_servers), deadline)
    if answer is None:
        raise _too_late(name, kind)
    return answer


def _look_up(name: str, kind: type[R], seconds: float, name_servers: NameServers | None) -> Answer[R]:
    import dns.exception
    import dns.name
    import dns.resolver

    question = dns.name.from_text(name)
    try:
        resolver = _resolver(name_servers)
        try:
            found = resolver.resolve(
                question, kind.__name__, lifetime=seconds, raise_on_no_answer=False, search=False
            ).response
        except dns.resolver.NXDOMAIN as error:
            found = cast("Any", error).response(question)  # not annotated there
        return _read(name, kind, found, is_trusted=_is_trusted(resolver, name_servers))
    except dns.resolver.LifetimeTimeout as error:
        raise _too_late(name, kind) from error
    except dns.resolver.NoResolverConfiguration as error:
        raise ConnectError(
            f"the {kind.__name__} records of {name!r} cannot be looked up: this system names no name server; "
            "have /etc/resolv.conf name one",
            cause="configuration",
            phase=PHASE,
        ) from error
    except (dns.exception.DNSException, OSError, ValueError) as error:
        # SERVFAIL, REFUSED, a broken answer. What the servers wrote is not repeated.
        raise ConnectError(
            f"no name server could answer for the {kind.__name__} records of {name!r} ({type(error).__name__}); "
            "check the name servers, or try again later",
            phase=PHASE,
        ) from error


def _resolver(name_servers: NameServers | None) -> dns.resolver.Resolver:
    import dns.flags
    import dns.nameserver
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=name_servers is None)
    if name_servers is not None:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(address, port) for address, port in name_servers.endpoints
        ]
    # AD in the question asks for AD in the answer (RFC 6840 §5.7); older resolvers want DO for it.
    resolver.flags = dns.flags.RD | dns.flags.AD
    resolver.use_edns(0, dns.flags.DO, _PAYLOAD)
    return resolver


def _is_trusted(resolver: dns.resolver.Resolver, name_servers: NameServers | None) -> bool:
    if name_servers is not None and name_servers.validating is not None:
        return name_servers.validating
    # Whoever is on the way to a server elsewhere could set the bit.
    addresses = (
        server if isinstance(server, str) else getattr(server, "address", "") for server in resolver.nameservers
    )
    return all(_is_loopback(address) for address in addresses)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a URL of DNS over HTTPS
        return False


def _read(name: str, kind: type[R], message: dns.message.QueryMessage, *, is_trusted: bool) -> Answer[R]:
    import dns.flags
    import dns.rcode

    chain = message.resolve_chaining()
    status: AnswerStatus = "found"
    if chain.answer is None:
        status = "no_name" if message.rcode() == dns.rcode.NXDOMAIN else "no_records"
    value = cast("Callable[[Any], R]", _VALUES[kind])
    return Answer(
        name=name,
        canonical_name=_shown(chain.canonical_name),
        status=status,
        records=tuple(map(value, chain.answer or ())),
        authenticated=is_trusted and bool(message.flags & dns.flags.AD),
        ttl=chain.minimum_ttl,
    )


def _too_late(name: str, kind: type[object]) -> DeliveryTimeout:
    return timed_out(f"no name server answered for the {kind.__name__} records of {name!r}", PHASE)
