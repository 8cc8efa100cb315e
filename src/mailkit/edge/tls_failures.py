"""What the failures of TLS mean: who may try again, and what to change."""

from __future__ import annotations

import ssl
from typing import Any

from mailkit.edge.failures import connection_lost, reason_of
from mailkit.errors import ConnectError, TLSError

__all__ = ["broke_off", "handshake_failed", "lost_inside_tls", "not_verified", "speaks_in_clear", "what"]

# What OpenSSL makes of bytes that are no TLS record: an SMTP greeting, an HTTP answer.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})

# The other side has nothing that TLS 1.2 or newer (or the given context) allows.
_NO_COMMON_VERSION = frozenset(
    ("NO_PROTOCOLS_AVAILABLE", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW")
)

# Alerts about *our* certificate. In TLS 1.3 they arrive after the handshake, with the first read.
_CLIENT_CERTIFICATE = frozenset(
    {
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
    }
)

_TRUST = "if that authority is your own, name it with ca_file="
_OTHER_NAME = "dial the name that the certificate is for, or give it as server_hostname="
# OpenSSL's X509_V_ERR_* numbers (openssl/x509_vfy.h): what failed, and what to do.
_VERIFICATION: dict[int, tuple[str, str]] = {
    9: ("is not valid yet", "check this machine's clock"),
    10: ("has expired", "have the server's certificate renewed, or check this machine's clock"),
    18: ("is self-signed", "to trust exactly this one, give it as ca_file="),
    19: ("comes from an unknown certificate authority (self-signed root)", _TRUST),
    20: (
        "comes from an unknown certificate authority (or the server left out an intermediate certificate)",
        _TRUST,
    ),
    21: (
        "comes without the certificates that link it to a trusted authority",
        "have the server send its full chain",
    ),
    23: ("has been revoked", "do not use this server until its certificate is replaced"),
    62: ("is not for this host name", _OTHER_NAME),
    64: ("is not for this IP address", _OTHER_NAME),
}
_NAME_MISMATCH = frozenset({62, 64})


def what(error: OSError) -> str:
    """Return OpenSSL's or the system's own name for an error, without its source file and line."""
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or type(error).__name__  # absent where Python raised it
    return reason_of(error)


def lost_inside_tls(error: OSError, peer: str) -> ConnectError:
    """Return what to raise when a connection breaks after the handshake."""
    if not isinstance(error, ssl.SSLError):
        return connection_lost(error, peer)
    if error.reason in _CLIENT_CERTIFICATE:
        return ConnectError(
            f"{peer} refused the client certificate, or wants one: {what(error)}; give certificate= and key=",
            cause="security",
            phase="tls",
        )
    return ConnectError(f"the TLS connection to {peer} was lost: {what(error)}; connect again")


def broke_off(error: OSError, peer: str) -> TLSError:
    """Return what to raise when the handshake ends in the middle."""
    return TLSError(
        f"the connection to {peer} was lost in the TLS handshake: {what(error)}; try again later",
        cause="transient",
        phase="tls",
    )


def speaks_in_clear(peer: str) -> TLSError:
    """Return what to raise when the peer's bytes are no TLS."""
    return TLSError(
        f"{peer} does not speak TLS from its first byte; if the port speaks SMTP in clear and offers "
        'STARTTLS (25, 587), use tls="starttls" (smtp://); tls="implicit" (smtps://) is for a TLS port (465)',
        phase="tls",
    )


def handshake_failed(error: OSError, peer: str) -> TLSError:
    """Return what to raise when the handshake fails for another reason than the certificate."""
    if not isinstance(error, ssl.SSLError) or isinstance(
        error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    ):
        return broke_off(error, peer)
    if error.reason in _NOT_TLS:
        return speaks_in_clear(peer)
    if error.reason in _NO_COMMON_VERSION:
        why = "it offers no TLS version that is allowed here (1.2 or newer); have the server updated"
    elif error.reason in _CLIENT_CERTIFICATE:
        why = (
            "it refused our part, perhaps for want of a client certificate; give certificate= and key=, or "
            "change the context"
        )
    else:
        why = "the two sides have no common parameters, or one is broken; change the context or the server"
    return TLSError(f"no TLS with {peer} ({what(error)}): {why}", phase="tls")


def not_verified(error: ssl.SSLCertVerificationError, sock: ssl.SSLSocket | ssl.SSLObject, peer: str) -> TLSError:
    """Return what to raise when the server's certificate is not good."""
    failed, advice = _VERIFICATION.get(
        error.verify_code,
        (f"cannot be verified ({error.verify_message})", "have it replaced, or trust it with ca_file="),
    )
    wanted = f" as {sock.server_hostname!r}" if sock.server_hostname else ""
    names = _names_in_certificate(sock) if error.verify_code in _NAME_MISMATCH else ""
    return TLSError(f"the certificate of {peer}{wanted} {failed}{names}; {advice}", phase="tls")


def _names_in_certificate(sock: Any) -> str:
    """Return the names that a refused certificate claims to be for, where Python can tell."""
    # Public since Python 3.13, but only in DER form; nothing but the message depends on it.
    try:
        info: dict[str, Any] = sock._sslobj.get_unverified_chain()[0].get_info()  # noqa: SLF001
        names = [str(name) for _kind, name in info.get("subjectAltName", ())]
    except (AttributeError, IndexError, TypeError, ValueError, ssl.SSLError):
        return ""
    # The server chose these texts: shown escaped, and not without end.
    shown = ", ".join(ascii(name[:100]) for name in names[:5])
    return f", but for {shown}{' and others' if len(names) > 5 else ''}" if names else ""
