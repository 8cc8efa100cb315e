"""Templates with a number, and data of one level."""

from __future__ import annotations

from typing import Any

import pytest

from mailkit import MessageError, Template
from mailkit.providers import Tencent
from mailkit.providers.stored_template import flat_data, number_of

_TENCENT = Tencent("KEY", secret="SECRET")


@pytest.mark.parametrize("identifier", [7, "7", "007"])
def test_a_number_may_be_digits(identifier: str | int) -> None:
    """A number is one as it is, and as text."""
    assert number_of(Template(identifier), _TENCENT) == 7


@pytest.mark.parametrize("identifier", ["welcome", "7.0", "-7"])
def test_what_is_no_number_is_refused(identifier: str) -> None:
    """A name, a fraction and a sign are refused, and the error names the provider."""
    with pytest.raises(MessageError, match=r"tencent://default.*have numbers"):
        number_of(Template(identifier), _TENCENT)


def test_data_are_texts() -> None:
    """Numbers are written out."""
    assert flat_data(Template(7, {"a": "b", "n": 3, "x": 1.5}), _TENCENT) == {"a": "b", "n": "3", "x": "1.5"}
    assert flat_data(Template(7), _TENCENT) == {}


@pytest.mark.parametrize("value", [True, None, ["a"], {"a": "b"}])
def test_what_is_neither_text_nor_number_is_refused(value: Any) -> None:
    """Lists, mappings, null and truth values are refused by the name that they have."""
    with pytest.raises(MessageError, match=r"text and numbers, and 'deep'"):
        flat_data(Template(7, {"deep": value}), _TENCENT)
