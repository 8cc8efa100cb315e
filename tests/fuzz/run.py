"""Fuzz one target with atheris: ``python tests/fuzz/run.py TARGET CORPUS [-libFuzzer_option=value …]``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import atheris


def main(name: str, corpus: str, *options: str) -> None:
    """Instrument what the target loads, put its seeds into the corpus, and fuzz."""
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["mailkit", name]):
        target = importlib.import_module(name)
        for number, seed in enumerate(target.SEEDS):
            (folder / f"seed-{number}").write_bytes(seed)
            target.one_input(seed)  # imports what is imported lazily
    atheris.Setup([sys.argv[0], f"-artifact_prefix={folder.parent}/{name}-", *options, corpus], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
