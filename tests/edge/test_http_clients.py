"""edge.fetch against servers that do exactly as they are told, byte by byte, in three colours."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import make_edge, run_in
from tests.patience import patiently

from mailkit.edge.http import Request, Response
from mailkit.edge.tls_options import TLS
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryTimeout,
    OutcomeUnknownError,
    ProtocolError,
    TLSError,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from tests.colours import Colour
    from tests.edge.conftest import Serve

    from mailkit.edge.base import Edge

pytestmark = pytest.mark.slow

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LARGE = b"x" * (16 << 20)  # more than the kernel's buffers hold


def _read(conn: socket.socket) -> bytes:
    """Read one whole request, headers and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = conn.recv(65_536)
        if not block:
            return data
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    missing = int(lengths[0]) - len(body) if lengths else 0
    while missing > 0:
        block = conn.recv(min(missing, 65_536))
        if not block:
            return data
        data += block
        missing -= len(block)
    return data


def _reset(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def _answering(*answers: bytes, close: bool = False) -> Callable[[socket.socket], None]:
    """Return a script that answers one request after the other."""

    def script(conn: socket.socket) -> None:
        for answer in answers:
            if not _read(conn):
                return
            conn.sendall(answer)
        if not close:
            conn.recv(1)

    return script


def _post(port: int, body: bytes = b"{}", **fields: Any) -> Request:
    return Request("POST", f"http://127.0.0.1:{port}/send", body=body, **fields)


def _fetch(edge: Edge, run: Callable[..., Any], *requests: Request, seconds: float = 5.0) -> list[Response]:
    async def main() -> list[Response]:
        try:
            return [await edge.fetch(request, deadline=edge.now() + seconds) for request in requests]
        finally:
            await edge.close()

    return run(main)


def test_what_is_written_and_read(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """The request is what was given plus its framing; the answer has status, headers and body."""
    seen: list[bytes] = []

    def script(conn: socket.socket) -> None:
        seen.append(_read(conn))
        conn.sendall(b"HTTP/1.1 202 Accepted\r\nX-Message-Id: 7\r\nContent-Length: 0\r\n\r\n")
        conn.recv(1)

    port = serve(script)
    (response,) = _fetch(edge, run, _post(port, b'{"a":1}', headers={"Authorization": "Bearer KEY"}))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert first == b"POST /send HTTP/1.1"
    assert body == b'{"a":1}'
    assert sorted(field.partition(b":")[0] for field in fields) == [
        b"Accept",
        b"Accept-Encoding",
        b"Authorization",
        b"Content-Length",
        b"Host",
        b"User-Agent",
    ]
    assert (response.status, response.header("x-message-id"), response.body) == (202, "7", b"")
    assert response.incomplete is None
    assert response.request_written


def test_a_connection_is_reused(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """Requests one after the other share a connection."""
    connections: list[int] = []

    def script(conn: socket.socket) -> None:
        connections.append(1)
        _answering(_OK, _OK, _OK)(conn)

    port = serve(script)
    assert [each.body for each in _fetch(edge, run, *[_post(port)] * 3)] == [b"ok"] * 3
    assert len(connections) == 1


def test_an_idle_connection_that_the_server_has_closed_is_not_used(
    edge: Edge, run: Callable[..., Any], serve: Serve
) -> None:
    """Its end is seen before anything is written, so nothing is in doubt."""
    closed = threading.Event()

    def script(conn: socket.socket) -> None:
        _read(conn)
        conn.sendall(_OK)
        conn.shutdown(socket.SHUT_RDWR)
        closed.set()

    port = serve(script)

    async def main() -> Response:
        await edge.fetch(_post(port), deadline=edge.now() + 5)
        while not closed.is_set():
            await edge.sleep(0.01)
        try:
            return await edge.fetch(_post(port), deadline=edge.now() + 5)
        finally:
            await edge.close()

    assert run(main).body == b"ok"


def test_the_same_edge_serves_again_after_it_was_closed(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """Closing gives up connections, not the ability to make some."""
    port = serve(_answering(_OK))
    assert _fetch(edge, run, _post(port))[0].status == 200
    assert _fetch(edge, run, _post(port))[0].status == 200


def test_a_redirect_is_an_answer_and_not_followed(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """The key goes to no other host, and the Location may be anything."""
    visited: list[bytes] = []
    other = serve(lambda conn: visited.append(_read(conn)))
    for location in (f"http://127.0.0.1:{other}/", "http://[", "javascript:alert(1)", ""):
        answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        request = _post(serve(_answering(answer)), headers={"Authorization": "Bearer KEY"})
        assert _fetch(edge, run, request)[0].status == 302
    assert not visited


def test_cookies_are_not_kept(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """What a server sets does not come back to it."""
    seen: list[bytes] = []

    def script(conn: socket.socket) -> None:
        for _ in range(2):
            seen.append(_read(conn))
            conn.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
        conn.recv(1)

    port = serve(script)
    _fetch(edge, run, _post(port), _post(port))
    assert b"ookie" not in seen[1]


def test_the_environment_has_no_say(
    edge: Edge, run: Callable[..., Any], serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither proxies nor netrc of the environment are used."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password hunter2\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[bytes] = []

    def script(conn: socket.socket) -> None:
        seen.append(_read(conn))
        conn.sendall(_OK)

    _fetch(edge, run, _post(serve(script)))
    assert b"uthorization" not in seen[0]


# Not sent.


def test_refused_is_not_sent(edge: Edge, run: Callable[..., Any], refusing_port: int) -> None:
    """Where nobody listens nothing was sent, and it may be tried again."""
    with pytest.raises(ConnectError) as caught:
        _fetch(edge, run, _post(refusing_port))
    assert (caught.value.outcome, caught.value.phase, caught.value.retryable) == ("not_sent", "connect", True)


def test_no_time_is_not_sent(edge: Edge, run: Callable[..., Any]) -> None:
    """A deadline that has passed ends it before anything is connected to."""
    with pytest.raises(DeliveryTimeout) as caught:
        _fetch(edge, run, _post(1), seconds=-1)
    assert caught.value.outcome == "not_sent"


def test_reset_while_writing_is_not_sent(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """A connection lost with a part of the body unwritten proves that the server had not all of it."""

    def script(conn: socket.socket) -> None:
        conn.recv(65_536)
        _reset(conn)

    with pytest.raises(ConnectError) as caught:
        _fetch(edge, run, _post(serve(script), _LARGE))
    assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)


def test_a_server_that_takes_no_more_is_not_sent(colour: Colour, serve: Serve) -> None:
    """A write that waits too long ends with less than the whole body written."""
    edge = make_edge(colour, timeout=0.3)

    def script(conn: socket.socket) -> None:
        conn.recv(1)
        given_up.wait(10)

    given_up = threading.Event()
    started = time.monotonic()
    with pytest.raises(DeliveryTimeout) as caught:
        _fetch(edge, lambda main: run_in(colour, main), _post(serve(script), _LARGE), seconds=60)
    given_up.set()
    assert caught.value.outcome == "not_sent"
    assert time.monotonic() - started < 30


def test_an_early_answer_is_read_and_known_to_be_early(colour: Colour, serve: Serve) -> None:
    """A server may refuse before it has read all, and take no more."""
    given_up = threading.Event()

    def script(conn: socket.socket) -> None:
        conn.recv(65_536)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        given_up.wait(30)  # closing before everything was read would send a reset, which may overtake the answer

    port = serve(script)

    def attempt(wait: float) -> None:
        edge = make_edge(colour, timeout=wait)
        (response,) = _fetch(edge, lambda main: run_in(colour, main), _post(port, _LARGE), seconds=30)
        assert response.status == 413
        assert not response.request_written

    try:
        patiently(attempt, first=0.3)
    finally:
        given_up.set()


# Unknown.


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda _conn: None, id="eof"),
        pytest.param(_reset, id="reset"),
        pytest.param(lambda conn: conn.sendall(b"HTTP/1.1 2"), id="truncated status line"),
        pytest.param(lambda conn: conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Le"), id="truncated header"),
        pytest.param(lambda conn: conn.sendall(b"220 mail.example.com ESMTP\r\n"), id="another protocol"),
        pytest.param(lambda conn: conn.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000), id="endless header"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_written_and_no_answer(
    edge: Edge, run: Callable[..., Any], serve: Serve, end: Callable[[socket.socket], None], method: str
) -> None:
    """After the last byte an end without an answer is unknown, and repeated by nobody; a GET leaves no doubt."""
    requests: list[bytes] = []

    def script(conn: socket.socket) -> None:
        requests.append(_read(conn))
        with contextlib.suppress(OSError):
            end(conn)

    request = Request(method, f"http://127.0.0.1:{serve(script)}/", body=b"{}" if method == "POST" else None)
    with pytest.raises((OutcomeUnknownError, ConnectError, ProtocolError)) as caught:
        _fetch(edge, run, request)
    assert caught.value.outcome == ("unknown" if method == "POST" else "not_sent")
    assert isinstance(caught.value, OutcomeUnknownError) == (method == "POST")
    assert len(requests) == 1


def test_an_end_without_a_byte_on_a_reused_connection_is_unknown(
    edge: Edge, run: Callable[..., Any], serve: Serve
) -> None:
    """Libraries like to repeat such a request (RFC 9112 §9.3.1); this one is not repeated."""
    requests: list[bytes] = []

    def script(conn: socket.socket) -> None:
        requests.append(_read(conn))
        conn.sendall(_OK)
        requests.append(_read(conn))

    port = serve(script)
    with pytest.raises(OutcomeUnknownError):
        _fetch(edge, run, _post(port), _post(port))
    assert [request[:4] for request in requests] == [b"POST", b"POST"]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_no_answer_in_time(edge: Edge, run: Callable[..., Any], serve: Serve, method: str) -> None:
    """A deadline that passes while the answer is awaited leaves doubt about a POST, and none about a GET."""
    port = serve(_answering(b""))
    request = Request(method, f"http://127.0.0.1:{port}/", body=b"{}" if method == "POST" else None)

    def attempt(wait: float) -> None:
        with pytest.raises((OutcomeUnknownError, DeliveryTimeout)) as caught:
            _fetch(edge, run, request, seconds=wait)
        assert isinstance(caught.value, OutcomeUnknownError if method == "POST" else DeliveryTimeout)

    patiently(attempt, first=0.3)


def test_headers_that_drip_end_at_the_deadline(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """Each byte comes in time, all of them do not: the deadline is for the whole exchange."""

    def script(conn: socket.socket) -> None:
        _read(conn)
        with contextlib.suppress(OSError):
            conn.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                conn.sendall(b"a")
                time.sleep(0.05)

    port = serve(script)

    def attempt(wait: float) -> None:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            _fetch(edge, run, _post(port), seconds=wait)
        assert time.monotonic() - started < wait + 1.5

    patiently(attempt, first=0.5)


# Answered, but not to the end.


@pytest.mark.parametrize(
    ("answer", "body", "why"),
    [
        (b"Content-Length: 10\r\n\r\nabc", b"abc", "lost"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc", "lost"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", b"abc", "lost"),
        (b"Content-Length: 9000\r\n\r\n" + b"a" * 9000, b"a" * 1000, "longer"),
        (b"\r\n" + b"a" * 9000, b"a" * 1000, "longer"),
        (b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 90_000), b"a" * 1000, "longer"),
        (b"Content-Encoding: br\r\n\r\nabc", b"", "Content-Encoding"),
    ],
)
def test_an_answer_whose_body_is_not_whole_is_an_answer(
    edge: Edge, run: Callable[..., Any], serve: Serve, answer: bytes, body: bytes, why: str
) -> None:
    """The status has come, so what became of the request is known; that the body is cut is said."""
    port = serve(_answering(b"HTTP/1.1 202 Accepted\r\n" + answer, close=True))
    (response,) = _fetch(edge, run, _post(port, max_body=1000))
    assert (response.status, response.body) == (202, body)
    assert why in str(response.incomplete)


def test_a_body_that_drips_ends_at_the_deadline(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """What has come by then is there, with its status."""

    def script(conn: socket.socket) -> None:
        _read(conn)
        with contextlib.suppress(OSError):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                conn.sendall(b"a")
                time.sleep(0.05)

    port = serve(script)

    def attempt(wait: float) -> None:
        started = time.monotonic()
        (response,) = _fetch(edge, run, _post(port), seconds=wait)
        assert time.monotonic() - started < wait + 1.5
        assert response.status == 200
        assert "deadline" in str(response.incomplete)

    patiently(attempt, first=0.5)


def test_a_cut_answers_connection_is_not_reused(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """After a body that was not read to its end the next request has a connection of its own."""
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"a" * 90_000
    connections: list[int] = []

    def script(conn: socket.socket) -> None:
        connections.append(1)
        with contextlib.suppress(OSError):
            _answering(long)(conn)

    request = _post(serve(script), max_body=10)
    assert [each.body for each in _fetch(edge, run, request, request)] == [b"a" * 10] * 2
    assert len(connections) == 2


# TLS.


def _tls_server(serve: Serve, context: ssl.SSLContext) -> int:
    def script(conn: socket.socket) -> None:
        try:
            with context.wrap_socket(conn, server_side=True) as wrapped:
                _read(wrapped)
                wrapped.sendall(_OK)
        except OSError:
            pass

    return serve(script)


def test_tls_is_verified(
    edge: Edge, run: Callable[..., Any], serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A server of a trusted authority is talked to; one of an unknown authority gets no request."""
    port = _tls_server(serve, server_context)
    url = f"https://localhost:{port}/"
    assert _fetch(edge, run, Request("POST", url, body=b"x", tls=TLS(ca_file=ca_file)))[0].body == b"ok"
    with pytest.raises(TLSError) as caught:
        _fetch(edge, run, Request("POST", url, body=b"x"))
    assert (caught.value.outcome, caught.value.cause, caught.value.retryable) == ("not_sent", "security", False)


def test_the_name_in_the_certificate_can_be_another(
    edge: Edge, run: Callable[..., Any], serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """``server_hostname`` is the name to check, whatever was dialled; a wrong one is refused."""
    url = f"https://127.0.0.1:{_tls_server(serve, server_context)}/"
    good, bad = (TLS(ca_file=ca_file, server_hostname=name) for name in ("localhost", "other.example"))
    assert _fetch(edge, run, Request("GET", url, tls=good))[0].status == 200
    with pytest.raises(TLSError):
        _fetch(edge, run, Request("GET", url, tls=bad))


def test_settings_that_cannot_be_used_are_said(edge: Edge, run: Callable[..., Any]) -> None:
    """A CA file that is none, and a URL without end, are configuration errors."""
    for request in (
        Request("GET", "https://localhost/", tls=TLS(ca_file="/nonexistent/ca.pem")),  # type: ignore[arg-type]
        Request("GET", "https://localhost/" + "a" * 70_000),
    ):
        with pytest.raises(ConfigurationError):
            _fetch(edge, run, request)


# At once, interrupted, elsewhere.


def test_many_at_once(edge: Edge, run: Callable[..., Any], serve: Serve) -> None:
    """Threads or tasks that fetch at the same time get each their own answer."""

    def script(conn: socket.socket) -> None:
        while request := _read(conn):
            body = request.partition(b"\r\n\r\n")[2]
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    port = serve(script)

    async def main() -> list[bytes]:
        async def one(number: int) -> bytes:
            body = b"%d" % number
            return (await edge.fetch(_post(port, body), deadline=edge.now() + 5)).body

        try:
            return await edge.run_all([lambda number=number: one(number) for number in range(20)])  # type: ignore[misc]
        finally:
            await edge.close()

    assert run(main) == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_says_whether_the_request_may_have_arrived(backend: Colour, serve: Serve) -> None:
    """A request cancelled while its answer is awaited may have arrived; its connection is not used again."""
    connections: list[int] = []
    edge = make_edge(backend)
    arrived, begun, given_up = threading.Event(), threading.Event(), threading.Event()

    def script(conn: socket.socket) -> None:
        connections.append(1)
        if len(connections) == 1:
            _read(conn)
            arrived.set()
            conn.recv(1)
        else:
            _answering(_OK)(conn)

    def deaf(conn: socket.socket) -> None:
        conn.recv(1)
        begun.set()
        given_up.wait(10)

    port, wall = serve(script), serve(deaf)

    async def cancelled(request: Request, moment: threading.Event) -> bool:
        marks: list[bool] = []
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                while not moment.is_set():  # noqa: ASYNC110 - the other side is a thread
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()

            group.start_soon(cancel)
            try:
                await edge.fetch(request, deadline=edge.now() + 30)
            except BaseException as interruption:
                marks.append(interruption.request_may_have_arrived)  # type: ignore[attr-defined]
                raise
        return marks[0]

    async def main() -> tuple[bool, bool, Response]:
        try:
            return (
                await cancelled(_post(port), arrived),
                await cancelled(_post(wall, _LARGE), begun),
                await edge.fetch(_post(port), deadline=edge.now() + 5),
            )
        finally:
            await edge.close()

    written, unwritten, response = run_in(backend, main)
    given_up.set()
    assert (written, unwritten) == (True, False)
    assert response.body == b"ok"
    assert len(connections) == 2


def test_an_interrupt_says_whether_the_request_may_have_arrived(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt while the answer is awaited has the same mark as a cancellation."""
    edge = make_edge("blocking")

    async def interrupted(*_args: object, **_deadline: float) -> bytes:
        raise KeyboardInterrupt

    port = serve(_answering(b""))
    monkeypatch.setattr("mailkit.edge.stream.SocketStream.receive", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        _fetch(edge, lambda main: run_in("blocking", main), _post(port))
    assert caught.value.request_may_have_arrived  # type: ignore[attr-defined]


def test_http2_is_not_needed(
    colour: Colour, serve: Serve, server_context: ssl.SSLContext, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without h2 all is as it is over HTTP/1.1."""
    monkeypatch.setattr("mailkit.edge.http_client._HTTP2", False)
    url = f"https://localhost:{_tls_server(serve, server_context)}/"
    request = Request("GET", url, tls=TLS(ca_file=ca_file))
    (response,) = _fetch(make_edge(colour), lambda main: run_in(colour, main), request)
    assert (response.status, response.http_version) == (200, "HTTP/1.1")


@pytest.mark.parametrize("backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio")])
def test_one_edge_serves_event_loops_one_after_the_other(backends: tuple[Colour, Colour], serve: Serve) -> None:
    """Connections do not outlive their event loop; the edge does."""
    port = serve(_answering(_OK, _OK))
    edge = make_edge("asyncio")

    async def fetch() -> bytes:
        return (await edge.fetch(_post(port), deadline=edge.now() + 5)).body

    async def last() -> bytes:
        try:
            return await fetch()
        finally:
            await edge.close()

    assert run_in(backends[0], fetch) == b"ok"
    assert run_in(backends[1], last) == b"ok"


def test_a_forked_process_has_connections_of_its_own(
    edge: Edge, run: Callable[..., Any], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process the parent's connections are let go of without a byte, and a new one is made."""
    connections: list[int] = []

    def script(conn: socket.socket) -> None:
        connections.append(1)
        _answering(_OK, _OK)(conn)

    port = serve(script)

    async def main() -> None:
        await edge.fetch(_post(port), deadline=edge.now() + 5)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        await edge.fetch(_post(port), deadline=edge.now() + 5)
        monkeypatch.setattr(os, "getpid", lambda: -2)
        await edge.close()
        await edge.fetch(_post(port), deadline=edge.now() + 5)
        await edge.close()

    run(main)
    assert len(connections) == 3


def test_no_secret_is_logged(
    edge: Edge, run: Callable[..., Any], serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG, no header value and no body is written down."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpcore", "httpx", "hpack", "h2"):
        caplog.set_level(logging.DEBUG, logger=name)
    request = _post(serve(_answering(_OK)), b"private", headers={"X-Key": "hunter2"})
    _fetch(edge, run, request)
    assert "hunter2" not in caplog.text
    assert "private" not in caplog.text
