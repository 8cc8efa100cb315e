"""Peers on loopback that follow a script in a thread, and a certificate authority that nobody trusts yet."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme
from tests.colours import colour, edge, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Script = Callable[[socket.socket], object]
    Serve = Callable[..., int]

__all__ = ["colour", "edge", "run"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a peer that follows a script on every connection; return its port. What a script raises fails the test."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def follow(script: Script, conn: socket.socket) -> None:
        with conn:
            try:
                script(conn)
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

    def accept(listener: socket.socket, script: Script) -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            if done.is_set():
                conn.close()
                return
            conn.settimeout(10)
            thread = threading.Thread(target=follow, args=(script, conn))
            thread.start()
            threads.append(thread)

    def start(script: Script, address: tuple[str, int] = ("127.0.0.1", 0)) -> int:
        listener = socket.create_server(address)
        listeners.append(listener)
        thread = threading.Thread(target=accept, args=(listener, script))
        thread.start()
        threads.append(thread)
        return int(listener.getsockname()[1])

    yield start
    done.set()
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        listener.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "a scripted peer hangs"
    if errors:
        raise errors[0]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate, for ``TLS(ca_file=…)``."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """The context of a server called localhost, 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
