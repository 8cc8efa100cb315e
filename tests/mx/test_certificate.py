"""Public keys and names of certificates, against what cryptography says of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailkit.mx.certificate import dns_names, is_for, public_key
from mailkit.testing import der

KEYS = {"ecdsa": ec.generate_private_key(ec.SECP256R1()), "rsa": rsa.generate_private_key(65_537, 2_048)}


def certificate(*names: str, key: Any = KEYS["ecdsa"], critical: bool = False, extra: bool = True) -> bytes:
    """Return a certificate as DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "common.example.com")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(2**100)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=30))
    )
    if extra:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if names:
        general: list[x509.GeneralName] = [x509.RFC822Name("postmaster@example.com")]
        general += [x509.DNSName(each) for each in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", KEYS)
def test_the_public_key_is_found(kind: str) -> None:
    """What is cut out is the SubjectPublicKeyInfo."""
    key: Any = KEYS[kind]
    expected = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key(certificate("mx.example.com", key=key)) == expected


def test_a_certificate_of_version_1_has_a_key_and_no_names() -> None:
    """Without a version field the key is one element earlier, and there are no extensions."""
    made = certificate(extra=False)  # written as version 3 all the same
    tbs, algorithm, signature = der.children(made)
    version, *elements = der.children(tbs)
    assert version == der.explicit(0, der.integer(2))
    old = der.sequence(der.sequence(*elements), algorithm, signature)
    assert public_key(old) == public_key(made)
    assert dns_names(old) == ()


def test_unique_identifiers_are_passed_over() -> None:
    """What version 2 added stands between key and extensions."""
    tbs, algorithm, signature = der.children(certificate("mx.example.com"))
    *elements, extensions = der.children(tbs)
    identifier = der.tlv(0x81, b"\x00\x01")
    assert dns_names(der.sequence(der.sequence(*elements, identifier, extensions), algorithm, signature)) == (
        "mx.example.com",
    )


@pytest.mark.parametrize("critical", [True, False])
def test_names_are_those_of_hosts(critical: bool) -> None:
    """Host names count, other kinds of names and the common name do not."""
    assert dns_names(certificate("mx.example.com", "*.example.org", critical=critical)) == (
        "mx.example.com",
        "*.example.org",
    )
    assert dns_names(certificate()) == ()


@pytest.mark.parametrize(
    ("name", "hosts", "expected"),
    [
        ("mx.example.com", ("mx.example.com",), True),
        ("MX.example.com", ("mx.EXAMPLE.com.",), True),
        ("mx.example.com", ("other.example.com", "mx.example.com"), True),
        ("*.example.com", ("mx.example.com",), True),
        ("*.example.com", ("a.mx.example.com",), False),
        ("*.example.com", ("example.com",), False),
        ("*.com", ("example.com",), False),
        ("m*.example.com", ("mx.example.com",), False),
        ("mx.example.com", ("common.example.com",), False),
        ("mx.example.com", (), False),
    ],
)
def test_whom_a_certificate_is_for(name: str, hosts: tuple[str, ...], expected: bool) -> None:
    """Names are compared without case; a star is one whole first label, and not below a top-level domain."""
    assert is_for(certificate(name), hosts) is expected


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """What is no certificate is a ValueError."""
    for read in (public_key, dns_names):
        with pytest.raises(ValueError, match="element"):
            read(data)


MADE = certificate("mx.example.com")


@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject) -> None:
    """A certificate with one byte changed, or cut off, has a key or is a ValueError; nothing else happens."""
    made = bytearray(MADE)
    made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(made[: data.draw(st.integers(0, len(made)))])
    for damaged in (bytes(made), cut):
        for read in (public_key, dns_names):
            try:
                read(damaged)
            except ValueError as error:
                assert "element" in str(error)  # noqa: PT017 - it need not fail
