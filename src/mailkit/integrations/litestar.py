"""Mail in a Litestar application: a plugin that gives handlers a mailer, and closes it with the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.hooks import Hooks
from mailkit.integrations.framework import importing
from mailkit.integrations.mailers import Mailers
from mailkit.mailer import AsyncMailer
from mailkit.policies.retry import RetryPolicy

with importing("litestar", "Litestar"):
    from litestar.di import NamedDependency, Provide
    from litestar.plugins import InitPlugin

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from litestar.config.app import AppConfig

    from mailkit.message import Message
    from mailkit.testing import Mailbox
    from mailkit.transport import Transport

__all__ = ["MailPlugin", "MailerDependency"]

MailerDependency = NamedDependency[AsyncMailer]
"""The annotation of a handler's parameter ``mailer``."""


class MailPlugin(InitPlugin):
    """Gives handlers the parameter ``mailer``, one :class:`mailkit.AsyncMailer` for the whole application.

    Example:
        >>> from litestar import Litestar, post
        >>> from mailkit import Message
        >>> @post("/signup")
        ... async def signup(mailer: MailerDependency) -> None:
        ...     await mailer.send(Message(to="bob@example.org", subject="Welcome", text="Hello"))
        >>> mail = MailPlugin("memory://", defaults=Message(from_="shop@example.com"))
        >>> app = Litestar([signup], plugins=[mail])

    Args:
        transport: A URL, a transport, or None for the URL in the environment's ``MAILKIT_URL``.
        retry: Whether and when a delivery is tried again.
        defaults: A message whose set fields fill in what a message leaves open.
        timeout: Seconds that one phase may take.
        hooks: What hears of each message; see :class:`mailkit.Hooks`.
        parameter: What handlers call it.

    Raises:
        ConfigurationError: There is no transport, its URL is wrong, or `timeout` is not positive. Nothing is connected
            to before the first message.
    """

    __slots__ = ("_mailers", "_parameter")

    def __init__(
        self,
        transport: str | Transport | None = None,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - a frozen value
        defaults: Message | None = None,
        timeout: float = 30.0,
        hooks: Hooks = Hooks(),  # noqa: B008
        parameter: str = "mailer",
    ) -> None:
        self._mailers = Mailers(transport, retry=retry, defaults=defaults, timeout=timeout, hooks=hooks)
        self._parameter = parameter

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the dependency and what closes it, as Litestar asks of a plugin."""
        app_config.dependencies[self._parameter] = Provide(self.mailer, sync_to_thread=False)
        app_config.on_shutdown.append(self._mailers.close)
        return app_config

    def mailer(self) -> AsyncMailer:
        """Return the mailer in force."""
        return self._mailers.in_force[0]

    def record_messages(self) -> AbstractContextManager[Mailbox]:
        """Keep what the application sends in this block, and send none of it: for tests.

        Returns:
            A context manager; what it gives is the messages, in order (:class:`mailkit.testing.Mailbox`).
        """
        return self._mailers.recording()
