"""A mail server as web frameworks have always described one: host, port, "use TLS", "use SSL", user and password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit.errors import ConfigurationError
from mailkit.smtp import SMTP, PoolLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailkit.secret import Secret
    from mailkit.smtp.engine import TranscriptLine
    from mailkit.smtp.options import Security

__all__ = ["smtp_from_settings"]


def smtp_from_settings(
    host: str,
    port: int | None,
    *,
    username: str | None = None,
    password: str | Secret | None = None,
    use_tls: bool | None = None,
    use_ssl: bool | None = None,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    max_messages: int | None = None,
    transcript: Callable[[TranscriptLine], object] | None = None,
) -> SMTP:
    """Return the SMTP transport that a framework's settings describe.

    Example:
        >>> smtp_from_settings("mail.example.com", 587, use_tls=True).tls
        'starttls'

    Args:
        host: The server.
        port: Its port; None is the usual one for the kind of TLS.
        username: The user name; None or empty for none.
        password: The password; None or empty for none.
        use_tls: STARTTLS, required. False, said in plain sight, is what the other libraries' default is: TLS where the
            server offers it, clear text where it does not (without the password). None is mailkit's default: required.
        use_ssl: TLS from the first byte.
        certificate: A PEM file with the client's certificate.
        key: A PEM file with its private key.
        max_messages: How many messages one connection carries.
        transcript: Is called with each line of each conversation, secrets masked.

    Raises:
        ConfigurationError: Both kinds of TLS are wanted, or one of the settings cannot be right.
    """
    if use_tls and use_ssl:
        msg = "TLS is asked for twice: STARTTLS (…_USE_TLS, port 587) and from the first byte (…_USE_SSL, port 465)"
        raise ConfigurationError(msg)
    tls: Security | None = "starttls" if use_tls else "implicit" if use_ssl else None
    if use_tls is False and not use_ssl:
        tls = "opportunistic"
    return SMTP(
        host,
        port=port,
        username=username or None,
        password=password or None,
        tls=tls,
        certificate=certificate or None,
        key=key or None,
        pool=PoolLimits(max_messages=max_messages),
        transcript=transcript,
    )
