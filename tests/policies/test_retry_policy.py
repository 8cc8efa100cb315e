"""The policy as a value: what it may say, and what it says by default."""

from __future__ import annotations

from typing import Any

import pytest

from mailkit.errors import ConfigurationError
from mailkit.policies.retry_policy import RetryPolicy


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"attempts": -1}, {"deadline": 0.0}, {"deadline": -1.0}, {"deadline": float("nan")},
     {"on_unknown": "maybe"}],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """At least one attempt, a positive deadline, and one of two ways with doubts."""
    with pytest.raises(ConfigurationError):
        RetryPolicy(**wrong)


def test_the_default_is_what_the_documentation_says() -> None:
    """Three attempts within 30 s, and at most one copy."""
    policy = RetryPolicy()
    assert (policy.attempts, policy.deadline, policy.on_unknown) == (3, 30.0, "raise")
    assert repr(policy) == "RetryPolicy(attempts=3, deadline=30.0, on_unknown='raise')"
