"""Limits within which a pool can give a connection."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.smtp.pool_limits import PoolLimits


@pytest.mark.parametrize("name", ["max_connections", "max_messages", "max_age", "idle_timeout", "acquire_timeout"])
@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_of_the_pool_is_positive(name: str, bound: int) -> None:
    """A pool that could never give a connection is refused when it is configured."""
    with pytest.raises(ConfigurationError, match="is positive"):
        PoolLimits(**{name: bound})
