"""Which hosts serve a domain: by SRV (RFC 6186, RFC 8314 §5.1) or by MX (RFC 5321 §5.1), in the order to try them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from mailkit.edge.records import MX, SRV
from mailkit.errors import ConfigurationError, ConnectError, DeliveryError
from mailkit.host import check_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.edge import Edge
    from mailkit.edge.records import Answer, NameServers
    from mailkit.smtp.options import Security

__all__ = ["Discover", "Discovery", "ServerHost", "in_mx_order", "in_srv_order"]

Discover = Literal["srv", "mx"]
"""``"srv"``: the submission servers that a domain names by SRV. ``"mx"``: its mail exchangers."""

# RFC 8314 §5.1: implicit TLS is to be preferred.
SERVICES: Final[Mapping[str, Security]] = {"_submissions._tcp": "implicit", "_submission._tcp": "starttls"}

SERVICE_OF: Final[Mapping[Security, str]] = {security: service for service, security in SERVICES.items()}

MAX_HOSTS: Final = 10
"""Hosts that are tried for one connection; who publishes more is out for something else."""

LONGEST_MEMORY: Final = 3600.0
"""Seconds for which an answer is kept at most, whatever its time to live."""

PHASE: Final = "resolve"
NOBODY: Final = "."  # RFC 2782, RFC 7505: decidedly no such service

Draw = Callable[[int], int]
"""Returns a random number below its argument."""


@frozen(kw_only=True)
class ServerHost:
    """One host to try.

    Args:
        host: Its name.
        port: Its port.
        security: How to get TLS there; None: as the transport says.
        certificate_name: The name that its certificate must be for, where it is not `host`.
    """

    host: str
    port: int
    security: Security | None = None
    certificate_name: str | None = None


def in_mx_order(records: Iterable[MX], draw: Draw = secrets.randbelow) -> list[MX]:
    """Sort by preference, the equal ones at random (RFC 5321 §5.1)."""
    drawn = [(record.preference, draw(1 << 16), record) for record in records]
    return [record for _preference, _random, record in sorted(drawn, key=lambda each: each[:2])]


def in_srv_order(records: Iterable[SRV], draw: Draw = secrets.randbelow) -> list[SRV]:
    """Sort by priority, the equal ones drawn by their weights (RFC 2782)."""
    order: list[SRV] = []
    # Weight 0 first: it has a small chance when there are others.
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    while left:
        equal = [record for record in left if record.priority == left[0].priority]
        mark = draw(sum(record.weight for record in equal) + 1)
        for record in equal:  # pragma: no branch - the last one's running sum is the highest mark
            mark -= record.weight
            if mark <= 0:
                order.append(record)
                left.remove(record)
                break
    return order


class Discovery:
    """Asks the name servers, and remembers the answer for as long as it may.

    Args:
        edge: What all I/O goes through.
        domain: The domain.
        by: Which records to ask for.
        port: The port for MX hosts.
        tls: What the transport was told, or None.
        name_servers: Whom to ask.
    """

    def __init__(
        self,
        edge: Edge,
        domain: str,
        by: Discover,
        *,
        port: int,
        tls: Security | None,
        name_servers: NameServers | None,
    ) -> None:
        self._edge = edge
        self._domain = domain.rstrip(".").lower()
        self._by = by
        self._port = port
        self._services: list[tuple[str, Security | None]] = (
            list(SERVICES.items()) if tls is None else [(SERVICE_OF.get(tls, "_submission._tcp"), None)]
        )
        self._name_servers = name_servers
        self._known_until = float("-inf")
        self._draw: Callable[[], list[ServerHost]] = list

    async def hosts(self, deadline: float) -> list[ServerHost]:
        """Return the hosts in the order in which to try them: among equals it is drawn anew each time.

        Raises:
            ConnectError: The domain names none (``cause="configuration"``), or the name servers gave no answer.
            DeliveryTimeout: They did not answer before the deadline.
        """
        if self._edge.now() >= self._known_until:
            ttl = await (self._ask_for_srv(deadline) if self._by == "srv" else self._ask_for_mx(deadline))
            self._known_until = self._edge.now() + min(ttl, LONGEST_MEMORY)
        hosts = self._draw()
        if not hosts:
            raise ConnectError(
                f"{self._domain} names no host that takes mail by {self._by.upper()}; name its server instead, and "
                f'leave discover="{self._by}" out',
                cause="configuration",
                phase=PHASE,
            )
        return hosts[:MAX_HOSTS]

    async def _ask_for_mx(self, deadline: float) -> int:
        answer = await self._edge.resolve_records(self._domain, MX, deadline=deadline, name_servers=self._name_servers)

        def draw() -> list[ServerHost]:
            if answer.status != "found":
                # RFC 5321 §5.1: without an MX, the domain itself is the host.
                return [ServerHost(host=self._domain, port=self._port)]
            return [
                self._host(record.exchange, self._port, None, is_authentic=answer.authenticated)
                for record in in_mx_order(answer.records)
                if _is_host(record.exchange)
            ]

        self._draw = draw
        return answer.ttl

    async def _ask_for_srv(self, deadline: float) -> int:
        async def ask(service: str) -> Answer[SRV] | DeliveryError:
            name = f"{service}.{self._domain}"
            try:
                return await self._edge.resolve_records(name, SRV, deadline=deadline, name_servers=self._name_servers)
            except DeliveryError as error:
                return error

        answers = await self._edge.run_all([partial(ask, service) for service, _security in self._services])
        found: list[tuple[Security | None, Answer[SRV]]] = [
            (security, answer)
            for (_service, security), answer in zip(self._services, answers, strict=True)
            if not isinstance(answer, DeliveryError)
        ]
        failures = [answer for answer in answers if isinstance(answer, DeliveryError)]
        if failures and not any(answer.records for _security, answer in found):
            raise failures[0]  # that one of two services is not there says nothing about the other

        def draw() -> list[ServerHost]:
            return [
                self._host(record.target, record.port, security, is_authentic=answer.authenticated)
                for security, answer in found
                for record in in_srv_order(answer.records)
                if record.port and _is_host(record.target)
            ]

        self._draw = draw
        return 0 if failures else min(answer.ttl for _security, answer in found)

    def _host(self, name: str, port: int, security: Security | None, *, is_authentic: bool) -> ServerHost:
        # Whoever can forge an answer must not choose the name in the certificate (RFC 6186 §6): a host outside of the
        # domain has to prove that it is the domain's, unless DNSSEC does.
        bare = name.lower()
        is_safe = is_authentic or bare == self._domain or bare.endswith(f".{self._domain}")
        return ServerHost(host=name, port=port, security=security, certificate_name=None if is_safe else self._domain)


def _is_host(name: str) -> bool:
    try:
        return name != NOBODY and bool(check_host(name))
    except ConfigurationError:  # what a name server says can be anything
        return False
