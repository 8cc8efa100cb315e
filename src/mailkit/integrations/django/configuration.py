"""The mailer that a backend's options describe, or Django's settings where there are none: one for each of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import evolve, field, fields, frozen
from django.conf import settings

from mailkit.errors import ConfigurationError
from mailkit.integrations.server_settings import smtp_from_settings
from mailkit.mailer import Mailer
from mailkit.secret import Secret
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.hooks import Hooks
    from mailkit.policies.retry import RetryPolicy
    from mailkit.transport import Transport

__all__ = ["Options", "from_settings", "mailer_for"]


ENVIRONMENT: Final = "MAILKIT_URL"
"""The setting, or else the environment variable, that holds a transport's URL."""


def _secret(value: str | Secret | None) -> Secret | None:
    return Secret.coerce(value) if value else None


@frozen(kw_only=True)
class Options:
    """What a backend was told; the names are those of Django's own SMTP backend, and `url` and `transport`.

    Args:
        url: A transport's URL.
        transport: A transport, instead.
        host: A mail server.
        port: Its port.
        username: The user name.
        password: The password.
        use_tls: STARTTLS.
        use_ssl: TLS from the first byte.
        ssl_certfile: A PEM file with the client's certificate.
        ssl_keyfile: A PEM file with its private key.
        timeout: Seconds that one phase may take.
        retry: Whether and when a delivery is tried again; the usual policy where None.
        hooks: What hears of each message.
    """

    url: Secret | None = field(default=None, converter=_secret)
    transport: Transport | None = None
    host: str | None = None
    port: int | None = None
    username: str | None = None
    password: Secret | None = field(default=None, converter=_secret)
    use_tls: bool | None = None
    use_ssl: bool | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    timeout: float | None = None
    retry: RetryPolicy | None = None
    hooks: Hooks | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Return those of an entry in ``MAILERS``, which may have ``fail_silently`` beside.

        Raises:
            ConfigurationError: Some of them are unknown.
        """
        own = {name: value for name, value in given.items() if name != "fail_silently"}
        cls.refuse_unknown(own)
        return cls(**own)

    @classmethod
    def refuse_unknown(cls, names: Iterable[str]) -> None:
        """Refuse what is none of them.

        Raises:
            ConfigurationError: One is not.
        """
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(names) - known):
            raise ConfigurationError(
                f"unknown options for mailkit's e-mail backend: {', '.join(unknown)}; known are "
                f"{', '.join(sorted(known))}"
            )

    def make_transport(self) -> Transport:
        """Return the transport that they describe.

        Raises:
            ConfigurationError: They describe several, or none, or one that cannot be right.
        """
        given = [name for name in ("transport", "url", "host") if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"both {' and '.join(given)} are given" if given else "none of url, transport and host is given"
            raise ConfigurationError(
                f"{said}, and one of them says where mail goes: set MAILKIT_URL to a URL such as "
                '"smtp://user:password@mail.example.com", or EMAIL_HOST and its neighbours'
            )
        if self.transport is not None:
            return self.transport
        if self.url is not None:
            return transport_from_url(self.url.reveal())
        port = self.port or (465 if self.use_ssl else 587 if self.use_tls else 25)
        return smtp_from_settings(
            str(self.host),
            port,
            username=self.username,
            password=self.password,
            use_tls=bool(self.use_tls),  # Django's default, said by nobody, is TLS where the server offers it
            use_ssl=self.use_ssl,
            certificate=self.ssl_certfile,
            key=self.ssl_keyfile,
        )


def from_settings(given: Options, alias: str | None = None) -> Options:
    """Return a backend's options, filled in from the settings.

    What is said comes before what is not: the options, the setting ``MAILKIT_URL``, an ``EMAIL_HOST`` of the project's
    own, ``MAILKIT_URL`` in the environment, Django's default for ``EMAIL_HOST``.

    Args:
        given: The options.
        alias: The entry of ``MAILERS`` that they are; the ``EMAIL_*`` settings are not read for it.
    """
    if given.url or given.host or given.transport is not None:
        return given if alias is not None or not given.host else _server(given)
    url = getattr(settings, ENVIRONMENT, None)
    if not url and not settings.is_overridden("EMAIL_HOST"):
        url = os.environ.get(ENVIRONMENT)
    if url:
        return evolve(given, url=url)
    return given if alias is not None else _server(given)


def _server(given: Options) -> Options:
    return Options(
        host=given.host or _setting("HOST"),
        port=given.port or _setting("PORT"),
        username=_setting("HOST_USER") if given.username is None else given.username,
        password=_setting("HOST_PASSWORD") if given.password is None else given.password,
        use_tls=_setting("USE_TLS") if given.use_tls is None else given.use_tls,
        use_ssl=_setting("USE_SSL") if given.use_ssl is None else given.use_ssl,
        ssl_certfile=given.ssl_certfile or _setting("SSL_CERTFILE"),
        ssl_keyfile=given.ssl_keyfile or _setting("SSL_KEYFILE"),
        timeout=_setting("TIMEOUT") if given.timeout is None else given.timeout,
        retry=given.retry,
        hooks=given.hooks,
    )


def _setting(name: str) -> Any:
    # Read from behind settings, which from 6.1 on warns whoever reads them outside of Django: the project, whose
    # settings they are, has been told already.
    settings.is_overridden("EMAIL_HOST")  # loads them
    return getattr(settings._wrapped, f"EMAIL_{name}")  # noqa: SLF001


_mailers: dict[Options, Mailer] = {}


def mailer_for(options: Options) -> Mailer:
    """Return the mailer of these options, the same each time: Django makes a backend for each message or so.

    Raises:
        ConfigurationError: They do not say how to send.
    """
    mailer = _mailers.get(options)
    if mailer is None:
        given = {name: getattr(options, name) for name in ("timeout", "retry", "hooks")}
        own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        # Two threads that come here at once make two mailers, of which one is forgotten before it has connected.
        mailer = _mailers.setdefault(options, Mailer(options.make_transport(), **own))
    return mailer
