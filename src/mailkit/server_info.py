"""What ``verify`` learned of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from mailkit.frozendict import EMPTY, FrozenDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["PeerCertificate", "ServerInfo"]


@frozen(kw_only=True)
class PeerCertificate:
    """What a server's certificate says of itself. TLS has judged it already, unless it was told not to.

    Args:
        subject: Whose it is, such as ``"CN=mail.example.com"``.
        issuer: Who has signed it.
        not_before: Since when it is valid.
        not_after: Until when.
        names: The host names and IP addresses that it is for.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()


def _timings(seconds: Mapping[str, float]) -> Mapping[str, float]:
    return FrozenDict(seconds)


@frozen(kw_only=True)
class ServerInfo:
    """What ``verify`` learned.

    Args:
        transport: The transport's name, without secrets.
        host: The name by which the server greeted us, or the host dialled.
        tls_version: Such as ``"TLSv1.3"``, or None in clear.
        tls_cipher: The cipher suite, or None in clear.
        extensions: What the server offers, as keyword and parameters.
        mechanisms: The SASL mechanisms that it offers.
        authenticated: The mechanism that authenticated us, or None where no credentials were given.
        certificate: What the server's certificate says, or None in clear.
        timings: Seconds that each phase took, in their order: ``"connect"``, ``"tls"``, ``"greeting"``, ``"ehlo"``,
            ``"starttls"``, ``"auth"``, as far as there were such.
    """

    transport: str
    host: str = ""
    tls_version: str | None = None
    tls_cipher: str | None = None
    extensions: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    authenticated: str | None = None
    certificate: PeerCertificate | None = None
    timings: Mapping[str, float] = field(default=EMPTY, converter=_timings)
