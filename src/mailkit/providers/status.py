"""What an HTTP status says about a message: one table for all providers.

A provider adds rows, or looks into the answer and picks another verdict; it may be more exact than this table, never
more hopeful. There is no verdict that turns an error status into an accepted message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from mailkit.errors import (
    AuthenticationError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    TransientError,
)

if TYPE_CHECKING:
    from mailkit.edge.http import Response
    from mailkit.errors import Cause, DeliveryError, DeliveryOutcome

__all__ = [
    "CREDENTIALS",
    "IN_FLIGHT",
    "NOT_SENT",
    "QUOTA",
    "REDIRECTED",
    "REJECTED",
    "STATUSES",
    "THROTTLED",
    "UNKNOWN",
    "Verdict",
    "verdict_for",
]


@frozen(kw_only=True)
class Verdict:
    """What became of a message that was not accepted.

    Args:
        error: The error to raise.
        outcome: What became of the message.
        cause: Why, where it was not sent.
        advice: What to do next.
    """

    error: type[DeliveryError]
    outcome: DeliveryOutcome
    cause: Cause | None = None
    advice: str


REJECTED: Final = Verdict(
    error=RejectedError,
    outcome="rejected",
    advice="as it is, it is refused: change the message, or check the host and the account",
)
"""Refused for good."""

CREDENTIALS: Final = Verdict(
    error=AuthenticationError,
    outcome="not_sent",
    cause="configuration",
    advice="check the key, what it is allowed to do, and the account",
)
"""Not sent: the key or the account is not good for it."""

THROTTLED: Final = Verdict(
    error=RateLimitedError, outcome="not_sent", cause="throttled", advice="send slower, and try again later"
)
"""Not sent: too fast."""

QUOTA: Final = Verdict(
    error=RateLimitedError,
    outcome="not_sent",
    cause="configuration",
    advice="wait until the quota is renewed, or have it raised; trying again before changes nothing",
)
"""Not sent: a daily or monthly quota is used up, which no short wait cures."""

NOT_SENT: Final = Verdict(error=TransientError, outcome="not_sent", cause="transient", advice="try again later")
"""Not sent, and may be later."""

IN_FLIGHT: Final = Verdict(
    error=TransientError,
    outcome="not_sent",
    cause="transient",
    advice="an earlier request with the same idempotency key is still under way; wait, and try again with the same key",
)
"""Not sent by this request: one with the same key is under way."""

REDIRECTED: Final = Verdict(
    error=ProtocolError,
    outcome="not_sent",
    cause="security",
    advice="it would carry the key to another host, so it was not followed; check the host",
)
"""Not sent: a redirect is never followed."""

UNKNOWN: Final = Verdict(
    error=OutcomeUnknownError,
    outcome="unknown",
    advice="it may have been accepted all the same; find out before sending it again",
)
"""Nobody knows."""

STATUSES: Final[dict[int, Verdict]] = {
    401: CREDENTIALS,
    402: CREDENTIALS,
    403: CREDENTIALS,
    408: UNKNOWN,  # the server says that it has not read all; we know that we have written all
    420: THROTTLED,
    421: NOT_SENT,  # RFC 9110 §15.5.20: not the server for it
    425: NOT_SENT,  # RFC 8470 §5.2: it was not processed
    429: THROTTLED,
    501: REJECTED,
    505: REJECTED,
}


def verdict_for(response: Response) -> Verdict | None:
    """Return what a status alone says; None for 2xx."""
    status = response.status
    if 200 <= status <= 299:
        return None
    verdict = STATUSES.get(status)
    if verdict is None:
        verdict = REJECTED if 400 <= status <= 499 else REDIRECTED if 300 <= status <= 399 else UNKNOWN
    if verdict is UNKNOWN and not response.request_written:
        return NOT_SENT  # nobody acts on half a request
    return verdict
