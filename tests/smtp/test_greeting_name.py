"""Names to greet with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import ConfigurationError
from mailkit.smtp.greeting_name import check_ehlo_name, default_ehlo_name


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "web1",
        "web-1.example.com",
        "xn--fa-hia.test",
        "1.example.com",
        "a" * 63 + ".test",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "[ipv6:::1]",
    ],
)
def test_domains_and_literals_are_names(name: str) -> None:
    """A domain of letters, digits and hyphens, or an address literal, is taken as it is."""
    assert check_ehlo_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "x.test\r\nMAIL FROM:<evil@evil.test>",
        "x.test\n",
        "web_1",
        "-a.test",
        "a-.test",
        "a..test",
        ".test",
        "a.test.",
        "faß.test",
        "\u0661.test",
        "192.0.2.1",
        "a.1",
        "a" * 64 + ".test",
        ".".join(["a" * 60] * 5),
        "[192.0.2.1",
        "[192.0.2.256]",
        "[2001:db8::1]",
        "[IPv6:192.0.2.1]",
        "[IPv6:fe80::1%eth0]",
        "[IPv6:fe80::1%\r\nX]",
        "[X:y]",
        "[]",
    ],
)
def test_anything_else_is_refused(name: str) -> None:
    """What RFC 5321 §4.1.2 and §4.1.3 do not know is refused, with the name in the error, escaped."""
    with pytest.raises(ConfigurationError) as caught:
        check_ehlo_name(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("web1.example.com", "web1.example.com"),
        ("web1.example.com.", "web1.example.com"),
        ("web1", "[127.0.0.1]"),
        ("", "[127.0.0.1]"),
        ("3f2a9c_b.internal", "[127.0.0.1]"),
        ("faß.test", "[127.0.0.1]"),
        ("10.0.0.1", "[10.0.0.1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("host\r\nX.test", "[127.0.0.1]"),
    ],
)
def test_every_host_has_a_name(hostname: str, name: str) -> None:
    """A full domain name is used, an IP address becomes a literal, anything else the loopback literal."""
    assert default_ehlo_name(hostname) == name


@given(st.text(st.sampled_from("ab1.-_:[]%\r\n ä")))
def test_the_default_is_always_valid(hostname: str) -> None:
    """Whatever the host calls itself, the default can be sent."""
    assert check_ehlo_name(default_ehlo_name(hostname))
