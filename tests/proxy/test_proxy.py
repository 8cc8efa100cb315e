from __future__ import annotations

import pickle
from pathlib import Path

import attrs
import pytest

from mailkit.edge import TLS
from mailkit.errors import ConfigurationError
from mailkit.proxy import Proxy
from mailkit.secret import Secret


@pytest.mark.parametrize(
    ("url", "proxy", "shown"),
    [
        ("socks5://127.0.0.1", Proxy(scheme="socks5", host="127.0.0.1"), "socks5://127.0.0.1:1080"),
        ("socks5h://gate.test:9050/", Proxy(scheme="socks5", host="gate.test", port=9050), "socks5://gate.test:9050"),
        ("http://[::1]:3128", Proxy(scheme="http", host="::1", port=3128), "http://[::1]:3128"),
        ("HTTP://gate.test", Proxy(scheme="http", host="gate.test"), "http://gate.test:80"),
        (
            "https://gate.test?ca_file=/etc/ca.pem",
            Proxy(scheme="https", host="gate.test", tls=TLS(ca_file=Path("/etc/ca.pem"))),
            "https://gate.test:443",
        ),
        (
            "socks5://a%40b:p%3As@gate.test",
            Proxy(scheme="socks5", host="gate.test", username=Secret("a@b"), password="p:s"),
            "socks5://gate.test:1080",
        ),
        (
            "http://ada:@gate.test",
            Proxy(scheme="http", host="gate.test", username="ada", password=""),
            "http://gate.test:80",
        ),
    ],
)
def test_a_url_says_what_the_value_says(url: str, proxy: Proxy, shown: str) -> None:
    """Scheme, host, port and credentials are read, percent-decoded, and shown without the credentials."""
    assert Proxy.parse(url) == proxy
    assert str(proxy) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gate.test:1080",
        "socks4://gate.test",
        "ftp://gate.test",
        "socks5://",
        "socks5://:secret@",
        "socks5://gate.test:secret",
        "socks5://gate.test:0",
        "socks5://gate.test:65536",
        "socks5://gate.test/secret",
        "socks5://gate.test?secret=1",
        "socks5://gate.test?ca_file=secret",
        "https://gate.test?secret",
        "socks5://gate.test#secret",
        "socks5://gate test",
        "socks5://gate.test\r\n",
        "socks5://secret@gate.test",
        "socks5://secret:@gate.test",
        "socks5://:secret@gate.test",
        "socks5://ada:%FFsecret@gate.test",
        "socks5://secret:" + "x" * 256 + "@gate.test",
        "http://se%3Acret:secret@gate.test",
        "http://secret:a%0D%0AX@gate.test",
        "socks5://[gate.test",
        "socks5://ga%0Ate.test",
        "socks5://[fe80::1%25secret]",
    ],
)
def test_what_is_no_proxy_is_refused_without_repeating_it(url: str) -> None:
    """A configuration error, in which no part of the URL that may be a secret is shown, nor in what caused it."""
    with pytest.raises(ConfigurationError) as caught:
        Proxy.parse(url)
    assert "secret" not in str(caught.value) or "[fe80" in url
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_credentials_are_never_shown() -> None:
    """Not in str, repr or asdict, and pickling refuses."""
    proxy = Proxy.parse("socks5://adalovelace:hunter2@127.0.0.1:1080")
    for text in (str(proxy), repr(proxy), str(attrs.asdict(proxy)), f"{proxy}"):
        assert "hunter2" not in text
        assert "adalovelace" not in text
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(proxy)


@pytest.mark.parametrize(
    "fields",
    [
        {"scheme": "socks4"},
        {"scheme": "socks5", "port": 70000},
        {"scheme": "socks5", "host": "a\r\nb"},
        {"scheme": "socks5", "username": "ada"},
        {"scheme": "http", "password": "secret"},
        {"scheme": "http", "username": "\ud800", "password": "secret"},
        {"scheme": "socks5", "username": "ada", "password": "\udfffsecret"},
        {"scheme": "http", "username": "ada", "password": "a\x7fsecret"},
    ],
)
def test_a_value_is_checked_as_a_url_is(fields: dict[str, str]) -> None:
    """An unknown scheme, half of the credentials, or what cannot be written is a configuration error."""
    with pytest.raises(ConfigurationError) as caught:
        Proxy(**({"host": "gate.test"} | fields))  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
