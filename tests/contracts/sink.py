"""SMTP servers that are lenient in one way: each ends DATA also on a sequence that is none, as real ones have done."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

from attrs import define, field

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DIALECTS", "Sink"]

# CVE-2023-51764, -51765, -51766 and their kin; the first is RFC 5321's own.
DIALECTS = {
    "CRLF.CRLF": b"\r\n.\r\n",
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
}


@define
class Sink:
    """One listener for one connection.

    Args:
        dialect: Which sequence ends DATA beside CRLF.CRLF.
    """

    dialect: str
    commands: list[bytes] = field(factory=list[bytes])
    messages: list[bytes] = field(factory=list[bytes])
    _listener: socket.socket = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for somebody
        self._listener.close()
        self._thread.join(10)

    def wait(self) -> None:
        """Wait until the client has gone."""
        self._thread.join(10)
        if self._thread.is_alive():
            raise TimeoutError(f"the client did not close its connection; so far it said {self.commands!r}")

    @property
    def url(self) -> str:
        """The URL of a mailer that sends here."""
        return f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # nobody came before it was closed
        ends = {DIALECTS[self.dialect], DIALECTS["CRLF.CRLF"]}
        buffer = b""
        with connection:
            connection.sendall(b"220 sink.test\r\n")
            in_data = False
            while True:
                found = (
                    [buffer.find(end) + len(end) for end in ends if end in buffer]
                    if in_data
                    else [buffer.find(b"\n") + 1]
                )
                if not found or not min(found):
                    block = connection.recv(65536)
                    if not block:
                        return
                    buffer += block
                    continue
                line, buffer = buffer[: min(found)], buffer[min(found) :]
                if in_data:
                    self.messages.append(line)
                    in_data = False
                    buffer = buffer.removeprefix(b"\n")  # of a CRLF whose CR has ended it already
                    connection.sendall(b"250 ok\r\n")
                    continue
                self.commands.append(line)
                verb = line[:4].upper()
                in_data = verb == b"DATA"
                answers = {
                    b"DATA": b"354 go\r\n",
                    b"EHLO": b"250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                    b"QUIT": b"221 bye\r\n",
                }
                connection.sendall(answers.get(verb, b"250 ok\r\n"))
