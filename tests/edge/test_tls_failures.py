from __future__ import annotations

import ssl
from typing import Any

import pytest

from mailkit.edge.tls_failures import handshake_failed, lost_inside_tls, not_verified, what


class Refused:
    """A socket whose peer's certificate was refused, as :mod:`ssl` shows it."""

    server_hostname = "mail.example.org"

    def __init__(self, names: object) -> None:
        self._names = names

    @property
    def _sslobj(self) -> Any:
        return self

    def get_unverified_chain(self) -> Any:
        """Return one certificate."""
        return [self]

    def get_info(self) -> Any:
        """Return what it says."""
        return {"subjectAltName": self._names}


def verification(code: int) -> ssl.SSLCertVerificationError:
    """Return an error as OpenSSL makes it."""
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "certificate is cursed"
    return error


def test_names_in_a_certificate_cannot_forge_lines() -> None:
    """Names that the server chose are escaped and cut in the message."""
    sock: Any = Refused((("DNS", "a\r\n250 OK\x1b[2J"), ("DNS", "é" * 500)))
    text = str(not_verified(verification(62), sock, "peer"))
    assert "\r" not in text
    assert "\x1b" not in text
    assert r"'a\r\n250 OK\x1b[2J'" in text
    assert len(text) < 1000


@pytest.mark.parametrize("names", [None, (), ((),)])
def test_a_certificate_without_names_is_no_trouble(names: Any) -> None:
    """Where Python cannot tell the names, the message does without."""
    sock: Any = Refused(names)
    assert "is not for this host name; dial" in str(not_verified(verification(62), sock, "peer"))


def test_an_unusual_verification_failure_is_given_in_openssls_words() -> None:
    """A code that has no row of its own is still explained, and is a security failure."""
    sock: Any = Refused(())
    error = not_verified(verification(94), sock, "peer")
    assert "cannot be verified (certificate is cursed)" in str(error)
    assert error.cause == "security"


@pytest.mark.parametrize(
    "error",
    [ssl.SSLEOFError(8, "EOF"), ssl.SSLZeroReturnError(6, "closed"), ssl.SSLSyscallError(5, "x"), BrokenPipeError()],
)
def test_an_end_in_the_handshake_is_transient(error: OSError) -> None:
    """However the end of the connection shows, it may be tried again."""
    assert handshake_failed(error, "peer").cause == "transient"


def test_a_refused_client_certificate_in_the_handshake_is_named() -> None:
    """An alert about our certificate says what to give."""
    error = ssl.SSLError(1, "alert")
    error.reason = "TLSV1_ALERT_UNKNOWN_CA"
    failure = handshake_failed(error, "peer")
    assert failure.cause == "security"
    assert "certificate= and key=" in str(failure)


def test_a_lost_socket_inside_tls_reads_as_in_clear() -> None:
    """An operating system error after the handshake is told as for a connection in clear."""
    assert "the connection to peer was lost: EOF" not in str(lost_inside_tls(ConnectionResetError(104, "x"), "peer"))
    assert "ECONNRESET" in str(lost_inside_tls(ConnectionResetError(104, "x"), "peer"))


def test_an_error_without_a_reason_has_its_types_name() -> None:
    """OpenSSL sometimes names no reason; then the type does."""
    assert what(ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed")) == "SSLZeroReturnError"
