"""What the extensions for Flask and Quart have in common: whose mailers they are, and the record of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from mailkit.errors import ConfigurationError
from mailkit.integrations.flask_config import MailConfig
from mailkit.integrations.flask_mailers import AppMailers

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from contextlib import AbstractContextManager

    from mailkit.hooks import Hooks
    from mailkit.testing import Mailbox

__all__ = ["App", "Application", "Extension"]

_NAME: Final = "mailkit"
_NO_APPLICATION: Final = (
    "mail is sent by an application: call init_app(app), and send inside of a request or of app.app_context()"
)


class Application(Protocol):
    """What both frameworks call an application."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""
        ...

    @property
    def extensions(self) -> MutableMapping[str, Any]:
        """What its extensions keep."""
        ...


App = TypeVar("App", bound=Application)


class Extension(Generic[App]):
    """An extension of an application, or of several.

    Args:
        app: The application, where there is one already.
        hooks: What hears of each message.
    """

    def __init__(self, app: App | None, hooks: Hooks) -> None:
        self._app = app
        self._hooks = hooks
        if app is not None:
            self.init_app(app)

    def init_app(self, app: App) -> None:
        """Read an application's settings; nothing is connected to.

        Raises:
            ConfigurationError: One of them cannot be right.
        """
        self.add_mailers(app)

    def add_mailers(self, app: App) -> AppMailers:
        """Give an application its mailers, and return them."""
        mailers = AppMailers(app.config, MailConfig.read(app.config), self._hooks)
        app.extensions[_NAME] = mailers
        return mailers

    def record_messages(self) -> AbstractContextManager[Mailbox]:
        """Keep what the application sends in this block, and send none of it: for tests.

        Returns:
            A context manager; what it gives is the messages, in order (:class:`mailkit.testing.Mailbox`).
        """
        return self._mailers().recording()

    def _in_context(self) -> App | None:
        """Return the application of the request, if there is one."""
        raise NotImplementedError

    def _current(self) -> App:
        app = self._in_context() or self._app  # that of the request comes first: one extension may serve several
        if app is None:
            raise ConfigurationError(_NO_APPLICATION)
        return app

    def _mailers(self) -> AppMailers:
        mailers: AppMailers | None = self._current().extensions.get(_NAME)
        if mailers is None:
            raise ConfigurationError(_NO_APPLICATION)
        return mailers
