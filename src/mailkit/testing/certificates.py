"""Certificates for a test server: good ones, and bad ones of each kind that a client must refuse.

They are made here, in pure Python, in a few milliseconds: no program to run, nothing to install, no key in
the package.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from mailkit.errors import ConfigurationError
from mailkit.testing import der
from mailkit.testing.p256 import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Certificate", "CertificateKind", "ServerTLS", "make_certificate"]

CertificateKind: TypeAlias = Literal[
    "valid", "sha384", "self-signed", "untrusted", "expired", "not-yet-valid", "wrong-host"
]
"""`untrusted`: issued by an authority other than the one in `ca_file`; `sha384`: valid, signed with that
hash."""

DAY: Final = timedelta(days=1)

_ECDSA_WITH: Final = MappingProxyType({"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3"})

# RFC 5929 §4.1: the certificate's own hash function, SHA-256 in place of MD5 and SHA-1. By the OID's octets.
_BINDING_HASHES: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        der.object_identifier(oid): name
        for oid, name in {
            "1.2.840.113549.1.1.12": "sha384",
            "1.2.840.113549.1.1.13": "sha512",
            "1.2.840.10045.4.3.3": "sha384",
            "1.2.840.10045.4.3.4": "sha512",
        }.items()
    }
)


@attrs.frozen(kw_only=True)
class Certificate:
    """A server's certificate with its key, and the authority that a client should trust.

    Args:
        chain: The certificate and its intermediates, PEM.
        key: The private key, PEM.
        authority: The trusted authority's certificate, PEM.
    """

    chain: bytes
    key: bytes = attrs.field(repr=False)
    authority: bytes


class ServerTLS:
    """A certificate in use: the context that serves it, and what a session needs to know of it."""

    def __init__(self, certificate: Certificate, *, maximum: ssl.TLSVersion | None) -> None:
        """Load the certificate.

        Args:
            certificate: What to present.
            maximum: The newest TLS version to speak, `None` for the newest there is.

        Raises:
            ConfigurationError: The certificate cannot be loaded.
        """
        self._names = threading.local()
        self.context: ssl.SSLContext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if maximum is not None:
            if maximum < ssl.TLSVersion.TLSv1_2:
                self.context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL has switched the old versions off
            self.context.minimum_version = min(self.context.minimum_version, maximum)
            self.context.maximum_version = maximum
        self.context.num_tickets = 0  # nothing is written that no reply asked for
        self.context.sni_callback = self._note_name
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates from files only
            chain = Path(folder, "server.pem")
            chain.touch(mode=0o600)
            chain.write_bytes(certificate.key + certificate.chain)
            try:
                self.context.load_cert_chain(chain)
            except ssl.SSLError as error:
                raise ConfigurationError(
                    f"SMTPServer cannot use the certificate ({error.reason}): pass chain and key in PEM form"
                ) from error
        encoded = ssl.PEM_cert_to_DER_cert(
            certificate.chain.decode().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
        )
        self.channel_binding: bytes = channel_binding(encoded)

    def server_name(self) -> str | None:
        """Return the name that the client of this thread's latest handshake asked for (RFC 6066 §3)."""
        name: str | None = getattr(self._names, "latest", None)
        return name

    def _note_name(self, _tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self._names.latest = name


def channel_binding(certificate: bytes) -> bytes:
    """Compute `tls-server-end-point` for a DER certificate (RFC 5929 §4.1)."""
    _, algorithm, _ = der.children(certificate)
    oid = der.children(algorithm)[0]
    return hashlib.new(_BINDING_HASHES.get(oid, "sha256"), certificate).digest()


@cache
def make_certificate(kind: CertificateKind, *hosts: str) -> Certificate:
    """Make a certificate of a kind; the same one again for the same arguments in this process.

    Args:
        kind: What is right or wrong with it.
        hosts: DNS names and IP addresses that it is for.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    if kind == "wrong-host":
        hosts = ("elsewhere.invalid",)
    lifetime = {"expired": (now - 9 * DAY, now - DAY), "not-yet-valid": (now + DAY, now + 9 * DAY)}.get(
        kind, (now - DAY, now + 365 * DAY)
    )
    key = SigningKey.generate()
    if kind == "self-signed":
        own = _Authority("mailkit test server", key)
        chain = own.issue(own.name, key, lifetime, hosts=hosts)
        return Certificate(chain=_pem("CERTIFICATE", chain), key=_key_pem(key), authority=_authority().pem)
    issuer = _Authority("mailkit untrusted test CA", SigningKey.generate()) if kind == "untrusted" else _authority()
    chain = issuer.issue(
        "mailkit test server", key, lifetime, hosts=hosts, digest="sha384" if kind == "sha384" else "sha256"
    )
    return Certificate(chain=_pem("CERTIFICATE", chain), key=_key_pem(key), authority=_authority().pem)


@cache
def _authority() -> _Authority:
    return _Authority("mailkit test CA", SigningKey.generate())


@attrs.frozen(eq=False)
class _Authority:
    name: str
    key: SigningKey

    @property
    def pem(self) -> bytes:
        now = datetime.now(UTC).replace(microsecond=0)
        return _pem("CERTIFICATE", self.issue(self.name, self.key, (now - 30 * DAY, now + 3650 * DAY)))

    def issue(
        self,
        name: str,
        key: SigningKey,
        lifetime: tuple[datetime, datetime],
        *,
        hosts: tuple[str, ...] = (),
        digest: Literal["sha256", "sha384"] = "sha256",
    ) -> bytes:
        """Write a certificate (RFC 5280 §4.1): of an authority where it names no host, else of a server."""
        algorithm = der.sequence(der.object_identifier(_ECDSA_WITH[digest]))
        content = der.sequence(
            der.explicit(0, der.integer(2)),  # version 3
            der.integer(secrets.randbits(120) + 1),
            algorithm,
            _name(self.name),
            der.sequence(*(der.time(moment) for moment in lifetime)),
            _name(name),
            _public_key_info(key),
            der.explicit(3, der.sequence(*_extensions(self.key, key, hosts))),
        )
        r, s = self.key.sign(hashlib.new(digest, content).digest())
        return der.sequence(content, algorithm, der.bit_string(der.sequence(der.integer(r), der.integer(s))))


def _extensions(issuer: SigningKey, key: SigningKey, hosts: tuple[str, ...]) -> tuple[bytes, ...]:
    """RFC 5280 §4.2.1: the identifiers are what Python 3.13 checks beyond the rest (VERIFY_X509_STRICT)."""
    basics = (
        _extension("2.5.29.14", der.octet_string(_identifier(key))),  # subject key identifier
        _extension("2.5.29.35", der.sequence(der.tlv(0x80, _identifier(issuer)))),  # authority key identifier
    )
    if not hosts:
        return (
            *basics,
            _extension("2.5.29.19", der.sequence(der.boolean(value=True)), critical=True),  # basic constraints: CA
            _extension(
                "2.5.29.15", der.bit_string(b"\x06", unused=1), critical=True
            ),  # key usage: keyCertSign, cRLSign
        )
    return (
        *basics,
        _extension("2.5.29.19", der.sequence(), critical=True),  # basic constraints: not a CA
        _extension("2.5.29.15", der.bit_string(b"\x80", unused=7), critical=True),  # key usage: digitalSignature
        _extension("2.5.29.37", der.sequence(der.object_identifier("1.3.6.1.5.5.7.3.1"))),  # serverAuth
        _extension("2.5.29.17", der.sequence(*(_general_name(host) for host in hosts))),  # subject alternative names
    )


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = (der.boolean(value=True),) if critical else ()
    return der.sequence(der.object_identifier(oid), *flag, der.octet_string(value))


def _general_name(host: str) -> bytes:
    try:
        return der.tlv(0x87, ipaddress.ip_address(host).packed)
    except ValueError:
        return der.tlv(0x82, host.encode("ascii"))


def _identifier(key: SigningKey) -> bytes:
    return hashlib.sha256(key.point_octets).digest()[:20]


def _name(common_name: str) -> bytes:
    return der.sequence(der.set_of(der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string(common_name))))


_CURVE: Final = der.object_identifier("1.2.840.10045.3.1.7")


def _public_key_info(key: SigningKey) -> bytes:
    algorithm = der.sequence(der.object_identifier("1.2.840.10045.2.1"), _CURVE)
    return der.sequence(algorithm, der.bit_string(key.point_octets))


def _key_pem(key: SigningKey) -> bytes:
    """Write a private key as RFC 5915 §3 has it."""
    content = der.sequence(
        der.integer(1),
        der.octet_string(key.secret_octets),
        der.explicit(0, _CURVE),
        der.explicit(1, der.bit_string(key.point_octets)),
    )
    return _pem("EC PRIVATE KEY", content)


def _pem(label: str, content: bytes) -> bytes:
    lines = base64.encodebytes(content).replace(b"\n", b"")
    body = b"\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), body, label.encode())
