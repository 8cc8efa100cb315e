"""What a vendor may say about one message of many: every word of its contract has a meaning here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mailkit.providers.ses_bulk import STATUSES

if TYPE_CHECKING:
    from pathlib import Path


def test_ses(shared: Path) -> None:
    """Each status of Amazon's model is known, and none besides."""
    model = json.loads((shared / "vendors" / "specs" / "ses_v2.json").read_text(encoding="utf-8"))
    assert set(model["shapes"]["BulkEmailStatus"]["enum"]) == {"SUCCESS", *STATUSES}
