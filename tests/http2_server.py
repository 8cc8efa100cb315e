"""An HTTP/2 server on a loopback port, over TLS, that answers, or ends a stream or its connection as it is told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
from attrs import define, field, frozen
from tests.http_server import Answer, HTTPServer, Received

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping

__all__ = ["GoAway", "HTTP2Server", "Reset"]


@frozen
class Reset:
    """RST_STREAM instead of an answer.

    Args:
        code: Its error code; RFC 9113 §7.
    """

    code: int


@frozen
class GoAway:
    """GOAWAY instead of an answer, and the end of the connection.

    Args:
        covers: Whether the request is among those that it says the server may have acted on.
    """

    covers: bool


@define
class _Stream:
    headers: Mapping[str, str]
    body: bytearray = field(factory=bytearray)


class HTTP2Server(HTTPServer):
    """Answers every request with what a function says.

    Args:
        answer: Gets the request and returns what follows it.
        context: Its TLS.
    """

    answer: Callable[[Received], Answer | Reset | GoAway]

    def __init__(
        self, answer: Callable[[Received], Answer | Reset | GoAway], *, context: ssl.SSLContext | None
    ) -> None:
        assert context is not None
        context.set_alpn_protocols(["h2"])
        super().__init__(answer, context=context)

    def _serve(self, conn: socket.socket, number: int) -> None:
        assert self._context is not None
        self._open.add(conn)
        try:
            with self._context.wrap_socket(conn, server_side=True) as wrapped:
                self._open.add(wrapped)
                self._converse(wrapped, number)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by close
            self.errors.append(error)
        finally:
            self._open = {each for each in self._open if each.fileno() >= 0}

    def _converse(self, conn: ssl.SSLSocket, number: int) -> None:
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        protocol.initiate_connection()
        streams: dict[int, _Stream] = {}
        conn.sendall(protocol.data_to_send())
        while data := conn.recv(65_536):
            for event in protocol.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    streams[event.stream_id] = _Stream({str(name): str(value) for name, value in event.headers})
                elif isinstance(event, h2.events.DataReceived):
                    streams[event.stream_id].body += event.data
                    protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    received = streams.pop(event.stream_id)
                    if not self._answer(protocol, event.stream_id, received, number):
                        conn.sendall(protocol.data_to_send())
                        _wait_for_the_end(conn)
                        return
            conn.sendall(protocol.data_to_send())

    def _answer(self, protocol: Any, stream: int, received: _Stream, number: int) -> bool:
        headers = received.headers
        request = Received(headers[":method"], headers[":path"], headers, bytes(received.body), number)
        with self._lock:
            self.requests.append(request)
        answer = self.answer(request)
        if isinstance(answer, GoAway):
            protocol.close_connection(last_stream_id=stream if answer.covers else stream - 2 if stream > 2 else 0)
            return False
        if isinstance(answer, Reset):
            protocol.reset_stream(stream, answer.code)
            return True
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        fields = [(name.lower(), value) for name, value in answer.headers.items()]
        protocol.send_headers(stream, [(":status", str(answer.status)), *fields])
        protocol.send_data(stream, body, end_stream=True)
        return True


def _wait_for_the_end(conn: ssl.SSLSocket) -> None:
    """To hang up at once could overtake the last words with a reset."""
    with suppress(OSError):
        while conn.recv(65_536):
            pass
