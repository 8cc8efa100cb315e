"""Real proxies: microsocks for SOCKS5, tinyproxy for HTTP CONNECT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .processes import HOST, Daemon, find_program, free_ports

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PASSWORD", "USER", "MicroSocks", "TinyProxy"]

USER: Final = "ada"
PASSWORD: Final = "hunter2"


class MicroSocks:
    """A SOCKS5 proxy that wants a user name and a password.

    Args:
        folder: Where its output goes.

    Raises:
        MissingServerError: It is not installed.
        ServerFailedError: It did not come up.
    """

    scheme = "socks5"

    def __init__(self, folder: Path) -> None:
        program = find_program("microsocks", package="microsocks")
        [self.port] = free_ports(1)
        self.log = folder / "microsocks.log"
        command = [program, "-i", HOST, "-p", str(self.port), "-u", USER, "-P", PASSWORD]
        self._daemon = Daemon("microsocks", command, log=self.log, listens=[self.port])

    def stop(self) -> None:
        """Stop it."""
        self._daemon.stop()


class TinyProxy:
    """An HTTP proxy that wants Basic credentials.

    Args:
        folder: Where its configuration and output go.

    Raises:
        MissingServerError: It is not installed.
        ServerFailedError: It did not come up.
    """

    scheme = "http"

    def __init__(self, folder: Path) -> None:
        program = find_program("tinyproxy", package="tinyproxy-bin")
        [self.port] = free_ports(1)
        self.log = folder / "tinyproxy.log"
        configuration = folder / "tinyproxy.conf"
        configuration.write_text(
            f"Port {self.port}\nListen {HOST}\nAllow {HOST}\nTimeout 60\nMaxClients 50\nBasicAuth {USER} {PASSWORD}\n",
            encoding="ascii",
        )
        command = [program, "-d", "-c", configuration]
        self._daemon = Daemon("tinyproxy", command, log=self.log, listens=[self.port])

    def stop(self) -> None:
        """Stop it."""
        self._daemon.stop()
