"""The pytest plugin, which is there as soon as mailkit is installed: the fixture `mailbox`.

Nothing of mailkit but this module is imported before a test asks for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.testing import Mailbox

__all__ = ["mailbox"]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """Every message that a mailkit Mailer or AsyncMailer sends while the test runs, whatever URL it was given."""
    from mailkit.post import ENVIRONMENT, override_transport
    from mailkit.testing.mailbox import Mailbox

    if not os.environ.get(ENVIRONMENT):
        # A mailer without a URL looks there: what is sent goes to the mailbox all the same.
        monkeypatch.setenv(ENVIRONMENT, "null://")
    box = Mailbox()
    previous = override_transport(box)
    try:
        yield box
    finally:
        override_transport(previous)
