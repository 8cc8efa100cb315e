"""Mailer and AsyncMailer: the two classes that most users ever touch, and the only ones that exist in two colours.

Both hold a :class:`mailkit.post.Post`, which is written once. :class:`Mailer` steps it on the blocking edge,
:class:`AsyncMailer` awaits it on the anyio edge; beyond that they differ in nothing but ``async`` and ``await``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TYPE_CHECKING, Self

from mailkit.edge import run_sync
from mailkit.errors import ConfigurationError
from mailkit.hooks import Hooks
from mailkit.policies.retry_policy import DEFAULT_RETRY
from mailkit.post import Post
from mailkit.transport import carrying_on

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from types import TracebackType

    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.policies.retry_policy import RetryPolicy
    from mailkit.receipt import Outcome, Progress, Receipt
    from mailkit.transport import ServerInfo, Transport

__all__ = ["AsyncMailer", "Mailer"]


def _check_timeout(seconds: object) -> None:
    if not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        msg = f"timeout={seconds!r} is not a positive, finite number of seconds: nothing may hang for ever"
        raise ConfigurationError(msg)


def _check_many(messages: object, connections: object, window: object) -> None:
    if not isinstance(messages, Iterable | AsyncIterable):
        msg = f"send_many takes an iterable of messages, not one {type(messages).__name__}: use send for one message"
        raise ConfigurationError(msg)
    for name, value in (("connections", connections), ("window", window)):
        if not (isinstance(value, int) and value >= 1) and (name, value) != ("window", None):
            msg = f"{name}={value!r} is not a whole number of at least 1"
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
        retry: Whether and when a delivery is tried again. A transport that holds a :class:`mailkit.Retry` of its own is
            not retried twice over, unless another policy than the default is given here.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase (connecting, one answer, one write) may take, where the transport says nothing
            else.
        hooks: The application's functions that hear what happens, and what is logged.

    Raises:
        ConfigurationError: There is no transport, its URL is wrong, or `timeout` is not positive. Nothing is connected
            to before the first message.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks = Hooks(),  # noqa: B008 - a frozen value
    ) -> None:
        from mailkit.edge.blocking import BlockingEdge

        _check_timeout(timeout)
        self._post = Post(transport, BlockingEdge(timeout=timeout), retry, defaults=defaults, hooks=hooks)

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
    ) -> Generator[Outcome, None, None]:
        """Send a stream of messages, however long, in constant memory.

        Args:
            messages: The messages; they are taken one by one as the outcomes are asked for.
            connections: How many connections to use at once, at most.
            window: How many messages may be unanswered on one connection; None leaves it to the transport, 1 is one by
                one.
            on_progress: Is called after each message.

        Returns:
            One outcome for each message, in input order. A bad message is an outcome too, and never stops the rest.

            Breaking off early leaves what was not yet written unsent. ``contextlib.closing``, or ``aclosing`` around
            the AsyncMailer's, does so at a moment of your choice.

        Raises:
            ConfigurationError: `messages` cannot be iterated over, or `connections` or `window` is not positive.
        """
        _check_many(messages, connections, window)
        return self._step(self._post.send_many(_each(messages), connections, window, on_progress))

    @staticmethod
    def _step(outcomes: AsyncGenerator[Outcome, None]) -> Generator[Outcome, None, None]:
        try:
            while True:
                try:
                    outcome = run_sync(_next(outcomes))
                except StopAsyncIteration:
                    return
                yield outcome
        except BaseException as interruption:
            run_sync(_break_off(outcomes, interruption))
            raise
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
        retry: Whether and when a delivery is tried again. A transport that holds a :class:`mailkit.Retry` of its own is
            not retried twice over, unless another policy than the default is given here.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase (connecting, one answer, one write) may take, where the transport says nothing
            else.
        hooks: The application's functions that hear what happens, and what is logged.

    Raises:
        ConfigurationError: There is no transport, its URL is wrong, or `timeout` is not positive. Nothing is connected
            to before the first message.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks = Hooks(),  # noqa: B008 - a frozen value
    ) -> None:
        from mailkit.edge.anyio import AnyioEdge

        _check_timeout(timeout)
        self._post = Post(transport, AnyioEdge(timeout=timeout), retry, defaults=defaults, hooks=hooks)

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
    ) -> AsyncGenerator[Outcome, None]:
        """Send a stream of messages, however long, in constant memory.

        Args:
            messages: The messages; they are taken one by one as the outcomes are asked for.
            connections: How many connections to use at once, at most.
            window: How many messages may be unanswered on one connection; None leaves it to the transport, 1 is one by
                one.
            on_progress: Is called after each message.

        Returns:
            One outcome for each message, in input order. A bad message is an outcome too, and never stops the rest.

            Breaking off early leaves what was not yet written unsent. ``contextlib.closing``, or ``aclosing`` around
            the AsyncMailer's, does so at a moment of your choice.

        Raises:
            ConfigurationError: `messages` cannot be iterated over, or `connections` or `window` is not positive.
        """
        _check_many(messages, connections, window)
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
        try:
            async for message in messages:
                yield message
        finally:
            if isinstance(messages, AsyncGenerator):  # nobody else can await its end
                await messages.aclose()
    else:
        for message in messages:
            yield message


async def _break_off(outcomes: AsyncGenerator[Outcome, None], interruption: BaseException) -> None:
    async with carrying_on(outcomes):
        raise interruption


async def _next(outcomes: AsyncGenerator[Outcome, None]) -> Outcome:
    return await anext(outcomes)
