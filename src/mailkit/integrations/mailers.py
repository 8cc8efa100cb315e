"""The mailers of one application: one for its event loop, one for its threads, and what records in tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

from mailkit.hooks import Hooks
from mailkit.mailer import AsyncMailer, Mailer
from mailkit.policies.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Generator

    from mailkit.message import Message
    from mailkit.testing import Mailbox
    from mailkit.transport import Transport

__all__ = ["Mailers", "Pair"]

Pair = tuple[AsyncMailer, Mailer]


class Settings(TypedDict):
    """What both mailers are made with."""

    retry: RetryPolicy
    defaults: Message | None
    timeout: float
    hooks: Hooks


class Mailers:
    """What one application sends with; nothing is connected to before the first message.

    Args:
        transport: A URL, a transport, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: Whether and when a delivery is tried again.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase may take.
        hooks: What hears of each message.

    Raises:
        ConfigurationError: There is no transport, its URL is wrong, or `timeout` is not positive.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - a frozen value
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks = Hooks(),  # noqa: B008 - a frozen value
    ) -> None:
        self._retry = retry
        self._hooks = hooks
        self._defaults = defaults
        self._timeout = timeout
        self._recorders: list[Pair] = []
        self._real = self.pair(transport)

    def pair(self, transport: str | Transport | None) -> Pair:
        """Return mailers of both kinds that send through a transport, with the settings of this application."""
        settings: Settings = {
            "retry": self._retry,
            "defaults": self._defaults,
            "timeout": self._timeout,
            "hooks": self._hooks,
        }
        asynchronous = AsyncMailer(transport, **settings)
        return asynchronous, Mailer(asynchronous.transport, **settings)

    @property
    def in_force(self) -> Pair:
        """The mailers to send with now."""
        return self._recorders[-1] if self._recorders else self._real

    def close_blocking(self) -> AsyncMailer:
        """Give up the connections of the threads; return what is left to close, with ``await``.

        The application may be started again, as tests do.
        """
        asynchronous, blocking = self._real
        self._real = self.pair(asynchronous.transport)
        blocking.close()
        return asynchronous

    async def close(self) -> None:
        """Give up every connection."""
        await self.close_blocking().close()

    @contextmanager
    def recording(self) -> Generator[Mailbox, None, None]:
        """Keep what is sent in this block, and send none of it: for tests.

        Yields:
            The messages, in order (:class:`mailkit.testing.Mailbox`).
        """
        from mailkit.testing import Mailbox

        box = Mailbox()
        pair = self.pair(box)
        self._recorders.append(pair)
        try:
            yield box
        finally:
            self._recorders.remove(pair)
