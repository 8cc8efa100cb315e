"""Mail in a Quart application: as in Flask (the same settings), with ``await``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import has_app_context, render_template
from quart.globals import app_ctx

from mailkit.errors import ConfigurationError
from mailkit.hooks import Hooks
from mailkit.integrations.flask_config import MailConfig
from mailkit.integrations.flask_mailers import NO_APPLICATION, AppMailers
from mailkit.integrations.templates import Bodies, has_template

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from quart import Quart

    from mailkit.mailer import AsyncMailer
    from mailkit.message import Message
    from mailkit.receipt import Receipt
    from mailkit.testing import Mailbox

__all__ = ["Bodies", "Mail"]


class Mail:
    """The extension: ``mail = Mail(app)``, or ``mail = Mail()`` and ``mail.init_app(app)`` in a factory.

    The settings are those of :class:`mailkit.integrations.flask.Mail`. Connections are closed when the application
    stops serving.

    Example:
        >>> from quart import Quart
        >>> app = Quart("shop")
        >>> app.config["MAILKIT_URL"] = "memory://"
        >>> mail = Mail(app)

    Args:
        app: The application, where there is one already.
        hooks: What hears of each message; see :class:`mailkit.Hooks`.

    Raises:
        ConfigurationError: A setting of the application cannot be right.
    """

    def __init__(self, app: Quart | None = None, *, hooks: Hooks = Hooks()) -> None:  # noqa: B008 - a frozen value
        self._app = app
        self._hooks = hooks
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Read an application's settings; nothing is connected to.

        Raises:
            ConfigurationError: One of them cannot be right.
        """
        mailers = AppMailers(app.config, MailConfig.read(app.config), self._hooks)
        app.extensions["mailkit"] = mailers
        app.after_serving(mailers.close)

    @property
    def mailer(self) -> AsyncMailer:
        """The current application's mailer.

        Raises:
            ConfigurationError: There is no application, or it does not say how to send.
        """
        return self._mailers().in_force[0]

    async def send(self, message: Message) -> Receipt:
        """Send one message; see :meth:`mailkit.AsyncMailer.send`.

        Raises:
            MessageError: It cannot be sent.
            DeliveryError: No recipient was accepted.
        """
        return await self.mailer.send(message)

    async def render(self, template: str, /, **context: Any) -> Bodies:
        """Render ``TEMPLATE.txt`` and ``TEMPLATE.html``, or the one of them that there is, for ``Message(…)``.

        Args:
            template: The templates' name, without its ending.
            context: What the templates are given.

        Raises:
            ConfigurationError: There is neither.
        """
        bodies = Bodies()
        text, html = f"{template}.txt", f"{template}.html"
        environment = self._current().jinja_env
        if has_template(environment, text):
            bodies["text"] = await render_template(text, **context)
        if has_template(environment, html):
            bodies["html"] = await render_template(html, **context)
        if not bodies:
            msg = f"there is neither a template {text!r} nor {html!r}"
            raise ConfigurationError(msg)
        return bodies

    def record_messages(self) -> AbstractContextManager[Mailbox]:
        """Keep what the application sends in this block, and send none of it: for tests.

        Returns:
            A context manager; what it gives is the messages, in order (:class:`mailkit.testing.Mailbox`).
        """
        return self._mailers().recording()

    def _current(self) -> Quart:
        app = app_ctx.app if has_app_context() else self._app
        if app is None:
            raise ConfigurationError(NO_APPLICATION)
        return app

    def _mailers(self) -> AppMailers:
        mailers: AppMailers | None = self._current().extensions.get("mailkit")
        if mailers is None:
            raise ConfigurationError(NO_APPLICATION)
        return mailers
