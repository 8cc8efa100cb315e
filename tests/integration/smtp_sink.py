"""Postfix's ``smtp-sink``: a server that throws mail away, fast, and misbehaves on demand."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .processes import HOST, Daemon, find_program, free_ports, require_root

__all__ = ["SmtpSink"]


class SmtpSink:
    """A running sink.

    It offers PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES, DSN and an AUTH that takes anything, but no CHUNKING,
    STARTTLS or SIZE.

    Args:
        *options: As its manual has them: ``"-q", "DATA"`` hangs up at DATA, ``-Q`` with a 421;
            ``"-r", "RCPT"`` refuses with a 4xx and ``-f`` with a 5xx (both stop offering PIPELINING);
            ``"-W", ".:2"`` waits two seconds before it answers the final dot; ``-H`` and ``"-T", "1024"``
            stall the window; ``-L`` speaks LMTP.
        folder: Where its output goes, and the messages with ``dump``.
        dump: Whether to write each message to a file; the sink is a lot slower then.

    Raises:
        MissingServerError: It is not installed, or this is not root.
        ServerFailedError: It did not come up.
    """

    def __init__(self, *options: str, folder: Path, dump: bool = False) -> None:
        require_root("smtp-sink")
        program = find_program("smtp-sink", package="postfix")
        self.host = HOST
        [self.port] = free_ports(1)
        self._messages = Path(tempfile.mkdtemp(prefix="smtp-sink-", dir=folder))  # another may have had this port
        self._messages.chmod(0o777)
        self.log = self._messages.with_suffix(".log")
        dumping = ["-d", f"{self._messages}/message."] if dump else []
        self._daemon = Daemon(
            "smtp-sink",
            [program, "-u", "nobody", *dumping, *options, f"{HOST}:{self.port}", "1024"],
            log=self.log,
            listens=[self.port],
        )

    def messages(self) -> list[bytes]:
        """The dumped messages: the sink's own lines, then what DATA brought with LF, then an empty line."""
        return [path.read_bytes() for path in sorted(self._messages.iterdir())]

    def stop(self) -> None:
        """Stop it."""
        self._daemon.stop()
