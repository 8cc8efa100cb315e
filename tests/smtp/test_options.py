"""Options that show no secret, and a pool that can give a connection."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.smtp.login import Login
from mailkit.smtp.options import SMTPOptions
from mailkit.smtp.pool import PoolLimits


def test_options_show_no_secret() -> None:
    """Neither the login nor the transcript's function is in the representation."""
    options = SMTPOptions(host="h", port=25, login=Login(username="ada", password="hunter2"), transcript=print)  # type: ignore[arg-type]
    assert "hunter2" not in repr(options)
    assert "ada" not in repr(options)


@pytest.mark.parametrize("name", ["max_connections", "max_messages", "max_age", "idle_timeout", "acquire_timeout"])
@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_of_the_pool_is_positive(name: str, bound: int) -> None:
    """A pool that could never give a connection is refused when it is configured."""
    with pytest.raises(ConfigurationError, match="is positive"):
        PoolLimits(**{name: bound})
