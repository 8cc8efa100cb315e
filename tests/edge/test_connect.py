from __future__ import annotations

import errno
import itertools
import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.colours import make_edge, run_in
from tests.edge.test_resolve import name_server
from tests.patience import patiently
from tests.ports import held

from mailkit.edge import connect as connecting
from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edge.conftest import Serve

    from mailkit.edge import Edge

__all__ = ["name_server"]


def found(*addresses: tuple[str, int]) -> Any:
    """Return an answer of the resolver."""
    families = {True: socket.AF_INET6, False: socket.AF_INET}
    return lambda host, port: [
        (families[":" in address], socket.SOCK_STREAM, 6, "", (address, port)) for address, port in addresses
    ]


def hello(conn: socket.socket) -> None:
    conn.sendall(conn.getpeername()[0].encode())
    conn.recv(1)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port of 127.0.0.2 that lets connections hang: its queue is full; at 127.0.0.1 it is the test's own."""
    with ExitStack() as opened:
        while True:
            listener = opened.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
            address = listener.getsockname()
            with suppress(OSError):
                opened.enter_context(held(address[1], "127.0.0.1"))
                break
        while True:
            client = opened.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(address)
            except TimeoutError:
                break
        yield address[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_connection_is_made_and_does_not_delay_small_writes(host: str, edge: Edge, run: Any, serve: Serve) -> None:
    """The stream's socket has TCP_NODELAY, does not block and knows its peer."""
    port = serve(hello)

    async def conversation() -> None:
        stream = await edge.connect_tcp(host, port, deadline=edge.now() + 5)
        sock = stream._channel.socket  # type: ignore[attr-defined]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not sock.getblocking()
        assert stream.peer == f"127.0.0.1:{port}"
        await stream.close()

    run(conversation)


def test_a_refused_connection_names_the_peer(edge: Edge, run: Any, refusing_port: int) -> None:
    """Connection refused is transient, in the phase connect, and says what to check."""
    port = refusing_port
    with pytest.raises(ConnectError) as caught:
        run(lambda: edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5))
    assert str(caught.value) == (
        f"cannot connect to 127.0.0.1:{port}: Connection refused (ECONNREFUSED); "
        "check that the server runs and can be reached"
    )
    assert (caught.value.outcome, caught.value.cause, caught.value.phase) == ("not_sent", "transient", "connect")


