from __future__ import annotations

import datetime as dt
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mailkit.smtp.peer_certificate import DNS_NAME, alternative_names, read_certificate
from mailkit.testing import der

KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = x509.Name([
    x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Grüße GmbH"),
    x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.test", _type=_ASN1Type.BMPString),
    x509.NameAttribute(NameOID.PSEUDONYM, "x"),
])  # fmt: skip


def _certificate(*extensions: tuple[x509.ExtensionType, bool], last: int = 2049) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(SUBJECT)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")]))
        .not_valid_before(dt.datetime(1999, 12, 31, 23, 59, 58, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(last, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
        .public_key(KEY.public_key())
        .serial_number(7)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


NAMES = x509.SubjectAlternativeName([
    x509.DNSName("mx.example.test"),
    x509.RFC822Name("ada@example.com"),
    x509.IPAddress(ip_address("192.0.2.1")),
    x509.DNSName("*.example.test"),
    x509.IPAddress(ip_address("2001:db8::1")),
])  # fmt: skip
CONSTRAINTS = x509.BasicConstraints(ca=False, path_length=None)


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("last", [2049, 2051])
def test_it_says_whose_it_is_until_when_and_for_which_names(critical: bool, last: int) -> None:
    """In either form of time, with names in either encoding, wherever the extension stands."""
    read = read_certificate(_certificate((CONSTRAINTS, True), (NAMES, critical), last=last))
    assert read is not None
    assert read.subject == "C=DE, O=Grüße GmbH, CN=mx.example.test, 2.5.4.65=x"
    assert read.issuer == "CN=An authority"
    assert read.not_before == dt.datetime(1999, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    assert read.not_after == dt.datetime(last, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert read.names == ("mx.example.test", "192.0.2.1", "*.example.test", "2001:db8::1")


def test_a_certificate_may_be_for_no_name() -> None:
    """Without extensions, and so of version 1, or without that one."""
    for certificate in (_certificate(), _certificate((CONSTRAINTS, True))):
        read = read_certificate(certificate)
        assert read is not None
        assert read.names == ()


def test_kinds_of_names_are_told_apart_by_their_tag() -> None:
    """Whoever compares hosts takes those that are host names."""
    names = list(alternative_names(_certificate((NAMES, False))))
    assert [name.content for name in names if name.tag == DNS_NAME] == [b"mx.example.test", b"*.example.test"]
    assert len(names) == 5


def _version_2(*after_key: bytes) -> bytes:
    """Return what a certificate of version 2 consists of, as far as it is read."""
    validity = der.sequence(
        der.time(dt.datetime(2020, 1, 2, tzinfo=dt.UTC)), der.time(dt.datetime(2060, 1, 2, tzinfo=dt.UTC))
    )
    fields = (der.integer(7), der.sequence(), der.sequence(), validity, der.sequence(), der.sequence(), *after_key)
    return der.sequence(der.sequence(der.explicit(0, der.integer(1)), *fields))


def test_unique_identifiers_are_no_names() -> None:
    """They stand where extensions stand in version 3, which stand behind them if there are both."""
    unique = der.tlv(0x81, b"\0x")
    extension = der.sequence(
        der.object_identifier("2.5.29.17"), der.octet_string(der.sequence(der.tlv(0x82, b"mx.test")))
    )
    for after_key, names in (((unique,), ()), ((unique, der.explicit(3, der.sequence(extension))), ("mx.test",))):
        read = read_certificate(_version_2(*after_key))
        assert read is not None
        assert (read.subject, read.names, read.not_after.year) == ("", names, 2060)


@given(cut=st.integers(0, 400), at=st.integers(0, 399), byte=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_what_is_no_certificate_is_none(cut: int, at: int, byte: int) -> None:
    """A server can send anything: broken DER is read as far as it makes sense, or not at all, and never raises."""
    whole = bytearray(_CERTIFICATE)
    whole[at % len(whole)] = byte
    assert read_certificate(bytes(whole[:cut])) is None or cut >= len(_CERTIFICATE)
    read_certificate(bytes(whole))


_CERTIFICATE = _certificate((NAMES, False))
