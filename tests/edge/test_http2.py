"""HTTP/2 on the suspending edge, against a server made of h2 that follows a script, and what its errors prove."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
from typing import TYPE_CHECKING, Any

import anyio
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import pytest
from tests.colours import make_edge, run_in
from tests.patience import patiently

from mailkit.edge.http import Request, Response
from mailkit.edge.tls_options import TLS
from mailkit.errors import ConnectError, DeliveryError, OutcomeUnknownError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    import trustme
    from tests.colours import Colour
    from tests.edge.conftest import Serve

    Act = Callable[[h2.connection.H2Connection, int, int], bool | None]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Colour:
    """HTTP/2 is for event loops."""
    colour: Colour = request.param
    return colour


def _server(serve: Serve, authority: trustme.CA, act: Act, seen: list[bytes]) -> int:
    """Start a server.

    `act` gets the connection, a stream and the number of its request. False ends the connection; None says no more and
    waits for the client to end it.
    """
    context = _context(authority)

    def script(conn: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(conn, server_side=True) as wrapped:
            _converse(wrapped, act, seen)

    return serve(script)


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _converse(conn: ssl.SSLSocket, act: Act, seen: list[bytes]) -> None:
    assert conn.selected_alpn_protocol() == "h2"
    protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    protocol.initiate_connection()
    conn.sendall(protocol.data_to_send())
    while data := conn.recv(65_536):
        for event in protocol.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                seen.extend([event.data] if event.data else [])
                protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                goes_on = act(protocol, event.stream_id, len(seen))
                if goes_on:
                    continue
                conn.sendall(protocol.data_to_send())
                while goes_on is None and conn.recv(65_536):
                    pass  # to hang up at once could overtake the last words with a reset
                return
        conn.sendall(protocol.data_to_send())


def _ok(protocol: h2.connection.H2Connection, stream: int, _number: int) -> bool:
    protocol.send_headers(stream, [(":status", "200"), ("x-id", "7")])
    protocol.send_data(stream, b"ok", end_stream=True)
    return True


def _refused(protocol: h2.connection.H2Connection, stream: int, _number: int) -> bool:
    protocol.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
    return True


def _failed(protocol: h2.connection.H2Connection, stream: int, _number: int) -> bool:
    protocol.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
    return True


def _going_away_before(protocol: h2.connection.H2Connection, _stream: int, _number: int) -> None:
    protocol.close_connection(last_stream_id=0)


def _going_away_after(protocol: h2.connection.H2Connection, stream: int, _number: int) -> bool:
    protocol.close_connection(last_stream_id=stream)
    return False


def _gone(_protocol: h2.connection.H2Connection, _stream: int, _number: int) -> bool:
    return False


def _silent(_protocol: h2.connection.H2Connection, _stream: int, _number: int) -> bool:
    return True


def _request(port: int, ca_file: Path, **fields: Any) -> Request:
    return Request("POST", f"https://localhost:{port}/", **{"body": b"{}", "tls": TLS(ca_file=ca_file), **fields})


def _fetch(backend: Colour, *requests: Request, seconds: float = 5.0) -> list[Response]:
    edge = make_edge(backend)

    async def main() -> list[Response]:
        try:
            return [await edge.fetch(request, deadline=edge.now() + seconds) for request in requests]
        finally:
            await edge.close()

    return run_in(backend, main)


def test_http2_is_spoken_where_both_sides_can(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer says so; requests share the connection, and no log shows a header of theirs."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore", "httpx", "hpack", "hpack.hpack", "hpack.table", "h2"):
        caplog.set_level(logging.DEBUG, logger=name)
    seen: list[bytes] = []
    request = _request(_server(serve, authority, _ok, seen), ca_file, headers={"X-Key": "hunter2"}, body=b"x" * 200_000)
    for response in _fetch(backend, request, request):
        assert (response.http_version, response.status, response.body) == ("HTTP/2", 200, b"ok")
        assert response.header("x-id") == "7"
    assert len(b"".join(seen)) == 400_000
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("act", [_refused, _going_away_before])
def test_what_the_server_says_it_did_not_process_is_not_sent(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path, act: Act
) -> None:
    """REFUSED_STREAM, and GOAWAY below our stream, prove it (RFC 9113 §8.7, §6.8); repeating is not the client's."""
    seen: list[bytes] = []
    with pytest.raises(ConnectError) as caught:
        _fetch(backend, _request(_server(serve, authority, act, seen), ca_file))
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)
    assert seen == [b"{}"]


def test_a_goaway_that_httpcore_would_repeat_after_is_not_sent(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """The second request on a connection is above the GOAWAY's stream: it goes to the server once, not twice."""
    seen: list[bytes] = []

    def act(protocol: h2.connection.H2Connection, stream: int, number: int) -> bool | None:
        if number == 1:
            return _ok(protocol, stream, number)
        protocol.close_connection(last_stream_id=1)
        return None

    request = _request(_server(serve, authority, act, seen), ca_file)
    with pytest.raises(ConnectError) as caught:
        _fetch(backend, request, request)
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)
    assert seen == [b"{}", b"{}"]


