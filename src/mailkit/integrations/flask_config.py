"""What a Flask or Quart application's configuration says about mail: ``MAILKIT_URL``, or the ``MAIL_*`` keys.

The keys are those of Flask-Mail and Flask-Mailman, so that an application can move over without touching them.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mailkit.address import Address
from mailkit.errors import ConfigurationError
from mailkit.integrations.flask_settings import flag_of, number_of, text_of
from mailkit.integrations.server_settings import smtp_from_settings
from mailkit.message import Message
from mailkit.post import ENVIRONMENT
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.smtp.engine import TranscriptLine
    from mailkit.transport import Transport

__all__ = ["MailConfig"]

_TRANSCRIPT: Final = logging.getLogger("mailkit.transcript")

_BACKENDS: Final = {"console": "console://", "locmem": "memory://", "dummy": "null://"}
"""Flask-Mailman's backends that are no server; ``"smtp"`` and ``"file"`` have settings of their own."""

RELAY_PORT: Final = 25  # what Flask-Mail and Flask-Mailman dial when MAIL_PORT is not set


@frozen(kw_only=True)
class MailConfig:
    """How an application sends mail.

    Example:
        >>> str(MailConfig.read({"MAIL_SERVER": "mail.example.com", "MAIL_PORT": 587, "MAIL_USE_TLS": True}).transport)
        'smtp://mail.example.com:587'

    Args:
        transport: What to send through; None where nothing is configured.
        defaults: What fills in what a message leaves open: its author.
        timeout: Seconds that one phase may take.
    """

    transport: Transport | None
    defaults: Message | None = None
    timeout: float = 30.0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> MailConfig:
        """Read an application's configuration, or ``MAILKIT_URL`` in the environment where that says nothing.

        Raises:
            ConfigurationError: A setting cannot be right.
        """
        sender = config.get("MAIL_DEFAULT_SENDER")
        return cls(
            transport=_transport(config),
            defaults=Message(from_=_address(sender)) if sender else None,
            timeout=number_of(config, "MAIL_TIMEOUT") or 30.0,
        )


def _transport(config: Mapping[str, Any]) -> Transport | None:
    if url := text_of(config, ENVIRONMENT):
        return transport_from_url(url)
    backend = config.get("MAIL_BACKEND")
    if backend in _BACKENDS:
        return transport_from_url(_BACKENDS[backend])
    if backend == "file":
        from mailkit.local import FileTransport

        return FileTransport(config.get("MAIL_FILE_PATH") or os.curdir)
    if backend not in {None, "smtp"}:
        known = ", ".join(sorted({*_BACKENDS, "file", "smtp"}))
        msg = f"MAIL_BACKEND={backend!r} is not known: use one of {known}, or {ENVIRONMENT} for everything else"
        raise ConfigurationError(msg)
    if host := text_of(config, "MAIL_SERVER"):
        return _server(host, config)
    return transport_from_url(url) if (url := os.environ.get(ENVIRONMENT)) else None


def _server(host: str, config: Mapping[str, Any]) -> Transport:
    is_unsaid = "MAIL_PORT" not in config
    return smtp_from_settings(
        host,
        RELAY_PORT if is_unsaid else _whole(config, "MAIL_PORT"),
        username=text_of(config, "MAIL_USERNAME"),
        password=text_of(config, "MAIL_PASSWORD"),
        use_tls=flag_of(config, "MAIL_USE_TLS"),
        use_ssl=flag_of(config, "MAIL_USE_SSL"),
        certificate=config.get("MAIL_SSL_CERTFILE"),
        key=config.get("MAIL_SSL_KEYFILE"),
        max_messages=_whole(config, "MAIL_MAX_EMAILS"),
        transcript=_log_line if flag_of(config, "MAIL_DEBUG") else None,
    )


def _whole(config: Mapping[str, Any], name: str) -> int | None:
    number = number_of(config, name)
    if isinstance(number, float):
        raise ConfigurationError(f"{name}={number!r} is no whole number")
    return number


def _log_line(line: TranscriptLine) -> None:
    _TRANSCRIPT.debug("%s", line)


def _address(sender: object) -> Address:
    match sender:
        case str():
            return Address.parse(sender)
        case (str() | None as name, str(email)):  # Flask-Mail's form
            return Address(email, name=name)
        case _:
            raise ConfigurationError('MAIL_DEFAULT_SENDER is to be "Name <user@host>", or a name and an address')
