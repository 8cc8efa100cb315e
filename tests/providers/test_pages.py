"""The providers' pages are what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "docs" / "provider_pages.py"
_PAGES = runpy.run_path(str(_SCRIPT), run_name="provider_pages")


@pytest.mark.parametrize("name", sorted(_PAGES["pages"]()))
def test_a_page_is_up_to_date(name: str) -> None:
    """Each page has the text that the generator writes now: run ``python docs/provider_pages.py``."""
    page = _PAGES["FOLDER"] / name
    assert page.is_file(), f"{page} is missing: run python docs/provider_pages.py"
    assert page.read_text(encoding="utf-8") == _PAGES["pages"]()[name]


def test_there_is_no_page_of_a_provider_that_is_gone() -> None:
    """A page outlives no provider."""
    assert {page.name for page in _PAGES["FOLDER"].glob("*.md")} == set(_PAGES["pages"]())
