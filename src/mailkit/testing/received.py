"""What a test server received: messages, violations of the protocol, and a record of each connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Literal, TypeAlias

import attrs

__all__ = ["ConnectionRecord", "Ledger", "ReceivedMessage", "Rule", "Violation"]

Parameters: TypeAlias = Mapping[str, str | None]

Rule: TypeAlias = Literal[
    "8bit-without-8bitmime",
    "bad-command-syntax",
    "bare-cr-in-data",
    "bare-lf-in-command",
    "bare-lf-in-data",
    "bdat-not-offered",
    "bytes-after-starttls",
    "command-too-long",
    "data-line-too-long",
    "non-ascii-command",
    "not-last-in-group",
    "nul-in-data",
    "parameter-not-offered",
    "pipelining-not-offered",
    "unstuffed-dot",
]
"""What a client can do that the RFCs forbid and that a lenient server would not notice."""


@attrs.frozen
class Violation:
    """Something that the client sent and must not send.

    Args:
        rule: Which rule it broke.
        detail: The bytes that broke it, cut short.
        connection: The number of the connection, from 1.
    """

    rule: Rule
    detail: bytes = attrs.field(kw_only=True)
    connection: int = attrs.field(kw_only=True)


@attrs.frozen(kw_only=True)
class ReceivedMessage:
    """A message as it arrived, with its envelope.

    Args:
        number: The order of arrival of complete messages on this server, from 1.
        mail_from: The reverse-path, `""` for the null one.
        rcpt_to: The recipients that the server accepted (LMTP: of those, the ones whose reply after the dot
            was positive).
        data: The content, exactly as received, dots unstuffed.
        mail_parameters: ESMTP parameters of MAIL by upper-case keyword; `None` where one has no value.
        rcpt_parameters: The same for each of `rcpt_to`, in its order.
        via: The command that carried the content.
        helo: What the client called itself.
        user: Whom the session was authenticated as.
        tls: The TLS version of the connection, `None` without TLS.
        peer: The client's address, `""` on a unix socket.
        connection: The number of the connection, from 1.
    """

    number: int
    mail_from: str
    rcpt_to: tuple[str, ...]
    data: bytes = attrs.field(repr=False)
    mail_parameters: Parameters
    rcpt_parameters: tuple[Parameters, ...]
    via: Literal["DATA", "BDAT"]
    helo: str
    user: str | None
    tls: str | None
    peer: str
    connection: int

    def parse(self) -> EmailMessage:
        """Parse the content with the standard library."""
        from email import message_from_bytes
        from email.policy import SMTP

        return message_from_bytes(self.data, EmailMessage, policy=SMTP)


@attrs.define(eq=False)
class ConnectionRecord:
    """What happened on one connection; it grows while the connection lives.

    `round_trips` counts how often the server had answered everything, waited, and was then sent something
    new: the greeting's wait included, the waits in the middle of content not.

    Args:
        number: Which connection this is, from 1.
        peer: The client's address.
    """

    number: int
    peer: str = ""
    bytes_received: int = 0
    bytes_sent: int = 0
    round_trips: int = 0
    writes: int = 0
    reads: int = 0
    tls: str | None = None
    cipher: str | None = None
    server_name: str | None = None
    tls_error: str | None = None
    user: str | None = None
    closed: bool = False
    commands: list[bytes] = attrs.field(factory=list[bytes], repr=False)
    exchange: list[tuple[Literal["C", "S"], bytes]] = attrs.field(
        factory=list[tuple[Literal["C", "S"], bytes]], repr=False
    )

    @property
    def verbs(self) -> tuple[str, ...]:
        """The first word of each command line, in upper case."""
        return tuple(line.partition(b" ")[0].upper().decode("ascii", "backslashreplace") for line in self.commands)

    @property
    def transcript(self) -> str:
        """The conversation, one line each, content and credentials left out."""
        return "\n".join(
            f"{who}: {line.decode('utf-8', 'backslashreplace')}"
            for who, block in self.exchange
            for line in block.removesuffix(b"\r\n").split(b"\r\n")
        )


class Ledger:
    """Everything that the connections of one server report; a condition tells waiters of each change."""

    def __init__(self, *, keep: Literal["everything", "counts"] = "everything") -> None:
        """Start empty.

        Args:
            keep: `"counts"` keeps no message and no conversation, only numbers: for measurements.
        """
        self.keeps: bool = keep == "everything"
        self.changed: threading.Condition = threading.Condition()
        self.committed: list[ReceivedMessage] = []
        self.messages: dict[int, ReceivedMessage] = {}
        self.violations: list[Violation] = []
        self.connections: list[ConnectionRecord] = []
        self.accepted_count: int = 0
        self.committed_count: int = 0
        self.held: int = 0

    def connect(self, peer: str) -> ConnectionRecord:
        """Note a new connection."""
        with self.changed:
            record = ConnectionRecord(len(self.connections) + 1, peer)
            self.connections.append(record)
            self.changed.notify_all()
        return record

    def commit(self, build: Callable[[int], ReceivedMessage]) -> ReceivedMessage:
        """Note a message that has arrived in full, whatever the reply will be."""
        with self.changed:
            self.committed_count += 1
            message = build(self.committed_count)
            if self.keeps:
                self.committed.append(message)
            self.changed.notify_all()
        return message

    def accept(self, message: ReceivedMessage) -> None:
        """Note that a message is about to be accepted; under LMTP again, with one recipient more."""
        with self.changed:
            if self.keeps:
                self.messages[message.number] = message
                self.accepted_count = len(self.messages)
            else:
                self.accepted_count += 1
            self.changed.notify_all()

    def violate(self, violation: Violation) -> None:
        """Note a violation."""
        with self.changed:
            self.violations.append(violation)
            self.changed.notify_all()

    def hold(self, change: Literal[1, -1]) -> None:
        """Note that a connection has begun or ended to stall."""
        with self.changed:
            self.held += change
            self.changed.notify_all()

    def close(self, record: ConnectionRecord) -> None:
        """Note the end of a connection."""
        with self.changed:
            record.closed = True
            self.changed.notify_all()
