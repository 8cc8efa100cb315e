"""How much a host has to show: DANE before MTA-STS before what the transport wants."""

from __future__ import annotations

import pytest

from mailkit import TLSError
from mailkit.edge.records import TLSA
from mailkit.mx.host_security import HostSecurity, security_of
from mailkit.mx.names import HostRecords
from mailkit.mx.sts import Policy

MX = "mx.example.org"
RECORD = TLSA(3, 1, 1, b"x" * 32)
UNUSABLE = TLSA(0, 1, 1, b"x" * 32)
NAMES_IT = Policy(mode="enforce", mx=(MX,), max_age=1)
NAMES_OTHERS = Policy(mode="enforce", mx=("other.example.org",), max_age=1)


def security(tlsa: TLSA | None = None, policy: Policy | None = None, *, require_tls: bool = False) -> HostSecurity:
    """Return what the exchanger of example.org has to show."""
    records = HostRecords(addresses=("192.0.2.1",), tlsa=(tlsa,) if tlsa else (), tlsa_base=MX if tlsa else "")
    return security_of(MX, records, policy, domain="example.org", require_tls=require_tls)


@pytest.mark.parametrize("policy", [None, NAMES_IT, NAMES_OTHERS])
def test_dane_decides_where_there_is_dane(policy: Policy | None) -> None:
    """Usable records are what counts, whatever a policy says; three names will do for an anchor's certificate."""
    expected = HostSecurity(level="dane", records=(RECORD,), names=(MX, "example.org"))
    assert security(RECORD, policy) == expected
    assert expected.is_authenticated


@pytest.mark.parametrize("tlsa", [None, UNUSABLE])
def test_mta_sts_decides_where_there_is_no_dane(tlsa: TLSA | None) -> None:
    """A host that the policy names has to be verified, another one is none."""
    found = security(tlsa, NAMES_IT)
    assert (found.level, found.is_authenticated) == ("verified", True)
    with pytest.raises(TLSError, match=f"{MX} is none of the mail exchangers") as caught:
        security(tlsa, NAMES_OTHERS)
    assert (caught.value.cause, caught.value.outcome) == ("security", "not_sent")


@pytest.mark.parametrize(
    ("tlsa", "require_tls", "level"),
    [
        (None, False, "opportunistic"),
        (None, True, "encrypted"),
        (UNUSABLE, False, "encrypted"),
        (UNUSABLE, True, "encrypted"),
    ],
)
def test_else_the_transport_decides(tlsa: TLSA | None, require_tls: bool, level: str) -> None:
    """Without either, TLS is opportunistic, unless the transport or a host's own unusable records require it."""
    found = security(tlsa, require_tls=require_tls)
    assert (found.level, found.is_authenticated) == (level, False)
