"""What a server's certificate says of itself (RFC 5280 §4.1), for people to read. What is believed, TLS decides.

Python takes a certificate apart only where it has verified it, and what it could not verify is what people want to see.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from mailkit.smtp.der import EXPLICIT_0, OBJECT_IDENTIFIER, SEQUENCE, dotted, read
from mailkit.transport import PeerCertificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.smtp.der import Element

__all__ = ["DNS_NAME", "alternative_names", "read_certificate"]

DNS_NAME: Final = 0x82
"""The tag of a GeneralName that is a dNSName (RFC 5280 §4.2.1.6)."""

_IP_ADDRESS: Final = 0x87
_EXPLICIT_3: Final = 0xA3
_SUBJECT_ALT_NAME: Final = "2.5.29.17"
_UTC_TIME: Final = 0x17
_BMP_STRING: Final = 0x1E

# RFC 4514 §3 and RFC 2985; any other attribute is shown under its number.
_ATTRIBUTES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "emailAddress",
}


def read_certificate(certificate: bytes) -> PeerCertificate | None:
    """Return what a certificate says; None where it cannot be read.

    Args:
        certificate: The certificate as DER.
    """
    try:
        _, issuer, validity, subject = _fields(certificate)
        begin = read(validity.content)
        return PeerCertificate(
            subject=_name(subject),
            issuer=_name(issuer),
            not_before=_moment(begin),
            not_after=_moment(read(begin.rest)),
            names=tuple(_shown_names(certificate)),
        )
    except ValueError:
        return None


def alternative_names(certificate: bytes) -> Iterator[Element]:
    """Yield each GeneralName that a certificate is for, its tag saying of what kind it is.

    Raises:
        ValueError: It is no certificate.
    """
    rest = _fields(certificate)[-1].rest
    rest = read(rest, SEQUENCE).rest  # subjectPublicKeyInfo
    while rest:
        element = read(rest)
        rest = element.rest
        if element.tag == _EXPLICIT_3:  # what may stand before it are the unique identifiers of version 2
            yield from _names_among(read(element.content, SEQUENCE).content)


def _fields(certificate: bytes) -> list[Element]:
    # TBSCertificate ::= SEQUENCE { [0] version DEFAULT v1, serialNumber, signature, issuer, validity, subject, … }
    rest = read(read(certificate, SEQUENCE).content, SEQUENCE).content
    if rest[:1] == bytes((EXPLICIT_0,)):
        rest = read(rest).rest
    fields: list[Element] = []
    for _ in range(5):
        fields.append(read(rest))
        rest = fields[-1].rest
    return fields[1:]


def _names_among(extensions: bytes) -> Iterator[Element]:
    while extensions:
        extension = read(extensions, SEQUENCE)
        extensions = extension.rest
        identifier = read(extension.content, OBJECT_IDENTIFIER)
        if dotted(identifier.content) == _SUBJECT_ALT_NAME:
            value = read(identifier.rest)
            if value.tag == 0x01:  # critical BOOLEAN DEFAULT FALSE
                value = read(value.rest)
            names = read(value.content, SEQUENCE).content
            while names:
                name = read(names)
                names = name.rest
                yield name


def _shown_names(certificate: bytes) -> Iterator[str]:
    for name in alternative_names(certificate):
        if name.tag == DNS_NAME:
            yield name.content.decode("ascii", "backslashreplace")
        elif name.tag == _IP_ADDRESS:
            yield str(ip_address(name.content))


def _name(name: Element) -> str:
    # Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }
    parts: list[str] = []
    rest = name.content
    while rest:
        together = read(rest)
        rest = together.rest
        pair = read(read(together.content, SEQUENCE).content, OBJECT_IDENTIFIER)
        number, value = dotted(pair.content), read(pair.rest)
        charset = "utf-16-be" if value.tag == _BMP_STRING else "utf-8"
        parts.append(f"{_ATTRIBUTES.get(number, number)}={value.content.decode(charset, 'backslashreplace')}")
    return ", ".join(parts)


def _moment(element: Element) -> datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:  # RFC 5280 §4.1.2.5.1: of two digits, 50 and above are the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
