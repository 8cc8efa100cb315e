"""Which class serves which URL scheme: ours by one line each, third parties' by an entry point."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from mailkit.errors import ConfigurationError
from mailkit.transport_url import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mailkit.transport import Transport
    from mailkit.transport_url import TransportURL

__all__ = ["ENTRY_POINTS", "POLICIES", "FromURL", "schemes", "transport_class"]

ENTRY_POINTS: Final = "mailkit.transports"
"""The entry-point group in which a package names its transports, as ``acme = "acme_mail:Acme"``."""

_OURS: Final = {
    "alibaba": "mailkit.providers.alibaba:Alibaba",
    "aoksend": "mailkit.providers.aoksend:AokSend",
    "brevo": "mailkit.providers.brevo:Brevo",
    "cloudflare": "mailkit.providers.cloudflare:Cloudflare",
    "console": "mailkit.local:ConsoleTransport",
    "file": "mailkit.local:FileTransport",
    "gmail": "mailkit.providers.gmail:Gmail",
    "graph": "mailkit.providers.microsoftgraph:MicrosoftGraph",
    "jmap": "mailkit.providers.jmap:JMAP",
    "lettermint": "mailkit.providers.lettermint:Lettermint",
    "lmtp": "mailkit.smtp.transport:SMTP",
    "maildir": "mailkit.local:MaildirTransport",
    "mailersend": "mailkit.providers.mailersend:MailerSend",
    "mailgun": "mailkit.providers.mailgun:Mailgun",
    "mailjet": "mailkit.providers.mailjet:Mailjet",
    "mailtrap": "mailkit.providers.mailtrap:Mailtrap",
    "mandrill": "mailkit.providers.mandrill:Mandrill",
    "memory": "mailkit.local:MemoryTransport",
    "mx": "mailkit.mx.transport:DirectMX",
    "null": "mailkit.local:NullTransport",
    "postal": "mailkit.providers.postal:Postal",
    "postmark": "mailkit.providers.postmark:Postmark",
    "resend": "mailkit.providers.resend:Resend",
    "scaleway": "mailkit.providers.scaleway:Scaleway",
    "sendcloud": "mailkit.providers.sendcloud:SendCloud",
    "sendgrid": "mailkit.providers.sendgrid:SendGrid",
    "sendmail": "mailkit.local:SendmailTransport",
    "ses": "mailkit.providers.ses:SES",
    "smtp": "mailkit.smtp.transport:SMTP",
    "smtps": "mailkit.smtp.transport:SMTP",
    "sparkpost": "mailkit.providers.sparkpost:SparkPost",
    "tencent": "mailkit.providers.tencent:Tencent",
}

# The rows of mailkit.relays, which is imported when one of them is used.
_RELAYS: Final = (
    *("alibaba", "aoksend", "brevo", "cloudflare", "fastmail", "gmail", "lettermint", "mailersend", "mailgun"),
    *("mailjet", "mailtrap", "mandrill", "microsoft365", "outlook", "postmark", "resend", "scaleway", "sendcloud"),
    *("sendgrid", "ses", "sparkpost", "tencent"),
)
_OURS.update({f"{name}+smtp": "mailkit.relays.transport:RelayURL" for name in _RELAYS})


POLICIES: Final = {
    "breaker": "breaker:CircuitBreaker",
    "concurrency": "concurrency:Concurrency",
    "deduplicate": "deduplicate:Deduplicate",
    "failover": "failover:Failover",
    "ratelimit": "rate_limit:RateLimit",
    "redirect": "redirect:Redirect",
    "retry": "retry:Retry",
    "roundrobin": "round_robin:RoundRobin",
    "route": "route:Route",
    "suppress": "suppress:Suppress",
    "weighted": "weighted:Weighted",
}
"""Which class of ``mailkit.policies`` serves which ``name(URL URL)``: it has a ``from_members``."""


class FromURL(Protocol):
    """A class that makes a transport from a URL."""

    def from_url(self, url: TransportURL) -> Transport:
        """Return the transport that the URL describes."""
        ...


def transport_class(scheme: str) -> FromURL:
    """Return the class that serves a URL scheme; only that class's module is imported.

    Raises:
        ConfigurationError: Nobody serves it, or the package that does cannot be imported.
    """
    if scheme in _OURS:
        module, _, name = _OURS[scheme].partition(":")
        found: Any = getattr(import_module(module), name)
        return found  # type: ignore[no-any-return]
    for entry_point in _entry_points():
        if entry_point.name == scheme:
            return _load(scheme, entry_point)
    forms = {scheme: f"{scheme}://" for scheme in schemes()}
    policies = {policy: f"{policy}(…)" for policy in sorted(POLICIES)}
    known = ", ".join([*schemes(), *policies.values()])
    msg = f"no transport serves {scheme}://{nearest(scheme, forms | policies)}; known are: {known}"
    raise ConfigurationError(msg)


def _load(scheme: str, entry_point: EntryPoint) -> FromURL:
    served = f"{scheme}:// is served by {entry_point.value}"
    try:
        found: Any = entry_point.load()
    except Exception as error:  # a module of somebody else's may fail in any way
        msg = f"{served}, which cannot be imported ({type(error).__name__}: {error}): install or repair its package"
        raise ConfigurationError(msg) from error
    if not callable(getattr(found, "from_url", None)):
        msg = f"{served}, which has no from_url: its package is not written for this version of mailkit"
        raise ConfigurationError(msg)
    return found  # type: ignore[no-any-return]


def schemes() -> tuple[str, ...]:
    """Return every scheme that can be used here, sorted."""
    return tuple(sorted({*_OURS, *(entry_point.name for entry_point in _entry_points())}))


def _entry_points() -> Any:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
