"""Domains, their name server and their mail exchangers, all on loopback: what the tests of direct delivery share."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.colours import make_edge, run_in
from tests.mx.name_server import NameServer
from tests.mx.policy_server import PolicyServer
from tests.ports import held

from mailkit import DeliveryError, Envelope, MailkitError, Message, Receipt
from mailkit.errors import ConfigurationError
from mailkit.mx import DirectMX
from mailkit.mx.channel import MXChannel
from mailkit.mx.network import Network
from mailkit.smtp import Timeouts
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from tests.colours import Colour

    from mailkit import Outcome

__all__ = ["BOB", "EVE", "IDA", "World", "letter", "statuses", "tlsa"]

BOB, EVE, IDA = "bob@example.org", "eve@example.net", "ida@example.edu"


def letter(*to: str, **changes: Any) -> Message:
    """Return a complete message."""
    fields: dict[str, Any] = {"from_": "ada@example.com", "to": to or [BOB], "subject": "Hello", "text": "Hi\n"}
    return Message(**(fields | changes)).completed()


def statuses(result: Receipt | MailkitError) -> list[str]:
    """Return what became of each recipient."""
    assert isinstance(result, Receipt | DeliveryError)
    return [each.status for each in result.recipients]


def tlsa(certificate: bytes, *, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """Return the TLSA record for the first certificate of a PEM chain."""
    found = x509.load_pem_x509_certificate(certificate)
    if selector:
        data = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        data = found.public_bytes(Encoding.DER)
    digest = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}[matching]
    return f"{usage} {selector} {matching} {digest.hex()}"


_ADDRESSES: Final = {f"127.0.0.{number}" for number in range(2, 10)}


class World:
    """A name server, mail exchangers on 127.0.0.2, 127.0.0.3 … that share a port, and a channel to them."""

    def __init__(self, colour: Colour = "blocking", *, timeout: float = 5.0) -> None:
        self.colour: Colour = colour
        self.edge = make_edge(colour, timeout)
        self._ahead = 0.0
        now = self.edge.now
        self.edge.now = lambda: now() + self._ahead  # type: ignore[method-assign]
        self.dns = NameServer()
        self.port = 0
        self.servers: list[SMTPServer] = []
        self.channel: MXChannel | None = None
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._exit.enter_context(self.dns)
        return self

    def __exit__(self, *_: object) -> None:
        if self.channel is not None:
            run_in(self.colour, self.channel.close)
        run_in(self.colour, self.edge.close)
        self._exit.close()

    def server(self, name: str, *, host: str | None = None, **options: Any) -> SMTPServer:
        """Start a mail exchanger on the next address of its own, and publish the address."""
        options = {"hostname": name, "host": host or f"127.0.0.{len(self.servers) + 2}"} | options
        while True:
            server = SMTPServer(port=self.port, **options)
            try:
                server.start()
                if not self.servers:  # the others are to have the same port
                    self._exit.enter_context(held(server.port, *_ADDRESSES - {server.host}))
                break
            except (ConfigurationError, OSError):
                server.close()
                if self.servers:
                    raise
                self.port = 0
        self._exit.callback(server.close)
        self.port = server.port
        self.servers.append(server)
        self.dns.add(name, "AAAA" if ":" in server.host else "A", server.host)
        return server

    def domain(self, name: str, *hosts: str) -> None:
        """Publish the mail exchangers of a domain, the first one preferred."""
        self.dns.add(name, "MX", *(f"{number * 10} {host}." for number, host in enumerate(hosts, 1)))

    def tlsa(self, name: str, *records: str) -> None:
        """Publish TLSA records for a mail exchanger."""
        self.dns.add(f"_{self.port}._tcp.{name}", "TLSA", *records)

    def policy(self, domain: str, mx: str, *, mode: str = "enforce", max_age: int = 86400) -> PolicyServer:
        """Publish an MTA-STS policy. Its host's name leads to loopback, whatever the system's resolver says."""
        self.dns.add(f"_mta-sts.{domain}", "TXT", '"v=STSv1; id=1;"')
        self.dns.add(f"mta-sts.{domain}", "A", "127.0.0.1")
        server = self._exit.enter_context(PolicyServer(f"mta-sts.{domain}"))
        server.publish(mx, mode=mode, max_age=max_age)
        connect = self.edge.connect_tcp

        def redirected(host: str, port: int, **options: Any) -> Any:
            if (host, port) == (f"mta-sts.{domain}", 443):
                return connect("127.0.0.1", server.port, **options)
            return connect(host, port, **options)

        self.edge.connect_tcp = redirected  # type: ignore[assignment, method-assign]
        return server

    def later(self, seconds: float) -> None:
        """Turn the clock on."""
        self._ahead += seconds

    def open(self, *, draw: Any = None, **options: Any) -> MXChannel:
        """Open the channel, once."""
        if self.channel is None:
            settings: dict[str, Any] = {
                "port": self.port or 9,
                "private_networks": True,
                "name_servers": self.dns.servers,
                "timeouts": Timeouts(),
            }
            direct = DirectMX("client.example.com", **(settings | options))
            network = Network(direct, self.edge) if draw is None else Network(direct, self.edge, draw)
            self.channel = MXChannel(direct, self.edge, network)
        return self.channel

    def send(self, *to: str, message: Message | None = None, envelope: Envelope | None = None) -> Receipt:
        """Send a message."""
        message = message or letter(*to)
        return run_in(self.colour, self.open().send, message, envelope or Envelope.from_message(message))

    def attempt(self, *to: str, message: Message | None = None, envelope: Envelope | None = None) -> Any:
        """Send; return the error instead of raising it."""
        try:
            return self.send(*to, message=message, envelope=envelope)
        except MailkitError as error:
            return error

    def stream(self, messages: Iterable[Message | Outcome], connections: int = 1) -> list[Outcome]:
        """Send a stream of messages."""

        async def source() -> AsyncGenerator[Message | Outcome, None]:
            for message in messages:
                yield message

        async def send() -> list[Outcome]:
            return [each async for each in self.open().send_many(source(), connections=connections)]

        return run_in(self.colour, send)

    def received(self) -> Sequence[int]:
        """Return how many messages each server has accepted."""
        return [server.accepted_count for server in self.servers]
