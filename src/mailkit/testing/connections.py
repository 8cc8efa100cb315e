"""The open connections of a test server, each in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from mailkit.testing.session import Session
from mailkit.testing.wire import PeerGone, Wire

if TYPE_CHECKING:
    import socket

    from mailkit.testing.certificates import ServerTLS
    from mailkit.testing.delivery import OnMessage
    from mailkit.testing.faults import Move
    from mailkit.testing.received import ConnectionRecord, Ledger
    from mailkit.testing.script import Script
    from mailkit.testing.settings import Settings
    from mailkit.testing.wire import Gates

__all__ = ["Connections"]


class Connections:
    """Serves connections until they end or are ended.

    Args:
        settings: What the server offers and demands.
        ledger: Where everything is recorded.
        script: What goes wrong where.
        gates: Where stalled connections wait.
        tls: The server's certificate.
        on_message: Called with each complete message before it is answered.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger,
        script: Script,
        gates: Gates,
        tls: ServerTLS | None,
        on_message: OnMessage | None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._script = script
        self._gates = gates
        self._tls = tls
        self._on_message = on_message
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[Wire, ConnectionRecord]] = {}

    def admit(self, connection: socket.socket, peer: str) -> None:
        """Begin to serve a connection."""
        record = self._ledger.connect(peer)
        wire = Wire(connection, record, self._gates)
        name = f"SMTPServer {record.number}"
        thread = threading.Thread(target=self._serve, args=(wire, record), name=name, daemon=True)
        with self._lock:
            self._open[thread] = (wire, record)
        thread.start()

    def visit(self, move: Move, timeout: float) -> int:
        """Do a move on every open connection as soon as it waits for input; return on how many.

        Args:
            move: What to do.
            timeout: Seconds to wait for each that is busy.
        """
        with self._lock:
            found = list(self._open.values())
        done = 0
        for wire, record in found:
            if self._ledger.keeps and move.data:
                record.exchange.append(("S", move.data))
            done += wire.visit(move, timeout)
        return done

    def close(self, timeout: float) -> None:
        """End every connection, and wait for the threads.

        Args:
            timeout: Seconds to wait for each.
        """
        with self._lock:
            found = list(self._open.items())
        for _, (wire, _) in found:
            wire.interrupt()
        for thread, _ in found:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _serve(self, wire: Wire, record: ConnectionRecord) -> None:
        session = Session(
            wire,
            record,
            settings=self._settings,
            ledger=self._ledger,
            script=self._script,
            tls=self._tls,
            on_message=self._on_message,
        )
        try:
            with contextlib.suppress(PeerGone):
                session.run()
        finally:
            wire.close()
            with self._lock:
                del self._open[threading.current_thread()]
            self._ledger.close(record)
