"""Which host names are taken, and in which form."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.host import check_host, is_loopback


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mail.example.com", "mail.example.com"),
        ("mail.example.com.", "mail.example.com."),
        ("LOCALHOST", "LOCALHOST"),
        ("smtp_relay", "smtp_relay"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("faß.test", "xn--fa-hia.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[2001:db8::25]", "2001:db8::25"),
    ],
)
def test_names_and_addresses(given: str, expected: str) -> None:
    """A name comes out in ASCII (IDNA 2008), an address without brackets."""
    assert check_host(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "-a.example",
        "a b",
        "mail.example.com:25",
        "smtp://mail.example.com",
        "mail.example.com/path",
        "a@b.example",
        "a\r\nb",
        "a\0",
        "a" * 64 + ".example",
        "a." * 127 + "ab",
        "[::1",
        "b\u00fc cher.example",
        "\u2028.example",
        "\ud800.example",
    ],
)
def test_what_is_no_host(given: str) -> None:
    """Anything else is refused with an error that shows it."""
    with pytest.raises(ConfigurationError, match="is no host name"):
        check_host(given)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "mx.localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host: str) -> None:
    """What never leaves this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "mylocalhost", "10.0.0.1", "128.0.0.1", "::2", "0.0.0.0"])
def test_not_loopback(host: str) -> None:
    """What may."""
    assert not is_loopback(host)
