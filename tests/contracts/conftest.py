"""The contracts live beside the checkout, or where MAILKIT_SHARED says; CI has them, so it must find them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the contracts: ``design/``, ``security/``, ``vendors/``."""
    folder = Path(os.environ.get("MAILKIT_SHARED", _BESIDE))
    if folder.is_dir():
        return folder
    message = f"there are no contracts at {folder}: set MAILKIT_SHARED to the folder that has them"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
