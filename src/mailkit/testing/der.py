"""Just enough of DER (X.690) to write a certificate, and to find out which hash one was signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "bit_string",
    "boolean",
    "children",
    "explicit",
    "integer",
    "object_identifier",
    "octet_string",
    "sequence",
    "set_of",
    "time",
    "tlv",
    "utf8_string",
]

LONG_FORM = 0x80
YEAR_OF_GENERALIZED_TIME = 2050


def tlv(tag: int, *contents: bytes) -> bytes:
    """Write a tag, a definite length in its shortest form, and the contents."""
    content = b"".join(contents)
    length = len(content)
    if length < LONG_FORM:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, LONG_FORM | len(octets)]) + octets + content


def sequence(*items: bytes) -> bytes:
    """Write a SEQUENCE."""
    return tlv(0x30, *items)


def set_of(*items: bytes) -> bytes:
    """Write a SET of one element, or of elements already in order."""
    return tlv(0x31, *items)


def explicit(number: int, *items: bytes) -> bytes:
    """Write an explicitly tagged, constructed value."""
    return tlv(0xA0 | number, *items)


def boolean(*, value: bool) -> bytes:
    """Write a BOOLEAN."""
    return tlv(0x01, b"\xff" if value else b"\x00")


def integer(value: int) -> bytes:
    """Write a non-negative INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def bit_string(content: bytes, *, unused: int = 0) -> bytes:
    """Write a BIT STRING, of whose last octet some bits may be unused."""
    return tlv(0x03, bytes([unused]), content)


def octet_string(content: bytes) -> bytes:
    """Write an OCTET STRING."""
    return tlv(0x04, content)


def object_identifier(dotted: str) -> bytes:
    """Write an OBJECT IDENTIFIER."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    octets = bytearray()
    for part in (first * 40 + second, *rest):
        group = [part & 0x7F]
        while part := part >> 7:
            group.append(LONG_FORM | part & 0x7F)
        octets += bytes(reversed(group))
    return tlv(0x06, bytes(octets))


def utf8_string(text: str) -> bytes:
    """Write a UTF8String."""
    return tlv(0x0C, text.encode())


def time(moment: datetime) -> bytes:
    """Write a UTC time as RFC 5280 §4.1.2.5 wants it: UTCTime through 2049, GeneralizedTime from 2050."""
    if moment.year < YEAR_OF_GENERALIZED_TIME:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def children(encoded: bytes) -> list[bytes]:
    """Cut the contents of a constructed value into its elements, each with its tag and length."""
    content = encoded[_header(encoded) :]
    found: list[bytes] = []
    while content:
        end = _header(content) + _length(content)
        found.append(content[:end])
        content = content[end:]
    return found


def _header(encoded: bytes) -> int:
    return 2 + (encoded[1] & 0x7F if encoded[1] & LONG_FORM else 0)


def _length(encoded: bytes) -> int:
    return int.from_bytes(encoded[2 : _header(encoded)]) if encoded[1] & LONG_FORM else encoded[1]
