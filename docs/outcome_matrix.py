"""Writes ``docs/explanation/outcome-matrix.md``: what was observed when each row of the outcome tables was played.

Run ``python docs/outcome_matrix.py`` from the repository's root after an outcome has changed; a test says when the page
is not up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT: Final = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the rows are the tests' own

from tests.policies.faults import HTTP_ROWS, SMTP_ROWS  # noqa: E402
from tests.policies.matrix import POLICIES, SIDES, observe  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.policies.faults import Row
    from tests.policies.matrix import Observed, Side

__all__ = ["PAGE", "line", "main", "page", "rows_of"]

PAGE: Final = ROOT / "docs" / "explanation" / "outcome-matrix.md"

_HEAD: Final = """\
# What happens, with and without policies

[What can have happened to a message](outcomes.md) says what is known after a fault. These tables say what follows from
it: for each fault, what a sender without policies is told, what retrying makes of it, what a second server makes of it,
and what both do together.

Nothing here was written by hand. Each cell is one run against real servers on loopback: the fault happens once, to the
first delivery of a message to Bob and Eve, on the server that is asked first. A cell says

- what the sender was told, of both recipients where it differs;
- how many attempts he was told of, over all servers (a fault that lasts, such as a closed port, uses them all up);
- how many copies each recipient has in the end: from the first server + from the second.

The columns are

- **no policy**: `retry=RetryPolicy.none()`;
- **retry**: what a mailer does by default, `RetryPolicy()`;
- **failover**: `Failover(first, second)` and `retry=RetryPolicy.none()`;
- **both**: `Failover(first, second)` and `RetryPolicy()`;
- **both, retries inside**: `Failover(Retry(first), Retry(second))`, which can try a doubt again where the same vendor
  honours the key;
- **retry, `on_unknown="retry"`**: `RetryPolicy(on_unknown="retry")`, which asks for a second copy rather than none.

In all columns but the last no recipient has two copies, who was told "accepted" has one, and who was told anything but
"unknown" and "accepted" has none. The last column is the only one with two copies: that is what it asks for. "Taken"
and "not taken" tell what the server did with a message before the answer was lost; the sender cannot know.
"""


def rows_of(side: Side) -> Sequence[Row]:
    """Return the rows that can happen there."""
    rows = SMTP_ROWS if side == "smtp" else HTTP_ROWS
    return [row for row in rows if row.only in {None, side}]


def line(row: Row, observed: Sequence[Observed]) -> str:
    """Return a line of a table."""
    return f"| {row.group or row.name} | {' | '.join(cell.as_cell() for cell in observed)} |"


def page() -> str:
    """Play everything and return the page."""
    parts = [_HEAD]
    for side, title in SIDES.items():
        lines = dict.fromkeys(line(row, [observe(row, side, column) for column in POLICIES]) for row in rows_of(side))
        parts.append(
            "\n".join([f"## {title}\n", f"| | {' | '.join(POLICIES)} |", f"|---|{'---|' * len(POLICIES)}", *lines, ""])
        )
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
