"""What ``verify`` learned, as a value."""

from __future__ import annotations

import pytest

from mailkit import transport
from mailkit.server_info import ServerInfo


def test_what_was_learned_does_not_change() -> None:
    """The timings are those of the moment when it was made, and nobody can alter them."""
    given = {"connect": 0.5}
    info = ServerInfo(transport="smtp://mail.example.com:587", timings=given)
    given["connect"] = 1.0
    assert info.timings == {"connect": 0.5}
    with pytest.raises(TypeError, match="frozen"):
        info.timings["connect"] = 2.0  # type: ignore[index]


def test_whoever_writes_a_transport_finds_it_there() -> None:
    """``mailkit.transport`` has the class too, imported when it is asked for, and no misspelt one."""
    assert transport.ServerInfo is ServerInfo
    with pytest.raises(AttributeError, match=r"module 'mailkit\.transport' has no attribute 'ServrInfo'"):
        transport.ServrInfo  # type: ignore[attr-defined]  # noqa: B018
