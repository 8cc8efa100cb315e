"""What sending consists of, written once for both mailers: complete a message, address it, hand it to the channel."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

from mailkit.errors import ConfigurationError, ConnectError, MailkitError, MessageError
from mailkit.hooks import Hooks
from mailkit.override import overriding
from mailkit.passage import Passage, tell_what_is_left
from mailkit.policies.retry_policy import DEFAULT_RETRY, RetryPolicy
from mailkit.transport import Transport, carrying_on, doubt_about
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Progress, Receipt
    from mailkit.transport import Channel, ServerInfo

__all__ = ["ENVIRONMENT", "Post"]

ENVIRONMENT: Final = "MAILKIT_URL"
"""The environment variable that holds the URL of a mailer that is given none."""


class Post:
    """What both mailers do: complete a message, address it, hand it to the channel.

    Args:
        transport: A URL, a transport, or None for the URL in the environment.
        edge: What all I/O goes through.
        retry: Whether and when a delivery is tried again.
        defaults: What fills in what a message leaves open.
        hooks: What hears of it.

    Raises:
        ConfigurationError: There is no transport, or its URL is wrong.
    """

    def __init__(
        self,
        transport: str | Transport | None,
        edge: Edge,
        retry: RetryPolicy,
        *,
        defaults: Message | None,
        hooks: Hooks,
    ) -> None:
        _check_hooks(hooks)
        _check_retry(retry)
        _check_defaults(defaults)
        if isinstance(transport, Transport) and not isinstance(transport, type):
            self.transport: Transport = transport
        else:
            self.transport = transport_from_url(_url(transport))
        self._edge = edge
        self._retry = retry
        self._defaults = defaults
        self._hooks = hooks
        self._channels: dict[int, Channel] = {}
        self._closed = False
        self._second: tuple[int, datetime] | None = None

    def channel(self) -> Channel:
        """Return the channel of the transport in force; it opens with the first message."""
        self._refuse_if_closed()
        override = overriding()
        transport = self.transport if override is None else override
        channel = self._channels.get(id(transport))
        if channel is None:
            channel = self._open(transport)
            # Opening does no I/O, so of two threads that come here at once one just loses its channel.
            channel = self._channels.setdefault(id(transport), channel)
            self._refuse_if_closed()  # by another thread, which may have seen no channel just before this one was there
        return channel

    def _open(self, transport: Transport) -> Channel:
        from mailkit.listener import Listener  # what only sending needs is no cost of making a mailer

        if self._edge.listener is None:
            self._edge.listener = Listener(self._hooks)
        channel = transport.open(self._edge)
        # Two layers that retry would multiply: the one that nobody asked for gives way. The default is not asked for,
        # because frameworks hand on what they were not given either.
        if self._retry.is_needed and not (self._retry == DEFAULT_RETRY and channel.retries_by_itself):
            from mailkit.policies.retry_channel import RetryChannel

            channel = RetryChannel(channel, self._retry, self._edge)
        return channel

    def _refuse_if_closed(self) -> None:
        if self._closed:
            msg = "this mailer is closed: make a new one, or close it later"
            raise ConfigurationError(msg)

    def complete(self, message: Message) -> Message:
        """Fill in what the message leaves open; the same Date and Message-ID serve every attempt."""
        try:
            complete = message.completed
        except AttributeError:
            msg = f"send takes a Message, not {type(message).__name__}: use Message(…) or Message.from_email_message(…)"
            raise MessageError(msg) from None
        return complete(self._defaults, date=self._now())

    def _now(self) -> datetime:
        """Return this second, with the local offset: one object for all messages of it, whose field is written once."""
        second = int(time.time())
        now = self._second
        if now is None or now[0] != second:
            from datetime import datetime  # what only sending needs is no cost of making a mailer

            now = self._second = second, datetime.fromtimestamp(second).astimezone()
        return now[1]

    async def send(self, message: Message, envelope: Envelope | None = None) -> Receipt:
        """Send one message, to whom it says or to whom `envelope` says: those who are left of them, for one."""
        from mailkit.envelope import Envelope  # what only sending needs is no cost of making a mailer

        channel = self.channel()
        passage = Passage(self._edge, channel, message)
        try:
            passage.message = completed = self.complete(message)
            envelope = envelope or Envelope.from_message(completed)
            passage.begin(envelope)
            receipt = await channel.send(completed, envelope)
        except BaseException as error:
            passage.end(error=error)
            raise
        passage.end(receipt)
        return receipt

    async def send_raw(self, data: bytes | Path, envelope: Envelope) -> Receipt:
        """Send prepared bytes."""
        channel = self.channel()
        passage = Passage(self._edge, channel, None, envelope)
        try:
            passage.begin(envelope)
            receipt = await channel.send_raw(data, envelope)
        except BaseException as error:
            passage.end(error=error)
            raise
        passage.end(receipt)
        return receipt

    async def send_many(
        self,
        messages: AsyncGenerator[Message, None],
        connections: int,
        window: int | None,
        on_progress: Callable[[Progress], object] | None,
    ) -> AsyncGenerator[Outcome, None]:
        """Send a stream of messages; yield one outcome for each, in order."""
        from mailkit.receipt import Outcome, Progress

        channel = self.channel()
        taken: deque[_Taken] = deque()
        answered: list[tuple[_Taken, Outcome]] = []  # not yielded yet, while hooks and on_progress hear of it

        async def completed() -> AsyncGenerator[Message | Outcome, None]:
            async for message in messages:
                each = _Taken(message, Passage(self._edge, channel, message))
                taken.append(each)
                try:
                    item: Message | Outcome = self._begun(message, each.passage)
                except MailkitError as error:
                    item = Outcome(message=message, error=error)
                each.item = item
                yield item

        done = failed = 0
        # Whoever breaks off early closes all of this at once, from the outside to the source, not when garbage is
        # collected: trio forbids to wait then.
        async with (
            aclosing(messages),
            aclosing(completed()) as items,
            _accounting(taken, answered),
            carrying_on(channel.send_many(items, connections=connections, window=window)) as outcomes,
        ):
            async for outcome in outcomes:
                # An interrupt may come between any two of these: in each moment one of the lists has the message.
                each = taken[0]
                mine = Outcome(message=each.message, receipt=outcome.receipt, error=outcome.error)
                answered.append((each, mine))
                taken.popleft()
                each.passage.end(outcome.receipt, outcome.error)
                done, failed = done + 1, failed + (not mine.ok)
                if on_progress is not None:
                    on_progress(Progress(done=done, failed=failed, latest=mine))
                answered.clear()
                yield mine

    def _begun(self, message: Message, passage: Passage) -> Message:
        """Return a message of a stream as it is sent, once nobody has refused it."""
        passage.message = completed = self.complete(message)
        if self._edge.is_followed:
            from mailkit.envelope import Envelope

            passage.begin(Envelope.from_message(completed), in_stream=True)
        return completed

    async def verify(self) -> ServerInfo:
        """Connect without sending."""
        return await self.channel().verify()

    async def close(self) -> None:
        """Close every channel, for good."""
        self._closed = True
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()
        await self._edge.close()


class _Taken:
    """A message that was taken from a stream.

    Args:
        message: As it was given.
        passage: Tells of it.
    """

    __slots__ = ("item", "message", "passage")

    def __init__(self, message: Message, passage: Passage) -> None:
        self.message = message
        self.passage = passage
        self.item: Message | Outcome | None = None
        """What the transport was given; None before."""

    def left(self, told: Outcome | None) -> Outcome:
        """Return what an interruption leaves of it, of which it tells this, or nothing."""
        from mailkit.receipt import Outcome

        if told is not None:
            return Outcome(message=self.message, receipt=told.receipt, error=told.error)
        if self.item is None:
            error: MailkitError = ConnectError("the stream of messages was interrupted before this one")
            return Outcome(message=self.message, error=error)
        if isinstance(self.item, Outcome):
            return self.item
        return Outcome(message=self.message, error=doubt_about(self.item))


@asynccontextmanager
async def _accounting(
    taken: Iterable[_Taken], answered: Iterable[tuple[_Taken, Outcome]]
) -> AsyncGenerator[None, None]:
    """Let an interruption's ``outcomes`` name the messages as they were given, one for each that was taken; tell so."""
    from mailkit.interruption import matched  # before there is anything to interrupt

    try:
        yield
    except BaseException as interruption:
        known = dict(answered)
        open_ones = [each for each in taken if each not in known]
        told: tuple[Outcome, ...] | None = getattr(interruption, "outcomes", None)
        left: list[Outcome] = []
        if told is not None:
            theirs = matched([each.item or each.message for each in open_ones], told)
            left = [each.left(outcome) for each, outcome in zip(open_ones, theirs, strict=True)]
        if told is not None or known:
            interruption.__dict__["outcomes"] = (*known.values(), *left)
        tell_what_is_left([each.passage for each in open_ones], interruption, None if told is None else left)
        raise


