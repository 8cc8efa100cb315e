"""Fuzz the address parser: what it accepts is stable, short enough, and free of structure."""

from __future__ import annotations

from mailkit import Address, AddressError

SEEDS = (
    b"Ada <ada@example.com>",
    b'"Doe, Jane" <jane@fa\xc3\x9f.test>',
    b"a@[192.0.2.1]",
    b"a@[IPv6:2001:db8::1]",
    b'"a b"@example.com',
    b"\xff@example.com",
)


def one_input(data: bytes) -> None:
    """Parse a text; write what was accepted and parse it again."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        address = Address.parse(text)
    except AddressError as error:
        assert error.position is None or 0 <= error.position <= len(text)  # noqa: PT017
        return
    assert Address.parse(str(address)) == address
    assert Address(address.email, name=address.name) == address
    assert len(address.addr_spec.encode()) <= 254
    assert not {"\r", "\n", "\0"} & set(str(address))
    assert address.ascii_domain.isascii()
