"""Mail in a Starlette or FastAPI application: closed with it, a dependency of its endpoints, seen to fail."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Final

from mailkit.errors import MailkitError
from mailkit.hooks import Hooks
from mailkit.integrations.framework import importing
from mailkit.integrations.mailers import Mailers
from mailkit.policies.retry import RetryPolicy

with importing("starlette", "Starlette and for FastAPI, which brings it"):
    from starlette.background import BackgroundTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from mailkit.mailer import AsyncMailer, Mailer
    from mailkit.message import Message
    from mailkit.testing import Mailbox
    from mailkit.transport import Transport

__all__ = ["Mail"]

_LOG: Final = logging.getLogger(__name__)


class Mail:
    """One mailer for an application's event loop, and one for the threads of its ``def`` endpoints.

    ``Depends(mail)`` gives an endpoint the :class:`mailkit.AsyncMailer`, ``Depends(mail.blocking)`` the
    :class:`mailkit.Mailer`; tests replace them by ``app.dependency_overrides``, or record (:meth:`record_messages`).

    Example:
        >>> from typing import Annotated
        >>> from fastapi import Depends, FastAPI
        >>> from mailkit import AsyncMailer, Message
        >>> mail = Mail("memory://", defaults=Message(from_="shop@example.com"))
        >>> app = FastAPI(lifespan=mail.lifespan)
        >>> @app.post("/signup")
        ... async def signup(to: str, mailer: Annotated[AsyncMailer, Depends(mail)]) -> None:
        ...     await mailer.send(Message(to=to, subject="Welcome", text="Hello"))

    Args:
        transport: A URL, a transport, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: Whether and when a delivery is tried again.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase may take.
        hooks: What hears of each message; see :class:`mailkit.Hooks`.
        on_failure: Is called when a message of a background task could not be sent, with the message and the error, and
            awaited where it is an async function. What it raises is logged.

    Raises:
        ConfigurationError: There is no transport, its URL is wrong, or `timeout` is not positive. Nothing is connected
            to before the first message.
    """

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - a frozen value
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks = Hooks(),  # noqa: B008
        on_failure: Callable[[Message, MailkitError], object] | None = None,
    ) -> None:
        self._mailers = Mailers(transport, retry=retry, defaults=defaults, timeout=timeout, hooks=hooks)
        self._on_failure = on_failure

    def __call__(self) -> AsyncMailer:
        """Return the mailer for ``async def`` endpoints."""
        return self._mailers.in_force[0]

    def blocking(self) -> Mailer:
        """Return the mailer for ``def`` endpoints, which run in threads."""
        return self._mailers.in_force[1]

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None, None]:  # noqa: ARG002 - as applications call it
        """Close the connections when the application ends: ``FastAPI(lifespan=mail.lifespan)``.

        An application with a lifespan of its own enters this one there: ``async with mail.lifespan(app): yield``.
        """
        try:
            yield
        finally:
            await self._mailers.close()

    def background(self, message: Message) -> BackgroundTask:
        """Return a background task that sends a message; for Starlette's ``Response(…, background=…)``.

        FastAPI's ``background_tasks.add_task(mail.deliver, message)`` does the same.
        """
        return BackgroundTask(self.deliver, message)

    async def deliver(self, message: Message) -> None:
        """Send one message in a background task: nobody waits for it, so what goes wrong is logged, and reported.

        An error goes to the log, and to `on_failure`; the tasks behind this one are run all the same. A process that
        ends loses its background tasks: mail that has to survive that belongs into a task queue.
        """
        try:
            await self().send(message)
        except MailkitError as error:
            _LOG.exception("mailkit.background.failed")
            if self._on_failure is not None:
                await self._report(self._on_failure, message, error)

    async def _report(
        self, on_failure: Callable[[Message, MailkitError], object], message: Message, error: MailkitError
    ) -> None:
        try:
            waiting = on_failure(message, error)
            if isawaitable(waiting):
                await waiting
        except Exception:  # noqa: BLE001 - it is logged, and is not to stop the tasks behind
            _LOG.exception("mailkit.background.on_failure.failed")

    def record_messages(self) -> AbstractContextManager[Mailbox]:
        """Keep what the application sends in this block, and send none of it: for tests.

        Returns:
            A context manager; what it gives is the messages, in order (:class:`mailkit.testing.Mailbox`).
        """
        return self._mailers.recording()
