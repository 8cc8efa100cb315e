"""Timeouts that cannot cause a hang or a duplicate, and options that show no secret."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.smtp.login import Login
from mailkit.smtp.options import SMTPOptions, Timeouts
from mailkit.smtp.pool import PoolLimits


@pytest.mark.parametrize("name", ["connect", "tls", "greeting", "command", "data_block", "data_end"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_timeout_is_positive_and_finite(name: str, seconds: float) -> None:
    """Nothing may hang for ever, and nothing can be done in no time."""
    with pytest.raises(ConfigurationError, match="positive, finite"):
        Timeouts(**{name: seconds})


def test_the_answer_to_the_message_may_not_be_the_most_impatient() -> None:
    """Giving up on the answer to the final dot sooner than on others would cause duplicates."""
    with pytest.raises(ConfigurationError, match="duplicates"):
        Timeouts(command=10.0, data_end=9.0)
    assert Timeouts(command=10.0, data_end=10.0).data_end == 10.0
    assert Timeouts(data_end=1.0).command is None


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
