from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mailkit.edge.resolve import Endpoint, interleave, source_of
from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.edge import Edge

    Answer = Callable[[bytes, int], Any]

REAL = socket.getaddrinfo


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[bytes]]:
    """Answer look-ups of names, not of IP addresses, with a function; return the names asked for."""

    def install(answer: Answer) -> list[bytes]:
        asked: list[bytes] = []

        def getaddrinfo(host: bytes, port: int, **options: Any) -> Any:
            if options.get("flags"):
                return REAL(host, port, **options)
            asked.append(host)
            return answer(host, port)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return install


async def dial(edge: Edge, host: str, port: int = 25, wait: float = 5.0) -> None:
    """Connect and close."""
    stream = await edge.connect_tcp(host, port, deadline=edge.now() + wait)
    await stream.close()


@pytest.mark.parametrize(
    "host",
    ["", " ", "mx.test\r\nX", "mx.test\0", "mx\x7f.test", "mx test", "b\u00fccher.test", "x" * 256, "\ud800"],
)
def test_what_is_no_host_is_refused(host: str, edge: Edge, run: Any) -> None:
    """Empty, overlong, non-ASCII names and those with controls are configuration errors before any look-up."""
    with pytest.raises(ConfigurationError, match="is no host") as caught:
        run(dial, edge, host)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(port: int, edge: Edge, run: Any) -> None:
    """A port outside 1 to 65535 is a configuration error."""
    with pytest.raises(ConfigurationError, match="is no port"):
        run(dial, edge, "127.0.0.1", port)


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY])
def test_a_name_without_an_address_is_a_configuration_failure(
    code: int, edge: Edge, run: Any, name_server: Any
) -> None:
    """No such name: not sent, nobody tries again, the message says the name."""

    def answer(host: bytes, port: int) -> Any:
        raise socket.gaierror(code, "no such name")

    assert name_server(answer) == []
    with pytest.raises(ConnectError, match=r"no address for the name 'mx.nowhere.test'") as caught:
        run(dial, edge, "mx.nowhere.test")
    assert (caught.value.cause, caught.value.phase) == ("configuration", "connect")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "try again"),
        socket.gaierror(socket.EAI_FAIL, "server failure"),
        OSError(24, "too many open files"),
        UnicodeError("label empty or too long"),
    ],
)
def test_a_name_server_in_trouble_may_be_asked_again(error: Exception, edge: Edge, run: Any, name_server: Any) -> None:
    """Every other failure of the resolver is transient."""

    def answer(host: bytes, port: int) -> Any:
        raise error

    name_server(answer)
    with pytest.raises(ConnectError, match=r"'mx.test' could not be looked up") as caught:
        run(dial, edge, "mx.test")
    assert (caught.value.cause, caught.value.phase) == ("transient", "connect")


def test_a_resolver_that_hangs_ends_at_the_deadline(edge: Edge, run: Any, name_server: Any) -> None:
    """The deadline holds for the look-up too, which is left to its thread."""
    answered = threading.Event()
    name_server(lambda host, port: answered.wait(10) and [])
    with pytest.raises(DeliveryTimeout, match=r"'mx.test' could not be looked up before") as caught:
        run(dial, edge, "mx.test", 25, 0.05)
    assert caught.value.phase == "connect"
    answered.set()


def test_an_ip_address_is_not_looked_up(edge: Edge, run: Any, name_server: Any) -> None:
    """Literals go without the resolver."""
    asked = name_server(lambda host, port: [])
    with pytest.raises(ConnectError):
        run(dial, edge, "127.0.0.1", 1)
    assert asked == []


def test_a_name_is_looked_up_once_as_it_is_spelled(edge: Edge, run: Any, name_server: Any) -> None:
    """A-labels reach the resolver as bytes, unchanged; addresses given twice are tried once."""
    found = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
    asked = name_server(lambda host, port: [found, found])
    with pytest.raises(ConnectError, match=r"cannot connect to xn--fa-hia.test:1: Connection refused"):
        run(dial, edge, "xn--fa-hia.test", 1)
    assert asked == [b"xn--fa-hia.test"]


def test_an_answer_without_addresses_is_an_error(edge: Edge, run: Any, name_server: Any) -> None:
    """A resolver that succeeds with nothing gives an error, not an endless wait."""
    name_server(lambda host, port: [])
    with pytest.raises(ConnectError, match=r"cannot connect to mx.test:25"):
        run(dial, edge, "mx.test")


def test_the_families_take_turns() -> None:
    """The resolver's first family goes first, then each in turn, the order within a family kept."""
    six = [Endpoint(socket.AF_INET6, (f"2001:db8::{n}", 25, 0, 0)) for n in range(3)]
    four = [Endpoint(socket.AF_INET, (f"192.0.2.{n}", 25)) for n in range(2)]
    assert interleave([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert interleave([four[0], *six]) == [four[0], *six]
    assert interleave([]) == []


def test_endpoints_read_as_addresses() -> None:
    """IPv6 addresses are written in brackets."""
    assert str(Endpoint(socket.AF_INET6, ("2001:db8::1", 25, 0, 0))) == "[2001:db8::1]:25"
    assert str(Endpoint(socket.AF_INET, ("192.0.2.1", 25))) == "192.0.2.1:25"


def test_a_source_address_is_an_ip_address() -> None:
    """Both families are taken; a name is not."""
    assert source_of("127.0.0.1").family == socket.AF_INET
    assert source_of("::1").host == "::1"
    with pytest.raises(ConfigurationError, match="'localhost' is no IP address"):
        source_of("localhost")
    with pytest.raises(ConfigurationError, match="is no host"):
        source_of("127.0.0.1\n")
