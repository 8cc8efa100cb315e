"""A server that throws mail away as fast as Python can, in a process of its own, and counts round trips.

It is far simpler than any real server, so that what is measured is the client. With ``patient`` it answers only when
the client has fallen silent: each answer is then one round trip that the client has waited for, whatever the machine
was doing, and the number is exact.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Sink"]

SILENCE = 0.02  # seconds; a client that has more to say and needs no answer says it sooner, by far
_BLOCK = 256 * 1024


class Sink:
    """A running sink on a free port of 127.0.0.1.

    Args:
        extensions: What it offers.
        patient: Whether it counts round trips.
    """

    def __init__(self, *extensions: str, patient: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).resolve()), "patient" if patient else "fast", *extensions],
            stdin=subprocess.PIPE,  # its end tells the process that we are gone, however that happened
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self._line())

    def counts(self) -> dict[str, int]:
        """Return what was counted since the last call: ``messages``, and ``turns`` that clients waited for."""
        assert self._process.stdin is not None
        self._process.stdin.write("counts\n")
        self._process.stdin.flush()
        counted: dict[str, int] = json.loads(self._line())
        return counted

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


class _Counts:
    """What one connection has counted."""

    def __init__(self) -> None:
        self.messages = 0
        self.turns = 0


class _Conversation:
    """What a server says to what it hears."""

    def __init__(self, extensions: list[str], counts: _Counts) -> None:
        lines = ["sink.test", *extensions]
        self._ehlo = "".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines).encode()
        self._counts = counts
        self._buffer = bytearray()
        self._in_data = False
        self._searched = 0
        self._chunk = 0  # octets of a chunk that are still to come
        self._last = False
        self.over = False

    def hear(self, data: bytes) -> bytes:
        """Take what a client wrote; return the answers to what is complete."""
        buffer = self._buffer
        buffer += data
        said: list[bytes] = []
        start = 0
        while True:
            if self._chunk:
                taken = min(self._chunk, len(buffer) - start)
                start += taken
                self._chunk -= taken
                if self._chunk:
                    break
                said.append(self._finished() if self._last else b"250 2.0.0 chunk\r\n")
            elif self._in_data:
                end = buffer.find(b"\r\n.\r\n", max(start, self._searched))
                if end < 0:
                    # Nothing is kept of the content but what may be half of its end.
                    start = max(start, len(buffer) - 4)
                    break
                start = end + 5
                self._in_data = False
                said.append(self._finished())
            else:
                end = buffer.find(b"\n", start)
                if end < 0:
                    break
                line = bytes(buffer[start : end + 1])
                start = end + 1
                self._command(line, said)
        del buffer[:start]
        return b"".join(said)

    def _command(self, line: bytes, said: list[bytes]) -> None:
        verb = line[:4].upper()
        if verb == b"BDAT":
            self._chunk, self._last = int(line.split()[1]), line[-6:-2].upper() == b"LAST"
            if not self._chunk:
                said.append(self._finished() if self._last else b"250 2.0.0 chunk\r\n")
        elif verb == b"DATA":
            self._in_data = True
            said.append(b"354 go on\r\n")
        elif verb == b"EHLO":
            said.append(self._ehlo)
        elif verb == b"QUIT":
            self.over = True
            said.append(b"221 2.0.0 bye\r\n")
        else:
            said.append(b"250 2.1.0 Ok\r\n")

    def _finished(self) -> bytes:
        self._counts.messages += 1
        return b"250 2.0.0 Ok: queued as 4XyZ3k1qMVz9\r\n"


def _serve(client: socket.socket, extensions: list[str], counts: _Counts, *, patient: bool) -> None:
    conversation = _Conversation(extensions, counts)
    with client, contextlib.suppress(ConnectionError):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"220 sink.test ESMTP\r\n")
        counts.turns += 1
        while data := client.recv(_BLOCK):
            while patient and select.select([client], [], [], SILENCE)[0]:
                more = client.recv(_BLOCK)
                if not more:
                    break
                data += more
            said = conversation.hear(data)
            if conversation.over:
                client.sendall(said)  # what waits for the answer to QUIT waits for nothing that matters
                return
            if said:
                counts.turns += 1
                client.sendall(said)


def main(mode: str, extensions: list[str]) -> None:
    """Serve until standard input ends; answer each line of it with what was counted since the last one."""
    connections: list[_Counts] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            counts = _Counts()
            connections.append(counts)
            threading.Thread(
                target=_serve, args=(client, extensions, counts), kwargs={"patient": mode == "patient"}, daemon=True
            ).start()

    threading.Thread(target=accept, daemon=True).start()
    messages = turns = 0
    for _ in sys.stdin:
        before = messages, turns
        messages, turns = (sum(counts.messages for counts in connections), sum(counts.turns for counts in connections))
        print(json.dumps({"messages": messages - before[0], "turns": turns - before[1]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
