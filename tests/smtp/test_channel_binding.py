"""tls-server-end-point of certificates with every kind of signature, against what cryptography says about them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from mailkit.smtp.channel_binding import tls_server_end_point

RSA_KEY = rsa.generate_private_key(65_537, 2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())

SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")
MD5_WITH_RSA = bytes.fromhex("06092a864886f70d010104")
UNKNOWN = bytes.fromhex("06092a864886f70d0101ff7f"[:-2])


def certificate(key: Any, algorithm: Any, pss: padding.PSS | None = None) -> x509.Certificate:
    """Sign a certificate with its own key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example.com")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.example.com")]), critical=False)
    )
    return builder.sign(key, algorithm, rsa_padding=pss)


def der(made: x509.Certificate) -> bytes:
    """Return what getpeercert(binary_form=True) gives."""
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rsa", "ecdsa"])
@pytest.mark.parametrize(
    "algorithm", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda a: a.name
)
def test_the_signature_names_the_hash(key: Any, algorithm: hashes.HashAlgorithm) -> None:
    """The binding is the certificate hashed as its signature was."""
    made = certificate(key, algorithm)
    assert made.signature_hash_algorithm is not None
    assert tls_server_end_point(der(made)) == hashlib.new(made.signature_hash_algorithm.name, der(made)).digest()


@pytest.mark.parametrize(
    "algorithm", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda a: a.name
)
def test_pss_names_the_hash_in_its_parameters(algorithm: hashes.HashAlgorithm) -> None:
    """An RSASSA-PSS signature says its hash one level deeper."""
    made = certificate(RSA_KEY, algorithm, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size))
    assert tls_server_end_point(der(made)) == hashlib.new(algorithm.name, der(made)).digest()


@pytest.mark.parametrize("weak", [SHA1_WITH_RSA, MD5_WITH_RSA], ids=["sha1", "md5"])
def test_weak_hashes_count_as_sha256(weak: bytes) -> None:
    """RFC 5929 §4.1 replaces MD5 and SHA-1 by SHA-256."""
    old = der(certificate(RSA_KEY, hashes.SHA512())).replace(bytes.fromhex("06092a864886f70d01010d"), weak)
    assert tls_server_end_point(old) == hashlib.sha256(old).digest()


def test_pss_without_a_hash_counts_as_sha256() -> None:
    """The default hash of RSASSA-PSS is SHA-1 (RFC 4055 §3.1), which counts as SHA-256."""
    algorithm = bytes.fromhex("300d06092a864886f70d01010a3000")
    minimal = b"\x30" + bytes((2 + len(algorithm),)) + b"\x30\x00" + algorithm
    assert tls_server_end_point(minimal) == hashlib.sha256(minimal).digest()


def test_no_hash_means_no_binding() -> None:
    """For Ed25519 and unknown algorithms RFC 5929 defines no binding."""
    assert tls_server_end_point(der(certificate(ed25519.Ed25519PrivateKey.generate(), None))) is None
    unknown = der(certificate(RSA_KEY, hashes.SHA256())).replace(SHA256_WITH_RSA, UNKNOWN)
    assert tls_server_end_point(unknown) is None


def test_no_part_of_a_certificate_breaks_the_reading() -> None:
    """A certificate that is cut off anywhere before its signature algorithm has no binding."""
    whole = der(certificate(EC_KEY, hashes.SHA256()))
    assert {tls_server_end_point(whole[:length]) for length in range(len(whole))} == {None}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x31\x00",
        b"\x30\x80\x30\x80",
        b"\x30\x04\x30\x00\x30\x00",
        b"\x30\x06\x30\x00\x30\x02\x06\x00",
        b"\x30\x07\x30\x00\x30\x03\x06\x01\x80",
        b"\x30\xff" + b"\xff" * 200,
    ],
)
def test_malformed_der_has_no_binding(data: bytes) -> None:
    """What is no certificate gives None, not an error."""
    assert tls_server_end_point(data) is None


@given(st.binary())
def test_noise_has_no_binding(data: bytes) -> None:
    """Random bytes never raise."""
    assert tls_server_end_point(b"\x30" + data) is None
