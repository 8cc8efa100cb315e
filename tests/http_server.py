"""An HTTP/1.1 server on a loopback port that does as it is told, faults included, and keeps what it received."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["Answer", "HTTPServer", "Received"]


@frozen
class Received:
    """A request as it came in.

    Args:
        method: Such as ``"POST"``.
        path: With the query.
        headers: By name in lower case.
        body: Its content.
        connection: Which connection it came over, from 1.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)


@frozen
class Answer:
    """What to answer.

    Args:
        status: The status code.
        body: Bytes, or what is sent as JSON.
        headers: Further header fields.
        raw: These bytes instead of all that; the connection is closed after them.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = {}
    raw: bytes | None = None

    def as_bytes(self) -> bytes:
        """Return it as it is written."""
        if self.raw is not None:
            return self.raw
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} Whatever", *[f"{name}: {value}" for name, value in self.headers.items()]]
        if self.status != 204:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class HTTPServer:
    """Answers every request with what a function says.

    Args:
        answer: Gets the request and returns the answer.
        context: Its TLS, for https.
    """

    def __init__(self, answer: Callable[[Received], Answer], *, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._context = context
        self.requests: list[Received] = []
        self.errors: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close everything; raise what the function raised."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for conn in tuple(self._open):
            with suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(conn, self.connections), daemon=True).start()

    def _serve(self, conn: socket.socket, number: int) -> None:
        self._open.add(conn)
        try:
            if self._context is not None:
                conn = self._context.wrap_socket(conn, server_side=True)
                self._open.add(conn)
            with conn, conn.makefile("rb") as reader:
                while (received := _read(reader, number)) is not None:
                    with self._lock:
                        self.requests.append(received)
                    answer = self.answer(received)
                    conn.sendall(answer.as_bytes())
                    if answer.raw is not None:
                        return
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by close
            self.errors.append(error)
        finally:
            self._open.discard(conn)


def _read(reader: Any, number: int) -> Received | None:
    start = reader.readline()
    if not start:
        return None
    method, path, _ = start.decode("ascii").split(" ")
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, path, headers, reader.read(int(headers.get("content-length", "0"))), number)
