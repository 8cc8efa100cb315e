"""SMTP as a value: which server, how, and what cannot be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailkit import ConfigurationError, Mailer
from mailkit.secret import Secret
from mailkit.smtp.pool_limits import PoolLimits
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transport import SMTP
from mailkit.transport import Transport
from mailkit.transport_url import TransportURL


def from_url(text: str) -> SMTP:
    """Read a URL."""
    return SMTP.from_url(TransportURL.parse(text))


@pytest.mark.parametrize(
    ("transport", "name", "security"),
    [
        (SMTP("mail.example.com"), "smtp://mail.example.com:587", "starttls"),
        (SMTP("mail.example.com", port=2525), "smtp://mail.example.com:2525", "starttls"),
        (SMTP("mail.example.com", tls="implicit"), "smtps://mail.example.com:465", "implicit"),
        (SMTP("mail.example.com", tls="implicit", port=4650), "smtps://mail.example.com:4650", "implicit"),
        (SMTP("mail.example.com", tls="insecure", port=25), "smtp://mail.example.com:25", "insecure"),
        (SMTP("localhost"), "smtp://localhost:587", "opportunistic"),
        (SMTP("127.0.0.1", tls="starttls"), "smtp://127.0.0.1:587", "starttls"),
        (SMTP("[2001:db8::1]"), "smtp://[2001:db8::1]:587", "starttls"),
        (SMTP("bücher.example"), "smtp://xn--bcher-kva.example:587", "starttls"),
        (SMTP("mail.example.com", protocol="lmtp"), "lmtp://mail.example.com:24", "starttls"),
        (SMTP("localhost", unix_path="/run/lmtp", protocol="lmtp"), "lmtp:///run/lmtp", "opportunistic"),
        (SMTP("example.com", discover="srv"), "smtp://example.com?discover=srv", "starttls"),
    ],
)
def test_its_name_and_its_security(transport: SMTP, name: str, security: str) -> None:
    """TLS is the default, but for this machine; the name has no secret and the port in force."""
    assert str(transport) == name
    assert transport.security == security
    assert isinstance(transport, Transport)


@pytest.mark.parametrize(
    ("transport", "cleartext", "verify"),
    [
        (SMTP("mail.example.com"), False, True),
        (SMTP("mail.example.com", tls="opportunistic"), False, False),
        (SMTP("mail.example.com", tls="opportunistic", ca_file="/ca.pem"), False, True),
        (SMTP("mail.example.com", tls="insecure"), True, True),
        (SMTP("localhost"), True, False),
        (SMTP("localhost", tls="starttls"), True, True),
        (SMTP("localhost", discover="mx"), False, True),
        (SMTP("localhost", proxy="socks5h://proxy.example.com"), False, True),
    ],
)
def test_when_a_password_may_go_in_clear_and_a_certificate_unchecked(
    transport: SMTP, cleartext: bool, verify: bool
) -> None:
    """In clear only to this machine or where that was asked for; unchecked only where TLS was optional."""
    options = transport.options()
    assert options.cleartext_allowed is cleartext
    assert options.tls_options.verify is verify


def test_its_values_reach_the_conversation() -> None:
    """Nothing that was set is lost on the way."""
    lines: list[object] = []
    context = object()
    transport = SMTP(
        "mail.example.com",
        port=2525,
        username="ada",
        password="hunter2",
        tls="starttls",
        ca_file="/ca.pem",
        certificate="/client.pem",
        key="/client.key",
        key_password="swordfish",
        server_hostname="mx.example.com",
        ssl_context=context,
        ehlo_name="client.example.com",
        recipients="all",
        pipelining=False,
        chunking=False,
        timeouts=Timeouts(command=5.0),
        transcript=lines.append,
    )
    options = transport.options()
    assert (options.host, options.port, options.name) == ("mail.example.com", 2525, str(transport))
    assert (options.tls, options.recipients, options.pipelining, options.chunking) == ("starttls", "all", False, False)
    assert options.ehlo_name == "client.example.com"
    assert options.timeouts.command == 5.0
    assert options.transcript == lines.append
    assert options.login is not None
    assert options.login.password == Secret("hunter2")
    tls = options.tls_options
    assert (tls.ca_file, tls.certificate, tls.key) == (Path("/ca.pem"), Path("/client.pem"), Path("/client.key"))
    assert tls.key_password == Secret("swordfish")
    assert (tls.server_hostname, tls.context) == ("mx.example.com", context)


def test_without_credentials_there_is_no_login() -> None:
    """Not every server wants one."""
    assert SMTP("mail.example.com").options().login is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tls": "maybe"}, "tls='maybe' is not known: use one of 'starttls'"),
        ({"recipients": "some"}, "recipients='some'"),
        ({"protocol": "esmtp"}, "protocol='esmtp'"),
        ({"discover": "dns"}, "discover='dns'"),
        ({"port": 0}, "0 is no port"),
        ({"port": 65536}, "65536 is no port"),
        ({"port": "25"}, "'25' is no port"),
        ({"username": "ada"}, "a username needs a password or a token"),
        ({"password": "x"}, "needs a username"),
        ({"token": "x"}, "needs a username"),
        ({"mechanism": "NTLM"}, "there is nobody to: give a username"),
        ({"username": "ada", "password": "x", "mechanism": "ntlm"}, "mechanism='ntlm' is not known: use one of 'SCRAM"),
        ({"username": "ada", "password": "x", "mechanism": "XOAUTH2"}, "XOAUTH2 takes a token, not a password"),
        ({"username": "ada", "token": "x", "mechanism": "PLAIN"}, "PLAIN takes a password, not a token"),
        ({"username": "a\nb", "password": "x"}, "control character"),
        ({"username": "ada", "token": "two words"}, "token"),
        ({"ehlo_name": "a b"}, "a b"),
        ({"ehlo_name": "a\r\nQUIT"}, "QUIT"),
        ({"discover": "srv", "port": 25}, "leave the port out"),
        ({"discover": "mx", "protocol": "lmtp"}, "give its name as the host"),
        ({"unix_path": "/s", "proxy": "socks5h://p.example.com"}, "not reached through a proxy"),
    ],
)
def test_what_cannot_be_right(options: dict[str, Any], told: str) -> None:
    """A wrong setting is refused where it is made, before anything is connected to."""
    with pytest.raises(ConfigurationError, match=told):
        SMTP("mail.example.com", **options)


def test_a_host_that_is_none() -> None:
    """The host is checked like everything else; an address has no mail exchangers."""
    with pytest.raises(ConfigurationError, match="no host name"):
        SMTP("mail.example.com:25")
    with pytest.raises(ConfigurationError, match="give its name"):
        SMTP("192.0.2.1", discover="mx")


def test_a_url_says_everything() -> None:
    """Each parameter of the URL sets the option of its name."""
    transport = from_url(
        "smtp://ada:p%40ss@mail.example.com:2525?tls=starttls&ca_file=/ca.pem&certificate=/c.pem&key=/k.pem"
        "&server_hostname=mx.example.com&ehlo_name=client.example.com&source_address=192.0.2.1&recipients=all"
        "&pipelining=off&chunking=off&timeout=5&max_connections=3&max_messages=50&max_age=600&idle_timeout=20"
        "&mechanism=scram-sha-256"
    )
    assert transport.mechanism == "SCRAM-SHA-256"
    assert (transport.host, transport.port, transport.username) == ("mail.example.com", 2525, "ada")
    assert transport.password == Secret("p@ss")
    assert (transport.tls, transport.recipients) == ("starttls", "all")
    assert (transport.pipelining, transport.chunking) == (False, False)
    assert transport.ca_file == Path("/ca.pem")
    assert transport.ehlo_name == "client.example.com"
    assert transport.timeouts == Timeouts(connect=5.0, tls=5.0, greeting=5.0, command=5.0, data_block=5.0)
    limits = PoolLimits(max_connections=3, max_messages=50, max_age=600.0, idle_timeout=20.0)
    assert transport.pool == limits


def test_short_urls() -> None:
    """What a URL leaves open has its default."""
    assert from_url("smtp://mail.example.com") == SMTP("mail.example.com")
    assert from_url("smtp://mail.example.com/") == SMTP("mail.example.com")
    assert from_url("smtps://mail.example.com") == SMTP("mail.example.com", tls="implicit")
    assert from_url("smtp://[::1]:2525").host == "::1"
    assert from_url("lmtp://mail.example.com").effective_port == 24
    assert from_url("lmtp:///run/dovecot/lmtp").unix_path == Path("/run/dovecot/lmtp")
    assert from_url("smtp://example.com?discover=mx").effective_port == 25


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://", "needs a host"),
        ("smtp://mail.example.com/path", "takes no path"),
        ("lmtp://mail.example.com/path", "takes no path"),
        ("lmtp://", "needs a host"),
        ("smtps://mail.example.com?tls=starttls", "means implicit TLS"),
        ("smtp://mail.example.com?tls=no", "tls='no' is not known"),
        ("smtp://mail.example.com?pipelining=maybe", "on or off"),
        ("smtp://mail.example.com?timeout=0", "positive number of seconds"),
        ("smtp://mail.example.com?max_connections=1.5", "positive whole number"),
        ("smtp://mail.example.com?verify=off", "has no parameter 'verify'"),
        ("smtp://ada@mail.example.com", "a username needs a password or a token"),
    ],
)
def test_urls_that_cannot_be_right(url: str, told: str) -> None:
    """The error names the part that is wrong, and never repeats the URL."""
    with pytest.raises(ConfigurationError, match=told):
        from_url(url)


def test_opening_does_no_io() -> None:
    """A channel to a server that does not exist can be opened, and closed again."""
    with Mailer(SMTP("mail.invalid")) as mailer:
        assert mailer.transport.capabilities.headers
    assert SMTP("mail.invalid").capabilities is SMTP("mx.invalid").capabilities


def test_two_values_that_say_the_same_are_equal() -> None:
    """A transport is a value."""
    assert SMTP("h", username="a", password="x") == SMTP("h", username="a", password=Secret("x"))
    assert SMTP("h", username="a", password="x") != SMTP("h", username="a", password="y")
