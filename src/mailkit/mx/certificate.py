"""What DANE needs to know of a certificate: its public key, and the names that it is for (RFC 5280 §4.1)."""

from __future__ import annotations

from mailkit.smtp.der import EXPLICIT_0, SEQUENCE, read
from mailkit.smtp.peer_certificate import DNS_NAME, alternative_names

__all__ = ["dns_names", "is_for", "public_key"]


def public_key(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate, both as DER.

    Raises:
        ValueError: It is no certificate.
    """
    return read(_from_public_key(certificate), SEQUENCE).whole


def dns_names(certificate: bytes) -> tuple[str, ...]:
    """Return the host names that a certificate is for; its common name does not count (RFC 9525 §2).

    Raises:
        ValueError: It is no certificate.
    """
    return tuple(
        [
            name.content.decode("ascii", "backslashreplace")
            for name in alternative_names(certificate)
            if name.tag == DNS_NAME
        ]
    )


def is_for(certificate: bytes, hosts: tuple[str, ...]) -> bool:
    """Whether a certificate is for any of some hosts. A ``*`` stands for one whole first label (RFC 7672 §3.2.3).

    Raises:
        ValueError: It is no certificate.
    """
    wanted = {host.rstrip(".").lower() for host in hosts}
    wanted |= {f"*.{host.partition('.')[2]}" for host in wanted if host.count(".") > 1}
    return any(name.rstrip(".").lower() in wanted for name in dns_names(certificate))


def _from_public_key(certificate: bytes) -> bytes:
    # TBSCertificate ::= SEQUENCE { [0] version DEFAULT v1, serialNumber, signature, issuer, validity, subject,
    #     subjectPublicKeyInfo, … }
    rest = read(read(certificate, SEQUENCE).content, SEQUENCE).content
    if rest[:1] == bytes((EXPLICIT_0,)):
        rest = read(rest).rest
    for _ in ("serialNumber", "signature", "issuer", "validity", "subject"):
        rest = read(rest).rest
    return rest
