"""What an HTTP server can do to a request: for each row the outcome, and how many requests the server saw."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from attrs import field, frozen
from tests.contracts.rows import of_area
from tests.http_server import Answer, HTTPServer
from tests.patience import given_time

from mailkit import Mailer, Message, Outcome, RetryPolicy
from mailkit.errors import DeliveryError
from mailkit.providers import Postmark, Resend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contracts.rows import Row

    from mailkit.providers.base import ApiTransport

_MESSAGE = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")
_ONCE = RetryPolicy.none()


@frozen
class Scenario:
    """A server, and what it leads to.

    Args:
        answers: One answer after the other.
        transport: Who asks: one with idempotency keys, or one without.
        retry_after: What the error has to carry.
    """

    answers: tuple[Answer, ...]
    transport: type[ApiTransport] = Postmark
    retry_after: float | None = None
    accepted: int = field(default=1, kw_only=True)


def _json(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


# By the scenario's own name: whatever else comes into the file has to be added here.
_HTTP = {
    "read timeout": Scenario(()),
    "status line truncated": Scenario((Answer(raw=b"HTTP/1.1 20"),)),
    "body truncated after 200 headers": Scenario((Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),)),
    "200 + invalid JSON": Scenario((_json(200, b"<html>"),)),
    '200 + {"error":...}': Scenario((_json(200, [{"ErrorCode": 406, "Message": "no"}] * 2),)),
    "202 no message id": Scenario((_json(202, {}),)),
    "204": Scenario((Answer(204),)),
    "400": Scenario((_json(400, {"message": "no"}),)),
    "404": Scenario((_json(404, {"message": "no"}),)),
    "408": Scenario((Answer(408),)),
    "409 idempotency in flight": Scenario((_json(409, {"name": "concurrent_idempotent_requests"}),), Resend),
    "429 Retry-After: Wed, 21 Oct 2099 07:28:00 GMT": Scenario(
        (_json(429, {}, Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),), retry_after=1e9
    ),
    "429 Retry-After: 99999999999": Scenario((_json(429, {}, Retry_After="99999999999"),), retry_after=1e9),
    "503 + Retry-After": Scenario((_json(503, {}, Retry_After="5"),), retry_after=5),
    "207/200 batch with mixed results": Scenario(
        (_json(200, [{"ErrorCode": 0, "Message": "OK", "MessageID": "1"}, {"ErrorCode": 406, "Message": "no"}]),)
    ),
}


def _reset(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


@contextlib.contextmanager
def _listening(follow: Callable[[socket.socket], None]) -> Iterator[int]:
    """Follow a script on each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn, contextlib.suppress(OSError):
                follow(conn)

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def _sent(transport: ApiTransport, *, times: int = 1) -> list[DeliveryError | None]:
    """Send messages one by one over one mailer; return what each led to."""
    found: list[DeliveryError | None] = []
    with Mailer(transport, retry=_ONCE) as mailer:
        for _ in range(times):
            try:
                mailer.send(_MESSAGE)
                found.append(None)
            except DeliveryError as error:
                found.append(error)
    return found


def _both(transport: ApiTransport) -> list[Outcome]:
    with Mailer(transport, retry=_ONCE) as mailer:
        return list(mailer.send_many([_MESSAGE, _MESSAGE]))


def _check(row: Row, error: DeliveryError | None, *, retry_after: float | None = None) -> None:
    """Compare with the row, but for the two rows for which the vendor's contract, or exact counting, knows more."""
    if row.outcome == "accepted":
        assert error is None
        return
    assert error is not None
    wanted = {
        "not_sent_retryable": ("not_sent", True),
        "not_sent_security": ("not_sent", False),
        "rejected_permanent": ("rejected", False),
        "ambiguous": ("unknown", False),
    }
    assert row.outcome is not None
    assert (error.outcome, error.retryable) == wanted[row.outcome]
    if retry_after is not None:
        assert error.retry_after is not None
        assert error.retry_after >= retry_after


