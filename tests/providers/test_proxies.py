"""HTTP APIs through a proxy: what it gets to see, what its failures mean, and that nothing goes past it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import trustme
from tests.http_server import Answer, HTTPServer
from tests.providers.acme import Acme, message_to_bob
from tests.proxy.proxies import LoopbackProxy

from mailkit import AsyncMailer, Mailer, RetryPolicy
from mailkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    OutcomeUnknownError,
    ProtocolError,
)
from mailkit.proxy import Proxy
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http_server import Received

    from mailkit import Message, Receipt
    from mailkit.edge.http import Request

HOST = "api.acme.example"


class Authority:
    """One certificate authority, and the contexts of the server and the proxy."""

    def __init__(self, path: Path) -> None:
        authority = trustme.CA()
        self.ca_file = path / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST, "127.0.0.1", "localhost").configure_cert(self.context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The only one that is trusted here."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def serve(authority: Authority) -> Callable[..., HTTPServer]:
    """Make a server with TLS, which nobody finds but through the proxy."""
    return lambda answer=lambda _request: Answer(200, {}): HTTPServer(answer, context=authority.context)


def sent(transport: Acme, message: Message | None = None, backend: str = "blocking") -> Receipt:
    """Send once."""
    message = message or message_to_bob()
    if backend == "blocking":
        with Mailer(transport, retry=RetryPolicy.none()) as mailer:
            return mailer.send(message)
    import anyio

    async def main() -> Receipt:
        async with AsyncMailer(transport, retry=RetryPolicy.none()) as mailer:
            return await mailer.send(message)

    return anyio.run(main, backend=backend)


def acme(authority: Authority, server: HTTPServer, proxy: LoopbackProxy, **fields: Any) -> Acme:
    """Return a transport that goes through the proxy."""
    url = proxy.url + (f"?ca_file={authority.ca_file}" if proxy.scheme == "https" else "")
    return Acme("KEY", **{"host": HOST, "port": server.port, "ca_file": authority.ca_file, "proxy": url, **fields})


@pytest.mark.parametrize("backend", ["blocking", "asyncio", "trio"])
@pytest.mark.parametrize("scheme", ["socks5", "http", "https"])
def test_a_request_goes_through_a_proxy(
    scheme: Any, backend: str, authority: Authority, serve: Callable[..., HTTPServer]
) -> None:
    """The proxy looks the name up and is logged in to; TLS is with the provider, whose certificate is checked."""
    context = authority.context if scheme == "https" else None
    names = {HOST: "127.0.0.1"}
    with (
        serve() as server,
        LoopbackProxy(scheme, credentials=("ada", "p@ss"), hosts=names, context=context) as proxy,
    ):
        assert sent(acme(authority, server, proxy), backend=backend).accepted
    assert proxy.destinations == [(HOST, server.port)]
    assert server.requests[0].headers["authorization"] == "Bearer KEY"


def test_connections_through_a_proxy_are_reused(authority: Authority, serve: Callable[..., HTTPServer]) -> None:
    """Two messages, one tunnel."""
    with serve() as server, LoopbackProxy("http", hosts={HOST: "127.0.0.1"}) as proxy:
        with Mailer(acme(authority, server, proxy), retry=RetryPolicy.none()) as mailer:
            mailer.send(message_to_bob())
            mailer.send(message_to_bob())
        assert len(proxy.destinations) == 1
    assert len(server.requests) == 2


def test_a_request_of_the_providers_own_making_does_not_go_past_it(
    authority: Authority, serve: Callable[..., HTTPServer]
) -> None:
    """However a provider makes its requests, and the one that verifies the key, they take the route."""

    class Own(Acme):
        verify_path = "/me"

        def build_request(self, message: Any, envelope: Any) -> Request:
            from mailkit.edge.http import Request
            from mailkit.edge.tls_options import TLS

            return Request("POST", f"{self.base_url}/own", body=b"{}", tls=TLS(ca_file=self.ca_file))

    with serve() as server, LoopbackProxy("socks5", hosts={HOST: "127.0.0.1"}) as proxy:
        transport = Own("KEY", host=HOST, port=server.port, ca_file=authority.ca_file, proxy=proxy.url)
        with Mailer(transport, retry=RetryPolicy.none()) as mailer:
            mailer.verify()
            mailer.send(message_to_bob())
        assert proxy.destinations == [(HOST, server.port)]
    assert [request.path for request in server.requests] == ["/me", "/own"]


@pytest.mark.parametrize(
    ("answer", "error", "cause"),
    [
        (b"HTTP/1.1 407 no\r\n\r\n", AuthenticationError, "configuration"),
        (b"HTTP/1.1 403 no\r\n\r\n", ConnectError, "configuration"),
        (b"HTTP/1.1 502 no\r\n\r\n", ConnectError, "transient"),
        (b"SSH-2.0-x\r\n", ProtocolError, "configuration"),
        (b"", ConnectError, "transient"),
    ],
)
def test_what_the_proxy_refuses_was_not_sent(
    answer: bytes, error: type[DeliveryError], cause: str, authority: Authority, serve: Callable[..., HTTPServer]
) -> None:
    """Whatever goes wrong at the proxy, nothing reached the provider, and the error says where it went wrong."""
    with serve() as server, LoopbackProxy("http", answer=answer) as proxy, pytest.raises(error) as caught:
        sent(acme(authority, server, proxy))
    raised = caught.value
    assert (raised.outcome, raised.cause, raised.phase) == ("not_sent", cause, "proxy")
    assert f"http://127.0.0.1:{proxy.port}" in str(raised)
    assert [each.address for each in raised.recipients] == ["bob@example.org"]
    assert not server.requests


def test_a_proxy_that_is_not_there(authority: Authority, serve: Callable[..., HTTPServer]) -> None:
    """No proxy, no delivery: there is no other way."""
    with serve() as server:
        with LoopbackProxy("socks5") as proxy:
            pass
        with pytest.raises(ConnectError) as caught:
            sent(acme(authority, server, proxy))
    assert (caught.value.outcome, caught.value.phase) == ("not_sent", "proxy")
    assert not server.requests


def test_no_answer_through_a_proxy_is_unknown(authority: Authority, serve: Callable[..., HTTPServer]) -> None:
    """After the tunnel stands, outcomes are what they are without one."""

    def hang_up(_request: Received) -> Answer:
        return Answer(raw=b"")

    with (
        serve(hang_up) as server,
        LoopbackProxy("http", hosts={HOST: "127.0.0.1"}) as proxy,
        pytest.raises(OutcomeUnknownError),
    ):
        sent(acme(authority, server, proxy))
    assert len(server.requests) == 1


def test_localhost_is_another_machine_behind_a_proxy() -> None:
    """TLS is required of it then, so the key is not sent to whoever that is."""
    assert Acme("KEY", host="localhost").base_url == "http://localhost"
    assert Acme("KEY", host="localhost", proxy="socks5://127.0.0.1").base_url == "https://localhost"


def test_the_url_has_the_proxy() -> None:
    """The parameter is SMTP's; the proxy's password is shown nowhere."""
    proxy = "http://ada:SECRET-2@proxy.example:3128"
    transport: Any = transport_from_url(f"postmark://KEY@default?proxy={quote(proxy, safe='')}")
    assert transport.proxy == Proxy.parse(proxy)
    assert "SECRET-2" not in f"{transport} {transport!r}"
    with pytest.raises(ConfigurationError, match="a proxy's URL begins with") as caught:
        transport_from_url("postmark://KEY@default?proxy=SECRET-2")
    assert "SECRET-2" not in str(caught.value)


def test_the_environment_says_nothing(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, serve: Callable[..., HTTPServer]
) -> None:
    """Variables that curl, httpx and requests obey are not read, nor is the word that makes SMTP read some."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SMTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    with serve() as server:
        transport = Acme("KEY", host="127.0.0.1", port=server.port, tls="required", ca_file=authority.ca_file)
        assert sent(transport).accepted
    with pytest.raises(ConfigurationError):
        Acme("KEY", proxy="environment")
