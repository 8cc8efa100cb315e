"""Domains, their name server and their mail exchangers, all on loopback: what the tests of direct delivery share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mailkit import DeliveryError, Envelope, MailkitError, Message, Receipt
from mailkit.errors import ConfigurationError
from mailkit.mx import DirectMX
from mailkit.mx.channel import MXChannel
from mailkit.mx.network import Network
from mailkit.smtp import Timeouts
from mailkit.testing import SMTPServer
from tests.colours import make_edge, run_in
from tests.mx.name_server import NameServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from mailkit import Outcome
    from tests.colours import Colour

__all__ = ["World", "letter", "statuses"]

BOB, EVE, IDA = "bob@example.org", "eve@example.net", "ida@example.edu"


def letter(*to: str, **changes: Any) -> Message:
    """Return a complete message."""
    fields: dict[str, Any] = {"from_": "ada@example.com", "to": to or [BOB], "subject": "Hello", "text": "Hi\n"}
    return Message(**(fields | changes)).completed()


def statuses(result: Receipt | MailkitError) -> list[str]:
    """Return what became of each recipient."""
    assert isinstance(result, Receipt | DeliveryError)
    return [each.status for each in result.recipients]


class World:
    """A name server, mail exchangers on 127.0.0.2, 127.0.0.3 … that share a port, and a channel to them."""

    def __init__(self, colour: Colour = "blocking", *, timeout: float = 5.0) -> None:
        self.colour: Colour = colour
        self.edge = make_edge(colour, timeout)
        self.dns = NameServer()
        self.port = 0
        self.servers: list[SMTPServer] = []
        self.channel: MXChannel | None = None
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> World:
        self._exit.enter_context(self.dns)
        return self

    def __exit__(self, *_: object) -> None:
        if self.channel is not None:
            run_in(self.colour, self.channel.close)
        self._exit.close()

    def server(self, name: str, *, host: str | None = None, **options: Any) -> SMTPServer:
        """Start a mail exchanger on the next address of its own, and publish the address."""
        options = {"hostname": name, "host": host or f"127.0.0.{len(self.servers) + 2}"} | options
        while True:
            server = SMTPServer(port=self.port, **options)
            try:
                server.start()
                break
            except ConfigurationError:
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
