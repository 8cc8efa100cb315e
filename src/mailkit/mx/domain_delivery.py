"""One message on its way to the recipients of one domain: from exchanger to exchanger, until each is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    MailkitError,
    MessageError,
    RejectedError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.mx.groups import is_reachable, literal_address
from mailkit.mx.host_security import security_of
from mailkit.mx.names import HostRecords, Unroutable
from mailkit.receipt import Receipt, RecipientResult
from mailkit.smtp.discovery import in_mx_order
from mailkit.smtp.interruption import results_of
from mailkit.smtp.verdict import verdict

if TYPE_CHECKING:
    from mailkit.address import Address
    from mailkit.envelope import Envelope
    from mailkit.mx.host import Host
    from mailkit.mx.host_security import HostSecurity
    from mailkit.mx.network import Network
    from mailkit.mx.sts import Policy
    from mailkit.receipt import Status
    from mailkit.smtp.content import Content
    from mailkit.smtp.delivery import Delivered

__all__ = ["DomainDelivery"]

MAX_HOSTS: Final = 10
"""Exchangers that are tried; whoever publishes more is out for something else (RFC 5321 §5.1 wants at least two)."""

# RFC 3463 §3.5, §3.4, RFC 6531 §3.5, RFC 8689 §6: what a server would say that finds out the same.
NO_ROUTE: Final = "5.4.4"
NOT_CAPABLE: Final = "5.3.3"
_LACKING: Final = {"smtputf8": "5.6.7", "require_tls": "5.7.30"}


class _NoAddressError(ConnectError):
    """A host that is named as a mail exchanger is nowhere."""


class DomainDelivery:
    """A message and its recipients at one domain.

    Args:
        domain: The domain in A-labels, or an address literal.
        envelope: Those recipients.
        content: The message.
        network: Name servers, policies and connections.
    """

    def __init__(self, domain: str, envelope: Envelope, content: Content, network: Network) -> None:
        self.domain = domain
        self.error: DeliveryError | None = None  # why those who are not sent to are not
        self.refusal: MessageError | None = None  # why the message cannot go there at all
        self.queue_id: str | None = None
        self._envelope = envelope
        self._content = content
        self._network = network
        self._results: dict[str, RecipientResult] = {}
        self._failures: list[tuple[str, MailkitError]] = []

    @property
    def results(self) -> tuple[RecipientResult, ...]:
        """What became of each recipient so far: at any moment, also when everything was interrupted."""
        return tuple(
            self._results.get(path.addr_spec, RecipientResult(path.addr_spec, status="not_sent"))
            for path in self._envelope.rcpt_to
        )

    @property
    def is_open(self) -> bool:
        """Whether for some recipients nothing is decided, so that `error` says why."""
        return any(result.status in {"not_sent", "unknown"} for result in self.results)

    @property
    def _rest(self) -> tuple[Address, ...]:
        """Those of whom no host has said, or can have done, anything."""
        return tuple(
            path
            for path in self._envelope.rcpt_to
            if path.addr_spec not in self._results or self._results[path.addr_spec].status == "not_sent"
        )

    async def run(self) -> None:
        """Deliver; whatever goes wrong becomes results."""
        try:
            await self._try_hosts()
        except (DeliveryError, ConfigurationError) as error:
            self._fail(self.domain, error)
        except MessageError as error:
            self.refusal = error
            self._decide("rejected", NOT_CAPABLE, "content", str(error))
        if self._rest:
            self._conclude()

    async def _try_hosts(self) -> None:
        address = literal_address(self.domain)
        if address is not None:
            records = HostRecords(addresses=(address,))
            await self._try_host(address, records, self._security_of(address, records, None))
            return
        route = await self._network.names.route(self.domain)
        if isinstance(route, Unroutable):
            self._decide("rejected", route.enhanced_code, "resolve", route.why)
            return
        policy = await self._network.policies.enforced(self.domain)
        exchangers = in_mx_order(route.exchangers, self._network.draw)[:MAX_HOSTS]
        for exchanger in exchangers:
            host = exchanger.exchange
            try:
                records = await self._network.names.host(host, is_secure=route.authenticated)
                security = self._security_of(host, records, policy)
                await self._try_host(host, records, security, others=len(exchangers) - 1)
            except (DeliveryError, ConfigurationError) as error:
                self._fail(host, error)
                if isinstance(error, DeliveryError) and error.phase == "pool":
                    return  # it is we who hold back: that is nothing to bother the next host with
            if not self._rest:
                return

    def _security_of(self, host: str, records: HostRecords, policy: Policy | None) -> HostSecurity:
        require_tls = self._network.transport.require_tls
        return security_of(host, records, policy, domain=self.domain, require_tls=require_tls)

    async def _try_host(self, name: str, records: HostRecords, security: HostSecurity, others: int = 0) -> None:
        """Give the message for those that are left to one host.

        Args:
            name: The host.
            records: Where it is.
            security: What it has to show.
            others: How many other hosts may have to be connected to, too.

        Raises:
            DeliveryError: There is no address, or no connection to it.
        """
        addresses = self._addresses(name, records)
        if self._envelope.mail_parameters.require_tls and not security.is_authenticated:
            # RFC 8689 §4.2.1: only where DANE or MTA-STS say whom we must meet.
            msg = f"neither DANE nor MTA-STS says which certificate {name} must have, as REQUIRETLS wants it"
            self._failures.append((name, UnsupportedFeatureError(msg, feature="require_tls", transport=name)))
            return
        host = await self._network.hosts.get(name, security, addresses, others=others)
        try:
            await self._give(host)
        except UnsupportedFeatureError as error:
            self._failures.append((name, error))  # another host may be able to do what this one is not
        except RejectedError as error:
            if error.outcome != "rejected":
                raise  # a greeting that sends us away is about the host, not about the message
            self._results.update((result.address, result) for result in error.recipients)

    def _addresses(self, name: str, records: HostRecords) -> tuple[str, ...]:
        if not records.addresses:
            raise _NoAddressError(f"{name} has no address", cause="configuration", phase="resolve")
        private_networks = self._network.transport.private_networks
        addresses = tuple(each for each in records.addresses if is_reachable(each, private_networks=private_networks))
        if not addresses:
            msg = (
                f"{name} is at {', '.join(records.addresses[:5])}, which is not on the public Internet; nothing was "
                "connected to. If it is a mail exchanger of your own network, use private_networks=True"
            )
            raise ConnectError(msg, cause="security", phase="connect")
        return addresses

    async def _give(self, host: Host) -> None:
        try:
            self._enter(await host.deliver(evolve(self._envelope, rcpt_to=self._rest), self._content))
        except MailkitError:
            raise
        except BaseException as interruption:
            told = results_of(interruption)
            # Nobody tells: it came behind the delivery, before all that this has said was entered.
            results = told or [RecipientResult(path.addr_spec, status="unknown") for path in self._rest]
            self._results.update((result.address, result) for result in results)
            raise

    def _enter(self, delivered: Delivered) -> None:
        """Enter what became of each recipient.

        Raises:
            DeliveryError: Some were not sent to.
        """
        concluded = verdict(delivered, transport=self._network.name, message_id=self._content.message_id)
        queue_id = concluded.provider_id if isinstance(concluded, Receipt) else None
        self.queue_id = self.queue_id or queue_id
        for result in delivered.results:
            accepted = result.status == "accepted"
            self._results[result.address] = evolve(result, provider_id=queue_id) if accepted else result
        self.error = delivered.error
        left = next((result for result in delivered.results if result.status == "not_sent"), None)
        if left is not None:
            raise delivered.error or TransientError(f"it did not take the message now ({left})", outcome="not_sent")

    def _fail(self, name: str, error: DeliveryError | ConfigurationError) -> None:
        if isinstance(error, ConfigurationError):
            # Others may have the message already: one domain's failure has to be a result like every other.
            error = ConnectError(str(error), cause="configuration", phase="connect")
        self._failures.append((name, error))

    def _conclude(self) -> None:
        """No host is left for some recipients: for good, or for now?"""
        told = "; ".join(f"{name}: {error}" if name != self.domain else str(error) for name, error in self._failures)
        refusals = [error for _, error in self._failures if isinstance(error, UnsupportedFeatureError)]
        if refusals and len(refusals) == len(self._failures):
            self.refusal = refusals[0]
            self._decide("rejected", _LACKING.get(refusals[0].feature, NOT_CAPABLE), "ehlo", told)
            return
        if all(isinstance(error, _NoAddressError) for _, error in self._failures):
            self._decide("rejected", NO_ROUTE, "resolve", told)
            return
        # Who may try again later is told by the error that leaves most hope: a host that is down today, say.
        errors = [error for _, error in self._failures if isinstance(error, DeliveryError)]
        best = next((error for error in errors if error.retryable), errors[0])
        self._decide("not_sent", None, best.phase, told)
        kind = ConnectError if isinstance(best, _NoAddressError) else type(best)
        self.error = kind(
            f"no mail exchanger of {self.domain} took the message: {told}",
            outcome="not_sent",
            cause=best.cause,
            phase=best.phase,
            retry_after=best.retry_after,
            reply=best.reply,
        )

    def _decide(self, status: Status, enhanced_code: str | None, phase: str | None, text: str) -> None:
        for path in self._rest:
            # A host that has spoken before it hung up has said more than we know.
            known = self._results.get(path.addr_spec)
            if known is None or known.code is None or status != "not_sent":
                self._results[path.addr_spec] = RecipientResult(
                    path.addr_spec, status=status, enhanced_code=enhanced_code, phase=phase, text=text
                )
