"""How much TLS one mail exchanger has to show, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import frozen

from mailkit.errors import TLSError
from mailkit.mx.dane import usable

if TYPE_CHECKING:
    from mailkit.edge.records import TLSA
    from mailkit.mx.names import HostRecords
    from mailkit.mx.sts import Policy

__all__ = ["HostSecurity", "Level", "security_of"]

Level = Literal["opportunistic", "encrypted", "verified", "dane"]
"""``"opportunistic"``: STARTTLS where it is offered, the certificate unchecked (RFC 7435). ``"encrypted"``: STARTTLS or
nothing, the certificate unchecked. ``"verified"``: the certificate is the host's, as MTA-STS wants it. ``"dane"``: the
certificate is the one that DNSSEC vouches for."""


@frozen(kw_only=True)
class HostSecurity:
    """What a host has to show.

    Args:
        level: How much.
        records: The TLSA records to match.
        names: For whom a certificate that a DANE-TA anchor has issued may be (RFC 7672 §3.2.3).
    """

    level: Level
    records: tuple[TLSA, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_authenticated(self) -> bool:
        """Whether it proves with whom we speak."""
        return self.level in {"verified", "dane"}


def security_of(
    host: str, records: HostRecords, policy: Policy | None, *, domain: str, require_tls: bool
) -> HostSecurity:
    """Return what a host has to show: DANE comes first (RFC 8461 §2), then MTA-STS, then what the transport wants.

    Raises:
        TLSError: The domain's MTA-STS policy does not name the host.
    """
    tlsa = usable(records.tlsa)
    if tlsa:
        names = dict.fromkeys((records.tlsa_base, host, domain))
        return HostSecurity(level="dane", records=tlsa, names=tuple(names))
    if policy is not None:
        if not policy.allows(host):
            msg = (
                f"{host} is none of the mail exchangers that the MTA-STS policy of {domain} names; nothing was sent. "
                "Its administrator has to correct the policy or the MX records"
            )
            raise TLSError(msg, phase="resolve")
        return HostSecurity(level="verified")
    # RFC 7672 §2.2: TLSA records, none of which can be used, still say that the host does TLS.
    return HostSecurity(level="encrypted" if records.tlsa or require_tls else "opportunistic")
