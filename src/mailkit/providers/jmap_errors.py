"""What JMAP's errors say about a message: one table for each of the three levels at which a server says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailkit.errors import ProtocolError
from mailkit.providers.status import CREDENTIALS, NOT_SENT, QUOTA, REJECTED, THROTTLED, UNKNOWN, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LIMIT", "LIMITS", "METHOD_ERRORS", "REQUEST_ERRORS", "SET_ERRORS", "STALE", "UNREADABLE"]

LIMIT: Final = "urn:ietf:params:jmap:error:limit"
"""A limit of the server's; "the request was not processed" (RFC 8620 §3.6.1), whatever the status."""

LIMITS: Final[Mapping[str, Verdict]] = {
    "maxConcurrentRequests": THROTTLED,
    "maxConcurrentUpload": THROTTLED,
    "maxCallsInRequest": REJECTED,
    "maxSizeRequest": REJECTED,
    "maxSizeUpload": REJECTED,
}
"""By the limit's name."""

REQUEST_ERRORS: Final[Mapping[str, Verdict]] = {
    "urn:ietf:params:jmap:error:notJSON": REJECTED,
    "urn:ietf:params:jmap:error:notRequest": REJECTED,
    "urn:ietf:params:jmap:error:unknownCapability": CREDENTIALS,
}
"""Of a request as a whole, which is refused before any of its methods is called (RFC 8620 §3.6.1)."""

METHOD_ERRORS: Final[Mapping[str, Verdict]] = {
    "accountNotFound": CREDENTIALS,
    "accountNotSupportedByMethod": CREDENTIALS,
    "accountReadOnly": CREDENTIALS,
    "forbidden": CREDENTIALS,
    "invalidArguments": REJECTED,
    "invalidResultReference": REJECTED,
    "rateLimit": THROTTLED,
    "requestTooLarge": REJECTED,
    "serverFail": NOT_SENT,
    "serverPartialFail": UNKNOWN,
    "serverUnavailable": NOT_SENT,
    "stateMismatch": NOT_SENT,
    "unknownMethod": CREDENTIALS,
}
"""Of one method. "The externally visible state of the server MUST NOT have changed", but for serverPartialFail; one
that is not known counts as serverFail (RFC 8620 §3.6.2)."""

SET_ERRORS: Final[Mapping[str, Verdict]] = {
    "alreadyExists": REJECTED,
    "blobNotFound": NOT_SENT,
    "emailNotFound": REJECTED,
    "forbidden": CREDENTIALS,
    "forbiddenFrom": REJECTED,
    "forbiddenMailFrom": REJECTED,
    "forbiddenToSend": CREDENTIALS,
    "invalidEmail": REJECTED,
    "invalidPatch": REJECTED,
    "invalidProperties": REJECTED,
    "invalidRecipients": REJECTED,
    "noRecipients": REJECTED,
    "notFound": REJECTED,
    "overQuota": QUOTA,
    "rateLimit": THROTTLED,
    "tooLarge": REJECTED,
    "tooManyKeywords": REJECTED,
    "tooManyMailboxes": REJECTED,
    "tooManyRecipients": REJECTED,
}
"""Of one record that was not created, a message or its submission (RFC 8620 §5.3, RFC 8621 §4.8, §7.5).

Any other is :data:`UNKNOWN` for a submission. By the RFC it was not created; but a server that hands the message on
first and keeps the record afterwards has only words of its own for what fails in between. Cyrus 3.6 says
``smtpProtocolError`` where the answer to the message was lost (or was a refusal), and ``serverFail`` where it was sent
and could not be recorded."""

STALE: Final = frozenset({"accountNotFound", "identityNotFound", "invalidProperties"})
"""What a server says of an account, a mailbox or an identity that is no more: what was looked up is out of date."""

UNREADABLE: Final = Verdict(
    error=ProtocolError,
    outcome="not_sent",
    cause="configuration",
    advice="this is not what a JMAP server answers (RFC 8620); check the host",
)
"""Not sent: what comes before the message could not be read."""
