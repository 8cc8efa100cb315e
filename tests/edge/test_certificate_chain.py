"""What a server sends besides its own certificate, and trusting nothing but one given certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from mailkit.edge import TLS, TLSInfo
from mailkit.edge.certificate_chain import chain_of
from mailkit.errors import ConfigurationError, TLSError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailkit.edge import Edge

LATER = 5.0


def as_der(pem: trustme.Blob) -> bytes:
    """Return one certificate as DER."""
    return ssl.PEM_cert_to_DER_cert(pem.bytes().decode())


@pytest.fixture
def root() -> trustme.CA:
    """An authority."""
    return trustme.CA()


@pytest.fixture
def issuer(root: trustme.CA) -> trustme.CA:
    """An authority below it."""
    return root.create_child_ca()


@pytest.fixture
def leaf(issuer: trustme.CA) -> trustme.LeafCert:
    """A server's certificate, below that."""
    return issuer.issue_cert("localhost")


@pytest.fixture
def port(leaf: trustme.LeafCert) -> Iterator[int]:
    """A server that shakes hands and waits for the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            conn.settimeout(LATER)
            try:
                with context.wrap_socket(conn, server_side=True) as tls:
                    tls.recv(1)
            except OSError:
                conn.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def handshake(edge: Edge, run: Callable[..., Any], port: int) -> Callable[..., TLSInfo]:
    """Shake hands with the server, and return what came of it."""

    async def shake_hands(tls: TLS, host: str = "localhost") -> TLSInfo:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + LATER)
        try:
            await stream.start_tls(tls, host, deadline=edge.now() + LATER)
            assert stream.tls_info is not None
            return stream.tls_info
        finally:
            await stream.close()

    return lambda *args: run(shake_hands, *args)


def test_the_whole_chain_is_shown(
    handshake: Callable[..., TLSInfo], leaf: trustme.LeafCert, issuer: trustme.CA
) -> None:
    """The server's own certificate comes first, then those above it, whether or not anybody trusts them."""
    info = handshake(TLS(verify=False))
    assert info.peer_chain == (as_der(leaf.cert_chain_pems[0]), as_der(issuer.cert_pem))
    assert info.peer_certificate == info.peer_chain[0]


@pytest.mark.parametrize("which", ["root", "issuer", "leaf"])
def test_an_anchor_is_trusted(
    handshake: Callable[..., TLSInfo], root: trustme.CA, issuer: trustme.CA, leaf: trustme.LeafCert, which: str
) -> None:
    """Any certificate of the chain will do as the anchor, also one that is no root."""
    anchor = {"root": root.cert_pem, "issuer": issuer.cert_pem, "leaf": leaf.cert_chain_pems[0]}[which]
    assert handshake(TLS(anchors=(as_der(anchor),))).version


def test_beside_the_anchor_nobody_is_trusted(handshake: Callable[..., TLSInfo]) -> None:
    """An authority that has not signed the certificate does not verify it."""
    with pytest.raises(TLSError) as caught:
        handshake(TLS(anchors=(as_der(trustme.CA().cert_pem),)))
    assert caught.value.cause == "security"


def test_names_are_checked_unless_the_caller_does(handshake: Callable[..., TLSInfo], issuer: trustme.CA) -> None:
    """A certificate for another name is refused below an anchor, too, where nobody else looks at names."""
    anchors = (as_der(issuer.cert_pem),)
    with pytest.raises(TLSError, match="not for this host name"):
        handshake(TLS(anchors=anchors), "other.test")
    assert handshake(TLS(anchors=anchors, check_hostname=False), "other.test").version


def test_anchors_are_not_kept(edge: Any, handshake: Callable[..., TLSInfo], issuer: trustme.CA) -> None:
    """A context with somebody's anchor is made for one handshake: kept, they would only become more."""
    handshake(TLS(anchors=(as_der(issuer.cert_pem),)))
    assert not edge._contexts


def test_an_anchor_has_to_be_a_certificate(handshake: Callable[..., TLSInfo]) -> None:
    """Other bytes are a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="one certificate in DER form"):
        handshake(TLS(anchors=(b"no certificate",)))


class _Session:
    """What an older or newer Python's session has."""

    def __init__(self, **offers: Any) -> None:
        vars(self).update(offers)


@pytest.mark.parametrize(
    ("session", "chain"),
    [
        (_Session(get_unverified_chain=lambda: [b"a", b"b"]), (b"a", b"b")),
        (_Session(get_unverified_chain=list), ()),
        (_Session(_sslobj=_Session(get_unverified_chain=lambda: [_Session(public_bytes=lambda _: b"a")])), (b"a",)),
        (_Session(_sslobj=_Session(get_unverified_chain=lambda: None)), ()),
        (_Session(_sslobj=_Session()), ()),
        (_Session(_sslobj=None), ()),
        (_Session(), ()),
    ],
)
def test_what_each_python_shows(session: Any, chain: tuple[bytes, ...]) -> None:
    """The public way is taken where there is one, else the private one; where there is neither, nothing is shown."""
    assert chain_of(session) == chain
