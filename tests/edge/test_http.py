"""The values of an HTTP exchange: what cannot be a request is none, and nothing of it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.edge.http import Request, Response
from mailkit.errors import ConfigurationError
from mailkit.secret import Secret


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/email",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@example.com/",
        "https://key@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "https://exämple.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
    ],
)
def test_what_is_no_url_of_a_request_is_refused(url: str) -> None:
    """Only an absolute http or https URL in ASCII without credentials is one; the error does not repeat it."""
    with pytest.raises(ConfigurationError) as caught:
        Request("GET", url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "a\0b", " a", "a ", "ä", "a\x7fb"])
def test_a_header_value_that_would_break_out_is_refused(value: str) -> None:
    """A value with a line end, another control, an outer space or a letter beyond ASCII is refused, and not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Request("GET", "https://example.com/", headers={"Authorization": value})
    assert "Authorization" in str(caught.value)
    assert "X: y" not in str(caught.value)


@given(st.text())
def test_a_header_value_is_one_line_of_ascii_or_refused(value: str) -> None:
    """Whatever the text, it is kept as it is, or refused."""
    try:
        request = Request("GET", "https://example.com/", headers=[("X-A", value)])
    except ConfigurationError:
        return
    assert value.isascii()
    assert not any(character < " " and character != "\t" for character in value)
    kept = request.header("x-a")
    assert kept is not None
    assert kept.reveal() == value


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "Host", "content-length", "Transfer-Encoding"])
def test_a_header_name_that_is_none_or_frames_the_request_is_refused(name: str) -> None:
    """Names are tokens, and what frames a request is written by the client alone."""
    with pytest.raises(ConfigurationError):
        Request("GET", "https://example.com/", headers={name: "x"})


@pytest.mark.parametrize("method", ["", "GET /", "P\r\nOST"])
def test_a_method_is_a_token(method: str) -> None:
    """What is no token is no method."""
    with pytest.raises(ConfigurationError):
        Request(method, "https://example.com/")


def test_nothing_of_a_request_but_its_place_is_shown() -> None:
    """Neither headers nor body are in its repr."""
    request = Request("POST", "https://example.com/x", headers={"Key": Secret("hunter2")}, body=b"private")
    assert repr(request) == "Request(method='POST', url='https://example.com/x')"


def test_safe_methods() -> None:
    """GET, HEAD and OPTIONS change nothing; all others may."""
    safe = [
        method for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH") if _request(method).is_safe
    ]
    assert safe == ["GET", "HEAD", "OPTIONS"]


def _request(method: str) -> Request:
    return Request(method, "https://example.com/")


def test_headers_are_found_whatever_their_case() -> None:
    """The first of a name is found; one that is not there is None."""
    response = Response(200, headers=[("Retry-After", "1"), ("retry-after", "2")])
    assert response.header("RETRY-AFTER") == "1"
    assert response.header("date") is None
    assert _request("GET").header("date") is None


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff", b"[" * 1_000_000, b'"\xed\xa0\x80"'])
def test_a_body_that_is_no_json_is_none(body: bytes) -> None:
    """Whatever a server sends, reading it as JSON raises nothing."""
    assert Response(200, body=body).json() is None
    assert Response(200, body=body).json_object() == {}


def test_a_body_that_is_json() -> None:
    """JSON is read; an object is one, anything else is an empty one."""
    assert Response(200, body=b'{"a": [1]}').json_object() == {"a": [1]}
    assert Response(200, body=b"[1]").json() == [1]
    assert Response(200, body=b"[1]").json_object() == {}
