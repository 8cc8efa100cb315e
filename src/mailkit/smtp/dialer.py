"""From a transport to a session: which host, through which proxy, from which address, and the handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mailkit.edge.records import AAAA, A
from mailkit.errors import AuthenticationError, ConnectError, DeliveryError
from mailkit.host import is_address
from mailkit.proxy import connect_through
from mailkit.smtp.conversation import Conversation
from mailkit.smtp.discovery import Discovery, ServerHost
from mailkit.smtp.handshake import shake_hands
from mailkit.smtp.session import Session
from mailkit.smtp.source_addresses import LEFT_OUT, SourceAddresses

if TYPE_CHECKING:
    from mailkit.edge import Edge, Stream
    from mailkit.edge.records import Answer
    from mailkit.smtp.options import SMTPOptions
    from mailkit.smtp.transport import SMTP

__all__ = ["Dialer"]

BIND = "bind"
"""The phase of a failure to connect that is due to the source address alone."""


class Dialer:
    """Makes the sessions of one transport.

    Args:
        server: The transport.
        options: What it says to conversations.
        edge: What all I/O goes through.
    """

    def __init__(self, server: SMTP, options: SMTPOptions, edge: Edge) -> None:
        self._server = server
        self._options = options
        self._edge = edge
        self._proxy = server.effective_proxy
        self._sources = SourceAddresses(server.source_address, edge.now)
        self._left_out: dict[tuple[str, int], float] = {}
        self._discovery = server.discover and Discovery(
            edge,
            server.host,
            server.discover,
            port=server.effective_port,
            tls=server.tls,
            name_servers=server.name_servers,
        )

    async def dial(self) -> Session:
        """Connect, and shake hands; where there are several hosts, with the first one that can.

        Raises:
            DeliveryError: There is none. Nothing was sent.
        """
        timeout = self._options.timeouts.connect
        seconds = self._edge.timeout if timeout is None else timeout
        began = self._edge.now()
        hosts = await self._hosts(began + seconds)
        seconds -= self._edge.now() - began
        failures: list[DeliveryError] = []
        for others, host in zip(reversed(range(len(hosts))), hosts, strict=True):
            # What is left for connecting is shared by the hosts that are left: a silent one must not use it up.
            began = self._edge.now()
            try:
                try:
                    stream = await self._connect(host, began + seconds / (others + 1))
                finally:
                    seconds -= self._edge.now() - began
                return await self._shake_hands(host, stream, self._edge.now() - began)
            except DeliveryError as error:
                self._left_out[host.host, host.port] = self._edge.now() + LEFT_OUT
                failures.append(error)
                if not _may_try_another(error):
                    break
        raise _worst(hosts, failures)

    async def _hosts(self, deadline: float) -> list[ServerHost]:
        if not self._discovery:
            return [ServerHost(host=self._server.host, port=self._server.effective_port)]
        hosts = await self._discovery.hosts(deadline)
        now = self._edge.now()
        # Those that have just failed come last, in the same order.
        return sorted(hosts, key=lambda host: self._left_out.get((host.host, host.port), 0.0) > now)

    async def _connect(self, host: ServerHost, deadline: float) -> Stream:
        if self._server.unix_path is not None:
            return await self._edge.connect_unix(self._server.unix_path, deadline=deadline)
        choices = self._sources.most
        while True:
            sources = self._sources.choose()
            try:
                return await self._connect_from(sources, host, deadline)
            except DeliveryError as error:
                self._sources.note_failure(sources)
                choices -= 1
                if error.phase != BIND or not choices:
                    raise

    async def _connect_from(self, sources: tuple[str, ...], host: ServerHost, deadline: float) -> Stream:
        if self._proxy is not None:
            return await connect_through(
                self._edge, self._proxy, host.host, host.port, deadline=deadline, source_address=sources
            )
        addresses = await self._addresses(host.host, deadline)
        return await self._edge.connect_tcp(
            host.host, host.port, deadline=deadline, source_address=sources, addresses=addresses
        )

    async def _addresses(self, host: str, deadline: float) -> list[str]:
        """Ask the transport's own name servers, where it has some; else the edge asks the system."""
        name_servers = self._server.name_servers
        if name_servers is None or is_address(host):
            return []

        async def ask(kind: type[A | AAAA]) -> Answer[A | AAAA] | DeliveryError:
            try:
                return await self._edge.resolve_records(host, kind, deadline=deadline, name_servers=name_servers)
            except DeliveryError as error:
                return error

        answers = await self._edge.run_all([lambda: ask(AAAA), lambda: ask(A)])
        addresses = [
            record.address for answer in answers if not isinstance(answer, DeliveryError) for record in answer.records
        ]
        if not addresses:
            for answer in answers:
                if isinstance(answer, DeliveryError):
                    raise answer
            raise ConnectError(
                f"there is no address for the name {host!r}; check how it is spelled",
                cause="configuration",
                phase="resolve",
            )
        return addresses

    async def _shake_hands(self, host: ServerHost, stream: Stream, connecting: float) -> Session:
        conversation = Conversation(stream, self._edge, self._options_for(host))
        try:
            handshake = await shake_hands(conversation, connecting)
        except BaseException:
            await conversation.close()
            raise
        return Session(conversation, handshake)

    def _options_for(self, host: ServerHost) -> SMTPOptions:
        if not self._discovery:
            return self._options
        tls = self._options.tls_options
        if tls.server_hostname is None:
            tls = evolve(tls, server_hostname=host.certificate_name)
        return evolve(
            self._options, host=host.host, port=host.port, tls=host.security or self._options.tls, tls_options=tls
        )


def _may_try_another(error: DeliveryError) -> bool:
    """Whether another host may do better: what is wrong with TLS or with the credentials is not tried elsewhere."""
    return error.cause != "security" and error.phase != "auth" and not isinstance(error, AuthenticationError)


def _worst(hosts: list[ServerHost], failures: list[DeliveryError]) -> DeliveryError:
    """Return the error to raise: the one that ended it, or else one that gives hope, with the others noted."""
    last = failures[-1]
    error = last if not _may_try_another(last) else next((each for each in failures if each.retryable), last)
    for host, other in zip(hosts, failures, strict=False):
        if other is not error:
            error.add_note(f"mailkit: before or after it, {host.host}:{host.port} failed too: {other}")
    return error
