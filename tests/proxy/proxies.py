"""Proxies on loopback that really connect, and misbehave when they are told to."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LoopbackProxy"]

_NO_HOSTS: Mapping[str, str] = {}


class LoopbackProxy:
    """A proxy with one thread a connection.

    Args:
        scheme: What it speaks.
        credentials: The user name and password that it wants.
        hosts: The addresses of names, which nobody else knows.
        context: Its TLS, for "https".
        answer: What it says instead of its last reply, and makes no connection.
        end: After how many octets of its answers to hang up, or to fall silent.
        at_end: Which of the two.
        late: Whether its last reply waits for the server's first octets and goes out in one write with them.
    """

    def __init__(
        self,
        scheme: Literal["socks5", "http", "https"],
        *,
        credentials: tuple[str, str] | None = None,
        hosts: Mapping[str, str] = _NO_HOSTS,
        context: ssl.SSLContext | None = None,
        answer: bytes | None = None,
        end: int | None = None,
        at_end: Literal["close", "stall"] = "close",
        late: bool = False,
    ) -> None:
        self.scheme = scheme
        self.destinations: list[tuple[str, int]] = []
        self.clients: list[str] = []
        self._credentials = credentials
        self._hosts = hosts
        self._context = context
        self._answer = answer
        self._end = end
        self._at_end = at_end
        self._late = late
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._done = threading.Event()

    @property
    def url(self) -> str:
        """Its URL, with the credentials that it wants."""
        user = ":".join(quote(each, safe="") for each in self._credentials) + "@" if self._credentials else ""
        return f"{self.scheme}://{user}127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a proxy hangs"

    def _accept(self) -> None:
        while True:
            try:
                conn, address = self._listener.accept()
            except OSError:
                return
            self.clients.append(address[0])
            conn.settimeout(10)
            thread = threading.Thread(target=self._serve, args=(conn,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, conn: socket.socket) -> None:
        # The client hangs up in the middle of everything; that is the point of many tests.
        with contextlib.suppress(OSError, _EndError), conn:
            if self._context is not None:
                conn = self._context.wrap_socket(conn, server_side=True)
            client = _Client(conn, self._end)
            try:
                serve = self._serve_socks if self.scheme == "socks5" else self._serve_http
                serve(client)
            except _EndError:
                if self._at_end == "stall":
                    self._done.wait(10)
            conn.close()

    def _serve_socks(self, client: _Client) -> None:
        _version, count = client.read(2)
        methods = client.read(count)
        wanted = 0 if self._credentials is None else 2
        client.say(bytes((5, wanted if wanted in methods else 0xFF)))
        if wanted:
            user = client.read(client.read(2)[1]).decode()
            password = client.read(client.read(1)[0]).decode()
            client.say(bytes((1, (user, password) != self._credentials)))
            if (user, password) != self._credentials:
                return
        _version, _command, _reserved, kind = client.read(4)
        raw = client.read({1: 4, 4: 16}[kind] if kind != 3 else client.read(1)[0])
        host = raw.decode() if kind == 3 else str(ip_address(raw))
        port = int.from_bytes(client.read(2), "big")
        try:
            target = self._connect(host, port)
        except OSError:
            client.say(b"\x05\x05\x00\x01" + bytes(6))
            return
        if target is None:
            client.say(self._answer or b"")
        else:
            self._tunnel(client, target, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")

    def _serve_http(self, client: _Client) -> None:
        head = client.read_until(b"\r\n\r\n").decode("ascii")
        request, *fields = head.split("\r\n")
        if self._credentials is not None:
            encoded = base64.b64encode(":".join(self._credentials).encode()).decode()
            if f"Proxy-Authorization: Basic {encoded}" not in fields:
                client.say(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
                return
        host, _, port = request.split(" ")[1].rpartition(":")
        try:
            target = self._connect(host.strip("[]"), int(port))
        except OSError:
            client.say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nNo.")
            return
        if target is None:
            client.say(self._answer or b"")
        else:
            self._tunnel(client, target, b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")

    def _connect(self, host: str, port: int) -> socket.socket | None:
        self.destinations.append((host, port))
        if self._answer is not None:
            return None
        return socket.create_connection((self._hosts.get(host, host), port), timeout=10)

    def _tunnel(self, client: _Client, target: socket.socket, reply: bytes) -> None:
        with target:
            client.say(reply + (target.recv(65536) if self._late else b""))
            pairs = {client.conn: target, target: client.conn}
            while not self._done.is_set():
                waiting = isinstance(client.conn, ssl.SSLSocket) and client.conn.pending()
                ready = [client.conn] if waiting else select.select(list(pairs), [], [], 0.05)[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    pairs[source].sendall(data)


class _EndError(Exception):
    """The proxy has said as much as it may."""


class _Client:
    """One connection from a client."""

    def __init__(self, conn: socket.socket, end: int | None) -> None:
        self.conn = conn
        self._left = end

    def say(self, data: bytes) -> None:
        if self._left is not None and len(data) >= self._left:
            self.conn.sendall(data[: self._left])
            raise _EndError
        if self._left is not None:
            self._left -= len(data)
        self.conn.sendall(data)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.conn.recv(count - len(data))
            if not piece:
                raise _EndError
            data += piece
        return data

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            data += self.read(1)
        return data
