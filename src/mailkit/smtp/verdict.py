"""From what became of each recipient to a receipt, or to the one error that says it best."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailkit.errors import (
    AuthenticationError,
    DeliveryError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from mailkit.receipt import Receipt, told
from mailkit.reply import Reply
from mailkit.smtp.transaction import NOT_LOGGED_IN

if TYPE_CHECKING:
    from mailkit.receipt import RecipientResult
    from mailkit.smtp.delivery import Delivered

__all__ = ["verdict"]

# Informational only: what servers call the message after its 250. Postfix · Exim · OpenSMTPD and Sendmail · Amazon SES
_QUEUE_ID = re.compile(r"queued as (\S+)|\bid=(\S+)|(\S+) [Mm]essage accepted for delivery|^Ok (\S+)$")


def verdict(delivered: Delivered, *, transport: str, message_id: str) -> Receipt | DeliveryError:
    """Return the receipt if any recipient was accepted, else an error made for this message alone."""
    results = delivered.results
    if any(result.status == "accepted" for result in results):
        return Receipt(
            message_id=message_id, transport=transport, recipients=results, provider_id=_queue_id(delivered.reply)
        )
    error = _error(delivered, transport)
    error.recipients = results
    decided = [result for result in results if result.code is not None]  # the server's word says more than its silence
    error.phase = error.phase or next((result.phase for result in (*decided, *results) if result.phase), None)
    error.transport = transport
    error.message_id = message_id
    error.__cause__ = delivered.error
    return error


def _error(delivered: Delivered, transport: str) -> DeliveryError:
    results, cause = delivered.results, delivered.error
    what = told(results)
    statuses = {result.status for result in results}
    if "unknown" in statuses:
        return OutcomeUnknownError(
            f"the connection to {transport} was lost after the whole message had been written ({cause}): it may or "
            f"may not have been accepted. Look for the Message-ID at the receiving side before sending again: {what}",
            phase="content",
        )
    decided = next((result for result in results if result.code is not None), None)
    reply = None if decided is None else _reply(decided)
    if "rejected" in statuses:
        return RejectedError(f"{transport} rejected the message for good: {what}", reply=reply)
    if "deferred" in statuses:
        return _deferred(results, f"{transport} deferred the message: {what}; try again later", reply)
    return _not_sent(f"{transport} did not take the message", what, reply, cause)


def _not_sent(missed: str, what: str, reply: Reply | None, cause: DeliveryError | None) -> DeliveryError:
    if reply is not None and reply.code == NOT_LOGGED_IN:
        message = f"{missed} without a login: {what}; give a username and a password, and do not switch TLS off"
        return AuthenticationError(message, reply=reply)
    if reply is not None:
        return TransientError(f"{missed} now: {what}; try again later", outcome="not_sent", reply=reply)
    if cause is None:
        return TransientError(f"{missed}: {what}; try again later", outcome="not_sent")
    # One lost connection may have carried several messages, and each gets an error of its own.
    return type(cause)(
        str(cause),
        outcome="not_sent",
        cause=cause.cause,
        phase=cause.phase,
        retry_after=cause.retry_after,
        reply=cause.reply,
    )


def _deferred(results: tuple[RecipientResult, ...], message: str, reply: Reply | None) -> DeliveryError:
    codes = {result.enhanced_code for result in results if result.status == "deferred"}
    if all(code is not None and code.startswith("4.7.") for code in codes):
        # RFC 3463 §3.8, X.7.X: a policy, not a failure; 4.7.1 is how greylisting says "not so soon".
        delays = [result.retry_after for result in results if result.retry_after is not None]
        return RateLimitedError(message, outcome="deferred", retry_after=max(delays, default=None), reply=reply)
    return TransientError(message, reply=reply)


def _reply(result: RecipientResult) -> Reply:
    return Reply(result.code or 0, result.text, enhanced_code=result.enhanced_code)


def _queue_id(reply: Reply | None) -> str | None:
    match = reply and _QUEUE_ID.search(reply.text)
    return next((group for group in match.groups() if group), None) if match else None
