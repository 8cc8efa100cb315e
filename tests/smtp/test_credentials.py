"""Credentials that no mechanism could misread, or show."""

from __future__ import annotations

import pytest

from mailkit.errors import ConfigurationError
from mailkit.secret import Secret
from mailkit.smtp.credentials import Credentials


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"token": ""},
        {"token": "tok\r\nX: y"},
        {"token": "tok\x01auth=Bearer other"},
        {"token": "two words"},
        {"token": "tökén"},
        {"password": "pass\0word"},
        {"password": "pass\ud800word"},
        {"password": "x", "username": "user\r\nRCPT"},
        {"password": "x", "username": "user\0admin"},
        {"password": "x", "username": "user\x01auth=Bearer x"},
        {"password": "x", "username": "user\ud800"},
    ],
)
def test_what_would_be_read_as_something_else_is_refused(arguments: dict[str, str]) -> None:
    """Controls in names, NUL in passwords, anything but visible ASCII in tokens: refused, the secret not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Credentials(**{"username": "user", **arguments})
    for secret in (arguments.get("token"), arguments.get("password")):
        assert not secret or secret == "x" or secret not in str(caught.value)


def test_missing_secrets_are_empty() -> None:
    """Credentials with one secret have the other empty for the wire."""
    assert Credentials("a", token="t").password_bytes == b""
    assert Credentials("a", password="p").token_bytes == b""
    assert Credentials("a", password="").password == Secret("")
