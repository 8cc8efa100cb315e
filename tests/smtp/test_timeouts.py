"""Timeouts that cannot cause a hang or a duplicate."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.smtp.timeouts import Timeouts


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
