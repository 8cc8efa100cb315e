"""TLS over a non-blocking socket: contexts, the handshake, and what its failures mean.

The only module that imports ssl; :mod:`mailkit.edge.stream` loads it with the first handshake.

Counting `bytes_sent` inside TLS. A write is cut into slices of at most 16 KiB, so that a slice is one record (RFC 8446 §5.1:
2^14 bytes). OpenSSL reports success once the whole record is in the kernel, and "want write" while a part of it is not.
A peer can open a record only when all of it, its authentication tag at the end, has arrived; so a slice that has not been
taken whole cannot be read by the peer, and after a slice that was given up nothing more is ever written. Counting exactly
the slices that OpenSSL took is therefore never too few.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from mailkit.edge.base import TLSInfo
from mailkit.edge.failures import connection_lost, reason_of
from mailkit.edge.readiness import ready_now
from mailkit.edge.stream import WANT_READ, WANT_WRITE, PlainChannel
from mailkit.errors import ConfigurationError, ConnectError, TLSError

if TYPE_CHECKING:
    from mailkit.edge.base import TLS
    from mailkit.edge.stream import Channel
    from mailkit.edge.waiter import Waiter

__all__ = ["TLSChannel", "context_for", "wrap"]

_RECORD = 16 * 1024

# What OpenSSL makes of bytes that are no TLS record: an SMTP greeting, an HTTP answer.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})

# The other side has nothing that TLS 1.2 or newer (or the given context) allows.
_NO_COMMON_VERSION = frozenset({
    "NO_PROTOCOLS_AVAILABLE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "VERSION_TOO_LOW",
    "WRONG_SSL_VERSION",
})

# Alerts about *our* certificate. In TLS 1.3 they arrive after the handshake, with the first read.
_CLIENT_CERTIFICATE = frozenset({
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "SSLV3_ALERT_NO_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_UNKNOWN_CA",
})

_TRUST = "if that authority is your own, name it with ca_file="
_OTHER_NAME = "dial the name that the certificate is for, or give it as server_hostname="
# OpenSSL's X509_V_ERR_* numbers (openssl/x509_vfy.h): what failed, and what to do.
_VERIFICATION: dict[int, tuple[str, str]] = {
    9: ("is not valid yet", "check this machine's clock"),
    10: ("has expired", "have the server's certificate renewed, or check this machine's clock"),
    18: ("is self-signed", "to trust exactly this one, give it as ca_file="),
    19: ("comes from an unknown certificate authority (self-signed root)", _TRUST),
    20: ("comes from an unknown certificate authority (or the server left out an intermediate certificate)", _TRUST),
    21: ("comes without the certificates that link it to a trusted authority", "have the server send its full chain"),
    23: ("has been revoked", "do not use this server until its certificate is replaced"),
    62: ("is not for this host name", _OTHER_NAME),
    64: ("is not for this IP address", _OTHER_NAME),
}
_NAME_MISMATCH = frozenset({62, 64})


async def context_for(tls: TLS, contexts: dict[TLS, Any], waiter: Waiter) -> ssl.SSLContext:
    """Return the context for a TLS value: the one given, the one made before, or a new one.

    Raises:
        ConfigurationError: A file cannot be read or does not hold what it should.
    """
    if tls.context is not None:
        if not isinstance(tls.context, ssl.SSLContext):
            raise ConfigurationError(f"context= takes an ssl.SSLContext, not {type(tls.context).__name__}")
        return tls.context
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
            f"cannot read certificate authorities from ca_file {str(tls.ca_file)!r}: {_what(error)}; "
            "it must be a readable PEM file"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None:
        # A callable even without a password: OpenSSL would ask for one on the terminal.
        password = "" if tls.key_password is None else tls.key_password.reveal()
        try:
            context.load_cert_chain(
                os.fspath(tls.certificate),
                None if tls.key is None else os.fspath(tls.key),
                password=lambda: password,
            )
        except OSError as error:
            # The chained error knows numbers and no secret.
            raise ConfigurationError(
                f"cannot load the client certificate {str(tls.certificate)!r}: {_what(error)}; certificate= and key= must "
                "be matching PEM files, and key_password= the key's password where it has one"
            ) from error
    elif tls.key is not None:
        raise ConfigurationError("key= is given without certificate=; a client certificate needs both")
    return context


def wrap(channel: Channel, context: ssl.SSLContext, host: str, peer: str) -> TLSChannel:
    """Put a TLS client on top of a socket in clear, the handshake not begun.

    Raises:
        ConfigurationError: `host` is no name for a certificate, or the context is for servers.
        TLSError: The peer has spoken first, or has closed.
    """
    if not isinstance(channel, PlainChannel):
        raise TLSError(f"the connection to {peer} is inside TLS already; start TLS only once", cause="configuration", phase="tls")
    sock = channel.socket
    try:
        early = sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    except OSError as error:
        raise _broke_off(error, peer) from error
    else:
        if not early:
            raise TLSError(f"{peer} closed the connection before TLS; try again later", cause="transient", phase="tls")
        # A TLS server waits for our ClientHello. Whatever came first is a service in clear or an injection (CVE-2011-0411).
        raise _speaks_in_clear(peer)
    try:
        # A dot at the end and an interface behind "%" belong to resolvers, not to certificates.
        name = host.partition("%")[0].rstrip(".")
        wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    except ValueError as error:  # UnicodeError is one
        raise ConfigurationError(f"{host!r} cannot be the name in a certificate; give it as server_hostname=") from error
    except ssl.SSLError as error:
        raise ConfigurationError(f"the SSLContext cannot be used for a client: {_what(error)}") from error
    except OSError as error:
        raise _broke_off(error, peer) from error
    return TLSChannel(wrapped)


class TLSChannel:
    """A socket inside TLS."""

    __slots__ = ("_arrived", "block", "socket")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.socket: ssl.SSLSocket = sock
        self.block = _RECORD
        self._arrived: bytes | None = None

    def handshake(self, peer: str) -> int | None:
        """Go on with the handshake; return what it waits for, None when it is done."""
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLWantWriteError:
            return WANT_WRITE
        except ssl.SSLCertVerificationError as error:
            raise _not_verified(error, self.socket, peer) from error
        except OSError as error:
            raise _handshake_failed(error, peer) from error
        return None

    def info(self) -> TLSInfo:
        """Return what the handshake settled on."""
        cipher = self.socket.cipher()
        return TLSInfo(
            version=self.socket.version() or "",
            cipher=cipher[0] if cipher else "",
            peer_certificate=self.socket.getpeercert(binary_form=True) or b"",
        )

    def send(self, data: memoryview) -> int:
        try:
            return self.socket.send(data)
        except ssl.SSLWantWriteError:
            return WANT_WRITE
        except ssl.SSLWantReadError:
            return WANT_READ

    def receive(self, size: int) -> bytes | int:
        if self._arrived is not None:
            arrived, self._arrived = self._arrived, None
            return arrived
        try:
            return self.socket.recv(size)
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLWantWriteError:
            return WANT_WRITE

    def has_input(self) -> bool:
        if self._arrived is not None or self.socket.pending():
            return True
        if not ready_now(self.socket.fileno()):
            return False
        # It may be a session ticket or a key update (RFC 8446 §4.6), which is nothing to the application; only
        # decrypting tells. What came out is kept for the next receive.
        try:
            arrived = self.receive(_RECORD)
        except OSError:
            return True  # the next receive tells
        if isinstance(arrived, int):
            return False
        self._arrived = arrived
        return True

    def lost(self, error: OSError, peer: str) -> ConnectError:
        if not isinstance(error, ssl.SSLError):
            return connection_lost(error, peer)
        if error.reason in _CLIENT_CERTIFICATE:
            return ConnectError(
                f"{peer} refused the client certificate, or wants one: {_what(error)}; give certificate= and key=",
                cause="security",
                phase="tls",
            )
        return ConnectError(f"the TLS connection to {peer} was lost: {_what(error)}; connect again")


def _what(error: OSError) -> str:
    """Return OpenSSL's or the system's own name for an error, without its source file and line."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return reason_of(error)


