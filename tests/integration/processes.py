"""Starting, watching and stopping the servers of a test session.

Every server runs in a session of its own: a Ctrl-C at the terminal reaches the tests alone, which then stop the
servers in order. Should the tests die without that chance, a guard beside each server notices and stops it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "HOST",
    "Daemon",
    "Guard",
    "MissingServerError",
    "ServerFailedError",
    "find_program",
    "free_ports",
    "require_root",
    "wait_until",
]

HOST: Final = "127.0.0.1"

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up): nothing but
# another server that was started on purpose can take such a port between the look and the start. What runs beside
# this process starts servers too: each of pytest-xdist's workers ("gw0", "gw1" …) has ports of its own.
_WORKERS: Final = 8
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_PORTS: Final = range(20_000 + _WORKER, 32_000, _WORKERS)

# A server takes its time to listen on a port that was found for it: nobody else is given the same one meanwhile.
_given: Final[set[int]] = set()

_POLL_SECONDS: Final = 0.01


class MissingServerError(Exception):
    """A server can't be started here; the text says which package or right is missing."""


class ServerFailedError(Exception):
    """A server was started and did not come up, or died."""


def find_program(name: str, *, package: str) -> Path:
    """Where ``name`` is installed.

    Raises:
        MissingServerError: It is not; the error names Debian's ``package``.
    """
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise MissingServerError(f"{name} is not installed: apt-get install --no-install-recommends {package}")
    return Path(found)


def require_root(server: str) -> None:
    """Mail servers change to users of their own, which only root may do.

    Raises:
        MissingServerError: This is not root.
    """
    if os.geteuid() != 0:
        raise MissingServerError(f"{server} has to be started by root, who can give each of its processes its user")


def free_ports(count: int) -> list[int]:
    """``count`` different ports of the loopback address on which nobody listens, and none twice in one session."""
    candidates = [port for port in random.sample(_PORTS, len(_PORTS)) if port not in _given]
    ports: list[int] = []
    for port in candidates:
        with socket.socket() as probe:
            # As the servers do; without it a port that was used a minute ago would be refused (TIME_WAIT).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            _given.update(ports)
            return ports
    raise MissingServerError(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask ``condition`` every 10 ms, less often if asking takes long, until it holds or ``seconds`` have passed.

    Returns:
        Whether it held.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return True
        if asked >= deadline:
            return False
        time.sleep(max(_POLL_SECONDS, 2 * (time.monotonic() - asked)))


class Guard:
    """A shell that does something when this process ends without having dismissed it.

    The kernel's own means, prctl(PR_SET_PDEATHSIG), is forgotten as soon as a process changes its user, which is the
    first thing that mail servers do.

    Args:
        script: What it does.
        argument: The script's ``$1``.
    """

    def __init__(self, script: str, argument: str) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", f"read -r _; {script}", "guard", argument],
            stdin=subprocess.PIPE,  # ends when this process does, in whatever way
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it end and do nothing."""
        self._process.kill()
        self._process.communicate()


class Daemon:
    """One server process in the foreground of a session of its own, with its output in a file.

    Args:
        name: How errors call it.
        command: The program and its arguments; it must not put itself into the background.
        log: The file that its output is appended to.
        listens: What accepts connections once it is up: ports of the loopback address, paths of sockets.
        seconds: How long that may take.

    Raises:
        ServerFailedError: It died or did not listen in time; the error carries the end of its log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        listens: Sequence[int | Path],
        seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard('kill -TERM "$1"; sleep 1; kill -KILL -- "-$1"', str(self._process.pid))
        try:
            self._wait_for(listens, seconds)
        except BaseException:
            self.stop()
            raise

    def _wait_for(self, listens: Sequence[int | Path], seconds: float) -> None:
        silent = list(listens)

        def up() -> bool:
            while silent and _accepts(silent[0]):
                del silent[0]
            return not silent or self._process.poll() is not None

        if not wait_until(up, seconds=seconds) or silent:
            state = self._process.poll()
            what = "is still running" if state is None else f"ended with status {state}"
            raise ServerFailedError(f"{self.name} does not listen on {silent} and {what}.\n{self.log_tail()}")

    @property
    def pid(self) -> int:
        """The process id, which is the id of its process group too."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def log_tail(self, characters: int = 8_000) -> str:
        """The end of what it wrote."""
        return self.log.read_text("utf-8", "backslashreplace")[-characters:]

    def stop(self, *, seconds: float = 3.0) -> None:
        """Ask it to end, wait, and kill what is left of its process group. May be called again."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(ProcessLookupError):  # nothing is left, as it should be
            os.killpg(self._process.pid, signal.SIGKILL)
        self._guard.dismiss()


def _accepts(address: int | Path) -> bool:
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect((HOST, address) if isinstance(address, int) else str(address))
        except OSError:
            return False
    return True