def test_every_address_is_tried(
    edge: Edge, run: Any, serve: Serve, name_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a refusal the next address is tried at once."""
    monkeypatch.setattr(connecting, "_STAGGER", 60.0)
    port = serve(hello)
    name_server(found(("127.0.0.2", port), ("127.0.0.3", port), ("127.0.0.1", port)))

    async def conversation() -> None:
        stream = await edge.connect_tcp("mx.test", port, deadline=edge.now() + 30)
        assert stream.peer == f"127.0.0.1:{port}"
        await stream.close()

    run(conversation)


def test_the_failure_of_every_address_is_told(edge: Edge, run: Any, name_server: Any, refusing_port: int) -> None:
    """Where none answers, the message has them all."""
    port = refusing_port
    name_server(found(("127.0.0.2", port), ("127.0.0.3", port)))
    with pytest.raises(ConnectError, match="at any of 2 addresses") as caught:
        run(lambda: edge.connect_tcp("mx.test", port, deadline=edge.now() + 5))
    assert f"(127.0.0.2:{port}: Connection refused (ECONNREFUSED), 127.0.0.3:{port}:" in str(caught.value)
    assert caught.value.retryable


def test_a_silent_address_is_overtaken_after_a_quarter_of_a_second(
    edge: Edge, run: Any, serve: Serve, silent: int, name_server: Any
) -> None:
    """An address that does not answer delays the next one by 250 ms and no more (RFC 8305)."""
    port = serve(hello, ("127.0.0.1", silent))
    name_server(found(("127.0.0.2", port), ("127.0.0.1", port)))

    async def conversation() -> None:
        started = edge.now()
        stream = await edge.connect_tcp("mx.test", port, deadline=edge.now() + 30)
        assert 0.24 < edge.now() - started < 15  # one that waited for the first would end at the deadline
        assert stream.peer == f"127.0.0.1:{port}"
        await stream.close()

    run(conversation)


def test_silence_of_every_address_ends_at_the_deadline(edge: Edge, run: Any, silent: int, name_server: Any) -> None:
    """The deadline ends the attempt, every socket is closed, and refusals on the way are told."""
    name_server(found(("127.0.0.3", silent), ("127.0.0.2", silent)))

    def attempt(wait: float) -> None:
        says = rf"mx.test:{silent} did not answer \(127.0.0.3.*ECONNREFUSED"
        with pytest.raises(DeliveryTimeout, match=says) as caught:
            run(lambda: edge.connect_tcp("mx.test", silent, deadline=edge.now() + wait))
        assert (caught.value.cause, caught.value.phase) == ("transient", "connect")

    patiently(attempt, first=0.05)


def test_a_refusal_while_another_address_is_silent_ends_nothing(
    edge: Edge, run: Any, silent: int, name_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last address refuses, the first may still answer until the deadline."""
    monkeypatch.setattr(connecting, "_STAGGER", 0.01)
    name_server(found(("127.0.0.2", silent), ("127.0.0.3", silent)))

    def attempt(wait: float) -> None:
        with pytest.raises(DeliveryTimeout, match=rf"did not answer \(127.0.0.3:{silent}: Connection refused"):
            run(lambda: edge.connect_tcp("mx.test", silent, deadline=edge.now() + wait))

    patiently(attempt, first=0.1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_closes_the_attempts(backend: Any, silent: int) -> None:
    """A cancelled connect leaves no socket behind: an unclosed one would fail the test with a ResourceWarning."""
    edge = make_edge(backend)

    async def conversation() -> None:
        with anyio.move_on_after(0.05) as scope:
            await edge.connect_tcp("127.0.0.2", silent, deadline=edge.now() + 5)
        assert scope.cancelled_caught

    run_in(backend, conversation)


def test_the_source_address_is_ours_to_choose(edge: Edge, run: Any, serve: Serve) -> None:
    """The peer sees the connection come from source_address."""
    port = serve(hello)

    async def conversation() -> None:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5, source_address="127.0.0.9")
        assert await stream.receive(deadline=edge.now() + 5) == b"127.0.0.9"
        await stream.close()

    run(conversation)


def test_a_source_address_selects_its_family(edge: Edge, run: Any, serve: Serve, name_server: Any) -> None:
    """Addresses of the other family are not tried."""
    port = serve(hello)
    name_server(found(("::1", port), ("127.0.0.1", port)))

    async def conversation() -> None:
        stream = await edge.connect_tcp("mx.test", port, deadline=edge.now() + 5, source_address="127.0.0.1")
        assert stream.peer == f"127.0.0.1:{port}"
        await stream.close()

    run(conversation)


@pytest.mark.parametrize(
    ("host", "source", "says", "phase"),
    [
        ("127.0.0.1", "::1", "no address of the family of source_address '::1'", "connect"),
        ("127.0.0.1", "192.0.2.77", r"EADDRNOTAVAIL.*from source_address '192.0.2.77'", "bind"),
    ],
)
def test_a_source_address_that_cannot_be_used_is_a_configuration_failure(
    host: str, source: str, says: str, phase: str, edge: Edge, run: Any
) -> None:
    """A source of the wrong family, or of another machine: not sent, and nobody tries again."""
    with pytest.raises(ConnectError, match=says) as caught:
        run(lambda: edge.connect_tcp(host, 25, deadline=edge.now() + 5, source_address=source))
    assert (caught.value.cause, caught.value.phase) == ("configuration", phase)


def test_a_source_address_that_is_none_is_a_configuration_error(edge: Edge, run: Any) -> None:
    """A name is no source address."""
    with pytest.raises(ConfigurationError, match="is no IP address"):
        run(lambda: edge.connect_tcp("127.0.0.1", 25, deadline=edge.now() + 5, source_address="localhost"))


def test_ipv6_is_dialled_and_written_in_brackets(edge: Edge, run: Any, refusing_port: int) -> None:
    """An IPv6 address, also as a literal, is a host like any other."""
    port = refusing_port
    with pytest.raises(ConnectError, match=rf"cannot connect to \[::1\]:{port}: "):
        run(lambda: edge.connect_tcp("::1", port, deadline=edge.now() + 5))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EAFNOSUPPORT])
