"""A listening socket with the thread that accepts from it, and no need to poll for its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Listener"]

BACKLOG = 128


class Listener:
    """Accepts connections on a loopback port or a unix socket until it is closed.

    Args:
        host: The address to listen on.
        port: The port, 0 for a free one.
        unix_path: The unix socket to listen on instead.
        admit: Called with each connection and its peer's address.

    Raises:
        OSError: The address is taken.
    """

    def __init__(
        self, host: str, port: int, unix_path: Path | None, admit: Callable[[socket.socket, str], None]
    ) -> None:
        self._admit = admit
        self._cleanup = contextlib.ExitStack()
        if unix_path is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
            self.port: int = int(listener.getsockname()[1])
        else:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(os.fspath(unix_path))
            except OSError:
                listener.close()
                raise
            listener.listen(BACKLOG)
            self._cleanup.callback(unix_path.unlink, missing_ok=True)
            self.port = port
        self._cleanup.enter_context(listener)
        # Closing a socket does not wake who waits for it; a byte on this pair does.
        wake, woken = (self._cleanup.enter_context(end) for end in socket.socketpair())
        accepting = threading.Thread(target=self._accept, args=(listener, woken), name="SMTPServer", daemon=True)
        self._cleanup.callback(accepting.join)
        self._cleanup.callback(wake.send, b"\0")
        accepting.start()

    def close(self) -> None:
        """Stop accepting; doing so again is harmless."""
        self._cleanup.close()

    def _accept(self, listener: socket.socket, woken: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while woken not in {key.fileobj for key, _ in selector.select()}:
                try:
                    connection, address = listener.accept()
                except OSError:  # pragma: no cover (the client went away before it was accepted)
                    continue
                if listener.family in {socket.AF_INET, socket.AF_INET6}:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._admit(connection, address[0])
                else:
                    self._admit(connection, "")
