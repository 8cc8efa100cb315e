"""ECDSA on the curve P-256 (FIPS 186-5, SEC 1), for certificates that live as long as a test.

Not for anything else: it takes no care to hide its keys from somebody who can time it.
"""

from __future__ import annotations

import secrets
from typing import Final, TypeAlias

import attrs

__all__ = ["SigningKey"]

# SEC 2 §2.4.2
PRIME: Final = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

Point: TypeAlias = tuple[int, int]


def _double(p: Point) -> Point:
    return _third(p, p, (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, PRIME))  # the curve's a is -3


def _add(p: Point, q: Point) -> Point:
    return _third(p, q, (q[1] - p[1]) * pow(q[0] - p[0], -1, PRIME))


def _third(p: Point, q: Point, slope: int) -> Point:
    """Mirror the third point in which a line through two points meets the curve (SEC 1 §2.2.1)."""
    x = (slope * slope - p[0] - q[0]) % PRIME
    return x, (slope * (p[0] - x) - p[1]) % PRIME


def _multiply(factor: int) -> Point:
    """Multiply the base point by a number from 1 to below the order, where no sum is the point at infinity."""
    total = BASE
    for bit in bin(factor)[3:]:
        total = _double(total)
        if bit == "1":
            total = _add(total, BASE)
    return total


@attrs.frozen
class SigningKey:
    """A private key.

    Args:
        secret: A number below the curve's order.
        public: The point that belongs to it.
    """

    secret: int = attrs.field(repr=False)
    public: Point

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        secret = secrets.randbelow(ORDER - 1) + 1
        return cls(secret, _multiply(secret))

    @property
    def secret_octets(self) -> bytes:
        """The private key as 32 octets (SEC 1 §C.4)."""
        return self.secret.to_bytes(32)

    @property
    def point_octets(self) -> bytes:
        """The public key, uncompressed (SEC 1 §2.3.3)."""
        x, y = self.public
        return b"\x04" + x.to_bytes(32) + y.to_bytes(32)

    def sign(self, digest: bytes) -> tuple[int, int]:
        """Sign a digest (SEC 1 §4.1.3): its leftmost 256 bits count."""
        number = int.from_bytes(digest[:32])
        nonce = secrets.randbelow(ORDER - 1) + 1
        # r or s is 0 once in 2**256 signatures: never.
        r = _multiply(nonce)[0] % ORDER
        s = pow(nonce, -1, ORDER) * (number + r * self.secret) % ORDER
        return r, s
