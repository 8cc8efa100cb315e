"""The web servers of MTA-STS policies, as one HTTPS server on loopback."""

from __future__ import annotations

import ssl
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mailkit.testing.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["POLICY", "PolicyServer"]

POLICY = "version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {max_age}\r\n"


class PolicyServer:
    """Serves one answer, and keeps what it was asked for.

    Args:
        names: The hosts that its certificate is for.
    """

    def __init__(self, *names: str) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"Content-Type": "text/plain; charset=utf-8"}
        self.body = b""
        self.requests: list[tuple[str, str]] = []
        certificate = make_certificate("valid", *names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            path.write_bytes(certificate.key + certificate.chain)
            context.load_cert_chain(path)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def publish(self, mx: str, *, mode: str = "enforce", max_age: int = 86400) -> None:
        """Serve a policy."""
        self.body = POLICY.format(mode=mode, mx=mx, max_age=max_age).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shared = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shared.requests.append((self.headers["Host"], self.path))
                self.send_response(shared.status)
                for name, value in shared.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(shared.body)))
                self.end_headers()
                self.wfile.write(shared.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
