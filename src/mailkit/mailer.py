"""Mailer and AsyncMailer: the two classes that most users ever touch, and the only ones that exist in two colours.

Both hold a :class:`_Post`, which is written once. :class:`Mailer` steps it on the blocking edge, :class:`AsyncMailer`
awaits it on the anyio edge; beyond that they differ in nothing but the words ``async`` and ``await``.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Self

from mailkit.edge import run_sync
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MessageError
from mailkit.policies.retry import RetryChannel, RetryPolicy
from mailkit.receipt import Outcome, Progress
from mailkit.transport import Transport
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from mailkit.edge import Edge
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel, ServerInfo

__all__ = ["AsyncMailer", "Mailer", "override_transport"]

ENVIRONMENT = "MAILKIT_URL"

_override: Transport | None = None


def override_transport(transport: Transport | None) -> Transport | None:
    """Send everything that any mailer of this process is given to `transport` instead, for tests; None ends that.

    Returns:
        The override that was in force before.
    """
    global _override
    previous, _override = _override, transport
    return previous


class _Post:
    """What both mailers do: complete a message, address it, hand it to the channel."""

    def __init__(
        self,
        transport: str | Transport | None,
        edge: Edge,
        retry: RetryPolicy,
        defaults: Message | None,
    ) -> None:
        if isinstance(transport, Transport):
            self.transport: Transport = transport
        else:
            self.transport = transport_from_url(_url(transport))
        self._edge = edge
        self._retry = retry
        self._defaults = defaults
        self._channels: dict[int, Channel] = {}
        self._closed = False

    def channel(self) -> Channel:
        if self._closed:
            msg = "this mailer is closed: make a new one, or close it later"
            raise ConfigurationError(msg)
        transport = _override or self.transport
        channel = self._channels.get(id(transport))
        if channel is None:
            channel = transport.open(self._edge)
            if self._retry.attempts > 1:
                channel = RetryChannel(channel, self._retry, self._edge)
            # Opening does no I/O, so of two threads that come here at once one just loses its channel.
            channel = self._channels.setdefault(id(transport), channel)
        return channel

    def complete(self, message: Message) -> Message:
        """Fill in what the message leaves open; the same Date and Message-ID serve every attempt."""
        try:
            complete = message.completed
        except AttributeError:
            msg = f"send takes a Message, not {type(message).__name__}: use Message(…) or Message.from_email_message(…)"
            raise MessageError(msg) from None
        return complete(self._defaults, date=datetime.now().astimezone())

    async def send(self, message: Message) -> Receipt:
        channel = self.channel()
        completed = self.complete(message)
        return await channel.send(completed, Envelope.from_message(completed))

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        return await self.channel().send_raw(data, envelope)

    async def send_many(
        self,
        messages: AsyncIterator[Message],
        connections: int,
        window: int | None,
        on_progress: Callable[[Progress], object] | None,
    ) -> AsyncGenerator[Outcome, None]:
        given: deque[Message] = deque()

        async def completed() -> AsyncGenerator[Message | Outcome, None]:
            async for message in messages:
                given.append(message)
                try:
                    item: Message | Outcome = self.complete(message)
                except MessageError as error:
                    item = Outcome(message=message, error=error)
                yield item

        done = failed = 0
        async for outcome in self.channel().send_many(completed(), connections=connections, window=window):
            mine = Outcome(message=given.popleft(), receipt=outcome.receipt, error=outcome.error)
            done, failed = done + 1, failed + (not mine.ok)
            if on_progress is not None:
                on_progress(Progress(done=done, failed=failed, latest=mine))
            yield mine

    async def verify(self) -> ServerInfo:
        return await self.channel().verify()

    async def close(self) -> None:
        self._closed = True
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()
        await self._edge.close()


def _url(given: object) -> str:
    if not isinstance(given, str | None):
        msg = f"a mailer takes a URL or a transport, not {type(given).__name__}"
        raise ConfigurationError(msg)
    url = os.environ.get(ENVIRONMENT, "") if given is None else given
    if not url:
        example = "smtp://user:password@mail.example.com"
        msg = f'there is no transport: give the mailer a URL such as "{example}", or set {ENVIRONMENT}'
        raise ConfigurationError(msg)
    return url


def _check_parallelism(connections: int, window: int | None) -> None:
    if connections < 1 or (window is not None and window < 1):
        msg = "connections and window are whole numbers of at least 1"
        raise ConfigurationError(msg)


class Mailer:
    """Sends mail; blocks until the other side has answered. Thread-safe, fork-safe, cheap to keep for a process's life.

    Example:
        >>> from mailkit import Mailer, Message
        >>> with Mailer("memory://") as mailer:
        ...     receipt = mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> receipt.accepted[0].address
        'bob@example.org'

    Args:
        transport: A URL, a transport, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: Whether and when a delivery is tried again.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase (connecting, one answer, one write) may take, where the transport says nothing
            else.

    Raises:
        ConfigurationError: There is no transport, or its URL is wrong. Nothing is connected to before the first
            message.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - a frozen value
        defaults: Message | None = None,
        timeout: float = 30.0,
    ) -> None:
        from mailkit.edge.blocking import BlockingEdge

        self._post = _Post(transport, BlockingEdge(timeout=timeout), retry, defaults)

    @property
    def transport(self) -> Transport:
        """The transport that it was made with."""
        return self._post.transport

    def send(self, message: Message) -> Receipt:
        """Send one message.

        Returns:
            The receipt, when at least one recipient was accepted; ``receipt.raise_for_refused()`` wants all of them.

        Raises:
            MessageError: The message cannot be sent by this transport, or by any; nothing was written.
            DeliveryError: No recipient was accepted; ``outcome`` says what became of the message.
        """
        return run_sync(self._post.send(message))

    def send_many(
        self,
        messages: Iterable[Message],
        *,
        connections: int = 1,
        window: int | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Iterator[Outcome]:
        """Send a stream of messages, however long, in constant memory.

        Args:
            messages: The messages; they are taken one by one as the outcomes are asked for.
            connections: How many connections to use at once, at most.
            window: How many messages may be unanswered on one connection; None leaves it to the transport, 1 is one by
                one.
            on_progress: Is called after each message.

        Returns:
            One outcome for each message, in input order. A bad message is an outcome too, and never stops the rest.

        Raises:
            ConfigurationError: `connections` or `window` is not positive.
        """
        _check_parallelism(connections, window)
        return self._step(self._post.send_many(_each(messages), connections, window, on_progress))

    @staticmethod
    def _step(outcomes: AsyncGenerator[Outcome, None]) -> Iterator[Outcome]:
        try:
            while True:
                try:
                    outcome = run_sync(_next(outcomes))
                except StopAsyncIteration:
                    return
                yield outcome
        finally:
            run_sync(outcomes.aclose())

    def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Send prepared RFC 5322 bytes, unchanged, where the transport can.

        Raises:
            UnsupportedFeatureError: The transport cannot.
            MessageError: The bytes are not fit to be sent unchanged.
            DeliveryError: No recipient was accepted.
        """
        return run_sync(self._post.send_raw(data, envelope))

    def verify(self) -> ServerInfo:
        """Connect, negotiate TLS and authenticate without sending, and return what was learned.

        Raises:
            DeliveryError: One of these failed.
        """
        return run_sync(self._post.verify())

    def close(self) -> None:
        """Close every connection. The mailer cannot be used afterwards."""
        run_sync(self._post.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Mailer({str(self.transport)!r})"


class AsyncMailer:
    """Sends mail on asyncio or trio. Cheap to keep for a process's life.

    Example:
        >>> import asyncio
        >>> from mailkit import AsyncMailer, Message
        >>> async def main():
        ...     async with AsyncMailer("memory://") as mailer:
        ...         return await mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        >>> asyncio.run(main()).accepted[0].address
        'bob@example.org'

    Args:
        transport: A URL, a transport, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: Whether and when a delivery is tried again.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase (connecting, one answer, one write) may take, where the transport says nothing
            else.

    Raises:
        ConfigurationError: There is no transport, or its URL is wrong. Nothing is connected to before the first
            message.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - a frozen value
        defaults: Message | None = None,
        timeout: float = 30.0,
    ) -> None:
        from mailkit.edge.anyio import AnyioEdge

        self._post = _Post(transport, AnyioEdge(timeout=timeout), retry, defaults)

    @property
    def transport(self) -> Transport:
        """The transport that it was made with."""
        return self._post.transport

    async def send(self, message: Message) -> Receipt:
        """Send one message.

        Returns:
            The receipt, when at least one recipient was accepted; ``receipt.raise_for_refused()`` wants all of them.

        Raises:
            MessageError: The message cannot be sent by this transport, or by any; nothing was written.
            DeliveryError: No recipient was accepted; ``outcome`` says what became of the message.
        """
        return await self._post.send(message)

    def send_many(
        self,
        messages: Iterable[Message] | AsyncIterable[Message],
        *,
        connections: int = 1,
        window: int | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> AsyncIterator[Outcome]:
        """Send a stream of messages, however long, in constant memory.

        Args:
            messages: The messages; they are taken one by one as the outcomes are asked for.
            connections: How many connections to use at once, at most.
            window: How many messages may be unanswered on one connection; None leaves it to the transport, 1 is one by
                one.
            on_progress: Is called after each message.

        Returns:
            One outcome for each message, in input order. A bad message is an outcome too, and never stops the rest.

        Raises:
            ConfigurationError: `connections` or `window` is not positive.
        """
        _check_parallelism(connections, window)
        return self._post.send_many(_each(messages), connections, window, on_progress)

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Send prepared RFC 5322 bytes, unchanged, where the transport can.

        Raises:
            UnsupportedFeatureError: The transport cannot.
            MessageError: The bytes are not fit to be sent unchanged.
            DeliveryError: No recipient was accepted.
        """
        return await self._post.send_raw(data, envelope)

    async def verify(self) -> ServerInfo:
        """Connect, negotiate TLS and authenticate without sending, and return what was learned.

        Raises:
            DeliveryError: One of these failed.
        """
        return await self._post.verify()

    async def close(self) -> None:
        """Close every connection. The mailer cannot be used afterwards."""
        await self._post.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncMailer({str(self.transport)!r})"


async def _each(messages: Iterable[Message] | AsyncIterable[Message]) -> AsyncGenerator[Message, None]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message


async def _next(outcomes: AsyncGenerator[Outcome, None]) -> Outcome:
    return await anext(outcomes)
