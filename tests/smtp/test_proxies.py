"""SMTP through proxies: what arrives, what is reused, what is trusted, and what is never shown."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import pytest
import trustme
from tests.proxy.proxies import LoopbackProxy
from tests.smtp.letters import Post, letter

from mailkit import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    Mailer,
    ProtocolError,
    TLSError,
)
from mailkit.proxy import Proxy
from mailkit.smtp.timeouts import Timeouts
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.colours import Colour

pytestmark = pytest.mark.slow

SCHEMES = ("socks5", "http", "https")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The TLS of a proxy, and the authority's certificate."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, path


@pytest.fixture
def proxies(authority: tuple[ssl.SSLContext, Path]) -> Any:
    """Make a proxy, and say its URL."""
    context, ca_file = authority

    def make(scheme: Any, **options: Any) -> LoopbackProxy:
        return LoopbackProxy(scheme, context=context if scheme == "https" else None, **options)

    def url(proxy: LoopbackProxy) -> str:
        return proxy.url + (f"?ca_file={ca_file}" if proxy.scheme == "https" else "")

    make.url = url  # type: ignore[attr-defined]
    return make


@every_scheme
@pytest.mark.parametrize("late", [False, True], ids=["at once", "with the greeting"])
def test_mail_goes_through_a_proxy_in_clear_where_that_was_asked_for(
    scheme: str, late: bool, proxies: Any, colour: Colour
) -> None:
    """Two messages over one connection; a greeting in one segment with the proxy's reply is not lost."""
    with SMTPServer() as server, proxies(scheme, credentials=("ada", "p@ss:wörd"), late=late) as proxy:
        with Post.to(server, colour, proxy=proxies.url(proxy), tls="insecure") as post:
            for number in range(2):
                post.send(letter(number))
        assert proxy.destinations == [(server.host, server.port)]
        assert len(server.messages) == 2


@every_scheme
def test_starttls_and_authentication_work_in_the_tunnel(scheme: str, proxies: Any, colour: Colour) -> None:
    """The server's certificate is verified under its own name, and the password travels inside its TLS."""
    with (
        SMTPServer(tls="starttls", users={"bob": "hunter2"}, require_auth=True) as server,
        proxies(scheme) as proxy,
        Post.to(
            server,
            colour,
            proxy=proxies.url(proxy),
            tls="starttls",
            ca_file=server.ca_file,
            username="bob",
            password="hunter2",
        ) as post,
    ):
        info = post.verify()
        assert info.tls_version == "TLSv1.3"
        post.send()
        assert server.messages[0].user == "bob"
        assert server.messages[0].tls == "TLSv1.3"


@every_scheme
def test_implicit_tls_works_in_the_tunnel(scheme: str, proxies: Any, colour: Colour) -> None:
    """TLS begins with the first byte behind the proxy's reply; a large message goes through it as well."""
    with (
        SMTPServer(tls="implicit") as server,
        proxies(scheme) as proxy,
        Post.to(server, colour, proxy=proxies.url(proxy), tls="implicit", ca_file=server.ca_file) as post,
    ):
        post.send(letter(text="a line of text\n" * 100_000))
        assert len(server.messages[0].data) > 1_500_000


@every_scheme
def test_a_wrong_certificate_behind_a_proxy_is_a_security_failure(scheme: str, proxies: Any, colour: Colour) -> None:
    """The proxy's own certificate is no excuse for the server's."""
    with (
        SMTPServer(tls="implicit") as server,
        proxies(scheme) as proxy,
        Post.to(server, colour, proxy=proxies.url(proxy), tls="implicit") as post,
    ):
        error: Any = post.attempt()
        assert isinstance(error, TLSError)
        assert (error.cause, error.outcome) == ("security", "not_sent")


