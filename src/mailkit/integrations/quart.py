"""Mail in a Quart application: as in Flask (the same settings), with ``await``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailkit.integrations.framework import importing

with importing("quart", "Quart"):
    from quart import Quart, has_app_context, render_template
    from quart.globals import app_ctx

from mailkit.hooks import Hooks
from mailkit.integrations.flask_extension import Extension
from mailkit.integrations.templates import Bodies, templates_of

if TYPE_CHECKING:
    from mailkit.mailer import AsyncMailer
    from mailkit.message import Message
    from mailkit.receipt import Receipt

__all__ = ["Bodies", "Mail"]


class Mail(Extension[Quart]):
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
        super().__init__(app, hooks)

    def init_app(self, app: Quart) -> None:
        """Read an application's settings; nothing is connected to.

        Raises:
            ConfigurationError: One of them cannot be right.
        """
        app.after_serving(self.add_mailers(app).close)

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
        for body, name in templates_of(self._current().jinja_env, template):
            bodies[body] = await render_template(name, **context)
        return bodies

    def _in_context(self) -> Quart | None:
        return app_ctx.app if has_app_context() else None