def _broke_off(error: OSError, peer: str) -> TLSError:
    return TLSError(
        f"the connection to {peer} was lost in the TLS handshake: {_what(error)}; try again later", cause="transient", phase="tls"
    )


def _speaks_in_clear(peer: str) -> TLSError:
    return TLSError(
        f"{peer} does not speak TLS from its first byte; if the port speaks SMTP in clear and offers STARTTLS (25, 587), use "
        'tls="starttls" (smtp://), and tls="implicit" (smtps://) only for a TLS port (465)',
        phase="tls",
    )


def _handshake_failed(error: OSError, peer: str) -> TLSError:
    if not isinstance(error, ssl.SSLError) or isinstance(
        error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    ):
        return _broke_off(error, peer)
    if error.reason in _NOT_TLS:
        return _speaks_in_clear(peer)
    if error.reason in _NO_COMMON_VERSION:
        why = "it offers no TLS version that is allowed here (1.2 or newer); have the server updated"
    elif error.reason in _CLIENT_CERTIFICATE:
        why = "it refused our part, perhaps for want of a client certificate; give certificate= and key=, or change the context"
    else:
        why = "the two sides have no common parameters, or one of them is broken; change the context or the server"
    return TLSError(f"no TLS with {peer} ({_what(error)}): {why}", phase="tls")


def _not_verified(error: ssl.SSLCertVerificationError, sock: ssl.SSLSocket, peer: str) -> TLSError:
    failed, advice = _VERIFICATION.get(
        error.verify_code, (f"cannot be verified ({error.verify_message})", "have it replaced, or trust it with ca_file=")
    )
    wanted = f" as {sock.server_hostname!r}" if sock.server_hostname else ""
    names = _names_in_certificate(sock) if error.verify_code in _NAME_MISMATCH else ""
    return TLSError(f"the certificate of {peer}{wanted} {failed}{names}; {advice}", phase="tls")


def _names_in_certificate(sock: Any) -> str:
    """Return the names that a refused certificate is for, as the server claims them, where Python can tell."""
    try:
        info: dict[str, Any] = sock._sslobj.get_unverified_chain()[0].get_info()  # noqa: SLF001 - public, as DER only, in 3.13
        names = [str(name) for _kind, name in info.get("subjectAltName", ())]
    except (AttributeError, IndexError, TypeError, ValueError, ssl.SSLError):
        return ""
    # The server chose these texts: shown escaped, and not without end.
    shown = ", ".join(ascii(name[:100]) for name in names[:5])
    return f", but for {shown}{' and others' if len(names) > 5 else ''}" if names else ""  # noqa: PLR2004
