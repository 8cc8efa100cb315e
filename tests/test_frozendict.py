from __future__ import annotations

import copy
import json
import math
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import MessageError
from mailkit.frozendict import EMPTY, FrozenDict, freeze_json, freeze_mapping

if TYPE_CHECKING:
    from collections.abc import Callable

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda frozen: frozen.__setitem__("a", 2),
        lambda frozen: frozen.__delitem__("a"),
        lambda frozen: frozen.__ior__({"b": 1}),
        lambda frozen: frozen.update(b=1),
        lambda frozen: frozen.setdefault("b", 1),
        lambda frozen: frozen.pop("a"),
        lambda frozen: frozen.popitem(),
        lambda frozen: frozen.clear(),
    ],
)
def test_it_does_not_change(change: Callable[[Any], object]) -> None:
    """Every method of dict that changes it is refused, and nothing has changed."""
    frozen = FrozenDict({"a": 1})
    with pytest.raises(TypeError, match="frozen value: build a new one"):
        change(frozen)
    assert frozen == {"a": 1}


def test_it_reads_like_a_dict() -> None:
    """A frozen mapping is read, compared and written as JSON like a dict."""
    frozen = FrozenDict({"a": 1, "b": (2,)})
    assert frozen["a"] == 1
    assert frozen == {"a": 1, "b": (2,)}
    assert json.dumps(frozen) == '{"a": 1, "b": [2]}'


def test_equal_ones_hash_alike() -> None:
    """The order of the keys counts neither for equality nor for the hash."""
    assert FrozenDict({"a": 1, "b": 2}) == FrozenDict({"b": 2, "a": 1})
    assert len({FrozenDict({"a": 1, "b": 2}), FrozenDict({"b": 2, "a": 1}), FrozenDict({"a": 1})}) == 2


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_are_frozen_and_equal(again: Callable[[Any], object]) -> None:
    """Copying and pickling give an equal mapping of the same kind."""
    frozen = freeze_mapping({"a": {"b": [1, {"c": None}]}}, "data")
    assert again(frozen) == frozen
    assert type(again(frozen)) is FrozenDict


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _JSON, max_size=4))
def test_json_is_frozen_as_deep_as_it_goes(value: dict) -> None:
    """Frozen JSON is hashable, and is written as the JSON that it was made of."""
    frozen = freeze_mapping(value, "data")
    hash(frozen)
    assert json.loads(json.dumps(frozen)) == json.loads(json.dumps(value))


def test_the_original_may_change() -> None:
    """What was frozen is a copy: a list that grows later does not reach it."""
    inner = [1]
    frozen = freeze_mapping({"a": inner}, "data")
    inner.append(2)
    assert frozen["a"] == (1,)


@pytest.mark.parametrize("value", [None, [], "a", 3])
def test_what_is_no_mapping_is_refused(value: object) -> None:
    """Only a mapping can become one."""
    with pytest.raises(MessageError, match=r"^options has to be a mapping, not of type "):
        freeze_mapping(value, "options")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {1, 2}}, r"options\['a'\] has to be made of what JSON has"),
        ({"a": b"x"}, r"options\['a'\] has to be made of what JSON has"),
        ({"a": [object()]}, r"options\['a'\] has to be made of what JSON has"),
        ({1: "x"}, "a key of options has to be a str"),
        ({"a": {None: 1}}, r"a key of options\['a'\] has to be a str"),
        ({"a": math.nan}, r"options\['a'\] holds nan"),
        ({"a": -math.inf}, r"options\['a'\] holds -inf"),
        ({"a": 2**64}, r"options\['a'\] holds an integer beyond 64 bits"),
        ({"a": "\ud800"}, r"options\['a'\] holds U\+D800"),
        ({"\ud800": 1}, r"a key of options holds U\+D800"),
    ],
)
def test_what_json_does_not_have_is_refused_by_its_place(value: object, said: str) -> None:
    """A value that JSON cannot hold is refused, and the error names the keys that lead to it."""
    with pytest.raises(MessageError, match=f"^{said}"):
        freeze_mapping(value, "options")


def test_deep_nesting_ends_in_a_message_error() -> None:
    """Nesting beyond the limit is refused long before Python's stack ends, also where it is endless."""
    endless: list = []
    endless.append(endless)
    with pytest.raises(MessageError, match="nested more than 32 deep"):
        freeze_json(endless, "data")


def test_nothing_is_one_value() -> None:
    """The empty mapping is there once, as the default of fields."""
    assert EMPTY == {}
    assert freeze_mapping({}, "metadata") == EMPTY
