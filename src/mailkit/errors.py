"""Everything that can go wrong, as one tree.

::

    MailkitError
    ├── ConfigurationError (ValueError)      bad URL, unknown scheme, missing extra
    ├── MessageError (ValueError)            no transport could send it
    │   ├── AddressError                     .value, and where in it
    │   └── UnsupportedFeatureError          .feature .transport
    └── DeliveryError                        .outcome .retryable .retry_after .recipients .reply .transport
        ├── ConnectError (ConnectionError)   no connection, or a connection lost before the commit point
        ├── DeliveryTimeout (TimeoutError)   a phase took longer than it may
        ├── TLSError                         no TLS, or not with whom we wanted
        ├── AuthenticationError              the credentials were refused
        ├── RateLimitedError                 too much, too fast
        ├── TransientError                   a 4xx: may work later
        ├── RejectedError                    a 5xx: will not work later
        ├── OutcomeUnknownError              lost after the commit point
        └── ProtocolError                    the server broke the protocol

Whoever catches a :class:`DeliveryError` can decide by attribute alone: ``outcome`` says what became of the message,
``retryable`` whether sending the same message again is safe *and* has a chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailkit.receipt import RecipientResult
    from mailkit.reply import Reply

__all__ = [
    "AddressError",
    "AuthenticationError",
    "Cause",
    "ConfigurationError",
    "ConnectError",
    "DeliveryError",
    "DeliveryOutcome",
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
]

DeliveryOutcome = Literal["not_sent", "deferred", "rejected", "unknown"]
"""What became of a message that was not accepted.

