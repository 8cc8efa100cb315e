from __future__ import annotations

import contextlib
import ssl
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trustme
from tests.colours import make_edge
from tests.edge.conftest import serve
from tests.proxy.proxies import LoopbackProxy

from mailkit.edge import TLS, run_sync
from mailkit.edge.tls import TLSChannel, wrap
from mailkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryTimeout,
    ProtocolError,
    TLSError,
)
from mailkit.proxy import Proxy, connect_through

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from mailkit.edge import Edge

__all__ = ["serve"]

SCHEMES = ("socks5", "http", "https")
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS of a machine called 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def start(context: ssl.SSLContext) -> Callable[..., LoopbackProxy]:
    """Make a proxy, with TLS where its scheme has it."""
    return lambda scheme, **options: LoopbackProxy(scheme, context=context if scheme == "https" else None, **options)


def through(proxy: LoopbackProxy, ca_file: Path) -> Proxy:
    """Return the value that means a proxy."""
    return Proxy.parse(proxy.url + (f"?ca_file={ca_file}" if proxy.scheme == "https" else ""))


def echo(conn: socket.socket) -> None:
    """Greet, and repeat what comes, until the client leaves in whatever way."""
    with contextlib.suppress(OSError):
        conn.sendall(b"220 hello\r\n")
        while data := conn.recv(65536):
            conn.sendall(data)


@every_scheme
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("credentials", [None, ("ada", "p:ss wörd")])
def test_what_goes_through_a_proxy_arrives(
    scheme: str, late: bool, credentials: Any, start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """Both ways, also a greeting in one segment with the proxy's reply; the proxy looks the name up."""
    port = serve(echo)
    with start(scheme, late=late, credentials=credentials, hosts={"mx.test": "127.0.0.1"}) as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "mx.test", port, deadline=edge.now() + 5)
            assert stream.peer == f"mx.test:{port} (through {scheme}://127.0.0.1:{proxy.port})"
            assert stream.tls_info is None
            arrived = b""
            while len(arrived) < 11:
                arrived += await stream.receive(deadline=edge.now() + 5)
            assert arrived == b"220 hello\r\n"
            assert not stream.has_input()
            blob = bytes(range(256)) * 2000
            await stream.send(blob, deadline=edge.now() + 5)
            arrived = b""
            while len(arrived) < len(blob):
                arrived += await stream.receive(deadline=edge.now() + 5)
            assert arrived == blob
            await stream.close()

        run(conversation)
        assert proxy.destinations == [("mx.test", port)]


