"""mailkit through real proxies: TLS inside, connections reused, refusals told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailkit import AuthenticationError, ConnectError, Message
from mailkit.smtp.transport import SMTP
from mailkit.testing import SMTPServer

from .processes import HOST, free_ports
from .proxy_programs import PASSWORD, USER

if TYPE_CHECKING:
    from .colours import Post
    from .proxy_programs import MicroSocks, TinyProxy


def url(proxy: MicroSocks | TinyProxy, password: str = PASSWORD) -> str:
    """Return the proxy's URL."""
    return f"{proxy.scheme}://{USER}:{password}@{HOST}:{proxy.port}"


def letters(count: int) -> list[Message]:
    """Return some messages."""
    return [
        Message(from_="ada@example.com", to="bob@example.org", subject=f"Letter {number}", text="Hi Bob\n" * 200)
        for number in range(count)
    ]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_goes_through_inside_tls(tls: str, proxy: MicroSocks | TinyProxy, post: Post) -> None:
    """Three messages over one tunnel, the certificate of the far end verified under its name."""
    with SMTPServer(tls=tls) as server:  # type: ignore[arg-type]
        transport = SMTP(server.host, port=server.port, tls=tls, ca_file=server.ca_file, proxy=url(proxy))
        assert [len(receipt.accepted) for receipt in post.send(transport, *letters(3))] == [1, 1, 1]
        assert len(server.messages) == 3
        assert len(server.connections) == 1


def test_streams_lose_nothing(proxy: MicroSocks | TinyProxy, post: Post) -> None:
    """A pipelined stream over two tunnels: what was accepted has arrived, once."""
    with SMTPServer() as server:
        transport = SMTP(server.host, port=server.port, tls="insecure", proxy=url(proxy))
        outcomes = post.send_many(transport, letters(300), connections=2)
        assert all(outcome.ok for outcome in outcomes)
        assert len(server.messages) == 300


def test_the_proxy_looks_names_up(proxy: MicroSocks | TinyProxy, post: Post) -> None:
    """A name reaches the proxy as it is."""
    with SMTPServer() as server:
        transport = SMTP("localhost", port=server.port, tls="insecure", proxy=url(proxy))
        post.send(transport, *letters(1))
        assert len(server.messages) == 1


def test_a_wrong_password_is_an_authentication_error(proxy: MicroSocks | TinyProxy, post: Post) -> None:
    """Not sent, nobody tries again by itself, and the password is not shown."""
    with SMTPServer() as server:
        transport = SMTP(server.host, port=server.port, tls="insecure", proxy=url(proxy, "not-the-password"))
        with pytest.raises(AuthenticationError) as caught:
            post.send(transport, *letters(1))
        assert (caught.value.outcome, caught.value.cause, caught.value.phase) == ("not_sent", "configuration", "proxy")
        assert "not-the-password" not in str(caught.value)
        assert server.connections == ()


def test_a_server_that_is_not_there_may_be_tried_again(proxy: MicroSocks | TinyProxy, post: Post) -> None:
    """The proxy says that it cannot connect: not sent, transient."""
    [port] = free_ports(1)
    with pytest.raises(ConnectError) as caught:
        post.send(SMTP(HOST, port=port, tls="insecure", proxy=url(proxy)), *letters(1))
    assert (caught.value.outcome, caught.value.cause, caught.value.phase) == ("not_sent", "transient", "proxy")
