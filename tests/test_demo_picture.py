"""The README's picture of the demo shows what the demo prints."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_SCRIPT = runpy.run_path(str(_ROOT / "docs" / "demo_picture.py"), run_name="demo_picture")


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """What one run of the demo prints, with fixed values for what varies."""
    return list(_SCRIPT["run"]())


def test_the_picture_is_up_to_date(shown: list[str]) -> None:
    """A run of the demo draws the picture that is there, byte for byte: run ``python docs/demo_picture.py``."""
    drawn = _SCRIPT["picture"](_SCRIPT["lines"](shown))
    assert _SCRIPT["PICTURE"].read_text(encoding="utf-8") == drawn, "run python docs/demo_picture.py"


def test_each_line_of_the_picture_is_one_of_the_demo(shown: list[str]) -> None:
    """In the demo's order, and nothing is invented; an ellipsis stands for at least one line that is left out."""
    chosen = list(_SCRIPT["lines"](shown))
    remaining = iter(shown)
    assert chosen[0] == "$ mailkit demo"
    assert all(line in remaining for line in chosen[1:] if line != "  …")
    assert 30 < len(chosen) < len(shown)
    assert ("  …", "  …") not in pairwise(chosen)


def test_the_picture_is_well_formed_and_asks_for_nothing() -> None:
    """It is XML, readable without scripts and fonts from elsewhere, and says in words what it shows."""
    text = _SCRIPT["PICTURE"].read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert "receipt" in root.attrib["aria-label"]
    assert not [word for word in ("<script", "href", "url(", "@import") if word in text]
    height = float(root.attrib["height"])
    rows = [float(each.attrib["y"]) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert rows == sorted(rows)
    assert rows[-1] < height