@every_scheme
def test_tls_starts_inside_the_tunnel(
    scheme: str, start: Any, ca_file: Path, context: ssl.SSLContext, edge: Edge, run: Any, serve: Any
) -> None:
    """The certificate is the far end's; with an https:// proxy it is TLS inside TLS; ends and sizes are kept."""

    def speak(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as inside:
            total = 0
            while total < 3_000_000:
                total += len(inside.recv(65536))
            inside.sendall(b"x" * 300_000)
            inside.recv(1)

    port = serve(speak)
    with start(scheme) as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            before = stream.bytes_sent
            await stream.start_tls(TLS(ca_file=ca_file), "127.0.0.1", deadline=edge.now() + 5)
            info = stream.tls_info
            assert info is not None
            assert (info.version, bool(info.cipher)) == ("TLSv1.3", True)
            assert info.peer_certificate
            assert not stream.has_input()
            await stream.send(bytes(3_000_000), deadline=edge.now() + 10)
            assert stream.bytes_sent - before == 3_000_000
            arrived = 0
            while arrived < 300_000:
                arrived += len(await stream.receive(deadline=edge.now() + 5))
            assert arrived == 300_000
            await stream.send(b".", deadline=edge.now() + 5)
            assert await stream.receive(deadline=edge.now() + 5) == b""
            assert stream.has_input()
            assert await stream.receive(deadline=edge.now() + 5) == b""
            await stream.close()

        run(conversation)


@every_scheme
@pytest.mark.parametrize("late", [False, True])
def test_what_comes_before_tls_in_the_tunnel_is_an_attack(
    scheme: str, late: bool, start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """Octets in clear, early or just arrived, are refused when TLS is to start: nothing they say is believed."""
    port = serve(echo)
    with start(scheme, late=late) as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            while not stream.has_input():
                await edge.sleep(0.01)
            with pytest.raises(TLSError, match="does not speak TLS") as caught:
                await stream.start_tls(TLS(ca_file=ca_file), "127.0.0.1", deadline=edge.now() + 5)
            assert caught.value.cause == "security"

        run(conversation)


@every_scheme
def test_the_far_ends_certificate_is_verified(
    scheme: str, start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """A certificate of another authority is a security failure inside the tunnel too."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(other)

    def speak(conn: socket.socket) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - whatever it is called when the client leaves
            other.wrap_socket(conn, server_side=True).recv(1)

    port = serve(speak)
    with start(scheme) as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            with pytest.raises(TLSError, match="certificate") as caught:
                await stream.start_tls(TLS(ca_file=ca_file), "127.0.0.1", deadline=edge.now() + 5)
            assert (caught.value.cause, caught.value.phase) == ("security", "tls")

        run(conversation)


@every_scheme
@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x03", b"garbage, and enough of it to be no TLS record"])
def test_a_handshake_that_breaks_off_inside_the_tunnel_is_told_by_its_kind(
    scheme: str, beginning: bytes, start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """An end in the middle is transient, what is no TLS is a security failure."""

    def speak(conn: socket.socket) -> None:
        conn.recv(65536)
        conn.sendall(beginning)

    port = serve(speak)
    with start(scheme) as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            with pytest.raises(TLSError) as caught:
                await stream.start_tls(TLS(ca_file=ca_file), "127.0.0.1", deadline=edge.now() + 5)
            assert caught.value.cause == ("security" if b"garbage" in beginning else "transient")

        run(conversation)


def test_the_proxys_certificate_is_verified(start: Any, edge: Edge, run: Any) -> None:
    """An https:// proxy of an authority that nobody trusts gets neither credentials nor destination."""
    with start("https", credentials=("ada", "hunter2")) as proxy:
        with pytest.raises(TLSError, match="the proxy https://") as caught:
            run(lambda: connect_through(edge, Proxy.parse(proxy.url), "mx.test", 25, deadline=edge.now() + 5))
        assert (caught.value.cause, caught.value.phase) == ("security", "proxy")
        assert proxy.destinations == []


@every_scheme
def test_a_destination_that_does_not_answer_is_transient(
    scheme: str, start: Any, ca_file: Path, edge: Edge, run: Any, refusing_port: int
) -> None:
    """The proxy could not connect: not sent, may be tried again; proxy and destination are both named."""
    port = refusing_port
    with start(scheme) as proxy, pytest.raises(ConnectError) as caught:
        run(lambda: connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5))
    error = caught.value
    assert (error.cause, error.phase, error.outcome, error.retryable) == ("transient", "proxy", "not_sent", True)
    assert f"the proxy {scheme}://127.0.0.1:{proxy.port}: " in str(error)
    assert f"127.0.0.1:{port}" in str(error)


@every_scheme
@pytest.mark.parametrize("given", [None, ("ada", "wrong-password")])
def test_wrong_credentials_are_an_authentication_error(
    scheme: str, given: Any, start: Any, ca_file: Path, edge: Edge, run: Any
) -> None:
    """Missing or wrong: nobody tries again, nothing is connected to, and no password is shown."""
    with start(scheme, credentials=("ada", "hunter2")) as proxy:
        user, password = given or (None, None)
        tls = TLS(ca_file=ca_file)
        value = Proxy(
            scheme=scheme,  # type: ignore[arg-type]
            host="127.0.0.1",
            port=proxy.port,
            username=user,
            password=password,
            tls=tls,
        )
        with pytest.raises(AuthenticationError) as caught:
            run(lambda: connect_through(edge, value, "127.0.0.1", 25, deadline=edge.now() + 5))
        assert (caught.value.cause, caught.value.phase, caught.value.outcome) == ("configuration", "proxy", "not_sent")
        assert "wrong-password" not in str(caught.value)
        assert proxy.destinations == []


def test_a_proxy_that_is_not_there_is_named(edge: Edge, run: Any, refusing_port: int) -> None:
    """Nothing listens at its port: the message speaks of the proxy, not of the mail server."""
    proxy = Proxy(scheme="socks5", host="127.0.0.1", port=refusing_port)
    with pytest.raises(ConnectError, match="the proxy socks5://") as caught:
        run(lambda: connect_through(edge, proxy, "mx.test", 25, deadline=edge.now() + 5))
    assert (caught.value.cause, caught.value.phase) == ("transient", "proxy")


@pytest.mark.parametrize(("scheme", "size"), [("socks5", 14), ("http", 54)])
@pytest.mark.parametrize("at_end", ["close", "stall"])
def test_a_proxy_that_ends_at_any_octet_is_told_by_how_it_ended(
    scheme: Any, size: int, at_end: Any, serve: Any
) -> None:
    """Cut after each octet of its answers: a transient error, within the deadline, and nothing was sent."""
    port = serve(echo)
    edge = make_edge("blocking")
    for end in range(1, size, 1 if at_end == "close" else 4):  # each silence takes its time
        with LoopbackProxy(scheme, credentials=("ada", "b"), end=end, at_end=at_end) as proxy:
            began = edge.now()
            deadline = began + (30 if at_end == "close" else 0.1)
            with pytest.raises(ConnectError if at_end == "close" else DeliveryTimeout) as caught:
                run_sync(connect_through(edge, Proxy.parse(proxy.url), "127.0.0.1", port, deadline=deadline))
            error = caught.value
            assert (error.cause, error.phase, error.outcome) == ("transient", "proxy", "not_sent")
            assert edge.now() - began < 20


@every_scheme
@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"\0", b"\x05" + b"\xff" * 400, b"HTTP/1.1 nonsense\r\n\r\n"])
def test_garbage_from_a_proxy_is_a_protocol_error(
    scheme: str, answer: bytes, start: Any, ca_file: Path, edge: Edge, run: Any
) -> None:
    """Whatever it says instead of its reply, a typed error that ends the connection."""
    with start(scheme, answer=answer) as proxy, pytest.raises((ProtocolError, ConnectError)) as caught:
        run(lambda: connect_through(edge, through(proxy, ca_file), "127.0.0.1", 25, deadline=edge.now() + 5))
    assert (caught.value.phase, caught.value.outcome) == ("proxy", "not_sent")