def test_tls_to_the_proxy_is_not_tls_to_the_server(proxies: Any, colour: Colour) -> None:
    """A password does not go in clear to a server just because the way to the proxy is encrypted."""
    with (
        SMTPServer(users={"bob": "hunter2"}, auth_before_tls=True, mechanisms=["PLAIN"]) as server,
        proxies("https") as proxy,
        Post.to(
            server, colour, proxy=proxies.url(proxy), tls="opportunistic", username="bob", password="hunter2"
        ) as post,
    ):
        error: Any = post.attempt()
        assert isinstance(error, AuthenticationError)
        assert "hunter2" not in server.transcript
        assert server.messages == ()


def test_loopback_behind_a_proxy_is_no_loopback() -> None:
    """Through a proxy "localhost" may be anywhere: TLS is required there as for any host."""
    assert SMTP("localhost").security == "opportunistic"
    through = SMTP("localhost", proxy="socks5://127.0.0.1")
    assert through.security == "starttls"
    assert not through.options().cleartext_allowed
    assert not SMTP("127.0.0.1", proxy="http://127.0.0.1:3128", tls="opportunistic").options().cleartext_allowed


def test_the_proxy_looks_names_up(colour: Colour) -> None:
    """A name that only the proxy knows is reached, and nobody here is asked for it."""
    with SMTPServer() as server, LoopbackProxy("socks5", hosts={"mail.internal": server.host}) as proxy:
        transport = SMTP("mail.internal", port=server.port, proxy=proxy.url, tls="insecure")
        with Post.to(server, colour) as post:
            channel = transport.open(post.edge)
            object.__setattr__(post, "channel", channel)
            post.send()
        assert proxy.destinations == [("mail.internal", server.port)]


@pytest.mark.parametrize("connections", [1, 2])
def test_streams_go_through_a_proxy(connections: int) -> None:
    """A pipelined stream over one or two tunnels loses nothing and doubles nothing."""
    with SMTPServer() as server, LoopbackProxy("http") as proxy:
        transport = SMTP(server.host, port=server.port, proxy=proxy.url, tls="insecure")
        with Mailer(transport) as mailer:
            outcomes = list(mailer.send_many([letter(number) for number in range(300)], connections=connections))
        assert all(outcome.ok for outcome in outcomes)
        assert len(server.messages) == 300
        assert 1 <= len(proxy.destinations) <= connections


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "options", "error", "cause"),
    [
        ("socks5", {"answer": b"\x05\x02\x00\x01" + bytes(6)}, ConnectError, "configuration"),
        ("socks5", {"answer": b"\x05\x04\x00\x01" + bytes(6)}, ConnectError, "transient"),
        ("socks5", {"answer": b"220 mail.example.com\r\n"}, ProtocolError, "configuration"),
        ("socks5", {"end": 3}, ConnectError, "transient"),
        ("http", {"answer": b"HTTP/1.1 403 Forbidden\r\n\r\n"}, ConnectError, "configuration"),
        ("http", {"answer": b"HTTP/1.1 302 Found\r\nLocation: http://evil.test\r\n\r\n"}, ConnectError, "security"),
        ("http", {"answer": b"HTTP/1.1 407 Who?\r\n\r\n"}, AuthenticationError, "configuration"),
        ("http", {"answer": b"HTTP/1.1 503 Busy\r\n\r\n"}, ConnectError, "transient"),
        ("http", {"answer": b"\xff" * 100}, ProtocolError, "configuration"),
        ("http", {"end": 10}, ConnectError, "transient"),
        ("http", {"end": 10, "at_end": "stall"}, DeliveryTimeout, "transient"),
        ("socks5", {"end": 1, "at_end": "stall"}, DeliveryTimeout, "transient"),
    ],
)
def test_a_fault_of_the_proxy_says_that_nothing_was_sent(
    scheme: Any, options: Any, error: type[DeliveryError], cause: str, colour: Colour
) -> None:
    """Every recipient is not_sent in the phase "proxy", the cause says who may retry, and the proxy is named."""
    seconds = 0.5 if options.get("at_end") == "stall" else 10.0
    with (
        SMTPServer() as server,
        LoopbackProxy(scheme, **options) as proxy,
        Post.to(server, colour, proxy=proxy.url, tls="insecure", timeouts=Timeouts(connect=seconds)) as post,
    ):
        caught: Any = post.attempt()
        assert type(caught) is error
        assert (caught.outcome, caught.cause, caught.phase) == ("not_sent", cause, "proxy")
        assert {result.status for result in caught.recipients} == {"not_sent"}
        assert f"127.0.0.1:{proxy.port}" in str(caught)
        assert server.messages == ()


