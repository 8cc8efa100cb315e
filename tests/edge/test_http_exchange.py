"""How far a request has come, and what follows for its outcome: without a socket."""

from __future__ import annotations

import httpcore
import pytest
from h2.events import ConnectionTerminated, StreamReset
from hypothesis import given
from hypothesis import strategies as st

from mailkit.edge.http import Request
from mailkit.edge.http_exchange import Exchange
from mailkit.errors import (
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    OutcomeUnknownError,
    ProtocolError,
    TLSError,
)


def _exchange(body: bytes = b"{}", method: str = "POST") -> Exchange:
    return Exchange(Request(method, "https://api.example.com/send?x=1", body=body))


def _write(exchange: Exchange, blocks: int) -> None:
    """Ask for so many blocks as a library does that gets rid of each but the last."""
    exchange.begin_body()
    for _ in range(blocks):
        exchange.next_block()


@given(st.integers(0, 400_000))
def test_a_body_is_handed_over_in_blocks(size: int) -> None:
    """The blocks make up the body; none is empty."""
    body = bytes(size)
    exchange = _exchange(body)
    exchange.begin_body()
    blocks: list[bytes] = []
    while (block := exchange.next_block()) is not None:
        blocks.append(block)
    assert b"".join(blocks) == body
    assert all(0 < len(each) <= 65_536 for each in blocks)


@pytest.mark.parametrize(
    ("asked", "failed", "interrupted"),
    [
        (0, False, False),  # nothing but headers
        (1, False, False),  # a block of two
        (2, False, True),  # the last one was handed over, and its write failed, or was interrupted
        (3, True, True),  # the library came back for more: all was taken
    ],
)
def test_the_law(asked: int, failed: bool, interrupted: bool) -> None:
    """Less than all taken is not sent; an interruption in the last write is in doubt; all taken is in doubt."""
    exchange = _exchange(bytes(100_000))
    _write(exchange, asked)
    assert exchange.may_have_arrived() == failed
    assert exchange.may_have_arrived(interrupted=True) == interrupted
    error = exchange.failure(httpcore.ReadError("lost"))
    assert isinstance(error, OutcomeUnknownError if failed else ConnectError)


def test_http2_is_in_doubt_from_the_last_block_on() -> None:
    """There a write may be done by another task, so that its failing proves nothing."""
    exchange = _exchange(bytes(100_000))
    exchange.trace("http2.send_request_headers.started", {"stream_id": 1})
    _write(exchange, 1)
    assert not exchange.may_have_arrived()
    exchange.next_block()
    assert exchange.may_have_arrived()


def test_a_second_attempt_of_the_library_proves_that_the_first_was_not_processed() -> None:
    """It begins one for nothing else, so what ends the second attempt leaves no doubt."""
    exchange = _exchange()
    exchange.trace("connection.connect_tcp.started", {})
    exchange.trace("http2.send_request_headers.started", {"stream_id": 3})
    _write(exchange, 2)
    assert exchange.may_have_arrived()
    exchange.trace("connection.connect_tcp.started", {})
    assert not exchange.may_have_arrived(interrupted=True)
    assert isinstance(exchange.failure(httpcore.ReadError("?")), ConnectError)


def _reset(stream: int, code: int, *, remote: bool = True) -> StreamReset:
    event = StreamReset.__new__(StreamReset)  # as every version of h2 knows it: older ones take no arguments
    event.stream_id, event.error_code, event.remote_reset = stream, code, remote
    return event


def _goaway(last: int | None) -> ConnectionTerminated:
    event = ConnectionTerminated()
    event.last_stream_id = last
    return event


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        (_reset(3, 7), True),
        (_reset(3, 7, remote=False), False),  # our own doing
        (_reset(5, 7), False),
        *[(_reset(3, code), False) for code in (0, 1, 2, 8, 11, 0x7F)],
        (_goaway(1), True),
        (_goaway(0), True),
        (_goaway(3), False),
        (_goaway(2**31 - 1), False),
        (_goaway(None), False),
        ("REFUSED_STREAM", False),
    ],
    ids=repr,
)
def test_only_one_code_and_a_goaway_below_prove_that_a_stream_was_not_processed(event: object, refused: bool) -> None:
    """RFC 9113 §8.7 and §6.8; whatever else ends our stream leaves it in doubt."""
    exchange = _exchange()
    exchange.trace("http2.send_request_headers.started", {"stream_id": 3})
    _write(exchange, 2)
    error = exchange.failure(httpcore.RemoteProtocolError(event))
    assert isinstance(error, ConnectError if refused else OutcomeUnknownError)


def test_traces_that_say_nothing_about_a_stream() -> None:
    """Other events, and one without a number, change nothing."""
    exchange = _exchange()
    exchange.trace("http11.send_request_headers.started", {"stream_id": 1})
    exchange.trace("http2.send_request_headers.started", {})
    assert exchange.stream_id is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_is_never_in_doubt(method: str) -> None:
    """Whatever happens to it, nothing was changed by it."""
    exchange = _exchange(b"", method)
    _write(exchange, 1)
    assert not exchange.may_have_arrived(interrupted=True)
    assert isinstance(exchange.failure(httpcore.RemoteProtocolError("?")), ProtocolError)
    assert isinstance(exchange.failure(httpcore.ReadError("?")), ConnectError)


@pytest.mark.parametrize(
    ("error", "kind", "phase"),
    [
        (httpcore.PoolTimeout(), DeliveryTimeout, "connect"),
        (httpcore.ConnectError(), ConnectError, "connect"),
        (RuntimeError("a library's own"), ConnectError, "connect"),
        (TLSError("no", phase="tls"), TLSError, "tls"),
        (DeliveryTimeout("late"), DeliveryTimeout, "request"),
    ],
)
def test_what_fails_before_the_request_is_not_sent(error: Exception, kind: type[DeliveryError], phase: str) -> None:
    """Foreign errors become ours, ours keep their kind, and each says where it happened."""
    failure = _exchange().failure(error)
    assert isinstance(failure, kind)
    assert isinstance(failure, DeliveryError)
    assert (failure.outcome, failure.phase) == ("not_sent", phase)


def test_a_wrong_setting_stays_one() -> None:
    """An error that is about no delivery is passed on."""
    error = ConfigurationError("no such file")
    assert _exchange().failure(error) is error


def test_a_request_is_not_repeated() -> None:
    """A library that begins the body again is told off: the server did not process the first one."""
    exchange = _exchange()
    _write(exchange, 2)
    assert exchange.may_have_arrived()
    with pytest.raises(ConnectError) as caught:
        exchange.begin_body()
    assert exchange.failure(caught.value) is caught.value
    assert not exchange.may_have_arrived(interrupted=True)


def test_errors_name_the_host_and_nothing_behind_it() -> None:
    """Path and query stay out of messages."""
    exchange = _exchange()
    assert "api.example.com" in str(exchange.failure(httpcore.ReadError("?")))
    assert "send" not in str(exchange.failure(httpcore.ReadError("?"))).replace("sent", "")