def test_a_goaway_and_no_connection_after_it_is_not_sent(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """What a server said before it went away still holds when httpcore finds nobody to repeat the request to."""
    seen: list[bytes] = []
    context = _context(authority)
    connections: list[socket.socket] = []

    def act(protocol: h2.connection.H2Connection, stream: int, number: int) -> bool | None:
        if number == 1:
            return _ok(protocol, stream, number)
        protocol.close_connection(last_stream_id=1)
        return None

    def script(conn: socket.socket) -> None:
        connections.append(conn)
        if len(connections) == 1:  # all others are closed without a handshake
            with contextlib.suppress(OSError), context.wrap_socket(conn, server_side=True) as wrapped:
                _converse(wrapped, act, seen)

    request = _request(serve(script), ca_file)
    with pytest.raises(DeliveryError) as caught:
        _fetch(backend, request, request)
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)
    assert seen == [b"{}", b"{}"]
    assert len(connections) == 2


def test_a_connection_is_not_used_until_the_server_ends_it(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many requests the next one has a new connection: a GOAWAY before an answer would leave it in doubt."""
    monkeypatch.setattr("mailkit.edge.http_clients._LAST_STREAM", 3)
    streams: list[int] = []

    def act(protocol: h2.connection.H2Connection, stream: int, number: int) -> bool:
        streams.append(stream)
        return _ok(protocol, stream, number)

    request = _request(_server(serve, authority, act, []), ca_file)
    assert [response.status for response in _fetch(backend, *[request] * 5)] == [200] * 5
    assert streams == [1, 3, 1, 3, 1]


@pytest.mark.parametrize("act", [_failed, _going_away_after, _gone])
def test_any_other_end_after_the_request_is_unknown(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path, act: Act
) -> None:
    """Another error code, a GOAWAY that covers our stream and an end say nothing about the request."""
    seen: list[bytes] = []
    with pytest.raises(OutcomeUnknownError):
        _fetch(backend, _request(_server(serve, authority, act, seen), ca_file))
    assert seen == [b"{}"]


def test_no_answer_in_time_is_unknown(backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    """The deadline holds here as well."""
    port = _server(serve, authority, _silent, [])

    def attempt(wait: float) -> None:
        with pytest.raises(OutcomeUnknownError):
            _fetch(backend, _request(port, ca_file), seconds=wait)

    patiently(attempt, first=0.5)


def test_a_body_that_is_too_long_is_cut(backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    """What was agreed on is kept, and the connection given up."""

    def act(protocol: h2.connection.H2Connection, stream: int, _number: int) -> bool:
        protocol.send_headers(stream, [(":status", "200")])
        protocol.send_data(stream, b"a" * 10_000)
        return True

    (response,) = _fetch(backend, _request(_server(serve, authority, act, []), ca_file, max_body=100))
    assert (response.status, response.body) == (200, b"a" * 100)
    assert "longer" in str(response.incomplete)


def test_requests_share_a_connection_at_once(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """Several requests are under way on one connection, and each gets its own answer."""
    connections: list[int] = []

    def act(protocol: h2.connection.H2Connection, stream: int, number: int) -> bool:
        connections.append(id(protocol))
        return _ok(protocol, stream, number)

    request = _request(_server(serve, authority, act, []), ca_file)
    edge = make_edge(backend)

    async def main() -> list[Response]:
        try:
            await edge.fetch(request, deadline=edge.now() + 5)
            jobs = [lambda: edge.fetch(request, deadline=edge.now() + 5)] * 10
            return await edge.run_all(jobs)
        finally:
            await edge.close()

    assert [response.status for response in run_in(backend, main)] == [200] * 10
    assert len(set(connections)) == 1


def test_after_a_cancelled_request_a_new_connection_is_used(
    backend: Colour, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """A stream left in the middle is the end of its connection, for new requests; those under way come to their end."""
    connections: list[int] = []

    def act(protocol: h2.connection.H2Connection, stream: int, number: int) -> bool:
        connections.append(id(protocol))
        arrived.set()
        return _silent(protocol, stream, number) if len(connections) == 1 else _ok(protocol, stream, number)

    arrived = threading.Event()
    request = _request(_server(serve, authority, act, []), ca_file)
    edge = make_edge(backend)

    async def main() -> tuple[bool, Response]:
        marks: list[bool] = []
        try:
            async with anyio.create_task_group() as group:

                async def cancel_when_it_has_arrived() -> None:
                    while not arrived.is_set():  # noqa: ASYNC110 - the other side is a thread
                        await anyio.sleep(0.01)
                    group.cancel_scope.cancel()

                group.start_soon(cancel_when_it_has_arrived)
                try:
                    await edge.fetch(request, deadline=edge.now() + 30)
                except BaseException as interruption:
                    marks.append(interruption.request_may_have_arrived)  # type: ignore[attr-defined]
                    raise
            return marks[0], await edge.fetch(request, deadline=edge.now() + 5)
        finally:
            await edge.close()

    may_have_arrived, response = run_in(backend, main)
    assert may_have_arrived
    assert response.status == 200
    assert len(set(connections)) == 2


def test_the_blocking_edge_speaks_http_1(serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    """Threads would share an HTTP/2 connection, so it is not offered."""
    context = _context(authority)
    agreed: list[str | None] = []

    def script(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as wrapped:
            agreed.append(wrapped.selected_alpn_protocol())
            wrapped.recv(65_536)
            wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    request = Request("GET", f"https://localhost:{serve(script)}/", tls=TLS(ca_file=ca_file))
    (response,) = _fetch("blocking", request)
    assert response.http_version == "HTTP/1.1"
    assert agreed == ["http/1.1"]
