"""A stream and the engine that understands it: write what belongs together, read until something is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.commit_point import announce_commit
from mailkit.errors import ConnectError, DeliveryError, DeliveryTimeout
from mailkit.redaction import Redactor
from mailkit.smtp import commands
from mailkit.smtp.engine import Awaited, Engine, Expected
from mailkit.smtp.options import DATA_END

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.edge import Edge, Stream, TLSInfo
    from mailkit.secret import Secret
    from mailkit.smtp.engine import Answer
    from mailkit.smtp.options import SMTPOptions
    from mailkit.smtp.transaction import Transaction

__all__ = ["Conversation"]


class Conversation:
    """One connection to a server.

    Args:
        stream: A connected stream, nothing read yet.
        edge: The edge that made it.
        options: What the transport was told.
    """

    def __init__(self, stream: Stream, edge: Edge, options: SMTPOptions) -> None:
        self.options = options
        self.edge = edge
        self.engine: Engine = Engine(transcript=options.transcript)
        self.is_usable: bool = True
        self._stream = stream
        self._overheard: list[Answer] = []  # what came during the last write

    # What may be asked of it between two commands.

    @property
    def bytes_sent(self) -> int:
        """How many bytes may have left this machine."""
        return self._stream.bytes_sent

    @property
    def tls_info(self) -> TLSInfo | None:
        """What TLS settled on."""
        return self._stream.tls_info

    @property
    def is_quiet(self) -> bool:
        """Whether the connection looks alive and in step: nothing awaited, nothing arrived, not even its end."""
        return (
            self.is_usable and self.engine.broken is None and not self.engine.awaiting and not self._stream.has_input()
        )

    # Writing and reading. Every phase has a deadline.

    def deadline(self, timeout: float | None) -> float:
        """Return when a phase that begins now has to end."""
        return self.edge.now() + (self.edge.timeout if timeout is None else timeout)

    def content_deadline(self) -> float:
        """Return until when the answer to a whole message is awaited."""
        timeout = self.options.timeouts.data_end
        return self.edge.now() + (max(DATA_END, self.edge.timeout) if timeout is None else timeout)

    async def flush(self, timeout: float | None = None) -> None:
        """Write, in one piece, what the engine has queued."""
        self._overheard = []
        data = self.engine.take_outgoing()
        if data:
            # A server that cannot get rid of its answers may stop reading (RFC 2920 §3.1 warns of it).
            await self._stream.send(data, deadline=self.deadline(timeout), meanwhile=self._overhear)

    async def push(self) -> None:
        """Write what is queued, unless the server has said, or shown, that it takes nothing more."""
        await self.read_waiting()
        if self.engine.broken is not None:
            raise self.engine.broken
        if self.is_usable:
            await self.flush(self.options.timeouts.data_block)

    async def settle(self) -> None:
        """Write what is queued, and read until nothing is awaited any more.

        Each answer has a time of its own: that to a whole message longer than that to a command.
        """
        command = self.options.timeouts.command
        await self.flush(self.options.timeouts.data_block if self.engine.awaits_content else command)
        while self.engine.awaiting:
            is_content = self.engine.awaits_content
            await self.read(self.content_deadline() if is_content else self.deadline(command))

    async def complete(self, transaction: Transaction) -> None:
        """Write what is queued, and read until the content of `transaction` is answered."""
        await self.push()
        deadline = self.content_deadline()
        while not transaction.is_complete:
            if not self.is_usable and (transaction.commit_at or 0) > self.bytes_sent:
                raise ConnectError(f"{self._stream.peer} closes the connection before it had the message")
            await self.read(deadline)

    async def flush_committing(self, transaction: Transaction) -> None:
        """Write what is queued; its last byte is the commit point of `transaction`.

        Raises:
            MailkitError: It could not be written, or somebody does not want it to be.
        """
        announce_commit()
        transaction.commit_at = self._stream.bytes_sent + self.engine.outgoing
        await self.flush(self.options.timeouts.data_block)

    def _overhear(self, data: bytes) -> None:
        self._overheard += self._take(data)
        if self.engine.broken is not None:
            raise self.engine.broken

    async def reset(self) -> bool:
        """Clear a transaction that was left open (RFC 5321 §4.1.1.5); return whether the connection can be used on."""
        try:
            answer = await self.ask(commands.rset(), Expected(Awaited.RSET))
        except DeliveryError:
            self.is_usable = False
        else:
            self.is_usable = self.is_usable and answer.is_positive
        return self.is_usable

    async def ask(
        self, line: bytes, expected: Expected, *, shown: str | None = None, timeout: float | None = None
    ) -> Answer:
        """Write one command and wait for its answer.

        Raises:
            DeliveryError: The connection was lost, timed out or made no sense.
        """
        self.engine.expect(line, expected, shown=shown)
        timeout = self.options.timeouts.command if timeout is None else timeout
        await self.flush(timeout)
        deadline = self.deadline(timeout)
        answers = self._overheard
        while True:
            for answer in answers:
                if answer.expected is expected:
                    return answer
            answers = await self.read(deadline)

    async def read(self, deadline: float) -> list[Answer]:
        """Read until at least one reply is complete.

        Raises:
            DeliveryError: The connection was lost, timed out or made no sense.
        """
        while True:
            if self.engine.broken is not None:
                raise self.engine.broken
            data = await self._stream.receive(deadline=deadline)
            if not data:
                self.engine.broken = ConnectError(f"{self._stream.peer} closed the connection")
            elif answers := self._take(data):
                return answers

    async def read_waiting(self) -> list[Answer]:
        """Read what has already arrived, without waiting.

        Raises:
            DeliveryError: What arrived is the end of the connection, or makes no sense.
        """
        answers: list[Answer] = []
        while self._stream.has_input() and self.engine.broken is None:
            try:
                data = await self._stream.receive(deadline=self.edge.now())
            except DeliveryTimeout:
                break  # TLS records that carry no data of ours, such as session tickets
            if not data:
                self.engine.broken = ConnectError(f"{self._stream.peer} closed the connection")
            answers += self._take(data)
        if not answers and self.engine.broken is not None:
            raise self.engine.broken
        return answers

    def _take(self, data: bytes) -> list[Answer]:
        answers = self.engine.feed(data)
        for answer in answers:
            if answer.verdict == "negative" and answer.ends_connection:
                self.is_usable = False
        return answers

    def protect(self, secrets: Iterable[Secret]) -> None:
        """From now on, show these in nothing that the server says."""
        self.engine.redact = Redactor(secrets)

    async def refuse_injected(self) -> None:
        """Make sure that nothing came in clear behind the server's 220 to STARTTLS.

        Raises:
            TLSError: Something did.
        """
        if self._stream.has_input():
            self.engine.feed(await self._stream.receive(deadline=self.edge.now()))
        self.engine.tls_started()

    async def start_tls(self) -> None:
        """Turn the connection into TLS.

        Raises:
            DeliveryError: The handshake failed, or the options' ``check_peer`` does not want this server.
        """
        deadline = self.deadline(self.options.timeouts.tls)
        await self._stream.start_tls(self.options.tls_options, self.options.host, deadline=deadline)
        if self.options.check_peer is not None and self._stream.tls_info is not None:
            self.options.check_peer(self._stream.tls_info)

    async def close(self) -> None:
        """Close at once."""
        await self._stream.close()

    def abandon(self) -> None:
        """Forget a connection that belongs to the parent process."""
        self._stream.abandon()
