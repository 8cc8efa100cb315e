"""Which MTA-STS policies bind: found out for each domain, and remembered for as long as they say (RFC 8461 §3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.edge.http import Request
from mailkit.errors import ConfigurationError, DeliveryError
from mailkit.mx.groups import is_reachable
from mailkit.mx.memory import Memory
from mailkit.mx.sts import parse_policy, record_id

if TYPE_CHECKING:
    from mailkit.edge import TLS, Edge
    from mailkit.mx.names import Names
    from mailkit.mx.sts import Policy

__all__ = ["Policies"]

OK: Final = 200
MAX_BODY: Final = 64 * 1024  # RFC 8461 §3.2
FETCH_TIMEOUT: Final = 60.0  # seconds, RFC 8461 §3.3
ASK_AGAIN: Final = 300.0
"""Seconds until a domain without a record or a policy that could not be had is asked again (RFC 8461 §3.3)."""


class Policies:
    """The policies that one channel knows.

    Args:
        edge: What all I/O goes through.
        names: Where the records are looked up.
        tls: How to talk TLS with the hosts of policies.
        private_networks: Whether those may be in private networks.
    """

    def __init__(self, edge: Edge, names: Names, tls: TLS, *, private_networks: bool) -> None:
        self._edge = edge
        self._names = names
        self._tls = tls
        self._private_networks = private_networks
        self._ids: Memory[str, str] = Memory(edge.now)
        self._policies: Memory[str, tuple[str, Policy]] = Memory(edge.now)
        self._failed: Memory[tuple[str, str], bool] = Memory(edge.now)

    async def enforced(self, domain: str) -> Policy | None:
        """Return the policy that binds whoever sends to a domain, or None.

        A policy that is remembered binds also when neither record nor policy can be had now: whoever is in between
        must not be able to make it disappear.
        """
        latest = await self._latest_id(domain)
        known = self._policies.get(domain)
        if latest and (known is None or known[0] != latest) and not self._failed.get((domain, latest)):
            policy = await self._fetch(domain)
            if policy is None:
                self._failed.keep((domain, latest), value=True, seconds=ASK_AGAIN)
            else:
                known = latest, policy
                self._policies.keep(domain, known, seconds=policy.max_age)
        return known[1] if known is not None and known[1].mode == "enforce" else None

    async def _latest_id(self, domain: str) -> str:
        """Return the id in the domain's record, ``""`` where there is none."""
        latest = self._ids.get(domain)
        if latest is None:
            try:
                texts, ttl = await self._names.texts(f"_mta-sts.{domain}")
            except DeliveryError:
                texts, ttl = (), ASK_AGAIN
            latest = record_id(texts) or ""
            self._ids.keep(domain, latest, seconds=ttl)
        return latest

    async def _fetch(self, domain: str) -> Policy | None:
        host = f"mta-sts.{domain}"
        request = Request("GET", f"https://{host}/.well-known/mta-sts.txt", tls=self._tls, max_body=MAX_BODY)
        try:
            where = await self._names.host(host, is_secure=False)
            if not all(is_reachable(each, private_networks=self._private_networks) for each in where.addresses):
                return None  # a stranger's web server in our own network is none
            response = await self._edge.fetch(request, deadline=self._edge.now() + FETCH_TIMEOUT)
        except (DeliveryError, ConfigurationError):
            return None
        media_type = (response.header("content-type") or "").partition(";")[0].strip().lower()
        if response.status != OK or response.incomplete is not None or media_type != "text/plain":
            return None  # a redirect is no policy either (RFC 8461 §3.3)
        return parse_policy(response.body)
