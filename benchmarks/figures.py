"""How a benchmark measures, what it prints and what it writes: nothing in here fails because a machine is slow.

Absolute times drift on a shared machine, so every contestant runs once in each round and each round gives one ratio;
what counts is the median of those.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Contestant", "Figure", "Report", "Skipped", "Table", "arguments", "installed", "side_by_side"]

ROOT = Path(__file__).resolve().parent.parent
PYTHON = f"Python {platform.python_version()}"


class Skipped(Exception):
    """A contestant cannot run here; the text says what is missing."""


def installed(distribution: str) -> str:
    """Return the version of an installed distribution.

    Raises:
        Skipped: It is not installed.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        message = f"{distribution} is not installed (pip install --group bench)"
        raise Skipped(message) from None


@dataclass(frozen=True)
class Contestant:
    """Something that does the work of one table.

    Args:
        name: What the table calls it.
        version: Which version of it this is.
        run: Does one round, and returns what it cost: one number for each of the table's units.
    """

    name: str
    version: str
    run: Callable[[], float | tuple[float, ...]]


@dataclass(frozen=True)
class Figure:
    """A line of a table.

    Args:
        name: Whose it is.
        version: Which version of it.
        values: The medians of the rounds, in the table's units.
        ratios: The medians of the rounds' ratios to the first contestant.
    """

    name: str
    version: str
    values: tuple[float, ...]
    ratios: tuple[float, ...]


@dataclass
class Table:
    """One comparison.

    Args:
        work: What was done.
        units: What the values are.
        figures: The lines; the first one is ours.
        targets: What was aimed at, and what was reached.
        with_ratios: Whether ratios say anything here.
    """

    work: str
    units: tuple[str, ...]
    figures: list[Figure] = field(default_factory=list)
    targets: list[dict[str, object]] = field(default_factory=list)
    with_ratios: bool = True

    def add(self, name: str, made: str, *values: float) -> None:
        """Enter values that were not measured in rounds, such as counts."""
        ours = self.figures[0].values if self.figures else values
        ratios = tuple(_quotient(value, mine) for value, mine in zip(values, ours, strict=True))
        self.figures.append(Figure(name, made, values, ratios))

    def aim(self, against: str, *, factor: float, ours: str | None = None, column: int = 0) -> None:
        """Compare with a target: `against` costs at least `factor` times what we cost, which may be below 1."""
        figures = {figure.name: figure for figure in self.figures}
        mine = figures.get(ours or self.figures[0].name)
        if mine is not None and against in figures:
            reached = figures[against].ratios[column] / mine.ratios[column]
            most, done = (
                (f"1/{factor:g}", f"1/{reached:.1f}") if factor > 1 else (f"{1 / factor:g}", f"{1 / reached:.2f}")
            )
            self._note(f"{mine.name} ≤ {most} of {against} ({self.units[column]})", done, met=reached >= factor)

    def bound(self, name: str, most: float, *, column: int = 0) -> None:
        """Compare with a target: a value is at most `most`."""
        unit = self.units[column]
        for figure in self.figures:
            if figure.name == name:
                value = figure.values[column]
                self._note(f"{name} ≤ {most:g} {unit}", f"{value:.3g} {unit}", met=value <= most)

    def _note(self, target: str, reached: str, *, met: bool) -> None:
        self.targets.append({"target": target, "reached": reached, "met": met})

    def lines(self) -> Iterator[str]:
        """Yield the table as Markdown."""
        yield f"### {self.work}"
        yield ""
        columns = [f"{unit} | ratio" if self.with_ratios else unit for unit in self.units]
        yield "| | version | " + " | ".join(columns) + " |"
        yield "|---|---|" + ("---:|---:|" if self.with_ratios else "---:|") * len(self.units)
        for figure in self.figures:
            cells = [
                f"{_short(value)} | {_short(ratio)}" if self.with_ratios else _short(value)
                for value, ratio in zip(figure.values, figure.ratios, strict=True)
            ]
            yield f"| {figure.name} | {figure.version} | " + " | ".join(cells) + " |"
        for target in self.targets:
            yield ""
            yield f"Target: {target['target']}. Reached: {target['reached']}{'' if target['met'] else ' (missed)'}."
        yield ""


class Report:
    """The tables of one run.

    Args:
        title: What the run was about.
        path: Where to write them as JSON, if anywhere.
    """

    def __init__(self, title: str, path: Path | None) -> None:
        self._title = title
        self._path = path
        self._tables: list[Table] = []
        self._skipped: list[str] = []
        self._started = time.time()
        print(f"## {title}\n", flush=True)

    def show(self, table: Table) -> Table:
        """Print a finished table, and keep it."""
        self._tables.append(table)
        print("\n".join(table.lines()), flush=True)
        self._write()
        return table

    def skip(self, reason: str) -> None:
        """Say aloud that something did not run."""
        self._skipped.append(reason)
        print(f"SKIPPED: {reason}\n", file=sys.stderr, flush=True)

    def _write(self) -> None:
        if self._path is None:
            return
        made = {
            "title": self._title,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started)),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processors": os.cpu_count(),
            "skipped": self._skipped,
            "tables": [asdict(table) for table in self._tables],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def side_by_side(
    work: str, units: Sequence[str], contestants: Sequence[Contestant], *, rounds: int, ratios: bool = True
) -> Table:
    """Let the contestants take turns, and return the medians. The first one is what the others are compared with."""
    results: dict[str, list[tuple[float, ...]]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            gc.collect()
            cost = contestant.run()
            results[contestant.name].append(cost if isinstance(cost, tuple) else (cost,))
    table = Table(work, tuple(units), with_ratios=ratios)
    first = results[contestants[0].name]
    for contestant in contestants:
        mine = results[contestant.name]
        values = tuple(map(median, zip(*mine, strict=True)))
        quotients = tuple(
            median(_quotient(theirs[column], ours[column]) for theirs, ours in zip(mine, first, strict=True))
            for column in range(len(units))
        )
        table.figures.append(Figure(contestant.name, contestant.version, values, quotients))
    return table


def arguments(description: str | None, *, rounds: int) -> argparse.Namespace:
    """Read the command line that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="also write the tables here")
    parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    return parser.parse_args()


def _quotient(value: float, ours: float) -> float:
    return value / ours if ours else float("nan")


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
