from __future__ import annotations

from typing import Any

import pytest

from mailkit.edge.records import NameServers
from mailkit.errors import ConfigurationError


def test_name_servers_are_addresses_with_ports() -> None:
    """Any iterable of pairs becomes a tuple of them."""
    assert NameServers([["127.0.0.1", 53], ("::1", 5353)]).endpoints == (("127.0.0.1", 53), ("::1", 5353))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "none at all"),
        ([("dns.example.com", 53)], "is no IP address"),
        ([("127.0.0.1\r\n", 53)], "is no IP address"),
        ([("127.0.0.1", 0)], "no port"),
        ([("127.0.0.1", 65536)], "no port"),
    ],
)
def test_what_is_no_name_server_is_refused(given: Any, says: str) -> None:
    """A name, a port out of range and no server at all are configuration errors."""
    with pytest.raises(ConfigurationError, match=says):
        NameServers(given)
