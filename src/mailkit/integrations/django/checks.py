"""What ``manage.py check`` says about mail: settings that cannot work, and settings that send in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from mailkit.errors import ConfigurationError
from mailkit.host import is_loopback
from mailkit.integrations.django.configuration import ENVIRONMENT, Options, from_settings
from mailkit.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_settings"]

BACKEND: Final = "mailkit.integrations.django.EmailBackend"


def check_settings(app_configs: object = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - as Django calls it
    """Check each configured backend of mailkit's.

    ``mailkit.E001``: the settings do not say how to send. ``mailkit.W001``: mail may travel in clear text.
    ``mailkit.W002``: ``MAILKIT_URL`` is set, and nothing reads it. ``mailkit.W003``: it holds a password that Django
    shows on its error pages and in its mails to ``ADMINS``.
    """
    return list(_messages())


def _messages() -> Iterator[CheckMessage]:
    backends, url = list(_backends()), getattr(settings, ENVIRONMENT, None)
    if isinstance(url, str) and "@" in url:
        yield CheckWarning(
            "MAILKIT_URL holds a secret, and Django shows settings of that name on error pages and in mails to ADMINS.",
            hint="Keep it in the environment's MAILKIT_URL and out of the settings, or wrap it: mailkit.secret.Secret.",
            id="mailkit.W003",
        )
    if url and not backends:
        yield CheckWarning(
            "MAILKIT_URL is set, and no e-mail backend reads it.",
            hint=f'Set EMAIL_BACKEND = "{BACKEND}", or leave MAILKIT_URL out.',
            id="mailkit.W002",
        )
    for where, options in backends:
        yield from _check(where, options)


def _backends() -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    mailers: Mapping[str, Mapping[str, Any]] | None = getattr(settings, "MAILERS", None)
    if mailers is not None:
        for alias, entry in mailers.items():
            if entry.get("BACKEND") == BACKEND:
                yield f"MAILERS[{alias!r}]", entry.get("OPTIONS", {})
    elif getattr(settings, "EMAIL_BACKEND", None) == BACKEND:
        yield "EMAIL_BACKEND", None


def _check(where: str, given: Mapping[str, Any] | None) -> Iterator[CheckMessage]:
    try:
        options = Options.of(given or {})
        transport = from_settings(options, None if given is None else where).make_transport()
    except ConfigurationError as error:
        yield Error(f"{where}: {error}", id="mailkit.E001")
        return
    if isinstance(transport, SMTP) and transport.tls == "opportunistic" and not is_loopback(transport.host):
        yield CheckWarning(
            f"{where}: mail to {transport.host} travels in clear text where the server offers no TLS.",
            hint="Set EMAIL_USE_TLS (port 587) or EMAIL_USE_SSL (port 465), or give a URL, which requires TLS.",
            id="mailkit.W001",
        )
