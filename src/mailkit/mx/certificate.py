"""What DANE needs to know of a certificate: its public key, and the names that it is for (RFC 5280 §4.1)."""

from __future__ import annotations

from typing import Final

from mailkit.smtp.der import EXPLICIT_0, SEQUENCE, read

__all__ = ["dns_names", "is_for", "public_key"]

_EXPLICIT_3: Final = 0xA3
_DNS_NAME: Final = 0x82  # GeneralName, RFC 5280 §4.2.1.6: dNSName [2]
_SUBJECT_ALT_NAME: Final = bytes.fromhex("0603551d11")  # 2.5.29.17


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
    rest = read(_from_public_key(certificate), SEQUENCE).rest
    while rest:
        element = read(rest)
        if element.tag == _EXPLICIT_3:
            return _alternative_names(read(element.content, SEQUENCE).content)
        rest = element.rest  # the unique identifiers of version 2
    return ()


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


def _alternative_names(extensions: bytes) -> tuple[str, ...]:
    while extensions:
        extension = read(extensions, SEQUENCE)
        extensions = extension.rest
        if extension.content.startswith(_SUBJECT_ALT_NAME):
            value = read(extension.content).rest
            if value[:1] == b"\x01":  # critical BOOLEAN DEFAULT FALSE
                value = read(value).rest
            return tuple(_dns_names(read(read(value).content, SEQUENCE).content))
    return ()


def _dns_names(names: bytes) -> list[str]:
    found: list[str] = []
    while names:
        name = read(names)
        names = name.rest
        if name.tag == _DNS_NAME:
            found.append(name.content.decode("ascii", "backslashreplace"))
    return found
