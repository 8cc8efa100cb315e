"""The channel binding ``tls-server-end-point`` (RFC 5929 §4): a hash that ties a login to one certificate.

Which hash, only the certificate says. Python shows it as DER; three levels of DER are read here, and no more.
"""

from __future__ import annotations

import hashlib
from typing import Final

from mailkit.smtp.der import EXPLICIT_0, OBJECT_IDENTIFIER, SEQUENCE, dotted, read

__all__ = ["tls_server_end_point"]

_RSASSA_PSS: Final = "1.2.840.113549.1.1.10"

# Signature algorithm to hash (RFC 4055, RFC 5758, RFC 3279). MD5 and SHA-1 count as SHA-256 (RFC 5929 §4.1).
_SIGNATURE_HASHES: Final = {
    "1.2.840.113549.1.1.4": "sha256",  # md5WithRSAEncryption
    "1.2.840.113549.1.1.5": "sha256",  # sha1WithRSAEncryption
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.4.1": "sha256",  # ecdsa-with-SHA1
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}

# The hash that RSASSA-PSS names in its parameters (RFC 4055 §2.1).
_PSS_HASHES: Final = {
    "1.3.14.3.2.26": "sha256",  # id-sha1
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


def tls_server_end_point(certificate: bytes) -> bytes | None:
    """Return the channel binding data of a connection to the server with this certificate.

    Args:
        certificate: The server's certificate as DER, such as ``SSLSocket.getpeercert(binary_form=True)``
            gives it.

    Returns:
        The hash, or None where RFC 5929 defines none: an algorithm without a hash of its own (Ed25519), or
        unreadable DER.
    """
    try:
        hash_name = _hash_name(certificate)
    except ValueError:
        return None
    return hashlib.new(hash_name, certificate).digest() if hash_name else None


def _hash_name(certificate: bytes) -> str | None:
    # Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm, parameters }, … }
    # (RFC 5280 §4.1)
    to_be_signed = read(read(certificate, SEQUENCE).content, SEQUENCE)
    algorithm = read(read(to_be_signed.rest, SEQUENCE).content, OBJECT_IDENTIFIER)
    name = dotted(algorithm.content)
    if name != _RSASSA_PSS:
        return _SIGNATURE_HASHES.get(name)
    # RSASSA-PSS-params ::= SEQUENCE { [0] HashAlgorithm DEFAULT sha1, … } (RFC 4055 §3.1)
    parameters = read(algorithm.rest, SEQUENCE).content
    if parameters[:1] != bytes((EXPLICIT_0,)):
        return "sha256"
    hash_algorithm = read(read(parameters, EXPLICIT_0).content, SEQUENCE)
    return _PSS_HASHES.get(dotted(read(hash_algorithm.content, OBJECT_IDENTIFIER).content))
