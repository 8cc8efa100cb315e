"""Which TLSA records count, and what they match."""

from __future__ import annotations

import hashlib

import pytest
from tests.mx.test_certificate import certificate

from mailkit import TLSError
from mailkit.edge import TLSInfo
from mailkit.edge.records import TLSA
from mailkit.mx.dane import anchor_in, check_names, is_end_entity, usable

LEAF, ISSUER = certificate("mx.example.com"), certificate("ca.example.com")


def info(*chain: bytes) -> TLSInfo:
    """Return what a handshake tells of a server with this chain."""
    return TLSInfo(version="TLSv1.3", cipher="X", peer_certificate=chain[0] if chain else b"", peer_chain=chain)


def of(data: bytes, *, usage: int = 3, matching: int = 1) -> TLSA:
    """Return the record for a certificate."""
    digest = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}[matching]
    return TLSA(usage, 0, matching, digest)


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (TLSA(3, 1, 1, b"x" * 32), True),
        (TLSA(3, 1, 2, b"x" * 64), True),
        (TLSA(2, 0, 0, b"x"), True),
        (TLSA(0, 1, 1, b"x" * 32), False),
        (TLSA(1, 1, 1, b"x" * 32), False),
        (TLSA(4, 1, 1, b"x" * 32), False),
        (TLSA(3, 2, 1, b"x" * 32), False),
        (TLSA(3, 1, 3, b"x" * 32), False),
        (TLSA(3, 1, 1, b"x" * 31), False),
        (TLSA(3, 1, 2, b"x" * 32), False),
        (TLSA(3, 1, 0, b""), False),
    ],
)
def test_records_that_count(record: TLSA, counts: bool) -> None:
    """DANE-TA and DANE-EE with known numbers and a digest of the right length; nothing else."""
    assert usable([record]) == ((record,) if counts else ())


def test_the_strongest_digest_counts() -> None:
    """Beside SHA-512, SHA-256 of the same kind is left aside; the full data and other kinds stay."""
    weak, strong, full = (TLSA(3, 1, matching, b"x" * size) for matching, size in ((1, 32), (2, 64), (0, 1)))
    other = TLSA(2, 1, 1, b"x" * 32)
    assert set(usable([weak, other, strong, full])) == {strong, full, other}


def test_the_order_is_of_no_importance() -> None:
    """However a name server shuffles its records, they come out the same."""
    records = [TLSA(3, 1, 1, bytes([number]) * 32) for number in range(5)]
    assert usable(records) == usable(reversed(records))


@pytest.mark.parametrize("matching", [0, 1, 2])
def test_an_end_entity_matches_its_own_certificate(matching: int) -> None:
    """DANE-EE is about the server's own certificate, not about one above it, nor is DANE-TA about its own."""
    assert is_end_entity([of(LEAF, matching=matching)], info(LEAF, ISSUER))
    assert not is_end_entity([of(ISSUER, matching=matching)], info(LEAF, ISSUER))
    assert not is_end_entity([of(LEAF, usage=2, matching=matching)], info(LEAF, ISSUER))


def test_an_unreadable_certificate_matches_no_key() -> None:
    """Bytes that are no certificate have no public key."""
    assert not is_end_entity([TLSA(3, 1, 0, b"x")], info(b"x"))
    assert is_end_entity([TLSA(3, 0, 0, b"x")], info(b"x"))


def test_an_anchor_is_found_above_the_server_s_own_certificate() -> None:
    """What a DANE-TA record names is looked for in the rest of the chain."""
    assert anchor_in([of(LEAF), of(ISSUER, usage=2)], info(LEAF, ISSUER), "mx") == ISSUER
    for chain in ((ISSUER,), (LEAF,), (LEAF, LEAF)):
        with pytest.raises(TLSError, match="not what its TLSA records say; nothing"):
            anchor_in([of(ISSUER, usage=2)], info(*chain), "mx.example.com")


def test_a_python_that_shows_no_chain_fails_closed() -> None:
    """Where the chain cannot be seen, nothing is sent, and the error says which Python can."""
    blind = TLSInfo(version="TLSv1.3", cipher="X", peer_certificate=LEAF)
    with pytest.raises(TLSError, match=r"use Python 3\.13") as caught:
        anchor_in([of(ISSUER, usage=2)], blind, "mx.example.com")
    assert caught.value.cause == "security"
    with pytest.raises(TLSError) as other:
        anchor_in([of(ISSUER)], blind, "mx.example.com")
    assert "3.13" not in str(other.value)


def test_names_are_checked_below_an_anchor() -> None:
    """One of the names is enough; none, or bytes that are no certificate, are a failure."""
    check_names(info(LEAF), ("example.com", "mx.example.com"))
    for chain in ((LEAF,), (b"x",)):
        with pytest.raises(TLSError, match=r"for none of example\.com"):
            check_names(info(*chain), ("example.com",))
