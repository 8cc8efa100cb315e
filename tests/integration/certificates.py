"""A certificate authority for the session, and the certificates that its servers show."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import TYPE_CHECKING, Final

import trustme

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CertificateFiles", "Certificates"]

HOST_NAMES: Final = ("localhost", "127.0.0.1", "mail.example.test")


class CertificateFiles:
    """One certificate with its chain and its key, as PEM files that any server's user may read."""

    def __init__(self, leaf: trustme.LeafCert, folder: Path, name: str) -> None:
        #: The private key.
        self.key_file = folder / f"{name}.key.pem"
        #: The certificate and those that lead to the authority.
        self.chain_file = folder / f"{name}.chain.pem"
        #: Both in one file, the key first, as Postfix and OpenSSL's command line like it.
        self.key_and_chain_file = folder / f"{name}.pem"
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        self.key_file.write_bytes(leaf.private_key_pem.bytes())
        self.key_file.chmod(0o600)  # servers read keys as root and warn, or refuse, when others may too
        self.chain_file.write_bytes(chain)
        self.key_and_chain_file.write_bytes(leaf.private_key_pem.bytes() + chain)
        self.key_and_chain_file.chmod(0o600)


class Certificates:
    """What the servers show and what a client needs to check it.

    Args:
        folder: Where the files are written; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA(organization_name="mailkit integration tests")
        stranger = trustme.CA(organization_name="nobody trusts this one")
        yesterday = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)
        #: The authority's own certificate: what a client is told to trust.
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(authority.cert_pem.bytes())
        #: For localhost, 127.0.0.1 and mail.example.test.
        self.server = CertificateFiles(authority.issue_cert(*HOST_NAMES), folder, "server")
        #: By the same authority, but for another host.
        self.other_host = CertificateFiles(authority.issue_cert("other.example.test"), folder, "other-host")
        #: For the right names, and no longer valid.
        self.expired = CertificateFiles(
            authority.issue_cert(*HOST_NAMES, not_before=yesterday - dt.timedelta(days=1), not_after=yesterday),
            folder,
            "expired",
        )
        #: For the right names, by an authority that nobody knows.
        self.untrusted = CertificateFiles(stranger.issue_cert(*HOST_NAMES), folder, "untrusted")
        #: What a client shows to a server that asks for a certificate.
        self.client = CertificateFiles(authority.issue_cert("ada@example.test"), folder, "client")

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this authority and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))
