from __future__ import annotations

import pytest

import mailkit
from mailkit import policies


@pytest.mark.parametrize("name", policies.__all__)
def test_every_policy_is_a_public_name_of_the_package(name: str) -> None:
    """What ``mailkit.policies`` has is the same object there and in ``mailkit``, if it is listed there."""
    assert name in dir(policies)
    value = getattr(policies, name)
    assert value.__name__ == name
    assert getattr(mailkit, name, value) is value


def test_a_misspelt_policy_is_an_attribute_error() -> None:
    """A name that does not exist is refused with the module's name and its own."""
    with pytest.raises(AttributeError, match=r"module 'mailkit\.policies' has no attribute 'RateLimt'"):
        policies.RateLimt  # type: ignore[attr-defined]  # noqa: B018