@every_scheme
def test_a_server_behind_a_proxy_that_is_not_there_may_be_tried_again(
    scheme: str, proxies: Any, colour: Colour
) -> None:
    """Refused at the far end: transient, whoever it is that says so."""
    with SMTPServer() as server, proxies(scheme) as proxy:
        with Post.to(server, colour, proxy=proxies.url(proxy), tls="insecure") as post:
            server.close()
            error: Any = post.attempt()
        assert isinstance(error, ConnectError)
        assert error.retryable


# -- the value ---------------------------------------------------------------------------------------------------------


def test_a_url_carries_a_proxy() -> None:
    """The parameter is a URL, percent-encoded."""
    proxy = quote("socks5://ada:hunter2@127.0.0.1:1080", safe="")
    transport = transport_from_url(f"smtp://mail.example.com?proxy={proxy}")
    assert isinstance(transport, SMTP)
    assert transport.proxy == Proxy.parse("socks5://ada:hunter2@127.0.0.1:1080")


@pytest.mark.parametrize("value", ["socks4://h", "ada:hunter2@127.0.0.1", "socks5://ada:hunter2@h/path", ""])
def test_what_is_no_proxy_is_refused_without_its_secret(value: str) -> None:
    """In the constructor and in a URL."""
    for make in (
        lambda: SMTP("mail.example.com", proxy=value),
        lambda: transport_from_url(f"smtp://mail.example.com?proxy={quote(value, safe='')}"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert "hunter2" not in str(caught.value)


def test_a_socket_in_the_file_system_is_reached_without_a_proxy() -> None:
    """Both at once are a configuration error."""
    with pytest.raises(ConfigurationError, match="UNIX"):
        SMTP("localhost", protocol="lmtp", unix_path="/run/x.sock", proxy="socks5://127.0.0.1")


def test_the_proxys_credentials_are_never_shown(colour: Colour) -> None:
    """Not in str, repr or asdict of the transport, and not in an error of the proxy that refuses them."""
    transport = SMTP("mail.example.com", proxy="socks5://adalovelace:hunter2@127.0.0.1:1080")
    for text in (str(transport), repr(transport), str(attrs.asdict(transport))):
        assert "hunter2" not in text
        assert "adalovelace" not in text
    with SMTPServer() as server, LoopbackProxy("http", credentials=("ada", "other")) as proxy:
        url = f"http://adalovelace:hunter2@127.0.0.1:{proxy.port}"
        with Post.to(server, colour, proxy=url, tls="insecure") as post:
            error: Any = post.attempt()
        assert isinstance(error, AuthenticationError)
        assert "hunter2" not in repr(error) + str(error) + str(error.__cause__)
        assert "adalovelace" not in repr(error) + str(error) + str(error.__cause__)


def test_the_environment_is_read_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALL_PROXY changes nothing by itself; proxy="environment" takes it, but for hosts in NO_PROXY."""
    for name in ("smtp_proxy", "SMTP_PROXY", "all_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "localhost")
    assert SMTP("mail.example.com").effective_proxy is None
    asked = SMTP("mail.example.com", proxy="environment")
    assert str(asked.effective_proxy) == "socks5://127.0.0.1:1"
    assert str(transport_from_url("smtp://mail.example.com?proxy=environment")) == "smtp://mail.example.com:587"
    assert SMTP("localhost", proxy="environment").effective_proxy is None


def test_mail_goes_directly_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch, colour: Colour) -> None:
    """With a proxy in the environment that nobody asked for, the server is reached without it."""
    for name in ("ALL_PROXY", "all_proxy", "SMTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    with SMTPServer() as server, Post.to(server, colour) as post:
        post.send()
        assert len(server.messages) == 1
