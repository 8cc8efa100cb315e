"""The mailers of one Flask or Quart application, which sends nothing where its configuration says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailkit.errors import ConfigurationError
from mailkit.integrations.flask_settings import flag_of
from mailkit.integrations.mailers import Mailers
from mailkit.local import NullTransport
from mailkit.override import overriding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.hooks import Hooks
    from mailkit.integrations.flask_config import MailConfig
    from mailkit.integrations.mailers import Pair

__all__ = ["AppMailers"]


class AppMailers(Mailers):
    """What one Flask or Quart application sends with.

    Args:
        settings: The application's configuration, as it is at the time of sending.
        config: What it said about mail at the start.
        hooks: What hears of each message.
    """

    def __init__(self, settings: Mapping[str, Any], config: MailConfig, hooks: Hooks) -> None:
        transport = config.transport or NullTransport()
        super().__init__(transport, defaults=config.defaults, timeout=config.timeout, hooks=hooks)
        self._settings = settings
        self._is_configured = config.transport is not None
        self._silent = self.pair(NullTransport())

    @property
    def in_force(self) -> Pair:
        """The mailers to send with now.

        Raises:
            ConfigurationError: The application does not say how to send.
        """
        if self._recorders:
            return self._recorders[-1]
        is_suppressed = flag_of(self._settings, "MAIL_SUPPRESS_SEND")
        if self._settings.get("TESTING") if is_suppressed is None else is_suppressed:
            return self._silent
        if not self._is_configured and overriding() is None:  # in a test with a mailbox nothing has to be configured
            msg = (
                "this application does not say how to send mail: set MAILKIT_URL, in its configuration or the "
                'environment, to a URL such as "smtp://user:password@mail.example.com", or MAIL_SERVER to a host'
            )
            raise ConfigurationError(msg)
        return self._real
