"""The message as the conversation writes it, and what must hold before its first byte is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from mailkit.errors import RejectedError, UnsupportedFeatureError
from mailkit.receipt import RecipientResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailkit.envelope import Envelope
    from mailkit.receipt import Status
    from mailkit.smtp.extensions import Extensions
    from mailkit.smtp.options import SMTPOptions

__all__ = ["MAX_RECIPIENTS", "Content", "recipient_limit", "refuse_unsendable", "suits"]

MAX_RECIPIENTS: Final = 100
"""Recipients of one transaction where the server says nothing else: what each must take (RFC 5321 §4.5.3.1.8)."""


class Content(Protocol):
    """The message as this server will get it."""

    @property
    def size(self) -> int:
        """Octets, exactly."""
        ...

    @property
    def body_type(self) -> Literal["7BIT", "8BITMIME", "BINARYMIME"]:
        """What its bytes ask of the server."""
        ...

    @property
    def needs_smtputf8(self) -> bool:
        """Whether its header section holds raw UTF-8."""
        ...

    @property
    def message_id(self) -> str:
        """Its Message-ID without angle brackets, ``""`` where it has none."""
        ...

    def iter_bytes(self) -> Iterator[bytes]:
        """The bytes in blocks, the same ones each time."""
        ...


def recipient_limit(extensions: Extensions) -> int:
    """Return how many recipients one transaction may have (RFC 9422 §4.2 lets a server name fewer)."""
    return min(extensions.limits.rcpt_max or MAX_RECIPIENTS, MAX_RECIPIENTS)


def refuse_unsendable(options: SMTPOptions, extensions: Extensions, envelope: Envelope, content: Content) -> None:
    """Refuse, before the first byte, what this server has said that it cannot take.

    Raises:
        UnsupportedFeatureError: It lacks an extension that the message needs.
        RejectedError: The message is larger than it takes, or has too many recipients for ``recipients="all"``.
    """
    _check_extensions(options, extensions, envelope, content)
    limit = extensions.size_limit
    if limit is not None and content.size > limit:
        raise _refusal(
            f"the message has {content.size:,} octets and {options.host} takes at most {limit:,}; nothing was sent. "
            "Attach less, or send a link",
            options,
            envelope,
            content,
            status="rejected",
            phase="mail",
        )
    if options.recipients == "all" and len(envelope.rcpt_to) > recipient_limit(extensions):
        raise _refusal(
            f'recipients="all" needs one transaction, and {options.host} takes {recipient_limit(extensions)} '
            f"recipients in one, not {len(envelope.rcpt_to)}; nothing was sent. Send to fewer at once",
            options,
            envelope,
            content,
            status="not_sent",
            phase="rcpt",
        )


def suits(content: Content, options: SMTPOptions, extensions: Extensions) -> bool:
    """Whether this server can take the content as it is written."""
    if content.body_type == "BINARYMIME":
        return extensions.binary_mime and options.chunking
    return content.body_type == "7BIT" or extensions.eight_bit_mime


def _check_extensions(options: SMTPOptions, extensions: Extensions, envelope: Envelope, content: Content) -> None:
    asked = envelope.mail_parameters
    needed = asked.extensions
    if envelope.needs_dsn:
        needed = (("DSN", "dsn"), *needed)
    if envelope.needs_smtputf8 or content.needs_smtputf8:
        needed = (("SMTPUTF8", "smtputf8"), *needed)
    for keyword, feature in needed:
        if keyword not in extensions:
            raise _lacking(options, keyword, feature, _in_unicode(envelope) if keyword == "SMTPUTF8" else "")
    if not suits(content, options, extensions):
        raise _lacking(options, content.body_type, content.body_type.lower())
    if asked.require_tls and options.tls not in {"starttls", "implicit"}:
        # RFC 8689 §2: the client has authenticated the server, which an opportunistic connection does not.
        raise _lacking(options, "verified TLS", "require_tls")


def _in_unicode(envelope: Envelope) -> str:
    paths = (envelope.mail_from, *envelope.rcpt_to)
    return next((f" for {path.addr_spec!r}" for path in paths if path and path.needs_smtputf8), " for a header field")


def _lacking(options: SMTPOptions, what: str, feature: str, reason: str = "") -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"{options.host} does not offer {what}, which this message needs{reason} ({feature}); nothing was sent. Leave "
        "it out, or use another server",
        feature=feature,
        transport=options.host,
    )


def _refusal(
    message: str, options: SMTPOptions, envelope: Envelope, content: Content, *, status: Status, phase: str
) -> RejectedError:
    results = [RecipientResult(path.addr_spec, status=status, phase=phase) for path in envelope.rcpt_to]
    return RejectedError(
        message, phase=phase, recipients=results, transport=options.name, message_id=content.message_id
    )
