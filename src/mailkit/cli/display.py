"""Tables and progress on a terminal: by rich where that is installed, as plain text where it is not."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from mailkit.local.readable import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

__all__ = ["printable", "progress", "show_rows"]

_BETWEEN: Final = 0.1  # seconds between two updates of a plain progress line


def show_rows(rows: Mapping[str, str]) -> None:
    """Print a table of names and values: with lines round it on a terminal that rich knows, else in two columns."""
    console = _console(sys.stdout)
    if console is not None:
        from rich.table import Table
        from rich.text import Text

        table = Table(show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(name, Text(printable(value)))  # a Text: brackets in a value are no markup
        console.print(table)
        return
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        print(f"{name:<{width}}  {printable(value)}")


def printable(text: str) -> str:
    """Return a text in one line, with nothing in it that a terminal would obey."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


@contextmanager
def progress(total: int) -> Generator[Callable[[int, int], None]]:
    """Show on standard error how far a mailing is, if that is a terminal.

    Args:
        total: How many messages there are.

    Returns:
        What is to be told how many are done, and how many of them failed.
    """
    console = _console(sys.stderr)
    if console is not None:
        with _bar(console, total) as update:
            yield update
    elif sys.stderr.isatty():
        with _line(total) as update:
            yield update
    else:
        yield _silent


def _silent(done: int, failed: int) -> None:
    del done, failed


@contextmanager
def _bar(console: Any, total: int) -> Generator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)

        def update(done: int, failed: int) -> None:
            bar.update(task, completed=done, description=f"{failed} failed" if failed else "")

        yield update


@contextmanager
def _line(total: int) -> Generator[Callable[[int, int], None]]:
    shown_at = 0.0

    def update(done: int, failed: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= _BETWEEN or done == total:
            shown_at = time.monotonic()
            sys.stderr.write(f"\r{done} of {total}" + (f", {failed} failed" if failed else ""))
            sys.stderr.flush()

    try:
        yield update
    finally:
        if shown_at:
            sys.stderr.write("\n")


def _console(stream: TextIO) -> Any:
    """Return rich's console for a terminal, None where either is missing."""
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream)
