"""How a stream is to talk TLS, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    from pathlib import Path

    from mailkit.secret import Secret

__all__ = ["TLS", "TLSInfo"]


@frozen(kw_only=True)
class TLS:
    """How to talk TLS: verified, version 1.2 or newer, unless a context of your own says otherwise.

    Args:
        ca_file: A PEM file of certificate authorities to trust instead of the system's.
        certificate: A PEM file with the client certificate (and key, where `key` is absent).
        key: A PEM file with the client's private key.
        key_password: The password of `key`.
        server_hostname: The name that the certificate must be for, where it differs from the host dialled.
        context: A ready ``ssl.SSLContext`` that replaces all of the above but `server_hostname`.
        verify: Whether the certificate is checked. False only for ``tls="opportunistic"`` and
            ``tls="insecure"``, and where whoever asks compares it with what DNS says (DANE).
        anchors: Certificates in DER form, roots or not, to trust instead of every authority (RFC 7671 §5.2).
        check_hostname: Whether the certificate must be for the host. False only where whoever asks compares the names
            himself, because several would do (RFC 7672 §3.2.3).
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: Secret | None = field(default=None, repr=False)
    server_hostname: str | None = None
    context: Any = field(default=None, repr=False)
    verify: bool = True
    anchors: tuple[bytes, ...] = field(default=(), repr=False)
    check_hostname: bool = True


@frozen(kw_only=True)
class TLSInfo:
    """What the TLS handshake settled on.

    Args:
        version: Such as ``"TLSv1.3"``.
        cipher: The cipher suite's name.
        peer_certificate: The server's certificate in DER form.
        alpn: The protocol agreed on for inside (RFC 7301), such as ``"h2"``, where any was offered.
        peer_chain: Every certificate that the server sent, in DER form, its own first; nothing where this Python
            cannot tell. Which of them is to be believed, it does not say.
    """

    version: str
    cipher: str
    peer_certificate: bytes = field(default=b"", repr=False)
    alpn: str | None = None
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
