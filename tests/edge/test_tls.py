from __future__ import annotations

import contextlib
import datetime as dt
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.colours import run_in
from tests.edge.test_stream import BIG, echo, in_child, wait_for_input

from mailkit.edge import TLS
from mailkit.edge.stream import WANT_READ, WANT_WRITE
from mailkit.edge.tls import TLSChannel
from mailkit.errors import ConfigurationError, ConnectError, DeliveryTimeout, TLSError
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme
    from tests.edge.conftest import Serve

    from mailkit.edge import Edge


def over_tls(context: ssl.SSLContext, script: Callable[[Any], object] = echo) -> Callable[[socket.socket], None]:
    """Return a script that does the handshake first."""

    def follow(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as inside:
            script(inside)

    return follow


def refused(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Return a script whose handshake the client breaks off."""

    def follow(conn: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(conn, server_side=True) as inside:
            inside.recv(1)

    return follow


def server(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    """Return the context of a server with a certificate for other names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


async def connect(edge: Edge, port: int, tls: TLS, host: str = "localhost", wait: float = 5.0) -> Any:
    """Return a stream inside TLS; see to it that one whose handshake fails is closed."""
    stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
    try:
        await stream.start_tls(tls, host, deadline=edge.now() + wait)
    except BaseException:
        assert stream.has_input(), "a stream without its TLS must be closed"
        with pytest.raises(ConnectError):
            await stream.send(b"in clear", deadline=edge.now() + 5)
        raise
    return stream


@pytest.fixture
def failure(edge: Edge, run: Any) -> Callable[..., Any]:
    """Connect, and return the error of the handshake."""

    def fail(port: int, tls: TLS, expected: type[BaseException] = TLSError, **options: Any) -> Any:
        with pytest.raises(expected) as caught:
            run(lambda: connect(edge, port, tls, **options))
        return caught.value

    return fail


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_go_and_come_inside_tls(
    version: ssl.TLSVersion, edge: Edge, run: Any, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """After the handshake bytes are exchanged and counted, and tls_info says what was settled."""
    context = server(authority, "localhost")
    context.maximum_version = version
    port = serve(over_tls(context))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        assert stream.tls_info.version == ("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
        assert stream.tls_info.cipher
        assert stream.tls_info.peer_certificate[:1] == b"\x30"
        await stream.send(b"ping", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"ping"
        assert stream.bytes_sent == 4
        await stream.close()

    run(conversation)


def test_bytes_are_counted_across_start_tls(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """bytes_sent goes on where it was in clear, without the handshake."""

    def script(conn: socket.socket) -> None:
        assert conn.recv(8) == b"STARTTLS"
        conn.sendall(b"220")
        over_tls(server_context)(conn)

    port = serve(script)

    async def conversation() -> None:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
        await stream.send(b"STARTTLS", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"220"
        assert not stream.has_input()
        await stream.start_tls(TLS(ca_file=ca_file), "localhost", deadline=edge.now() + 5)
        assert stream.bytes_sent == 8
        await stream.send(b"EHLO", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"EHLO"
        assert stream.bytes_sent == 12
        await stream.close()

    run(conversation)


def test_more_than_the_buffers_hold_arrives_whole(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A large write inside TLS waits for a peer that reads, and arrives unchanged."""
    arrived = bytearray()
    done = threading.Event()

    def script(conn: ssl.SSLSocket) -> None:
        while len(arrived) < len(BIG):
            arrived.extend(conn.recv(65536))
        done.set()

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        await stream.send(BIG, deadline=edge.now() + 20)
        assert stream.bytes_sent == len(BIG)
        assert done.wait(10)
        await stream.close()

    run(conversation)
    assert arrived == BIG


def test_an_unfinished_write_counts_whole_records_only(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """What the peer can decrypt after a write that timed out is exactly what bytes_sent says."""
    go_on = threading.Event()
    arrived = bytearray()
    done = threading.Event()

    def script(conn: ssl.SSLSocket) -> None:
        go_on.wait(10)
        with contextlib.suppress(OSError):
            while data := conn.recv(65536):
                arrived.extend(data)
        done.set()

    port = serve(over_tls(server_context, script))

    async def conversation() -> int:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        with pytest.raises(DeliveryTimeout):
            await stream.send(BIG, deadline=edge.now() + 0.1)
        # Not close: with tickets unread that is a reset, which takes from the peer what it has not read.
        socket.socket.shutdown(stream._channel.socket, socket.SHUT_WR)
        go_on.set()
        assert done.wait(10)
        await stream.close()
        return int(stream.bytes_sent)

    sent = run(conversation)
    assert 0 < sent < len(BIG)
    assert arrived == BIG[:sent]


def test_a_session_ticket_is_no_input(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """TLS 1.3 tickets make the socket readable but not has_input; a byte does, and is then received."""
    speak = threading.Event()

    def script(conn: ssl.SSLSocket) -> None:
        speak.wait(5)
        conn.sendall(b"220 hello")
        conn.recv(1)

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        wait_for_input(stream)  # the tickets
        assert not stream.has_input()
        speak.set()
        wait_for_input(stream)
        while not stream.has_input():
            pass
        assert stream.has_input()
        assert await stream.receive(deadline=edge.now() + 5) == b"220 hello"
        assert not stream.has_input()
        await stream.close()

    run(conversation)


def test_decrypted_bytes_that_are_left_over_are_input(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """Bytes that OpenSSL holds decrypted count as input although the socket has none left."""

    def script(conn: ssl.SSLSocket) -> None:
        conn.sendall(b"0123456789")
        conn.recv(1)

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        first: bytes | int = WANT_READ
        while isinstance(first, int):
            first = stream._channel.receive(4)
        assert first == b"0123"
        assert not select.select([stream._channel.socket], [], [], 0)[0]
        assert stream.has_input()
        assert await stream.receive(deadline=edge.now() + 5) == b"456789"
        assert not stream.has_input()
        await stream.close()

    run(conversation)


@pytest.mark.parametrize("clean", [True, False])
def test_the_end_of_a_tls_stream_is_an_empty_read(
    clean: bool, edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A peer that closes, with or without close_notify, gives ``b""`` and makes has_input true."""

    def script(conn: ssl.SSLSocket) -> None:
        if clean:
            with contextlib.suppress(OSError):
                conn.settimeout(0.05)
                conn.unwrap()

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        assert await stream.receive(deadline=edge.now() + 5) == b""
        assert stream.has_input()
        await stream.close()

    run(conversation)


def test_a_reset_inside_tls_ends_the_stream(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A reset makes has_input true, and receiving ends: some versions of Python show it as an end, some as an error."""

    def script(conn: ssl.SSLSocket) -> None:
        assert conn.recv(1) == b"x"
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        await stream.send(b"x", deadline=edge.now() + 5)
        while not stream.has_input():
            pass
        with contextlib.suppress(ConnectError):
            assert await stream.receive(deadline=edge.now() + 5) == b""
        assert stream.has_input()
        await stream.close()

    run(conversation)


def test_garbage_inside_tls_is_a_connect_error(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A record that cannot be opened loses the connection, with OpenSSL's name for it."""

    def script(conn: ssl.SSLSocket) -> None:
        socket.socket.send(conn, b"\x17\x03\x03\x00\x20" + bytes(32))
        with contextlib.suppress(OSError):
            conn.recv(1)

    port = serve(over_tls(server_context, script))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        with pytest.raises(ConnectError, match=r"TLS connection to 127.0.0.1:\d+ was lost: [A-Z_]+;"):
            await stream.receive(deadline=edge.now() + 5)
        await stream.close()

    run(conversation)


def test_abandoning_in_a_child_leaves_the_parents_tls(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """A forked child that abandons a TLS stream sends no close_notify into its parent's connection."""
    port = serve(over_tls(server_context))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        assert in_child(stream.abandon) == 0
        await stream.send(b"still here", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"still here"
        await stream.close()

    run(conversation)


# Whom we talk to.


def test_an_unknown_authority_is_refused(failure: Any, serve: Serve, server_context: ssl.SSLContext) -> None:
    """Without ca_file the tests' authority is unknown: a security failure that names ca_file."""
    error = failure(serve(refused(server_context)), TLS())
    assert error.cause == "security"
    assert error.phase == "tls"
    assert not error.retryable
    assert "unknown certificate authority" in str(error)
    assert "ca_file=" in str(error)


def test_an_expired_certificate_is_refused(failure: Any, serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    """A certificate that has run out is a security failure that says so."""
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    error = failure(serve(refused(server(authority, "localhost", not_after=past))), TLS(ca_file=ca_file))
    assert error.cause == "security"
    assert "'localhost' has expired" in str(error)


def test_a_certificate_for_another_name_is_refused(
    failure: Any, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """The message names the host wanted, the names in the certificate, and server_hostname."""
    names = ["mail.example.org", "*.example.net", *(f"mx{number}.example.org" for number in range(5))]
    error = failure(serve(refused(server(authority, *names))), TLS(ca_file=ca_file))
    assert error.cause == "security"
    assert "as 'localhost' is not for this host name" in str(error)
    assert "but for 'mail.example.org', '*.example.net', 'mx0.example.org'" in str(error)
    assert "and others" in str(error)
    assert "server_hostname=" in str(error)


def test_a_certificate_for_another_address_is_refused(
    failure: Any, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """Dialling an IP address wants that address in the certificate."""
    error = failure(serve(refused(server(authority, "localhost"))), TLS(ca_file=ca_file), host="127.0.0.1")
    assert "as '127.0.0.1' is not for this IP address, but for 'localhost'" in str(error)


def self_signed() -> tuple[bytes, bytes]:
    """Return a self-signed certificate for localhost, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), pem


def test_a_self_signed_certificate_is_refused_until_it_is_trusted(
    edge: Edge, run: Any, failure: Any, serve: Serve, tmp_path: Path
) -> None:
    """A self-signed certificate is named as such, and is good as its own ca_file."""
    certificate, key = self_signed()
    (tmp_path / "both.pem").write_bytes(certificate + key)
    (tmp_path / "ca.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    error = failure(serve(refused(context)), TLS())
    assert "is self-signed; to trust exactly this one, give it as ca_file=" in str(error)
    port = serve(over_tls(context))

    async def conversation() -> None:
        await (await connect(edge, port, TLS(ca_file=tmp_path / "ca.pem"))).close()

    run(conversation)


def test_the_certificate_may_be_for_a_name_other_than_the_one_dialled(
    edge: Edge, run: Any, serve: Serve, authority: trustme.CA, ca_file: Path
) -> None:
    """server_hostname is what is sent as SNI and what the certificate is held against."""
    asked: list[object] = []
    context = server(authority, "mail.example.org")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    port = serve(over_tls(context))

    async def conversation() -> None:
        tls = TLS(ca_file=ca_file, server_hostname="mail.example.org.")
        await (await connect(edge, port, tls, host="127.0.0.1")).close()

    run(conversation)
    assert asked == ["mail.example.org"]


def test_verification_can_be_given_up_only_explicitly(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext
) -> None:
    """verify=False accepts any certificate and any name."""
    port = serve(over_tls(server_context))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(verify=False), host="other.example.org")
        assert stream.tls_info.peer_certificate
        await stream.close()

    run(conversation)


def test_a_custom_context_is_used_as_it_is(
    edge: Edge, run: Any, serve: Serve, authority: trustme.CA, server_context: ssl.SSLContext
) -> None:
    """A given SSLContext decides everything."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    port = serve(over_tls(server_context))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(context=context))
        assert stream.tls_info.version == "TLSv1.2"
        await stream.close()

    run(conversation)


def test_contexts_are_made_once(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """Two streams of one edge with equal TLS values share a context of TLS 1.2 or newer."""
    port = serve(over_tls(server_context))

    async def conversation() -> None:
        first = await connect(edge, port, TLS(ca_file=ca_file))
        second = await connect(edge, port, TLS(ca_file=ca_file))
        context = first._channel.socket.context
        assert context is second._channel.socket.context
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        await first.close()
        await second.close()

    run(conversation)


# Client certificates.


@pytest.fixture
def client(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A client certificate, and its key encrypted with "hunter2"."""
    issued = authority.issue_cert("client@example.org")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    (tmp_path / "key.pem").write_bytes(pem)
    return tmp_path / "client.pem", tmp_path / "key.pem"


@pytest.fixture
def strict_server(authority: trustme.CA) -> ssl.SSLContext:
    """A server that wants a client certificate."""
    context = server(authority, "localhost")
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_client_certificate_is_shown(
    edge: Edge,
    run: Any,
    serve: Serve,
    strict_server: ssl.SSLContext,
    client: tuple[Path, Path],
    ca_file: Path,
) -> None:
    """A certificate with an encrypted key satisfies a server that wants one."""
    seen: list[Any] = []

    def script(conn: ssl.SSLSocket) -> None:
        seen.append(conn.getpeercert())
        echo(conn)

    port = serve(over_tls(strict_server, script))
    certificate, key = client

    async def conversation() -> None:
        tls = TLS(ca_file=ca_file, certificate=certificate, key=key, key_password=Secret("hunter2"))
        stream = await connect(edge, port, tls)
        await stream.send(b"x", deadline=edge.now() + 5)
        assert await stream.receive(deadline=edge.now() + 5) == b"x"
        await stream.close()

    run(conversation)
    assert seen[0]["subjectAltName"] == (("email", "client@example.org"),)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_named(
    version: ssl.TLSVersion, edge: Edge, run: Any, serve: Serve, strict_server: ssl.SSLContext, ca_file: Path
) -> None:
    """A server that wants a certificate and gets none: a security failure that says what to give."""
    strict_server.maximum_version = version
    port = serve(refused(strict_server))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        try:
            while await stream.receive(deadline=edge.now() + 5):
                pass
        finally:
            await stream.close()

    with pytest.raises((TLSError, ConnectError), match="certificate=") as caught:
        run(conversation)
    assert caught.value.cause == "security"


@pytest.mark.parametrize("password", [None, Secret("wrong-password")])
def test_a_wrong_key_password_is_a_configuration_error(
    password: Secret | None, failure: Any, serve: Serve, client: tuple[Path, Path]
) -> None:
    """A missing or wrong key_password is refused without asking on the terminal, and is not shown."""
    port = serve(lambda conn: conn.recv(1))
    certificate, key = client
    error = failure(port, TLS(certificate=certificate, key=key, key_password=password), ConfigurationError)
    assert "cannot load the client certificate" in str(error)
    assert "key_password=" in str(error)
    assert "wrong-password" not in str(error) + repr(error.__cause__)


@pytest.mark.parametrize(
    ("tls", "says"),
    [
        (lambda folder: TLS(ca_file=folder / "missing.pem"), "missing.pem.*ENOENT"),
        (lambda folder: TLS(ca_file=folder), "cannot read certificate authorities"),
        (lambda folder: TLS(certificate=folder / "missing.pem"), "cannot load the client certificate"),
        (lambda folder: TLS(key=folder / "key.pem"), "without certificate="),
        (lambda folder: TLS(context="default"), "takes an ssl.SSLContext, not str"),
        (lambda folder: TLS(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)), "cannot be used for a client"),
        (lambda folder: TLS(server_hostname=".example.org"), "cannot be the name in a certificate"),
        (lambda folder: TLS(server_hostname="x" * 64 + ".example.org"), "cannot be the name"),
        (lambda folder: TLS(server_hostname="fa\u00df.test"), r"'fa\\xdf.test' cannot be the name"),
        (lambda folder: TLS(server_hostname="a\0b.test"), "cannot be the name"),
        (lambda folder: TLS(server_hostname="."), "cannot be the name"),
    ],
)
def test_wrong_settings_are_configuration_errors(
    tls: Any, says: str, failure: Any, serve: Serve, tmp_path: Path
) -> None:
    """Files that are missing, contexts and names that cannot be used are said before any handshake."""
    error = failure(serve(lambda conn: conn.recv(1)), tls(tmp_path), ConfigurationError)
    with pytest.raises(ConfigurationError, match=says):
        raise error


# Handshakes that fail.


def test_an_old_server_is_refused(failure: Any, serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    """A server that speaks nothing newer than TLS 1.1 is a security failure that says which version is wanted."""
    context = server(authority, "localhost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    error = failure(serve(refused(context)), TLS(ca_file=ca_file))
    assert error.cause == "security"
    assert "no TLS version that is allowed here (1.2 or newer)" in str(error)


def test_no_common_cipher_is_a_security_failure(
    failure: Any, serve: Serve, server_context: ssl.SSLContext, authority: trustme.CA
) -> None:
    """Two sides without a common cipher give up, and nobody tries again by himself."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    theirs = server(authority, "localhost")
    theirs.maximum_version = ssl.TLSVersion.TLSv1_2
    theirs.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    error = failure(serve(refused(theirs)), TLS(context=context))
    assert error.cause == "security"
    assert "no TLS with" in str(error)


def test_an_alert_of_another_kind_is_a_security_failure(failure: Any, serve: Serve) -> None:
    """Any other fatal alert is named as OpenSSL names it."""

    def script(conn: socket.socket) -> None:
        conn.recv(65536)
        conn.sendall(b"\x15\x03\x03\x00\x02\x02\x50")  # internal_error (RFC 8446 §6)

    error = failure(serve(script), TLS())
    assert error.cause == "security"
    assert "TLSV1_ALERT_INTERNAL_ERROR" in str(error)
    assert "no common parameters" in str(error)


@pytest.mark.parametrize("answer", [b"220 mail.example.org ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
@pytest.mark.parametrize("speaks_first", [True, False])
def test_a_peer_that_speaks_in_clear_gets_a_hint(
    speaks_first: bool, answer: bytes, edge: Edge, run: Any, serve: Serve
) -> None:
    """Clear text instead of TLS, before or after our hello, is a security failure that names STARTTLS."""

    def script(conn: socket.socket) -> None:
        if not speaks_first:
            conn.recv(65536)
        conn.sendall(answer)
        with contextlib.suppress(OSError):
            conn.recv(65536)

    port = serve(script)

    async def conversation() -> None:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
        if speaks_first:
            wait_for_input(stream)
            assert stream.has_input()
        await stream.start_tls(TLS(), "localhost", deadline=edge.now() + 5)

    with pytest.raises(TLSError, match=r"offers STARTTLS \(25, 587\)") as caught:
        run(conversation)
    assert caught.value.cause == "security"


def closes(conn: socket.socket) -> None:
    """Close in the middle of the handshake."""
    conn.recv(65536)


def resets(conn: socket.socket) -> None:
    """Reset in the middle of the handshake."""
    conn.recv(10)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("script", [closes, resets])
def test_a_lost_connection_in_the_handshake_may_be_tried_again(script: Any, failure: Any, serve: Serve) -> None:
    """An end or a reset in the middle of the handshake is transient."""
    error = failure(serve(script), TLS())
    assert error.cause == "transient"
    assert error.retryable
    assert "was lost in the TLS handshake" in str(error)


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)])
def test_a_connection_lost_before_the_handshake_may_be_tried_again(
    linger: bytes | None, edge: Edge, run: Any, serve: Serve
) -> None:
    """An end or a reset that has arrived before our hello is transient."""
    connected = threading.Event()

    def script(conn: socket.socket) -> None:
        connected.wait(5)
        if linger:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    port = serve(script)

    async def conversation() -> None:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
        connected.set()
        wait_for_input(stream)
        await stream.start_tls(TLS(), "localhost", deadline=edge.now() + 5)

    with pytest.raises(TLSError, match=r"closed the connection before TLS|was lost in the TLS") as caught:
        run(conversation)
    assert caught.value.cause == "transient"


def test_a_stalled_handshake_ends_at_the_deadline(failure: Any, serve: Serve) -> None:
    """A peer that never answers our hello costs no more than the deadline."""
    done = threading.Event()

    def script(conn: socket.socket) -> None:
        while conn.recv(65536):
            pass
        done.set()

    error = failure(serve(script), TLS(), DeliveryTimeout, wait=0.05)
    assert "did not finish the TLS handshake" in str(error)
    assert error.phase == "tls"
    assert done.wait(5)


def test_tls_starts_only_once(
    edge: Edge, run: Any, serve: Serve, server_context: ssl.SSLContext, ca_file: Path
) -> None:
    """TLS inside TLS is refused and the stream closed."""
    port = serve(refused(server_context))

    async def conversation() -> None:
        stream = await connect(edge, port, TLS(ca_file=ca_file))
        with pytest.raises(TLSError, match="inside TLS already"):
            await stream.start_tls(TLS(ca_file=ca_file), "localhost", deadline=edge.now() + 5)
        assert stream.has_input()

    run(conversation)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_a_handshake_closes_the_stream(backend: Any, serve: Serve) -> None:
    """A handshake that is cancelled leaves no half-secured stream behind."""
    import anyio
    from tests.colours import make_edge

    done = threading.Event()

    def script(conn: socket.socket) -> None:
        while conn.recv(65536):
            pass
        done.set()

    port = serve(script)
    edge = make_edge(backend)

    async def conversation() -> None:
        stream = await edge.connect_tcp("127.0.0.1", port, deadline=edge.now() + 5)
        with anyio.move_on_after(0.05) as scope:
            await stream.start_tls(TLS(), "localhost", deadline=edge.now() + 30)
        assert scope.cancelled_caught
        assert stream._channel.socket.fileno() == -1  # type: ignore[attr-defined]

    run_in(backend, conversation)
    assert done.wait(5)


class Wanting:
    """A socket inside TLS that wants the opposite of what is asked."""

    def __init__(self, error: type[ssl.SSLError]) -> None:
        self.error = error

    def do_handshake(self) -> None:
        """Raise."""
        raise self.error

    def send(self, data: memoryview) -> int:
        """Raise."""
        raise self.error

    def recv(self, size: int) -> bytes:
        """Raise."""
        raise self.error


@pytest.mark.parametrize(("error", "wanted"), [(ssl.SSLWantReadError, WANT_READ), (ssl.SSLWantWriteError, WANT_WRITE)])
def test_tls_may_want_to_read_in_order_to_write(error: Any, wanted: int) -> None:
    """Renegotiation and key updates turn the directions round; what is wanted is what is waited for."""
    channel = TLSChannel(Wanting(error))  # type: ignore[arg-type]
    assert channel.handshake("peer") == wanted
    assert channel.send(memoryview(b"x")) == wanted
    assert channel.receive(10) == wanted


def test_a_socket_error_when_wrapping_is_transient(server_context: ssl.SSLContext) -> None:
    """A connection that breaks while it is wrapped may be tried again."""
    from mailkit.edge.stream import PlainChannel
    from mailkit.edge.tls import wrap

    class Broken:
        def wrap_socket(self, *_: object, **__: object) -> None:
            raise ConnectionResetError(104, "reset")

    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    with pytest.raises(TLSError) as caught:
        wrap(PlainChannel(ours), Broken(), "localhost", "peer")  # type: ignore[arg-type]
    assert caught.value.cause == "transient"
    ours.close()
    theirs.close()


def test_an_error_that_has_input_meets_is_raised_by_receive() -> None:
    """Looking whether something has arrived does not swallow the error that has arrived."""
    ours, theirs = socket.socketpair()
    theirs.close()  # makes our end readable

    class Failing(Wanting):
        fileno = ours.fileno

        def pending(self) -> int:
            return 0

    channel = TLSChannel(Failing(ssl.SSLError))  # type: ignore[arg-type]
    assert channel.has_input()
    assert channel.has_input()
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            channel.receive(10)
    ours.close()


@pytest.mark.parametrize("module", ["mailkit.edge.blocking", "mailkit.edge.stream", "mailkit.edge.connect"])
def test_ssl_is_loaded_with_the_first_handshake(module: str) -> None:
    """Importing the blocking edge loads neither ssl nor an event loop."""
    code = f"import sys, {module}; print(*sys.modules.keys() & {{'ssl', 'anyio', 'asyncio', 'trio'}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
