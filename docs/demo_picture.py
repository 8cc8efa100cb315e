"""Writes ``docs/assets/demo.svg``: what ``mailkit demo`` prints, as the README shows it.

Run ``python docs/demo_picture.py`` after the demo has changed; a test says when the picture is not up to date.

The demo is really run. What differs from run to run (the port, the Message-ID, the Date, a size) is written as one
fixed example of it, and lines that repeat or say little are left out, with an ellipsis in their place.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailkit.demo import run_demo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PICTURE", "lines", "picture", "run"]

PICTURE: Final = Path(__file__).parent / "assets" / "demo.svg"
_VARIES: Final = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:46101"),
    (re.compile(r"\b[0-9a-f]{32}@"), "3f0c9a52d7b14e68a1c05d9be27f4830@"),
    (re.compile(r"^(  Date: +).*"), r"\g<1>Mon, 23 Nov 2026 09:30:00 +0000"),
    (re.compile(r"\b(SIZE=|BDAT )\d+"), r"\g<1>1960"),
    (re.compile(r"^  C: EHLO .*"), "  C: EHLO [127.0.0.1]"),  # the machine's name, where it has one
    (re.compile(r"SCRAM-SHA-256 \*"), "SCRAM-SHA-256-PLUS *"),  # no -PLUS where Python cannot tell the binding
)
_LEFT_OUT: Final = re.compile(r"  S: (250-|334|250 2\.1|250 BIN)|  C: \*\*\*|  multipart/")
_SECOND_MESSAGE: Final = re.compile(r"await AsyncMailer|What arrived, 2")
_WIDTH: Final = 102
_ROW, _LEFT, _TOP = 17, 18, 52

# The colours stand on a background of their own, so the picture reads the same on a light and on a dark page.
_COLOURS: Final = (
    ("prompt", re.compile(r"\$ ")),
    ("client", re.compile(r"  C: ")),
    ("server", re.compile(r"  S: |  …")),
    ("accepted", re.compile(r".*: accepted \(")),
    ("said", re.compile(r"\S")),
)
_STYLE: Final = """\
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d6deeb }
  .prompt, .said { fill: #ffffff; font-weight: 600 }
  .client { fill: #7fdbca }
  .server { fill: #9aa7b8 }
  .accepted { fill: #a6e08c }"""


def run() -> Iterator[str]:
    """Run the demo, and return its lines with fixed values for what differs from run to run."""
    shown: list[str] = []
    run_demo(shown.append)
    for line in shown:
        for pattern, example in _VARIES:
            line = pattern.sub(example, line)  # noqa: PLW2901 - the line, less and less varied
        yield line


def lines(shown: Iterable[str]) -> Iterator[str]:
    """Choose the lines that the picture shows: the blocking mailer's message, without what repeats."""
    yield "$ mailkit demo"
    belongs_to_second = left_out = False
    for line in shown:
        if line and not line.startswith(" "):
            belongs_to_second = bool(_SECOND_MESSAGE.match(line)) or (
                belongs_to_second and not line.startswith("What arrived")
            )
        if belongs_to_second:
            continue
        if _LEFT_OUT.match(line):
            left_out = True
            continue
        if left_out:
            yield "  …"
            left_out = False
        yield line


def picture(chosen: Iterable[str]) -> str:
    """Draw the lines in a window."""
    rows = list(chosen)
    while not rows[-1]:
        rows.pop()
    width, height = _LEFT * 2 + round(_WIDTH * 7.83), _TOP + _ROW * len(rows) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
            ' role="img" aria-label="mailkit demo: the SMTP conversation, the receipt and what arrived">',
            f"<style>\n{_STYLE}\n</style>",
            f'<rect width="{width}" height="{height}" rx="10" fill="#10202f" stroke="#34495e"/>',
            *(
                f'<circle cx="{22 + 20 * index}" cy="20" r="6" fill="{fill}"/>'
                for index, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
            ),
            *(_text(number, row) for number, row in enumerate(rows) if row),
            "</svg>\n",
        ]
    )


def _text(number: int, row: str) -> str:
    name = next((name for name, pattern in _COLOURS if pattern.match(row)), "")
    attribute = f' class="{name}"' if name else ""
    cut = row if len(row) <= _WIDTH else f"{row[: _WIDTH - 1]}…"
    place = f'x="{_LEFT}" y="{_TOP + _ROW * number}"'
    return f'<text{attribute} {place} xml:space="preserve">{escape(cut, quote=False)}</text>'


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(lines(run())), encoding="utf-8")
    print(f"wrote {PICTURE}")