``"not_sent"``: no server took it. ``"deferred"``: a server answered "later" (a complete 4xx). ``"rejected"``: a server,
or mailkit before any I/O, said no for good. ``"unknown"``: the answer was lost after the commit point.
"""

Cause = Literal["transient", "throttled", "security", "configuration"]
"""Why a message was not sent, which says who may retry: anyone later (``"transient"``), anyone slower
(``"throttled"``), nobody by itself (``"security"``), nobody before somebody changed a setting (``"configuration"``)."""

_RETRYABLE_CAUSES: frozenset[Cause] = frozenset(("transient", "throttled"))


class MailkitError(Exception):
    """The base of every error that mailkit raises on purpose."""


class ConfigurationError(MailkitError, ValueError):
    """A URL, an option or an installation is wrong; nothing was connected to.

    Example:
        >>> from mailkit import Mailer
        >>> try:
        ...     Mailer("null://somewhere")
        ... except ConfigurationError as error:
        ...     print(error)
        null:// takes no host: leave it out
    """


class MessageError(MailkitError, ValueError):
    """The message is wrong in itself: no transport could send it. Nothing was connected to."""


class AddressError(MessageError):
    """A text is not one valid mailbox.

    Example:
        >>> from mailkit import Address
        >>> try:
        ...     Address.parse("bob@example..org")
        ... except AddressError as error:
        ...     error.value, error.position
        ('bob@example..org', 12)

    Args:
        message: What is wrong, and what to do.
        value: The text that was given.
        position: The index in `value` at which it stops being valid, where one can be named.
    """

    def __init__(self, message: str, *, value: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.value = value
        self.position = position


class UnsupportedFeatureError(MessageError):
    """The transport cannot express something that the message asks for; nothing was sent.

    Args:
        message: What is not supported by what, and what to do.
        feature: The name of the feature, as :class:`mailkit.Capabilities` spells it.
        transport: The transport's name, without secrets.
    """

    def __init__(self, message: str, *, feature: str = "", transport: str = "") -> None:
        super().__init__(message)
        self.feature = feature
        self.transport = transport


class DeliveryError(MailkitError):
    """No recipient was accepted. What became of the message is in `outcome`.

    Example:
        >>> from mailkit import Mailer, Message, RetryPolicy
        >>> with Mailer("smtp://127.0.0.1:1?timeout=1", retry=RetryPolicy.none()) as mailer:
        ...     try:
        ...         mailer.send(Message(from_="ada@example.com", to="bob@example.org", text="Hi Bob"))
        ...     except DeliveryError as error:
        ...         error.outcome, error.cause, error.retryable
        ('not_sent', 'transient', True)

    Args:
        message: What happened, to whom, and what to do.
        outcome: What became of the message.
        cause: Why, where it was not sent or deferred.
        phase: Where in the delivery it happened, such as ``"connect"``, ``"mail"`` or ``"data"``.
        retry_after: Seconds to wait at least before trying again, where the other side said so.
        recipients: One result for each recipient, where the delivery came so far.
        reply: The answer that decided, where there was one.
        transport: The transport's name, without secrets.
        attempts: How many times delivery was tried.
        message_id: The Message-ID, without angle brackets.
        idempotent: Whether an idempotency key went along that the other side honours, so that sending the same message
            again cannot duplicate it even where the outcome is unknown.
    """

    default_outcome: ClassVar[DeliveryOutcome] = "not_sent"
    default_cause: ClassVar[Cause | None] = "transient"

    def __init__(
        self,
        message: str = "",
        *,
        outcome: DeliveryOutcome | None = None,
        cause: Cause | None = None,
        phase: str | None = None,
        retry_after: float | None = None,
        recipients: Iterable[RecipientResult] = (),
        reply: Reply | None = None,
        transport: str | None = None,
        attempts: int = 1,
        message_id: str | None = None,
        idempotent: bool = False,
    ) -> None:
        super().__init__(message)
        self.outcome: DeliveryOutcome = outcome or self.default_outcome
        self.cause: Cause | None = cause
        if cause is None and self.outcome in {"not_sent", "deferred"}:
            self.cause = self.default_cause or "transient"
        self.phase = phase
        self.retry_after = retry_after
        self.recipients: tuple[RecipientResult, ...] = tuple(recipients)
        self.reply = reply
        self.transport = transport
        self.attempts = attempts
        self.message_id = message_id
        self.idempotent = idempotent

    @property
    def retryable(self) -> bool:
        """Whether sending the same message again cannot duplicate it and has a chance to succeed."""
        if self.outcome == "unknown":
            return self.idempotent
        return self.outcome in {"not_sent", "deferred"} and self.cause in _RETRYABLE_CAUSES


class ConnectError(DeliveryError, ConnectionError):
    """No connection could be made, or it was lost before the commit point: the message was not sent."""


class DeliveryTimeout(DeliveryError, TimeoutError):
    """A phase before the commit point took longer than it may: the message was not sent."""


class TLSError(DeliveryError):
    """TLS was required and could not be had, or the certificate is not that of the wanted host."""

    default_cause: ClassVar[Cause | None] = "security"


class AuthenticationError(DeliveryError):
    """The server refused the credentials, or offers no mechanism that may carry them."""

    default_cause: ClassVar[Cause | None] = "configuration"


class RateLimitedError(DeliveryError):
    """The other side says that we are too fast or over a quota."""

    default_cause: ClassVar[Cause | None] = "throttled"


class TransientError(DeliveryError):
    """The other side says that it may work later (SMTP 4xx)."""

    default_outcome: ClassVar[DeliveryOutcome] = "deferred"


class RejectedError(DeliveryError):
    """The other side says no for good (SMTP 5xx)."""

    default_outcome: ClassVar[DeliveryOutcome] = "rejected"
    default_cause: ClassVar[Cause | None] = None


class OutcomeUnknownError(DeliveryError):
    """The connection was lost after the commit point: the message may or may not have been accepted."""

    default_outcome: ClassVar[DeliveryOutcome] = "unknown"
    default_cause: ClassVar[Cause | None] = None


class ProtocolError(DeliveryError):
    """The server broke the protocol, so nothing more that it says can be relied on."""
