from __future__ import annotations

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
from mailkit.proxy.socks5 import REPLIES, socks5
from mailkit.secret import Secret

CREDENTIALS = (Secret("ada"), Secret("hünter2"))
BOUND = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"  # succeeded, from 127.0.0.1:1080


def test_without_credentials_only_no_authentication_is_offered() -> None:
    """Greeting and request are the octets of RFC 1928, the host name among them."""
    written, early = replay(socks5("mail.example.com", 587, None), [b"\x05\x00", BOUND])
    assert written == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x10mail.example.com\x02\x4b"]
    assert early == b""


def test_credentials_go_only_to_a_proxy_that_wants_them() -> None:
    """Both methods are offered, and one that chooses none gets no password."""
    written, _early = replay(socks5("mx.test", 25, CREDENTIALS), [b"\x05\x00", BOUND])
    assert written[0] == b"\x05\x02\x00\x02"
    assert not any(b"ada" in each for each in written)


def test_the_password_is_sent_as_rfc_1929_says() -> None:
    """Version, length, user name, length, password in UTF-8; then the request."""
    written, early = replay(socks5("mx.test", 25, CREDENTIALS), [b"\x05\x02", b"\x01\x00", BOUND + b"220 "])
    assert written[1] == b"\x01\x03ada\x08h\xc3\xbcnter2"
    assert early == b"220 "


@pytest.mark.parametrize(
    ("host", "octets"),
    [
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        ("mx.test", b"\x03\x07mx.test"),
    ],
)
def test_each_kind_of_destination_has_its_form(host: str, octets: bytes) -> None:
    """IPv4, IPv6 and names, RFC 1928 §5."""
    written, _early = replay(socks5(host, 25, None), [b"\x05\x00", BOUND])
    assert written[-1] == b"\x05\x01\x00" + octets + b"\x00\x19"


@pytest.mark.parametrize(
    "bound",
    [BOUND, b"\x05\x00\x00\x03\x07mx.test\x00\x19", b"\x05\x00\x00\x04" + bytes(18), b"\x05\x00\x00\x03\x00\x00\x19"],
)
def test_what_follows_the_reply_belongs_to_the_server(bound: bytes) -> None:
    """Cut into single octets or whole, each form of bound address is skipped exactly; the rest is early."""
    answer = b"\x05\x00" + bound
    whole = [b"\x05\x00", bound + b"220 mx.test ESMTP\r\n"]
    assert replay(socks5("mx.test", 25, None), whole)[1] == b"220 mx.test ESMTP\r\n"
    assert replay(socks5("mx.test", 25, None), bytewise(answer))[1] == b""
    with pytest.raises(StillWaitingError):
        replay(socks5("mx.test", 25, None), bytewise(answer)[:-1])


@pytest.mark.parametrize("code", [*REPLIES, 9, 0xFF])
def test_each_refusal_says_who_may_retry(code: int) -> None:
    """The reply code decides the cause: rules and unknown commands are settings, networks and hosts may come back."""
    with pytest.raises(ConnectError) as caught:
        replay(socks5("mx.test", 25, None), [b"\x05\x00", bytes((5, code))])
    error = caught.value
    configuration = {2, 7, 8}
    assert error.cause == ("configuration" if code in configuration else "transient")
    assert (error.phase, error.outcome) == ("proxy", "not_sent")
    assert "mx.test:25" in str(error)
    assert f"SOCKS5 reply {code}" in str(error)


@pytest.mark.parametrize(
    ("credentials", "answers", "says"),
    [
        (None, [b"\x05\xff"], "wants a user name"),
        (CREDENTIALS, [b"\x05\xff"], "takes no user name"),
        (CREDENTIALS, [b"\x05\x02", b"\x01\x01"], "refused the user name or the password"),
    ],
)
def test_refused_credentials_are_an_authentication_error(
    credentials: tuple[Secret, Secret] | None, answers: list[bytes], says: str
) -> None:
    """Nobody tries again before a setting was changed, and the secret is not shown."""
    with pytest.raises(AuthenticationError, match=says) as caught:
        replay(socks5("mx.test", 25, credentials), answers)
    assert (caught.value.cause, caught.value.phase) == ("configuration", "proxy")
    assert "ada" not in str(caught.value)
    assert "nter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("credentials", "answers", "cause"),
    [
        (None, [b"220 mx.test ESMTP\r\n"], "configuration"),
        (None, [b"\x04\x5a"], "configuration"),
        (None, [b"\x05\x02"], "transient"),  # was not offered
        (None, [b"\x05\x01"], "transient"),  # GSSAPI
        (CREDENTIALS, [b"\x05\x02", b"\x05\x00"], "configuration"),
        (None, [b"\x05\x00", b"\x04\x00"], "configuration"),
        (None, [b"\x05\x00", b"\x05\x00\x00\x02"], "transient"),  # no kind of address
    ],
)
def test_what_is_no_socks5_is_a_protocol_error(
    credentials: tuple[Secret, Secret] | None, answers: list[bytes], cause: Cause
) -> None:
    """Another protocol at that port is a matter of settings; a slip in SOCKS5 is not."""
    with pytest.raises(ProtocolError) as caught:
        replay(socks5("mx.test", 25, credentials), answers)
    assert (caught.value.cause, caught.value.phase, caught.value.outcome) == (cause, "proxy", "not_sent")


@pytest.mark.parametrize(
    "host",
    ["mx.test:25\r\nX-Injected: 1", "", "mx test", "mx\0test", "b\u00fccher.test", "fe80::1%eth0", "x" * 256, "-"],
)
def test_what_is_no_destination_is_refused_before_a_byte(host: str) -> None:
    """A destination with line ends, controls, a zone or too long a name is a configuration error."""
    with pytest.raises(ConfigurationError) as caught:
        next(socks5(host, 25, None))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(port: int) -> None:
    """A port outside 1 to 65535 is a configuration error."""
    with pytest.raises(ConfigurationError, match="is no port"):
        next(socks5("mx.test", port, None))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.booleans())
def test_any_answer_ends_in_a_connection_or_in_a_typed_error(answers: list[bytes], authenticates: bool) -> None:
    """Arbitrary octets never raise anything but mailkit's errors, and never with another outcome than not sent."""
    beginning = [b"\x05\x02\x01\x00" if authenticates else b"\x05\x00"]
    error = failure(socks5("mx.test", 25, CREDENTIALS), beginning + answers)
    assert error is None or (error.outcome == "not_sent" and error.cause in get_args(Cause))
