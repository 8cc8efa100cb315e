"""A pytest plugin (``-p docs.examples``) that runs the examples of Markdown pages and follows their links.

Each ``python`` block of a page is a test. The blocks of one page share their names and run from top to bottom
in a folder of their own; an ``await`` may stand at the top level. Every Mailer sends into the ``mailbox`` of
mailkit's own pytest plugin, whatever URL the example gives it. What the reader need not see is in
``<!-- invisible-code-block: python … -->``. No block is left out.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt
from sybil import Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Document

ROOT = Path(__file__).parent.parent
_CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def run(example: Example) -> None:
    """Run one block in its page's namespace, on an event loop if it awaits at the top level."""
    source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
    code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, example.namespace)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the common forges make them."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    headings = [inline.content for opening, inline in pairwise(tokens) if opening.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def follow(example: Example) -> None:
    """Check that what a relative link points at exists, its anchor included."""
    path, _, anchor = example.parsed.partition("#")
    page = Path(example.path)
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), f"{example.parsed} leads to {target}, which does not exist"
    assert target.is_relative_to(ROOT), f"{example.parsed} leads out of the project"
    if anchor:
        assert anchor in anchors(target), f"{target} has no heading #{anchor}; it has {sorted(anchors(target))}"


def links(document: Document) -> Iterator[Region]:
    """Find the relative links of a page: those with a scheme are not followed."""
    code = [match.span() for match in _CODE.finditer(document.text)]
    for match in _LINK.finditer(document.text):
        hidden = any(start <= match.start() < end for start, end in code)
        if not hidden and not re.match(r"[a-z]+:", match["target"]):
            yield Region(match.start("target"), match.end("target"), match["target"], follow)


@pytest.fixture
def example_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: Any) -> Path:
    """Run the examples of a page in a folder of their own, which has the files that they attach."""
    folder = tmp_path_factory.getbasetemp() / "examples" / request.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.chdir(folder)
    return folder


_sybil = Sybil(
    parsers=[CodeBlockParser("python", run), links],
    path=str(ROOT),
    setup=lambda namespace: namespace.update(PROJECT=ROOT),
    patterns=["*.md", "**/*.md"],
    fixtures=["example_folder", "mailbox"],
)
pytest_collect_file = _sybil.pytest()
