"""The certificates that a server sent, which Python shows only since 3.13."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["chain_of"]

_DER: Final = 2  # X509_FILETYPE_ASN1 of OpenSSL, which _ssl calls ENCODING_DER


def chain_of(session: ssl.SSLSocket | ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the other side sent in the handshake, as DER, unverified.

    Nothing, where this Python has no way to tell: whoever depends on the chain then fails closed.
    """
    public: Callable[[], list[bytes]] | None = getattr(session, "get_unverified_chain", None)
    if public is not None:
        return tuple(public())
    hidden: Any = session
    try:
        sent: Any = hidden._sslobj.get_unverified_chain()  # noqa: SLF001 - where Python 3.10 to 3.12 have it
        return tuple(bytes(certificate.public_bytes(_DER)) for certificate in sent or ())
    except (AttributeError, TypeError, ValueError):
        return ()
