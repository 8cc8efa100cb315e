"""TLS options that show no secret."""

from __future__ import annotations

import pytest

from mailkit import edge
from mailkit.edge import TLS, TLSInfo
from mailkit.secret import Secret


def test_tls_values_hide_what_is_secret() -> None:
    """No key password, context or certificate is in a repr, and equal values share a cache entry."""
    tls = TLS(key_password=Secret("hunter2"), context=object())
    assert "hunter2" not in repr(tls)
    assert "object" not in repr(tls)
    assert {TLS(server_hostname="a"): 1}[TLS(server_hostname="a")] == 1
    assert "30" not in repr(TLSInfo(version="TLSv1.3", cipher="X", peer_certificate=b"\x30"))


def test_a_misspelt_name_is_an_attribute_error() -> None:
    """The package knows the names that it imports late, and no others."""
    with pytest.raises(AttributeError, match=r"module 'mailkit\.edge' has no attribute 'TSL'"):
        edge.TSL  # noqa: B018