def _check_hooks(given: object) -> None:
    if not isinstance(given, Hooks):
        msg = f"hooks={given!r} is no Hooks(before_send=…, after_send=…, …): put the function into one of its fields"
        raise ConfigurationError(msg)


def _check_retry(given: object) -> None:
    if not isinstance(given, RetryPolicy):
        msg = f"retry={given!r} is no RetryPolicy: give RetryPolicy(attempts=…), or RetryPolicy.none() to try once"
        raise ConfigurationError(msg)


def _check_defaults(given: object) -> None:
    if given is None:
        return
    from mailkit.message import Message

    if not isinstance(given, Message):  # which is not shown: there may be somebody's address in it
        msg = f"defaults= takes a Message whose fields fill in what others leave open, not {type(given).__name__}"
        raise ConfigurationError(msg)


def _url(given: object) -> str:
    if not isinstance(given, str | None):
        msg = f"a mailer takes a URL or a transport, not {type(given).__name__}"
        raise ConfigurationError(msg)
    url = os.environ.get(ENVIRONMENT, "") if given is None else given
    if not url and overriding() is not None:
        return "null://"  # nothing goes there
    if not url:
        example = "smtp://user:password@mail.example.com"
        msg = f'there is no transport: give the mailer a URL such as "{example}", or set {ENVIRONMENT}'
        raise ConfigurationError(msg)
    return url
