"""nodemailer with its pooled transport, in a Node.js process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import ROOT, Skipped
from letters import AUTHOR, AUTHOR_NAME, Letter
from stopwatch import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["deliver", "run", "version"]

_SOURCE = ROOT / "benchmarks" / "node"
_FOLDER = ROOT / ".cache" / "benchmarks" / "node"


@cache
def version() -> str:
    """Install nodemailer's newest version, and return which one that is.

    Raises:
        Skipped: There is no Node.js, or the installation failed.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "nodemailer, because Node.js (node and npm) is not installed"
        raise Skipped(message)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(_SOURCE / "package.json", _FOLDER)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    installed = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    if installed.returncode:
        message = f"nodemailer, because npm install failed: {installed.stderr.strip()}"
        raise Skipped(message)
    package = json.loads((_FOLDER / "node_modules" / "nodemailer" / "package.json").read_text(encoding="utf-8"))
    return str(package["version"])


def run(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> dict[str, float]:
    """Send letters; return ``cpu``, ``wall``, the event loop's ``longest`` pause, and how memory has ``grown``."""
    version()
    given = {
        "port": port,
        "connections": connections,
        "author": {"name": AUTHOR_NAME, "address": AUTHOR},
        "warm": [_plain(letter) for letter in warm],
        "letters": [_plain(letter) for letter in letters],
    }
    finished = subprocess.run(
        ["node", str(_SOURCE / "nodemailer.mjs")],
        input=json.dumps(given),
        env={**os.environ, "NODE_FOLDER": str(_FOLDER)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(finished.stdout)
    return measured


def deliver(port: int, warm: Sequence[Letter], letters: Sequence[Letter], *, connections: int = 1) -> Sample:
    """Send letters over pooled connections."""
    measured = run(port, warm, letters, connections=connections)
    return Sample(measured["cpu"], measured["wall"])


def _plain(letter: Letter) -> dict[str, Any]:
    path = str(letter.attachment) if isinstance(letter.attachment, Path) else None
    return {"to": letter.to, "subject": letter.subject, "text": letter.text, "html": letter.html, "path": path}