def test_a_socket_that_cannot_be_made_is_told(code: int, edge: Edge, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open files may pass; a family that the system lacks does not."""

    def refuse(*args: Any) -> Any:
        raise OSError(code, "no socket")

    async def conversation() -> None:
        monkeypatch.setattr(connecting.socket, "socket", refuse)
        try:
            await edge.connect_tcp("127.0.0.1", 25, deadline=edge.now() + 5)
        finally:
            monkeypatch.undo()

    with pytest.raises(ConnectError, match=errno.errorcode[code]) as caught:
        run(conversation)
    assert caught.value.cause == ("transient" if code == errno.EMFILE else "configuration")


def test_an_option_that_fails_is_told(edge: Edge, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error between making and connecting a socket closes it and is told."""

    class Stubborn(socket.socket):
        def setsockopt(self, *args: Any) -> None:
            raise OSError("no")

    async def conversation() -> None:
        monkeypatch.setattr(connecting.socket, "socket", Stubborn)
        try:
            await edge.connect_tcp("127.0.0.1", 25, deadline=edge.now() + 5)
        finally:
            monkeypatch.undo()

    with pytest.raises(ConnectError, match="EINVAL"):
        run(conversation)


def test_mixed_failures_may_pass(edge: Edge, run: Any, name_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address that may work later makes the whole attempt worth another try."""
    port = 25
    name_server(found(("127.0.0.1", port), ("127.0.0.2", port)))
    codes = itertools.cycle([errno.EACCES, errno.ECONNREFUSED])
    monkeypatch.setattr(connecting, "_connect", lambda sock, address: next(codes))
    with pytest.raises(ConnectError, match=r"EACCES.*ECONNREFUSED") as caught:
        run(lambda: edge.connect_tcp("mx.test", port, deadline=edge.now() + 5))
    assert caught.value.cause == "transient"


# UNIX domain sockets.


def test_a_unix_socket_is_connected_to(edge: Edge, run: Any, tmp_path: Path) -> None:
    """A stream over a UNIX domain socket has its path as its peer."""
    path = tmp_path / "lmtp.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        async def conversation() -> None:
            stream = await edge.connect_unix(path, deadline=edge.now() + 5)
            conn, _ = listener.accept()
            with conn:
                await stream.send(b"LHLO", deadline=edge.now() + 5)
                assert conn.recv(10) == b"LHLO"
            assert stream.peer == str(path)
            await stream.close()

        run(conversation)


def test_a_unix_socket_that_is_not_there_may_come(edge: Edge, run: Any, tmp_path: Path) -> None:
    """A missing socket is transient: its server may be restarting."""
    with pytest.raises(ConnectError, match=r"gone.sock: .*ENOENT.*; check that the server runs") as caught:
        run(lambda: edge.connect_unix(tmp_path / "gone.sock", deadline=edge.now() + 5))
    assert (caught.value.cause, caught.value.phase) == ("transient", "connect")


def test_a_unix_path_that_is_too_long_is_an_error(edge: Edge, run: Any, tmp_path: Path) -> None:
    """A path that no socket can have is a ConnectError like any other."""
    with pytest.raises(ConnectError, match="cannot connect to"):
        run(lambda: edge.connect_unix(tmp_path / ("x" * 200), deadline=edge.now() + 5))


def test_a_unix_socket_whose_queue_is_full_is_waited_for(edge: Edge, run: Any, tmp_path: Path) -> None:
    """A listener that is behind is asked again until the deadline."""
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with pytest.raises(DeliveryTimeout, match="did not answer") as caught:
            run(lambda: edge.connect_unix(path, deadline=edge.now() + 0.05))
        assert caught.value.phase == "connect"
        timer = threading.Timer(0.03, listener.accept()[0].close)
        timer.start()

        async def conversation() -> None:
            await (await edge.connect_unix(path, deadline=edge.now() + 5)).close()

        run(conversation)
        timer.join()


def test_a_system_without_unix_sockets_says_so(
    edge: Edge, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has none, the advice is TCP."""

    async def conversation() -> None:
        with monkeypatch.context() as patch:
            patch.delattr(socket, "AF_UNIX")
            await edge.connect_unix(tmp_path, deadline=edge.now() + 5)

    with pytest.raises(ConfigurationError, match="no UNIX domain sockets; use TCP"):
        run(conversation)


def test_a_unix_socket_that_cannot_be_made_is_told(
    edge: Edge, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files is transient for UNIX sockets as well."""

    def refuse(*args: Any) -> Any:
        raise OSError(errno.EMFILE, "no socket")

    async def conversation() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(connecting.socket, "socket", refuse)
            await edge.connect_unix(tmp_path, deadline=edge.now() + 5)

    with pytest.raises(ConnectError, match="EMFILE") as caught:
        run(conversation)
    assert caught.value.cause == "transient"


def test_addresses_that_are_known_are_not_looked_up(edge: Edge, run: Any, serve: Serve, name_server: Any) -> None:
    """They are tried in their order, and the host is only a name; nobody is asked for it."""
    asked = name_server(lambda host, port: [])
    port = serve(hello, ("127.0.0.2", 0))

    async def conversation() -> None:
        stream = await edge.connect_tcp(
            "mx.test", port, deadline=edge.now() + 5, addresses=["127.0.0.3", "127.0.0.2"], source_address=()
        )
        assert stream.peer == f"127.0.0.2:{port}"
        await stream.close()

    run(conversation)
    assert asked == []


def test_a_known_address_must_be_one(edge: Edge, run: Any) -> None:
    """A name among the addresses is a configuration error."""
    with pytest.raises(ConfigurationError, match="is no IP address"):
        run(lambda: edge.connect_tcp("mx.test", 25, deadline=edge.now() + 5, addresses=["127.0.0.1", "mx.test"]))


def test_of_several_source_addresses_the_one_of_the_destinations_family_is_used(
    edge: Edge, run: Any, serve: Serve, refusing_port: int
) -> None:
    """The first of each family; the message of a failure names both."""
    port = serve(hello)

    async def conversation() -> None:
        sources = ["::1", "127.0.0.7", "127.0.0.8"]
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5, source_address=sources)
        assert await stream.receive(deadline=edge.now() + 5) == b"127.0.0.7"
        await stream.close()
        with pytest.raises(ConnectError, match=r"from source_address '::1' or '127\.0\.0\.7'") as caught:
            await edge.connect_tcp("127.0.0.1", refusing_port, deadline=edge.now() + 5, source_address=sources)
        assert (caught.value.cause, caught.value.phase) == ("transient", "connect")

    run(conversation)