@every_scheme
@pytest.mark.parametrize("host", ["mx.test:25\r\nX-Injected: 1", "mx test", ""])
def test_what_is_no_destination_reaches_no_proxy(
    scheme: str, host: str, start: Any, ca_file: Path, edge: Edge, run: Any
) -> None:
    """A configuration error before anything is connected to."""
    with start(scheme) as proxy:
        with pytest.raises(ConfigurationError):
            run(lambda: connect_through(edge, through(proxy, ca_file), host, 25, deadline=edge.now() + 5))
        assert proxy.clients == []


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancelling_the_exchange_closes_the_connection(colour: Any, serve: Any) -> None:
    """A task that is cancelled while the proxy is silent leaves no connection behind."""
    seen: list[bytes] = []
    asked = threading.Event()

    def silent(conn: socket.socket) -> None:
        conn.recv(100)
        asked.set()
        seen.append(conn.recv(100))

    port = serve(silent)
    edge = make_edge(colour)

    async def conversation() -> None:
        async with anyio.create_task_group() as group:

            async def cancel_when_it_was_asked() -> None:
                while not asked.is_set():  # noqa: ASYNC110 - the other side is a thread
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()

            group.start_soon(cancel_when_it_was_asked)
            proxy = Proxy(scheme="socks5", host="127.0.0.1", port=port)
            await connect_through(edge, proxy, "mx.test", 25, deadline=edge.now() + 30)
        with anyio.fail_after(30):
            while not seen:  # noqa: ASYNC110 - the other side is a thread
                await anyio.sleep(0.01)

    anyio.run(conversation, backend=colour)
    assert seen == [b""]


def test_the_connection_to_the_proxy_comes_from_the_source_address(
    start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """The proxy sees the address that was chosen."""
    port = serve(echo)
    with start("socks5") as proxy:

        async def conversation() -> None:
            stream = await connect_through(
                edge,
                through(proxy, ca_file),
                "127.0.0.1",
                port,
                deadline=edge.now() + 5,
                source_address=["127.0.0.5"],
            )
            await stream.close()

        run(conversation)
        assert proxy.clients == ["127.0.0.5"]


def test_a_far_end_that_closes_before_tls_is_transient(
    start: Any, ca_file: Path, edge: Edge, run: Any, serve: Any
) -> None:
    """Behind an https:// proxy as without one: its end is seen before the handshake begins."""
    port = serve(lambda _conn: None)
    with start("https") as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            while not stream.has_input():
                await edge.sleep(0.01)
            with pytest.raises(TLSError, match="closed the connection before TLS") as caught:
                await stream.start_tls(TLS(ca_file=ca_file), "127.0.0.1", deadline=edge.now() + 5)
            assert caught.value.cause == "transient"

        run(conversation)


def test_a_context_for_servers_cannot_be_used_inside(
    start: Any, ca_file: Path, context: ssl.SSLContext, edge: Edge, run: Any, serve: Any
) -> None:
    """A configuration error, and the connection is closed."""
    port = serve(lambda conn: conn.recv(1))
    with start("https") as proxy:

        async def conversation() -> None:
            stream = await connect_through(edge, through(proxy, ca_file), "127.0.0.1", port, deadline=edge.now() + 5)
            with pytest.raises(ConfigurationError, match="cannot be used for a client"):
                await stream.start_tls(TLS(context=context), "127.0.0.1", deadline=edge.now() + 5)

        run(conversation)


def test_a_proxy_that_resets_before_tls_is_transient() -> None:
    """What breaks between the proxy's answer and the handshake inside is a failure of I/O."""

    class Broken(TLSChannel):
        def __init__(self) -> None:
            pass

        def has_input(self) -> bool:
            return True

        def receive(self, size: int) -> bytes | int:
            raise ConnectionResetError(104, "reset")

    with pytest.raises(TLSError) as caught:
        wrap(Broken(), ssl.create_default_context(), "localhost", "peer", in_tunnel=True)
    assert caught.value.cause == "transient"
