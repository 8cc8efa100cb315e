"""Is this the server whose certificate DNSSEC vouches for? DANE for SMTP (RFC 6698, RFC 7671, RFC 7672)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from mailkit.errors import TLSError
from mailkit.mx.certificate import is_for, public_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.edge import TLSInfo
    from mailkit.edge.records import TLSA

__all__ = ["anchor_in", "check_names", "is_end_entity", "usable"]

# RFC 7218 gives the numbers these names.
DANE_TA: Final = 2
DANE_EE: Final = 3
CERT: Final = 0
SPKI: Final = 1
FULL: Final = 0

_DIGESTS: Final = {1: "sha256", 2: "sha512"}
_SIZES: Final = {1: 32, 2: 64}


def usable(records: Iterable[TLSA]) -> tuple[TLSA, ...]:
    """Return the records that count for SMTP (RFC 7672 §3.1): DANE-TA and DANE-EE, well-formed.

    Of several digests of one kind the strongest alone counts (RFC 7671 §9).
    """
    known = [record for record in records if _is_well_formed(record)]
    strongest: dict[tuple[int, int], int] = {}
    for record in known:
        kind = record.usage, record.selector
        strongest[kind] = max(record.matching_type, strongest.get(kind, FULL))
    # In an order of our own: name servers shuffle theirs, and the same records mean the same connections.
    return tuple(
        sorted(
            (each for each in known if each.matching_type in {FULL, strongest[each.usage, each.selector]}),
            key=lambda each: (-each.usage, each.selector, each.matching_type, each.data),
        )
    )


def _is_well_formed(record: TLSA) -> bool:
    if record.usage not in {DANE_TA, DANE_EE} or record.selector not in {CERT, SPKI}:
        return False
    return bool(record.data) if record.matching_type == FULL else _SIZES.get(record.matching_type) == len(record.data)


def is_end_entity(records: Iterable[TLSA], info: TLSInfo) -> bool:
    """Whether the server's certificate is one that a DANE-EE record names: neither names nor dates matter then."""
    return any(_matches(record, info.peer_certificate) for record in records if record.usage == DANE_EE)


def anchor_in(records: Iterable[TLSA], info: TLSInfo, host: str) -> bytes:
    """Return the certificate that a DANE-TA record names, among those that the server sent above its own.

    Raises:
        TLSError: There is none.
    """
    anchors = [record for record in records if record.usage == DANE_TA]
    for certificate in info.peer_chain[1:]:
        if any(_matches(record, certificate) for record in anchors):
            return certificate
    blind = "" if info.peer_chain or not anchors else " (this Python does not show what it sent; use Python 3.13)"
    msg = (
        f"the certificate of {host} is not what its TLSA records say{blind}; nothing was sent. Whoever runs {host} "
        "has to correct the certificate or the records"
    )
    raise TLSError(msg, phase="starttls")


def check_names(info: TLSInfo, names: tuple[str, ...]) -> None:
    """Make sure that a certificate that a DANE-TA anchor has issued is for one of `names` (RFC 7672 §3.2.3).

    Raises:
        TLSError: It is for none of them.
    """
    try:
        is_right = is_for(info.peer_certificate, names)
    except ValueError:
        is_right = False
    if not is_right:
        msg = f"the certificate is for none of {', '.join(names)}, as DANE-TA wants it; nothing was sent"
        raise TLSError(msg, phase="starttls")


def _matches(record: TLSA, certificate: bytes) -> bool:
    try:
        selected = certificate if record.selector == CERT else public_key(certificate)
    except ValueError:
        return False
    digest = _DIGESTS.get(record.matching_type)
    return (hashlib.new(digest, selected).digest() if digest else selected) == record.data
