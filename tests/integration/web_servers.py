"""Real web servers: gunicorn with forked workers, uvicorn; each on a socket that is listening before it starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 120.0


@contextmanager
def serving(program: list[str], *, folder: Path, mailkit_url: str, log: Path) -> Generator[str, None, None]:
    """Run a web server in an example's folder; ``{fd}`` in its arguments is the listening socket.

    Yields:
        Its URL. What connects before the server accepts just waits.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening, log.open("wb") as output:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", *(each.format(fd=listening.fileno()) for each in program)],
            cwd=folder,
            env={**os.environ, "MAILKIT_URL": mailkit_url, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"},
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=output,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
