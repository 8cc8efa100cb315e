"""A client that knows no SMTP: it sends bytes and reads replies, so that tests of the server can say anything."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from mailkit.testing import SMTPServer

    Connect: TypeAlias = "Callable[[SMTPServer], RawClient]"

PATIENCE = 10.0


class RawClient:
    """A socket with a buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def line(self) -> bytes:
        """Read one line, its end included."""
        while b"\n" not in self._buffer:
            block = self.socket.recv(65536)
            if not block:
                raise EOFError(self._buffer)
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def reply(self) -> bytes:
        """Read one reply, all its lines."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"".join(lines)

    def code(self) -> int:
        """Read one reply, and return its code."""
        return int(self.reply()[:3])

    def codes(self, count: int) -> list[int]:
        """Read some replies, and return their codes."""
        return [self.code() for _ in range(count)]

    def ask(self, command: str | bytes) -> bytes:
        """Send one command line, and return its reply."""
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.reply()

    def read(self, count: int) -> bytes:
        """Read this many bytes."""
        while len(self._buffer) < count:
            block = self.socket.recv(65536)
            if not block:
                raise EOFError(self._buffer)
            self._buffer += block
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def rest(self) -> bytes:
        """Read to the end of the stream."""
        while block := self.socket.recv(65536):
            self._buffer += block
        data, self._buffer = self._buffer, b""
        return data

    def hello(self) -> bytes:
        """Read the greeting and say EHLO."""
        self.reply()
        return self.ask("EHLO client.example")

    def start_tls(self, server: SMTPServer, name: str = "localhost") -> None:
        """Shake hands, trusting the server's authority."""
        context = ssl.create_default_context(cafile=str(server.ca_file))
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self.socket.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect raw clients to servers; they are closed when the test ends."""
    clients: list[RawClient] = []

    def connect_to(server: SMTPServer) -> RawClient:
        clients.append(RawClient(socket.create_connection((server.host, server.port), PATIENCE)))
        return clients[-1]

    yield connect_to
    for client in clients:
        client.close()
