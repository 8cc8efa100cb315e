"""``mailkit verify``: what a connection to the server is like."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mailkit.cli.credentials import chosen_url
from mailkit.cli.display import show_rows
from mailkit.mailer import Mailer
from mailkit.policies.retry import RetryPolicy

if TYPE_CHECKING:
    import argparse

    from mailkit.transport import PeerCertificate, ServerInfo

__all__ = ["run"]


def run(parsed: argparse.Namespace) -> int:
    """Connect and show what was learned; return the exit status.

    Raises:
        MailkitError: No connection, no TLS, no login.
    """
    with Mailer(chosen_url(parsed), retry=RetryPolicy.none()) as mailer:
        info = mailer.verify()
    if parsed.json:
        print(json.dumps(_details(info)))
    else:
        show_rows(_rows(info))
    return 0


def _rows(info: ServerInfo) -> dict[str, str]:
    rows = {
        "transport": info.transport,
        "host": info.host or "-",
        "tls": f"{info.tls_version}, {info.tls_cipher}" if info.tls_version else "none: in clear",
    }
    if info.certificate is not None:
        certificate = info.certificate
        rows |= {
            "certificate": certificate.subject or "(no subject)",
            "names": ", ".join(certificate.names) or "-",
            "issuer": certificate.issuer or "(no issuer)",
            "valid": _validity(certificate),
        }
    rows |= {
        "authenticated by": info.authenticated or "nothing: no credentials were given",
        "mechanisms": " ".join(info.mechanisms) or "-",
        "extensions": ", ".join(info.extensions) or "-",
        "time": ", ".join(f"{phase} {seconds * 1000:.1f} ms" for phase, seconds in info.timings.items()) or "-",
    }
    return rows


def _validity(certificate: PeerCertificate) -> str:
    days = _days_left(certificate)
    left = f"{days} days left" if days >= 0 else f"expired {-days} days ago"
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}, {left}"


def _days_left(certificate: PeerCertificate) -> int:
    return (certificate.not_after - datetime.now(UTC)).days


def _details(info: ServerInfo) -> dict[str, Any]:
    certificate = info.certificate
    return {
        "transport": info.transport,
        "host": info.host,
        "tls": {"version": info.tls_version, "cipher": info.tls_cipher} if info.tls_version else None,
        "certificate": certificate
        and {
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": list(certificate.names),
            "not_before": certificate.not_before.isoformat(),
            "not_after": certificate.not_after.isoformat(),
            "days_left": _days_left(certificate),
        },
        "authenticated": info.authenticated,
        "mechanisms": list(info.mechanisms),
        "extensions": list(info.extensions),
        "seconds": dict(info.timings),
    }
