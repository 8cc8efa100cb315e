"""Mail in a Flask application: configured as the application is, recorded in its tests, rendered by its templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mailkit.integrations.framework import importing

with importing("flask", "Flask"):
    from flask import Flask, has_app_context, render_template
    from flask.globals import app_ctx

from blinker import Namespace  # which Flask brings

from mailkit.event_log import log_failed_hook
from mailkit.hooks import Hooks
from mailkit.integrations.flask_extension import Extension
from mailkit.integrations.templates import Bodies, templates_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from mailkit.mailer import AsyncMailer, Mailer
    from mailkit.message import Message
    from mailkit.receipt import Outcome, Receipt

__all__ = ["Bodies", "Mail", "message_sent"]

message_sent: Final = Namespace().signal("mailkit-message-sent")
"""Is sent after a message was accepted, by the application, with ``message`` and ``receipt``; also when sending is
suppressed. A receiver that raises is logged to ``mailkit.hooks``; it cannot make a message look unsent."""


class Mail(Extension[Flask]):
    """The extension: ``mail = Mail(app)``, or ``mail = Mail()`` and ``mail.init_app(app)`` in a factory.

    Settings are read from the application's configuration: ``MAILKIT_URL``, or the keys of Flask-Mail and
    Flask-Mailman (``MAIL_SERVER``, ``MAIL_PORT``, ``MAIL_USE_TLS``, ``MAIL_DEFAULT_SENDER`` and so on).
    ``MAIL_SUPPRESS_SEND``, by default whatever ``TESTING`` is, lets every message be checked and none be sent.

    Example:
        >>> from flask import Flask
        >>> from mailkit import Message
        >>> app = Flask("shop")
        >>> app.config.update(MAILKIT_URL="memory://", MAIL_DEFAULT_SENDER="shop@example.com")
        >>> mail = Mail(app)
        >>> with mail.record_messages() as outbox:
        ...     receipt = mail.send(Message(to="bob@example.org", subject="Hello", text="Hi Bob"))
        >>> outbox[0].subject
        'Hello'

    Args:
        app: The application, where there is one already.
        hooks: What hears of each message; see :class:`mailkit.Hooks`.

    Raises:
        ConfigurationError: A setting of the application cannot be right.
    """

    def __init__(self, app: Flask | None = None, *, hooks: Hooks = Hooks()) -> None:  # noqa: B008 - a frozen value
        self._has_awaited = False
        super().__init__(app, hooks)

    @property
    def mailer(self) -> Mailer:
        """The current application's mailer, one for all of its threads.

        Raises:
            ConfigurationError: There is no application, or it does not say how to send.
        """
        return self._mailers().in_force[1]

    @property
    def async_mailer(self) -> AsyncMailer:
        """The current application's mailer for async views.

        Raises:
            ConfigurationError: There is no application, or it does not say how to send.
        """
        self._has_awaited = True
        return self._mailers().in_force[0]

    def send(self, message: Message) -> Receipt:
        """Send one message; see :meth:`mailkit.Mailer.send`.

        Raises:
            MessageError: It cannot be sent.
            DeliveryError: No recipient was accepted.
        """
        receipt = self.mailer.send(message)
        _tell(self._current(), message, receipt)
        return receipt

    async def send_async(self, message: Message) -> Receipt:
        """Send one message from an async view; see :meth:`send`.

        Raises:
            MessageError: It cannot be sent.
            DeliveryError: No recipient was accepted.
        """
        receipt = await self.async_mailer.send(message)
        _tell(self._current(), message, receipt)
        return receipt

    def send_many(self, messages: Iterable[Message], *, connections: int = 1) -> Generator[Outcome, None, None]:
        """Send a stream of messages; yield one outcome for each. See :meth:`mailkit.Mailer.send_many`."""
        app = self._current()
        for outcome in self.mailer.send_many(messages, connections=connections):
            if outcome.receipt is not None:
                _tell(app, outcome.message, outcome.receipt)
            yield outcome

    def render(self, template: str, /, **context: Any) -> Bodies:
        """Render ``TEMPLATE.txt`` and ``TEMPLATE.html``, or the one of them that there is, for ``Message(…)``.

        ``Message(to=user.email, subject="Welcome", **mail.render("mail/welcome", user=user))``

        Args:
            template: The templates' name, without its ending.
            context: What the templates are given.

        Raises:
            ConfigurationError: There is neither.
        """
        bodies = Bodies()
        for body, name in templates_of(self._current().jinja_env, template):
            bodies[body] = render_template(name, **context)
        return bodies

    def close(self) -> None:
        """Give up the application's connections: before a process ends that leaves nothing behind, and in tests."""
        asynchronous = self._mailers().close_blocking()
        if self._has_awaited:
            self._current().ensure_sync(asynchronous.close)()

    def _in_context(self) -> Flask | None:
        return app_ctx.app if has_app_context() else None


def _tell(app: Flask, message: Message, receipt: Receipt) -> None:
    try:
        message_sent.send(app, message=message, receipt=receipt)
    except Exception:  # noqa: BLE001 - the message was sent; it is not in silence
        log_failed_hook(message_sent, "mailkit-message-sent")
