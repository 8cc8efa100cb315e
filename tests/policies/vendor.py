"""A vendor's server with a fault, for the rows of the outcome tables that are about HTTP."""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from tests.http2_server import HTTP2Server
from tests.http_server import Answer, HTTPServer
from tests.policies.faults import BOB, EVE

from mailkit.providers import Postmark, Resend
from mailkit.testing.certificates import ServerTLS, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http2_server import GoAway, Reset
    from tests.http_server import Received
    from tests.policies.faults import Fault

    from mailkit.providers.base import ApiTransport

__all__ = ["HTTPPlay", "closed_port"]

_TLS: Final = make_certificate("valid", "localhost", "127.0.0.1")


@contextmanager
def closed_port() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class _Vendor(HTTPServer):
    """A vendor with a fault, which takes each recipient's copy, once for each idempotency key where it honours them."""

    def __init__(self, fault: Fault, *, honours_keys: bool, context: ssl.SSLContext | None) -> None:
        self.fault = fault
        self.honours_keys = honours_keys
        played = [] if fault.is_cut else [None, fault] if fault.is_second else [fault]
        self.faults = itertools.chain(played, itertools.repeat(None))
        self.copies: list[str] = []
        self.keys: set[str] = set()
        self.stalled = threading.Event()
        super().__init__(self._answered, context=context)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def _serve(self, conn: socket.socket, number: int) -> None:
        if self.fault.is_cut and number == 1:
            conn.recv(100)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
            return
        super()._serve(conn, number)

    def _answered(self, request: Received) -> Answer | Reset | GoAway:
        fault = next(self.faults)
        bodies = request.json() if isinstance(request.json(), list) else [request.json()]
        if fault is None or fault.takes:
            refused = () if fault is None else fault.refused_inside
            self._take(request, [address for body in bodies for address in _recipients(body) if address not in refused])
        if fault is not None and fault.is_stalled:
            self.stalled.wait(30)
        if fault is not None and fault.refused_inside:
            return Answer(200, [_said(_recipients(body)[0] in fault.refused_inside) for body in bodies])
        if fault is not None and fault.answer is not None:
            return fault.answer
        if isinstance(request.json(), list):
            return Answer(
                200, {"data": [{"id": "1"} for _ in bodies]} if self.honours_keys else [_said(False)] * len(bodies)
            )
        return Answer(200, {"id": "1"} if self.honours_keys else _said(False))

    def _take(self, request: Received, addresses: list[str]) -> None:
        key = request.headers.get("idempotency-key") if self.honours_keys else None
        if key is not None and key in self.keys:
            return
        if key is not None:
            self.keys.add(key)
        self.copies += addresses


class _NewVendor(_Vendor, HTTP2Server):
    """The same, and it speaks HTTP/2."""


def _said(is_refused: bool) -> dict[str, Any]:
    if is_refused:
        return {"ErrorCode": 406, "Message": "You tried to send to a recipient that has been marked as inactive."}
    return {"ErrorCode": 0, "Message": "OK", "MessageID": "1"}


def _recipients(body: Any) -> list[str]:
    given = body.get("to") or body["To"].split(", ")
    return [each.strip() for each in given]


@frozen
class HTTPPlay:
    """A vendor's server with a fault."""

    fault: Fault
    side: str
    vendor: _Vendor
    port: int
    before: list[int] = field(factory=list[int])

    @classmethod
    @contextmanager
    def server(cls, fault: Fault, side: str) -> Iterator[HTTPPlay]:
        """Start one."""
        context = ServerTLS(_TLS, maximum=None).context if fault.is_tls or fault.is_http2 else None
        kind = _NewVendor if fault.is_http2 else _Vendor
        with (
            kind(fault, honours_keys=side == "honoured", context=context) as vendor,
            closed_port() as closed,
        ):
            yield cls(fault, side, vendor, closed if fault.is_refused else vendor.port)

    def transport(self) -> ApiTransport:
        """Return what sends through it."""
        kind = Resend if self.side == "honoured" else Postmark
        host = "nowhere.example" if self.fault.name_error else "127.0.0.1"
        options = dict(self.fault.client)
        if self.fault.is_http2:
            options |= {"tls": "required", "ssl_context": ssl.create_default_context(cadata=_TLS.authority.decode())}
        return kind("KEY", host=host, port=self.port, **options)

    def let_go(self) -> None:
        """Forget what came before."""
        self.before.append(len(self.vendor.copies))

    def release(self) -> None:
        """Let it answer what it has kept waiting."""
        self.vendor.stalled.set()

    def copies(self) -> tuple[int, ...]:
        """Return how many copies each recipient has."""
        taken = self.vendor.copies[sum(self.before) :]
        return tuple(taken.count(address) for address in (BOB, EVE))