@pytest.mark.parametrize("row", of_area("http-response"))
@given_time(first=0.5)
def test_each_row(row: Row, monkeypatch: pytest.MonkeyPatch, *, wait: float) -> None:
    """The error has the row's outcome, and the server has seen each request once."""
    name = row.value["scenario"]
    if name in _PLAYED:
        _PLAYED[name](row, monkeypatch)
        return
    scenario = _HTTP[name]
    waiting = threading.Event()
    given = list(scenario.answers)

    def answer(_request: object) -> Answer:
        if not given:
            waiting.wait(10)
            return Answer()
        return given.pop(0)

    with HTTPServer(answer) as server:
        transport = scenario.transport("KEY", host="127.0.0.1", port=server.port, timeout=wait)
        if "batch" in name or '"error"' in name:
            outcomes = _both(transport)
            if row.outcome == "partial":
                assert [outcome.ok for outcome in outcomes] == [True, False]
            else:
                for outcome in outcomes:
                    assert isinstance(outcome.error, DeliveryError)
                    _check(row, outcome.error)
        elif name == "503 + Retry-After":
            # "not sent by contract for most; per adapter": Postmark's contract does not say so, so it stays in doubt.
            (error,) = _sent(transport)
            assert error is not None
            assert (error.outcome, error.retry_after) == ("unknown", scenario.retry_after)
        else:
            (error,) = _sent(transport)
            _check(row, error, retry_after=scenario.retry_after)
        waiting.set()
    assert len(server.requests) == 1


def _refused(row: Row, _monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        _check(row, _sent(Postmark("KEY", host="127.0.0.1", port=bound.getsockname()[1]))[0])


def _no_such_name(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """EAI_AGAIN may be tried again, EAI_NONAME is a setting."""
    for number, retryable in ((socket.EAI_AGAIN, True), (socket.EAI_NONAME, False)):

        def fail(*_args: object, number: int = number, **_kwargs: object) -> None:
            raise socket.gaierror(number, "no")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        (error,) = _sent(Postmark("KEY", host="api.example.invalid"))
        assert error is not None
        assert (error.outcome, error.retryable) == ("not_sent", retryable)
    assert row.outcome == "not_sent_retryable"


def _bad_certificate(row: Row, _monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    got: list[bytes] = []

    def follow(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as wrapped:
            got.append(wrapped.recv(10))

    with _listening(follow) as port:
        _check(row, _sent(Postmark("KEY", host="127.0.0.1", port=port, tls="required"))[0])
    assert not any(got)


def _reset_while_writing(row: Row, _monkeypatch: pytest.MonkeyPatch) -> None:
    """A small request is in the kernel before the reset comes, so it is in doubt; of a long one a part is left."""

    def follow(conn: socket.socket) -> None:
        conn.recv(10)
        _reset(conn)

    with _listening(follow) as port:
        (error,) = _sent(Postmark("KEY", host="127.0.0.1", port=port))
        assert error is not None
        # Where the reset came between two writes, it is even known that it was not sent.
        assert error.outcome in {"unknown", "not_sent"}
        long = _MESSAGE.evolve(text="x" * (16 << 20))
        transport = Postmark("KEY", host="127.0.0.1", port=port)
        with Mailer(transport, retry=_ONCE) as mailer, pytest.raises(DeliveryError) as caught:
            mailer.send(long)
        assert (caught.value.outcome, caught.value.retryable) == ("not_sent", True)
    assert row.outcome == "ambiguous"


def _stale(row: Row, _monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def follow(conn: socket.socket) -> None:
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""):
            data = b""
            while b"}" not in data:
                data += conn.recv(65_536)
            seen.append(data)
            conn.sendall(answer)

    with _listening(follow) as port:
        first, second = _sent(Postmark("KEY", host="127.0.0.1", port=port), times=2)
    assert first is None
    _check(row, second)
    assert len(seen) == 2


_PLAYED: dict[str, Callable[[Row, pytest.MonkeyPatch], None]] = {
    "connect refused": _refused,
    "DNS NXDOMAIN": _no_such_name,
    "TLS verify error": _bad_certificate,
    "reset while writing headers": _reset_while_writing,
    "stale keep-alive: reset/EOF before any response byte on a REUSED connection": _stale,
}
