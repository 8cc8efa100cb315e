from __future__ import annotations

import base64
import time
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.replays import StillWaitingError, bytewise, failure, replay

from mailkit.errors import (
    AuthenticationError,
    Cause,
    ConfigurationError,
    ConnectError,
    ProtocolError,
)
from mailkit.proxy.http_connect import MAX_HEAD, http_connect
from mailkit.secret import Secret

CREDENTIALS = (Secret("ada"), Secret("pässword:1"))
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_the_request_names_the_destination_twice() -> None:
    """CONNECT with the authority as target and Host, RFC 9110 §9.3.6, and nothing else."""
    written, early = replay(http_connect("mail.example.com", 587, None), [OK])
    assert written == [b"CONNECT mail.example.com:587 HTTP/1.1\r\nHost: mail.example.com:587\r\n\r\n"]
    assert early == b""


def test_an_ipv6_address_has_brackets() -> None:
    """RFC 3986 §3.2.2."""
    written, _early = replay(http_connect("2001:db8::1", 25, None), [OK])
    assert written[0].startswith(b"CONNECT [2001:db8::1]:25 HTTP/1.1\r\n")


def test_credentials_go_as_basic() -> None:
    """RFC 7617, in UTF-8; a colon may be in the password."""
    written, _early = replay(http_connect("mx.test", 25, CREDENTIALS), [OK])
    encoded = base64.b64encode("ada:pässword:1".encode())
    assert b"\r\nProxy-Authorization: Basic " + encoded + b"\r\n\r\n" in written[0]


@pytest.mark.parametrize(
    "head",
    [
        OK,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 204 Fine\n\n",
        b"HTTP/1.1 200 OK\nVia: a\r\n\n",
        b"HTTP/1.1 200 \xff\xfe\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
    ],
)
def test_what_follows_the_blank_line_belongs_to_the_server(head: bytes) -> None:
    """Whole or octet by octet: a 2xx has no content whatever its fields say, and interim responses come before it."""
    assert replay(http_connect("mx.test", 25, None), [head + b"220 mx.test\r\n"])[1] == b"220 mx.test\r\n"
    assert replay(http_connect("mx.test", 25, None), bytewise(head))[1] == b""
    with pytest.raises(StillWaitingError):
        replay(http_connect("mx.test", 25, None), bytewise(head)[:-1])


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (301, "security"),
        (307, "security"),
        (400, "configuration"),
        (403, "configuration"),
        (405, "configuration"),
        (408, "transient"),
        (429, "throttled"),
        (500, "transient"),
        (501, "configuration"),
        (502, "transient"),
        (503, "transient"),
        (504, "transient"),
        (505, "configuration"),
    ],
)
def test_each_refusal_says_who_may_retry(status: int, cause: Cause) -> None:
    """The status decides the cause; what else the proxy wrote is not repeated, for it may be what it was sent."""
    with pytest.raises(ConnectError) as caught:
        replay(http_connect("mx.test", 25, CREDENTIALS), [b"HTTP/1.1 %d YWRh\r\nX: YWRh\r\n\r\nYWRh" % status])
    error = caught.value
    assert (error.cause, error.phase, error.outcome) == (cause, "proxy", "not_sent")
    assert f"HTTP status {status}" in str(error)
    assert "YWRh" not in str(error)


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize(
    ("credentials", "says"), [(None, "wants credentials"), (CREDENTIALS, "refused the credentials")]
)
def test_401_and_407_are_authentication_errors(
    credentials: tuple[Secret, Secret] | None, says: str, status: int
) -> None:
    """Nobody tries again before a setting was changed."""
    with pytest.raises(AuthenticationError, match=says) as caught:
        replay(http_connect("mx.test", 25, credentials), [b"HTTP/1.1 %d Who are you\r\n\r\n" % status])
    assert (caught.value.cause, caught.value.phase) == ("configuration", "proxy")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"220 mx.test ESMTP\r\n", "configuration"),
        (b"\x05\x00", "configuration"),
        (b"HTTP/2 200\r\n\r\n", "configuration"),
        (b"h", "configuration"),
        (b"HTTP/1.1 20\r\n\r\n", "transient"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "transient"),
        (b"HTTP/1.1 600 No\r\n\r\n", "transient"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "transient"),
        (b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n", "transient"),  # digits, but not ASCII
        (b"HTTP/1.1 200 O\0K\r\n\r\n", "transient"),
    ],
)
def test_what_is_no_http_is_a_protocol_error(answer: bytes, cause: Cause) -> None:
    """Another protocol is noticed at its first octet and is a matter of settings; a slip in HTTP is not."""
    with pytest.raises(ProtocolError) as caught:
        replay(http_connect("mx.test", 25, None), [answer])
    assert (caught.value.cause, caught.value.phase, caught.value.outcome) == (cause, "proxy", "not_sent")


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 " + b"x" * MAX_HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 800,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 3000,
    ],
)
def test_an_answer_without_an_end_is_bounded(flood: bytes) -> None:
    """A status line, fields or interim responses beyond 16 KiB are refused, in whichever pieces they come."""
    for pieces in ([flood], [flood[index : index + 1000] for index in range(0, len(flood), 1000)]):
        with pytest.raises(ProtocolError, match="longer than 16384"):
            replay(http_connect("mx.test", 25, None), pieces)


def test_an_answer_of_just_the_allowed_size_is_read() -> None:
    """The bound itself is allowed."""
    head = b"HTTP/1.1 200 OK\r\nA: " + b"x" * (MAX_HEAD - 23) + b"\r\n\r\n"
    assert len(head) == MAX_HEAD + 1
    with pytest.raises(ProtocolError):
        replay(http_connect("mx.test", 25, None), [head])
    assert replay(http_connect("mx.test", 25, None), [head.replace(b"xx", b"x", 1) + b"220"])[1] == b"220"


def test_an_answer_octet_by_octet_costs_linear_time() -> None:
    """Twice the octets, about twice the time: nothing is searched again."""

    def seconds(size: int) -> float:
        head = b"HTTP/1.1 200 OK\r\nA: " + b"x" * size + b"\r\n\r\n"
        times = []
        for _ in range(5):
            began = time.process_time()
            replay(http_connect("mx.test", 25, None), bytewise(head))
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(14_000) < 4 * seconds(7_000)


@pytest.mark.parametrize(
    "host", ["mx.test:25\r\nX-Injected: 1", "mx.test\r\n", "mx.test:26", "a@b", "a/b", "", "b\u00fccher.test"]
)
def test_what_is_no_destination_is_refused_before_a_byte(host: str) -> None:
    """Nothing that could end the request line, or name another port, is written."""
    with pytest.raises(ConfigurationError):
        next(http_connect(host, 25, None))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_answer_ends_in_a_connection_or_in_a_typed_error(answers: list[bytes]) -> None:
    """Arbitrary octets never raise anything but mailkit's errors, and never with another outcome than not sent."""
    error = failure(http_connect("mx.test", 25, None), [b"HTTP/1.1 ", *answers])
    assert error is None or (error.outcome == "not_sent" and error.cause in get_args(Cause))
