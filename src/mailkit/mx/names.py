"""What the name servers say about a domain's mail exchangers (RFC 5321 §5.1, RFC 7505) and their hosts."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import frozen

from mailkit.edge.records import AAAA, MX, TLSA, TXT, A
from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.mx.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge
    from mailkit.edge.records import Answer, NameServers, Record

__all__ = ["HostRecords", "Names", "Route", "Unroutable"]

R = TypeVar("R", bound="Record")

LONGEST_MEMORY: Final = 300.0
"""Seconds for which an answer is kept at most, whatever its time to live: no restart is needed after a mistake in a
zone was mended."""

LONGEST_NAME: Final = 253  # RFC 1035 §2.3.4: with a prefix, a long name may be none any more

NOBODY: Final = "."  # RFC 7505 §3


@frozen(kw_only=True)
class Route:
    """Who takes a domain's mail.

    Args:
        exchangers: The hosts with their preferences; at least one.
        authenticated: Whether DNSSEC vouches for that.
    """

    exchangers: tuple[MX, ...]
    authenticated: bool


@frozen(kw_only=True)
class Unroutable:
    """Nobody takes a domain's mail, for good.

    Args:
        enhanced_code: RFC 3463's code for it.
        why: What was found.
    """

    enhanced_code: str
    why: str


@frozen(kw_only=True)
class HostRecords:
    """Where a host is, and what its certificate has to be.

    Args:
        addresses: Its IP addresses in the order in which to try them; none where it has none.
        tlsa: What DNSSEC vouches for as its TLSA records (RFC 7672 §2.2); none where DANE does not apply.
        tlsa_base: The name that they are for: the host's, or the one that it is an alias of.
    """

    addresses: tuple[str, ...]
    tlsa: tuple[TLSA, ...] = ()
    tlsa_base: str = ""


class Names:
    """Asks the name servers, and remembers their answers for as long as it may.

    Args:
        edge: What all I/O goes through.
        deadline: Returns when a question asked now has to be answered.
        port: The port of the mail exchangers.
        name_servers: Whom to ask; the system's where None.
    """

    def __init__(
        self, edge: Edge, *, deadline: Callable[[], float], port: int, name_servers: NameServers | None
    ) -> None:
        self._edge = edge
        self._deadline = deadline
        self._port = port
        self._name_servers = name_servers
        self._routes: Memory[str, Route | Unroutable] = Memory(edge.now)
        self._hosts: Memory[tuple[str, bool], HostRecords] = Memory(edge.now)

    async def route(self, domain: str) -> Route | Unroutable:
        """Return who takes a domain's mail.

        Raises:
            DeliveryError: The name servers do not say, now.
        """
        route = self._routes.get(domain)
        if route is None:
            answer = await self._ask(domain, MX)
            route = _route(domain, answer)
            self._routes.keep(domain, route, seconds=min(answer.ttl, LONGEST_MEMORY))
        return route

    async def host(self, name: str, *, is_secure: bool) -> HostRecords:
        """Return where a host is.

        Args:
            name: Its name.
            is_secure: Whether DNSSEC vouches for its being the mail exchanger; without that, TLSA records say nothing
                (RFC 7672 §2.2.1).

        Raises:
            DeliveryError: The name servers do not say, now.
        """
        records = self._hosts.get((name, is_secure))
        if records is None:
            records, ttl = await self._look_up(name, is_secure=is_secure)
            self._hosts.keep((name, is_secure), records, seconds=min(ttl, LONGEST_MEMORY))
        return records

    async def texts(self, name: str) -> tuple[tuple[bytes, ...], float]:
        """Return the TXT records of a name, and for how many seconds they hold.

        Raises:
            DeliveryError: The name servers do not say, now.
        """
        if len(name) > LONGEST_NAME:
            return (), LONGEST_MEMORY
        answer = await self._ask(name, TXT)
        return tuple(record.text for record in answer.records), min(answer.ttl, LONGEST_MEMORY)

    async def _look_up(self, name: str, *, is_secure: bool) -> tuple[HostRecords, float]:
        async def ask(kind: type[A | AAAA]) -> Answer[A | AAAA] | DeliveryError:
            try:
                return await self._ask(name, kind)
            except DeliveryError as error:
                return error

        try:
            found = await self._edge.run_all([lambda: ask(AAAA), lambda: ask(A)])
        except ConfigurationError:
            return HostRecords(addresses=()), 0  # somebody has published what is no host's name
        answers = [answer for answer in found if not isinstance(answer, DeliveryError)]
        addresses = _in_turns(answers)
        for answer in found:
            # Half of the answers is enough to find a host, but not to know that nobody has hidden its TLSA records by
            # suppressing the other half (RFC 7672 §2.1.2).
            if isinstance(answer, DeliveryError) and (is_secure or not addresses):
                raise answer
        ttl = min(answer.ttl for answer in answers)
        if not (is_secure and addresses and all(answer.authenticated for answer in answers)):
            return HostRecords(addresses=addresses), ttl
        # RFC 7672 §2.2.2: where the host is an alias, the name behind it is asked first.
        for base in dict.fromkeys((answers[0].canonical_name, name)):
            service = f"_{self._port}._tcp.{base}"
            if len(service) > LONGEST_NAME:
                continue
            tlsa = await self._ask(service, TLSA)
            ttl = min(ttl, tlsa.ttl)
            if tlsa.authenticated and tlsa.records:
                return HostRecords(addresses=addresses, tlsa=tlsa.records, tlsa_base=base), ttl
        return HostRecords(addresses=addresses), ttl

    async def _ask(self, name: str, kind: type[R]) -> Answer[R]:
        return await self._edge.resolve_records(name, kind, deadline=self._deadline(), name_servers=self._name_servers)


def _route(domain: str, answer: Answer[MX]) -> Route | Unroutable:
    if answer.status == "no_name":
        return Unroutable(enhanced_code="5.1.2", why=f"there is no domain {domain}: check how it is spelled")
    if not answer.records:
        # RFC 5321 §5.1: without MX records a domain is its own mail exchanger.
        return Route(exchangers=(MX(0, domain),), authenticated=answer.authenticated)
    hosts = {MX(each.preference, each.exchange.lower()) for each in answer.records if each.exchange != NOBODY}
    if not hosts:
        return Unroutable(enhanced_code="5.1.10", why=f"{domain} says that it takes no mail (null MX, RFC 7505)")
    exchangers = tuple(sorted(hosts, key=lambda each: (each.preference, each.exchange)))
    return Route(exchangers=exchangers, authenticated=answer.authenticated)


def _in_turns(answers: list[Answer[A | AAAA]]) -> tuple[str, ...]:
    """Let the families take turns (RFC 8305 §4)."""
    turns = zip_longest(*([record.address for record in answer.records] for answer in answers))
    return tuple(address for address in chain.from_iterable(turns) if address is not None)
