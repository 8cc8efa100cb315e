"""What an integration says where its framework is not installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["importing"]


@contextmanager
def importing(module: str, framework: str, *, install: str | None = None) -> Generator[None, None, None]:
    """Say in the block's error what is missing and how to get it, where that is the framework itself.

    Args:
        module: The module that it is imported as.
        framework: What it is called.
        install: What pip calls it, where that is not the name of the module.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # it is there, and something of its own is not
        text = f"this part of mailkit is for {framework}, which is not installed: pip install {install or module}"
        raise ModuleNotFoundError(text, name=module) from None
