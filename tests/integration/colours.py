"""mailkit's two mailers in three colours: blocking, on asyncio and on trio, called alike."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import anyio

from mailkit import AsyncMailer, Mailer, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from mailkit import Envelope, Message, Outcome, Receipt, Transport
    from mailkit.transport import ServerInfo

__all__ = ["COLOURS", "Colour", "Post"]

Colour = Literal["blocking", "asyncio", "trio"]
COLOURS: Final[tuple[Colour, ...]] = ("blocking", "asyncio", "trio")

_ONCE: Final = RetryPolicy.none()

T = TypeVar("T")


class Post:
    """Sends through a mailer of one colour that lives for one call.

    Args:
        colour: Which.
    """

    def __init__(self, colour: Colour) -> None:
        self.colour = colour

    def send(self, transport: str | Transport, *messages: Message, retry: RetryPolicy = _ONCE) -> list[Receipt]:
        """Send all messages, one after the other, through one mailer; the first error ends it."""
        return self.send_each(transport, messages, retry=retry)

    def send_each(
        self, transport: str | Transport, messages: Iterable[Message], *, retry: RetryPolicy = _ONCE
    ) -> list[Receipt]:
        """As :meth:`send`; the next message is asked for when the one before it has been sent."""
        if self.colour == "blocking":
            with Mailer(transport, retry=retry) as mailer:
                return [mailer.send(message) for message in messages]

        async def send(mailer: AsyncMailer) -> list[Receipt]:
            return [await mailer.send(message) for message in messages]

        return self._run(transport, retry, send)

    def send_many(
        self, transport: str | Transport, messages: Iterable[Message], *, connections: int = 1
    ) -> list[Outcome]:
        """Send a stream of messages."""
        if self.colour == "blocking":
            with Mailer(transport, retry=_ONCE) as mailer:
                return list(mailer.send_many(messages, connections=connections))

        async def send_many(mailer: AsyncMailer) -> list[Outcome]:
            return [outcome async for outcome in mailer.send_many(messages, connections=connections)]

        return self._run(transport, _ONCE, send_many)

    def send_raw(self, transport: str | Transport, data: bytes, envelope: Envelope) -> Receipt:
        """Send prepared bytes."""
        if self.colour == "blocking":
            with Mailer(transport, retry=_ONCE) as mailer:
                return mailer.send_raw(data, envelope)
        return self._run(transport, _ONCE, lambda mailer: mailer.send_raw(data, envelope))

    def verify(self, transport: str | Transport) -> ServerInfo:
        """Ask what the server is like."""
        if self.colour == "blocking":
            with Mailer(transport) as mailer:
                return mailer.verify()
        return self._run(transport, _ONCE, lambda mailer: mailer.verify())

    def _run(self, transport: str | Transport, retry: RetryPolicy, call: Callable[[AsyncMailer], Awaitable[T]]) -> T:
        async def main() -> T:
            async with AsyncMailer(transport, retry=retry) as mailer:
                return await call(mailer)

        return anyio.run(partial(main), backend=self.colour)
