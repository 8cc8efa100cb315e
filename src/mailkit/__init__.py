"""Send e-mail over SMTP and HTTP APIs, sync and async, and know what happened to it.

Every everyday name lives here. Each is imported when it is first used, so ``import mailkit`` itself costs
next to nothing. Less common names stay in their modules: ``mailkit.smtp``, ``mailkit.testing``.

Example:
    >>> from mailkit import Mailer, Message
    >>> with Mailer("null://") as mailer:
    ...     receipt = mailer.send(
    ...         Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")
    ...     )
    >>> [result.address for result in receipt.accepted]
    ['bob@example.org']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailkit._version import __version__ as __version__

if TYPE_CHECKING:
    from mailkit.address import Address
    from mailkit.attachment import Attachment
    from mailkit.builder import MessageBuilder
    from mailkit.capabilities import Capabilities
    from mailkit.envelope import Envelope
    from mailkit.errors import (
        AddressError,
        AuthenticationError,
        ConfigurationError,
        ConnectError,
        DeliveryError,
        DeliveryTimeout,
        MailkitError,
        MessageError,
        OutcomeUnknownError,
        ProtocolError,
        RateLimitedError,
        RejectedError,
        TLSError,
        TransientError,
        UnsupportedFeatureError,
    )
    from mailkit.hooks import Hooks
    from mailkit.mailer import AsyncMailer, Mailer
    from mailkit.message import Message, Template
    from mailkit.policies.breaker import CircuitBreaker
    from mailkit.policies.concurrency import Concurrency
    from mailkit.policies.deduplicate import Deduplicate
    from mailkit.policies.failover import Failover
    from mailkit.policies.rate_limit import RateLimit
    from mailkit.policies.redirect import Redirect
    from mailkit.policies.retry import Retry
    from mailkit.policies.retry_policy import RetryPolicy
    from mailkit.policies.round_robin import RoundRobin
    from mailkit.policies.route import Route
    from mailkit.policies.suppress import Suppress
    from mailkit.policies.weighted import Weighted
    from mailkit.receipt import Outcome, Receipt, RecipientResult
    from mailkit.reply import Reply
    from mailkit.transport import Transport

__all__ = [
    "Address",
    "AddressError",
    "AsyncMailer",
    "Attachment",
    "AuthenticationError",
    "Capabilities",
    "CircuitBreaker",
    "Concurrency",
    "ConfigurationError",
    "ConnectError",
    "Deduplicate",
    "DeliveryError",
    "DeliveryTimeout",
    "Envelope",
    "Failover",
    "Hooks",
    "Mailer",
    "MailkitError",
    "Message",
    "MessageBuilder",
    "MessageError",
    "Outcome",
    "OutcomeUnknownError",
    "ProtocolError",
    "RateLimit",
    "RateLimitedError",
    "Receipt",
    "RecipientResult",
    "Redirect",
    "RejectedError",
    "Reply",
    "Retry",
    "RetryPolicy",
    "RoundRobin",
    "Route",
    "Suppress",
    "TLSError",
    "Template",
    "TransientError",
    "Transport",
    "UnsupportedFeatureError",
    "Weighted",
]

_HOMES = {
    "address": ("Address",),
    "attachment": ("Attachment",),
    "builder": ("MessageBuilder",),
    "capabilities": ("Capabilities",),
    "envelope": ("Envelope",),
    "errors": (
        "AddressError",
        "AuthenticationError",
        "ConfigurationError",
        "ConnectError",
        "DeliveryError",
        "DeliveryTimeout",
        "MailkitError",
        "MessageError",
        "OutcomeUnknownError",
        "ProtocolError",
        "RateLimitedError",
        "RejectedError",
        "TLSError",
        "TransientError",
        "UnsupportedFeatureError",
    ),
    "hooks": ("Hooks",),
    "mailer": ("AsyncMailer", "Mailer"),
    "message": ("Message", "Template"),
    "policies.breaker": ("CircuitBreaker",),
    "policies.concurrency": ("Concurrency",),
    "policies.deduplicate": ("Deduplicate",),
    "policies.failover": ("Failover",),
    "policies.rate_limit": ("RateLimit",),
    "policies.redirect": ("Redirect",),
    "policies.retry": ("Retry",),
    "policies.retry_policy": ("RetryPolicy",),
    "policies.round_robin": ("RoundRobin",),
    "policies.route": ("Route",),
    "policies.suppress": ("Suppress",),
    "policies.weighted": ("Weighted",),
    "receipt": ("Outcome", "Receipt", "RecipientResult"),
    "reply": ("Reply",),
    "transport": ("Transport",),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that saw this would believe every misspelt name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for, then keep it (PEP 562)."""
        from importlib import import_module

        try:
            home = _HOME_OF[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, whether or not they were imported yet."""
    return sorted({*globals(), *__all__})
