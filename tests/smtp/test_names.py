from __future__ import annotations

import pytest

import mailkit.smtp


def test_every_name_is_there() -> None:
    """Each name that the package offers can be had, and a list of its names has them all."""
    for name in mailkit.smtp.__all__:
        assert getattr(mailkit.smtp, name) is not None
    assert set(mailkit.smtp.__all__) <= set(dir(mailkit.smtp))


def test_a_misspelt_name_is_an_attribute_error() -> None:
    """What the package does not offer is missing in the ordinary way."""
    with pytest.raises(AttributeError, match="SMPT"):
        mailkit.smtp.SMPT  # noqa: B018
