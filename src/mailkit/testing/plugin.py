"""The pytest plugin, which is there as soon as mailkit is installed: the fixture `mailbox`.

Nothing of mailkit but this module is imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.testing import Mailbox

__all__ = ["mailbox"]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Every message that a mailkit Mailer or AsyncMailer sends while the test runs, whatever URL it was given."""
    from mailkit.testing.catching import catch_mail

    with catch_mail() as box:
        yield box
