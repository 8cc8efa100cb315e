"""What ``nox -s fuzz`` does for minutes with atheris, hypothesis does for moments, so that no target rots."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from types import ModuleType

TARGETS = sorted(Path(__file__).parent.glob("fuzz_*.py"))


@pytest.fixture(params=TARGETS, ids=lambda path: path.stem)
def target(request: pytest.FixtureRequest) -> ModuleType:
    """Each target as a module."""
    spec = importlib.util.spec_from_file_location(request.param.stem, request.param)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_target_takes_its_seeds(target: ModuleType) -> None:
    """A fuzz target finds nothing wrong with the inputs that it begins with."""
    assert target.SEEDS
    for seed in target.SEEDS:
        target.one_input(seed)


def test_a_target_takes_anything(target: ModuleType) -> None:
    """A fuzz target finds nothing wrong with arbitrary bytes and with mutilated seeds."""
    mutilated = st.builds(
        lambda seed, start, end, junk: seed[:start] + junk + seed[end:],
        st.sampled_from(target.SEEDS),
        st.integers(0, 60),
        st.integers(0, 60),
        st.binary(max_size=8),
    )

    @given(st.binary(max_size=200) | mutilated)
    def check(data: bytes) -> None:
        target.one_input(data)

    check()
