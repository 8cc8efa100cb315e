"""TLS over a non-blocking socket: contexts, the handshake, and what its failures mean.

With :mod:`mailkit.edge.tls_failures` the only module that imports ssl; :mod:`mailkit.edge.stream` loads them
with the first handshake.

Counting `bytes_sent` inside TLS. A write is cut into slices of at most 16 KiB, so that a slice is one record
(RFC 8446 §5.1: 2^14 bytes). OpenSSL reports success once the whole record is in the kernel, and "want write"
while a part of it is not. A peer can open a record only when all of it, its authentication tag at the end,
has arrived; so a slice that has not been taken whole cannot be read by the peer, and after a slice that was
given up nothing more is ever written. Counting exactly the slices that OpenSSL took is therefore never too
few.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from mailkit.edge.certificate_chain import chain_of
from mailkit.edge.look_ahead import RECORD, LookAhead
from mailkit.edge.nested_tls import NestedTLSChannel
from mailkit.edge.readiness import ready_now
from mailkit.edge.stream import WANT_READ, WANT_WRITE, PlainChannel
from mailkit.edge.tls_failures import (
    broke_off,
    handshake_failed,
    lost_inside_tls,
    not_verified,
    speaks_in_clear,
    what,
)
from mailkit.edge.tls_options import TLSInfo
from mailkit.errors import ConfigurationError, TLSError

if TYPE_CHECKING:
    from mailkit.edge.stream import Channel
    from mailkit.edge.tls_options import TLS
    from mailkit.edge.waiter import Waiter
    from mailkit.errors import ConnectError

__all__ = ["TLSChannel", "context_for", "wrap"]


async def context_for(tls: TLS, contexts: dict[TLS, Any], waiter: Waiter) -> ssl.SSLContext:
    """Return the context for a TLS value: the one given, the one made before, or a new one.

    Raises:
        ConfigurationError: A file cannot be read or does not hold what it should.
    """
    if tls.context is not None:
        if not isinstance(tls.context, ssl.SSLContext):
            raise ConfigurationError(f"context= takes an ssl.SSLContext, not {type(tls.context).__name__}")
        return tls.context
    if tls.anchors:
        return _anchored_context(tls)  # they belong to one server: kept, they would only become more and more
    context: ssl.SSLContext | None = contexts.get(tls)
    if context is None:
        # Parsing the system's authorities takes tens of milliseconds.
        context = contexts[tls] = await waiter.in_thread(lambda: _new_context(tls))
    return context


def _new_context(tls: TLS) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else os.fspath(tls.ca_file))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read certificate authorities from ca_file {str(tls.ca_file)!r}: {what(error)}; "
            "it must be a readable PEM file"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.verify and tls.check_hostname
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        password = tls.key_password
        try:
            context.load_cert_chain(
                os.fspath(tls.certificate),
                None if tls.key is None else os.fspath(tls.key),
                # Even where there is none: OpenSSL would ask for it on the terminal.
                password=lambda: "" if password is None else password.reveal(),
            )
        except OSError as error:
            # The chained error knows numbers and no secret.
            raise ConfigurationError(
                f"cannot load the client certificate {str(tls.certificate)!r}: {what(error)}; certificate= "
                "and key= must be matching PEM files, and key_password= the key's password where it has one"
            ) from error
    elif tls.key is not None:
        raise ConfigurationError("key= is given without certificate=; a client certificate needs both")
    return context


def _anchored_context(tls: TLS) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_hostname
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the anchor may be no root
    try:
        context.load_verify_locations(cadata=b"".join(tls.anchors))
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the trust anchors cannot be read ({what(error)}); each is one certificate in DER form"
        ) from error
    return context


def wrap(
    channel: Channel, context: ssl.SSLContext, host: str, peer: str, *, in_tunnel: bool = False, early: bytes = b""
) -> TLSChannel | NestedTLSChannel:
    """Put a TLS client on top of a socket in clear, or of a proxy's TLS, the handshake not begun.

    Raises:
        ConfigurationError: `host` is no name for a certificate, or the context is for servers.
        TLSError: The peer has spoken first, or has closed.
    """
    name = _certificate_name(host)
    if early:
        raise speaks_in_clear(peer)
    if isinstance(channel, TLSChannel) and in_tunnel:
        return _nest(channel, context, name, peer)
    if not isinstance(channel, PlainChannel):
        raise TLSError(
            f"the connection to {peer} is inside TLS already; start TLS only once",
            cause="configuration",
            phase="tls",
        )
    sock = channel.socket
    try:
        early = sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    except OSError as error:
        raise broke_off(error, peer) from error
    else:
        if not early:
            raise _closed(peer)
        # A TLS server waits for our ClientHello. Whatever came first is a service in clear or an injection
        # (CVE-2011-0411).
        raise speaks_in_clear(peer)
    try:
        wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    except ssl.SSLError as error:
        raise ConfigurationError(f"the SSLContext cannot be used for a client: {what(error)}") from error
    except OSError as error:
        raise broke_off(error, peer) from error
    return TLSChannel(wrapped)


def _closed(peer: str) -> TLSError:
    return TLSError(f"{peer} closed the connection before TLS; try again later", cause="transient", phase="tls")


def _nest(channel: TLSChannel, context: ssl.SSLContext, name: str, peer: str) -> NestedTLSChannel:
    if channel.has_input():
        try:
            early = channel.receive(RECORD)
        except OSError as error:
            raise broke_off(error, peer) from error
        raise speaks_in_clear(peer) if early else _closed(peer)
    try:
        return NestedTLSChannel(channel, context, name)
    except ssl.SSLError as error:
        raise ConfigurationError(f"the SSLContext cannot be used for a client: {what(error)}") from error


def _certificate_name(host: str) -> str:
    """Return the name to ask for. Checked here: a wrong one makes wrap_socket lose the descriptor."""
    # A dot at the end and an interface behind "%" belong to resolvers, not to certificates.
    name = host.partition("%")[0].rstrip(".")
    try:
        if name and all("!" <= character <= "~" for character in name):
            name.encode("idna")  # checks the labels' lengths; an A-label stays what it is
            return name
    except UnicodeError:
        pass
    raise ConfigurationError(f"{host!a} cannot be the name in a certificate; give one as server_hostname=")


class TLSChannel(LookAhead):
    """A socket inside TLS."""

    __slots__ = ("block", "socket")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__()
        self.socket: ssl.SSLSocket = sock
        self.block: int = RECORD

    def handshake(self, peer: str) -> int | None:
        """Go on with the handshake; return what it waits for, None when it is done."""
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLWantWriteError:
            return WANT_WRITE
        except ssl.SSLCertVerificationError as error:
            raise not_verified(error, self.socket, peer) from error
        except OSError as error:
            raise handshake_failed(error, peer) from error
        return None

    def info(self) -> TLSInfo:
        """Return what the handshake settled on."""
        cipher = self.socket.cipher()
        return TLSInfo(
            version=self.socket.version() or "",
            cipher=cipher[0] if cipher else "",
            peer_certificate=self.socket.getpeercert(binary_form=True) or b"",
            alpn=self.socket.selected_alpn_protocol(),
            peer_chain=chain_of(self.socket),
        )

    def send(self, data: memoryview) -> int:
        """Write one record, or as much of it as the kernel takes."""
        try:
            return self.socket.send(data)
        except ssl.SSLWantWriteError:
            return WANT_WRITE
        except ssl.SSLWantReadError:
            return WANT_READ

    def decrypt(self, size: int) -> bytes | int:
        """Read from the socket."""
        try:
            return self.socket.recv(size)
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLWantWriteError:
            return WANT_WRITE

    def is_decrypted(self) -> bool:
        """Whether the session holds bytes of a record already."""
        return bool(self.socket.pending())

    def might_have_arrived(self) -> bool:
        """Whether the socket can be read from."""
        return ready_now(self.socket.fileno())

    def lost(self, error: OSError, peer: str) -> ConnectError:
        """Return the error to raise."""
        return lost_inside_tls(error, peer)
