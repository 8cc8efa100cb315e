"""Every row of the outcome tables, end to end, with and without policies; the page in the docs says what was seen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.patience import patiently
from tests.policies.faults import HTTP_ROWS, SMTP_ROWS, SOON
from tests.policies.matrix import POLICIES, SIDES, observe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.policies.faults import Row
    from tests.policies.matrix import Side

pytestmark = pytest.mark.slow


def _generator() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "outcome_matrix.py"
    specification = importlib.util.spec_from_file_location("outcome_matrix", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


GENERATOR: Any = _generator()
CASES = [
    pytest.param(side, row, id=f"{side}-{row.name}".replace(" ", "_"))
    for side in SIDES
    for row in GENERATOR.rows_of(side)
]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The lines of the page."""
    text: str = GENERATOR.PAGE.read_text(encoding="utf-8")
    return text.splitlines()


def _played(row: Row, play: Callable[[Row], None]) -> None:
    """Play a row; where somebody waits for a timeout, again with a longer one if the machine was too busy for it."""
    if row.is_patient:
        play(row)
    else:
        patiently(lambda wait: play(row.waiting(wait)), first=SOON)


@pytest.mark.parametrize(("side", "row"), CASES)
def test_what_is_told_is_true_and_the_page_says_it(side: Side, row: Row, lines: list[str]) -> None:
    """No second copy but where it is asked for, no loss in silence; the page has what was seen.

    If it has not, run ``python docs/outcome_matrix.py``.
    """
    section = lines.index(f"## {SIDES[side]}")
    following = [place for place, text in enumerate(lines) if text.startswith("## ") and place > section]

    def play(row: Row) -> None:
        cells = [observe(row, side, column) for column in POLICIES]
        *others, at_least_once = cells
        for cell in others:
            cell.check(at_most=1)
        at_least_once.check(at_most=2)
        assert GENERATOR.line(row, cells) in lines[section : min(following, default=len(lines))]

    _played(row, play)


@pytest.mark.parametrize(("side", "row"), CASES)
def test_what_is_told_in_a_stream_is_true(side: Side, row: Row) -> None:
    """A stream, which sends what was certainly not taken once more by itself, sends nothing twice either."""

    def play(row: Row) -> None:
        for column in ("retry", "both"):
            observe(row, side, column, in_stream=True).check(at_most=1)

    _played(row, play)


def test_the_page_has_no_other_lines(lines: list[str]) -> None:
    """There is one line for each row, or for each group of rows that fare the same, and the text is the generator's."""
    rows = [{row.group or row.name for row in GENERATOR.rows_of(side)} for side in SIDES]
    told = [text for text in lines if text.startswith("| ") and not text.startswith("| |")]
    assert len(told) == sum(map(len, rows))
    assert "\n".join(lines).startswith(GENERATOR.page.__globals__["_HEAD"])


def test_no_row_has_the_name_of_another() -> None:
    """Each row is one fault, and each table has dozens."""
    for rows in (SMTP_ROWS, HTTP_ROWS):
        assert len({row.name for row in rows}) == len(rows) > 40
