"""A pytest plugin (``-p docs.examples``) that runs the examples of Markdown pages and follows their links.

Each ``python`` block of a page is a test. The blocks of one page share their names and run from top to bottom
in a folder of their own; an ``await`` may stand at the top level. What goes to a loopback host is really sent; what
an example sends to any other host stays here, and what it sends through a provider is checked, and its request built.
What the reader need not see is in ``<!-- invisible-code-block: python … -->``; there, ``run_test(test_something)``
runs a test function with its fixtures. No block is left out.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import socket
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt
from sybil import Example, Region, Sybil
from sybil.parsers.markdown import CodeBlockParser

from mailkit.host import is_loopback
from mailkit.mx import DirectMX
from mailkit.providers.base import ApiTransport
from mailkit.providers.channel import ApiChannel
from mailkit.smtp import SMTP
from mailkit.testing import Mailbox
from mailkit.transport import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from sybil import Document

    from mailkit import Envelope, Message, Outcome, Receipt
    from mailkit.edge import Edge

ROOT = Path(__file__).parent.parent
_CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def pytest_configure() -> None:
    """Give Django its settings, without which the modules that work inside it cannot be imported."""
    import tests.integrations.django_project  # noqa: F401


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


class _NeverAsked(ApiChannel):
    """A provider's channel that does everything but send: what the provider would be sent is kept here."""

    def __init__(self, transport: ApiTransport, edge: Edge, kept: Mailbox) -> None:
        super().__init__(transport, edge)
        self._kept = kept.open(edge)

    async def send(self, message: Message, envelope: Envelope) -> Receipt:
        """Check it, build its request, and keep it."""
        self._api.build_request(self._exchange.checked(message, envelope), envelope)
        return await self._kept.send(message, envelope)

    def send_many(self, messages: Any, **options: Any) -> AsyncGenerator[Outcome, None]:
        """Send one after the other."""
        return Channel.send_many(self, messages, **options)


_STAYS_HERE: dict[Any, Callable[[Any], bool]] = {
    SMTP: lambda smtp: smtp.unix_path is not None or (smtp.discover is None and is_loopback(smtp.host)),
    DirectMX: lambda direct: direct.private_networks,  # with name servers of its own, on loopback
    ApiTransport: lambda api: api.host is not None and is_loopback(api.host),
}


@pytest.fixture(autouse=True)
def _nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is sent to hosts elsewhere in a mailbox, and fail whatever would reach them all the same."""
    monkeypatch.delenv("MAILKIT_URL", raising=False)
    elsewhere, really_connect = Mailbox(), socket.socket.connect

    def opening(really_open: Any, stays_here: Callable[[Any], bool]) -> Any:
        def open_channel(self: Any, edge: Edge) -> Any:
            if stays_here(self):
                return really_open(self, edge)
            return _NeverAsked(self, edge, elsewhere) if isinstance(self, ApiTransport) else elsewhere.open(edge)

        return open_channel

    def connect_here(self: socket.socket, address: Any) -> None:
        is_path = isinstance(address, str | bytes)
        assert is_path or is_loopback(address[0]), f"An example connects to {address!r}, beyond loopback."
        really_connect(self, address)

    for transport, stays_here in _STAYS_HERE.items():
        monkeypatch.setattr(transport, "open", opening(transport.open, stays_here))
    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture
def run_test(request: pytest.FixtureRequest) -> Callable[[Callable[..., object]], None]:
    """Run a test function that an example shows, with the fixtures that it asks for."""

    def run_it(test: Callable[..., object]) -> None:
        test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})

    return run_it


_sybil = Sybil(
    parsers=[CodeBlockParser("python", run), links],
    path=str(ROOT),
    setup=lambda namespace: namespace.update(PROJECT=ROOT, __name__="__main__"),
    patterns=["*.md", "**/*.md"],
    fixtures=["example_folder", "_nothing_leaves", "run_test"],
)
pytest_collect_file = _sybil.pytest()
