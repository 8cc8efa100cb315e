"""Recipients by domain, and which addresses may be connected to."""

from __future__ import annotations

import pytest

from mailkit import Envelope
from mailkit.mx.groups import by_domain, is_reachable, literal_address


def test_recipients_are_grouped_by_their_domain_in_a_labels() -> None:
    """Two spellings of one domain are one group; the order within a group is the envelope's."""
    envelope = Envelope("ada@example.com", ["a@faß.test", "b@example.org", "c@XN--FA-HIA.test", "d@[192.0.2.1]"])
    groups = {domain: [path.local_part for path in paths] for domain, paths in by_domain(envelope).items()}
    assert groups == {"xn--fa-hia.test": ["a", "c"], "example.org": ["b"], "[192.0.2.1]": ["d"]}


@pytest.mark.parametrize(
    ("domain", "address"),
    [("example.org", None), ("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1")],
)
def test_an_address_literal_holds_an_address(domain: str, address: str | None) -> None:
    """Brackets and ``IPv6:`` are not part of it."""
    assert literal_address(domain) == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fd00::1",
     "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::1", "2002:a00:1::"],
)  # fmt: skip
def test_private_addresses_are_for_those_who_ask_for_them(address: str) -> None:
    """Loopback, private and link-local addresses, also in their IPv6 clothes."""
    assert not is_reachable(address, private_networks=False)
    assert is_reachable(address, private_networks=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_public_addresses_are_for_everybody(address: str) -> None:
    """The public Internet is where mail exchangers are."""
    assert is_reachable(address, private_networks=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"])
def test_some_addresses_are_nobody_s(address: str) -> None:
    """The unspecified address, which means this machine, and groups are never connected to."""
    assert not is_reachable(address, private_networks=True)
