from __future__ import annotations

import pytest

from mailkit.errors import ConfigurationError
from mailkit.proxy import proxy_from_environment


@pytest.mark.parametrize(
    ("environ", "chosen"),
    [
        ({}, None),
        ({"ALL_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://gate.test", "http_proxy": "http://gate.test"}, None),
        ({"ALL_PROXY": "socks5://all.test"}, "socks5://all.test:1080"),
        ({"all_proxy": "socks5://lower.test", "ALL_PROXY": "socks5://upper.test"}, "socks5://lower.test:1080"),
        ({"SMTP_PROXY": "http://mail.test:3128", "all_proxy": "socks5://all.test"}, "http://mail.test:3128"),
    ],
)
def test_the_variable_for_mail_comes_first(environ: dict[str, str], chosen: str | None) -> None:
    """SMTP_PROXY, then ALL_PROXY, lower case before upper case; those for HTTP say nothing about mail."""
    proxy = proxy_from_environment("mail.example.com", environ)
    assert (None if proxy is None else str(proxy)) == chosen


@pytest.mark.parametrize(
    ("host", "listed", "is_direct"),
    [
        ("mail.example.com", "*", True),
        ("mail.example.com", "example.com", True),
        ("mail.example.com", ".example.com", True),
        ("mail.example.com.", "other.test , MAIL.example.com", True),
        ("mail.example.com", "ample.com", False),
        ("mail.example.com", "", False),
        ("mail.example.com", ",", False),
        ("127.0.0.1", "localhost,127.0.0.1", True),
        ("127.0.0.1", "localhost", False),
    ],
)
def test_no_proxy_lists_who_is_reached_directly(host: str, listed: str, is_direct: bool) -> None:
    """A name stands for itself and for all below it, and "*" for every host."""
    environ = {"ALL_PROXY": "socks5://gate.test"}
    assert (proxy_from_environment(host, environ | {"NO_PROXY": listed}) is None) is is_direct
    assert (proxy_from_environment(host, environ | {"no_proxy": listed}) is None) is is_direct


def test_a_variable_that_is_no_proxy_is_named_without_its_value() -> None:
    """The error says which variable, and shows nothing of what may be a password."""
    with pytest.raises(ConfigurationError, match="ALL_PROXY") as caught:
        proxy_from_environment("mx.test", {"ALL_PROXY": "ada:secret@gate.test"})
    assert "secret" not in str(caught.value)


def test_the_process_environment_is_read_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set later is seen."""
    for name in ("smtp_proxy", "SMTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_from_environment("mx.test") is None
    monkeypatch.setenv("ALL_PROXY", "socks5://gate.test")
    assert str(proxy_from_environment("mx.test")) == "socks5://gate.test:1080"
