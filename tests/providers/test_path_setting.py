"""Settings that become a segment of a path."""

from __future__ import annotations

import pytest

from mailkit import ConfigurationError
from mailkit.providers.path_setting import check_path_setting


@pytest.mark.parametrize("value", ["me", "ada@example.com", "../x", "a/b", "ä", "a b"])
def test_what_can_be_escaped_is_fine(value: str) -> None:
    """Whatever can be percent-encoded may be a setting."""
    check_path_setting("user", value)


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "a\0", "\ud800"])
def test_what_cannot_be_a_segment_is_refused(value: str) -> None:
    """Nothing, dots alone, and unprintable characters are refused, with the setting's name."""
    with pytest.raises(ConfigurationError, match=r"^user"):
        check_path_setting("user", value)
